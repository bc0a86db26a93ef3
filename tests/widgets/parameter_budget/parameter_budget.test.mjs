// The explorer's core against the numbers that Python wrote: test_widget.py makes the fixture.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { GPUS, PARTS, PRECISIONS, PRESETS } from "course:models/budget";
import * as budget from "../../../utils/widgets/parameter_budget/budget.mjs";
import { linkable, settings, stops } from "../../../utils/widgets/parameter_budget/settings.mjs";
import * as words from "../../../utils/widgets/parameter_budget/words.mjs";

const fixture = JSON.parse(readFileSync(process.env.COURSE_FIXTURE, "utf8"));
const close = (value, expected, what) => {
  const apart = Math.abs(value - expected) / Math.max(1, Math.abs(expected));
  assert.ok(apart <= 1e-12, `${what}: ${value}, Python says ${expected}`);
};

test("the tables are Python's", () => {
  assert.deepEqual(PARTS, fixture.parts);
  assert.deepEqual(PRECISIONS, fixture.precisions);
  assert.deepEqual(GPUS, fixture.gpus);
});

test("a preset has Python's sizes and lands on the published count", () => {
  assert.deepEqual(Object.keys(PRESETS), fixture.presets.map((p) => p.name));
  for (const { name, label, shape, published, tokens, count } of fixture.presets) {
    const s = settings((key) => (key === "preset" ? name : null));
    for (const [key, value] of Object.entries(shape)) assert.equal(s[key], value, `${name} ${key}`);
    const preset = PRESETS[name];
    assert.deepEqual([preset.label, preset.published, preset.tokens], [label, published, tokens]);
    assert.equal(budget.countParameters(s), count);
    if (Number.isInteger(published) && name !== "gpt3") assert.equal(count, published);
  }
  const gpt3 = budget.countParameters(PRESETS.gpt3);
  assert.ok(Math.abs(gpt3 / 175e9 - 1) < 0.01);
});

test(`${fixture.cases.length} random configurations give Python's numbers`, () => {
  for (const [i, c] of fixture.cases.entries()) {
    assert.deepEqual(budget.parameterCounts(c.shape), c.counts, `case ${i}`);
    const memory = budget.memoryBytes(c.shape, c.precision, c.batch_size);
    assert.deepEqual(Object.keys(memory), Object.keys(c.memory));
    for (const key of Object.keys(memory)) close(memory[key], c.memory[key], `case ${i} ${key}`);
    assert.deepEqual(budget.flopsPerToken(c.shape), c.flops_per_token, `case ${i}`);
    close(budget.trainingFlops(c.shape, c.tokens), c.training_flops, `case ${i} training_flops`);
    close(
      budget.trainingDays(c.training_flops, c.gpu, c),
      c.training_days,
      `case ${i} training_days`,
    );
  }
});

test("whatever an address asks for becomes a model that can be built", () => {
  const wild = [
    null,
    undefined,
    -5,
    0,
    1,
    7,
    33,
    255.5,
    1000,
    1e9,
    1e300,
    NaN,
    Infinity,
    "x",
    "llama",
    true,
    {},
    "__proto__",
  ];
  let state = 12345;
  const pick = () => wild[(state = (state * 1103515245 + 12345) % 2147483648) % wild.length];
  for (let i = 0; i < 2000; i++) {
    const asked = Object.fromEntries(linkable.map((key) => [key, pick()]));
    const s = settings((key) => asked[key]);
    assert.equal(s.d_model % s.n_head, 0);
    assert.equal(s.n_head % s.n_kv_head, 0);
    if (s.style === "llama") assert.equal((s.d_model / s.n_head) % 2, 0);
    for (const n of Object.values(budget.memoryBytes(s, s.precision, s.batch_size))) {
      assert.ok(n > 0 && Number.isFinite(n));
    }
    const days = budget.trainingDays(budget.trainingFlops(s, s.tokens), s.gpu, s);
    assert.ok(days > 0 && Number.isFinite(days));
  }
});

test("a slider offers its present value, in rising order", () => {
  for (const name of Object.keys(PRESETS)) {
    const s = settings((key) => (key === "preset" ? name : null));
    for (const key of linkable.filter((k) => typeof s[k] === "number")) {
      const list = stops(key, s);
      assert.ok(list.includes(s[key]), `${name} ${key}`);
      assert.ok(list.every((v, i) => i === 0 || v > list[i - 1]), `${name} ${key}`);
    }
  }
});

test("heads come back when the width does", () => {
  const at = (width) => settings((key) => ({ preset: "gpt2", d_model: width })[key]).n_head;
  assert.equal(768 % at(768), 0);
  assert.equal(at(768), 12);
  assert.equal(at(1024), 16);
  assert.equal(at(768), 12);
});

test("numbers read as people write them", () => {
  assert.equal(words.short(124439808), "124\u00a0million");
  assert.equal(words.short(999.6e6), "1.00\u00a0billion");
  assert.equal(words.bytes(248879616), "249\u00a0MB");
  assert.equal(words.power(3.14e23), "3.14 × 10²³");
  assert.equal(words.duration(0.01), "14.4 minutes");
  assert.equal(words.duration(30 / 86400), "30.0 seconds");
  assert.equal(words.duration(0.25 / 86400), "0.25 seconds");
  assert.equal(words.duration(1e-9), "less than a millisecond");
  assert.equal(words.duration(9200), "9,200 days (25.2 years)");
});
