// The explorer's numeric core against the values that Python computed: test_widget.py makes the
// fixture.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { ENGINES, OFF } from "course:sampling/settings";
import {
  activeOrder,
  cumulate,
  decode,
  draw,
  survey,
  uniform,
  unpackLogits,
} from "../../../utils/widgets/sampling_explorer/decoding.mjs";
import { settings, stops } from "../../../utils/widgets/sampling_explorer/settings.mjs";
import { chartRows } from "../../../utils/widgets/sampling_explorer/token_chart.mjs";
import { aloud, percent } from "../../../utils/widgets/sampling_explorer/words.mjs";

const fixture = JSON.parse(readFileSync(process.env.COURSE_FIXTURE, "utf8"));
const doubles = (path) => {
  const bytes = readFileSync(path);
  return new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};
const near = (a, b, tolerance) => Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b));

test("recorded logits unpack to the same numbers", () => {
  const all = doubles(fixture.logits);
  const V = fixture.vocab_size;
  fixture.positions.forEach((p, i) =>
    assert.deepEqual(unpackLogits(p.logits, p.scale), all.slice(i * V, (i + 1) * V))
  );
});

test("probabilities, steps and draws equal Python's", () => {
  const V = fixture.vocab_size, expected = doubles(fixture.probs), all = doubles(fixture.logits);
  const row = (i) => all.slice(i * V, (i + 1) * V); // recorded ones, then those with removed tokens
  let worst = 0;
  fixture.cases.forEach((c, i) => {
    const what = `case ${i}: ${JSON.stringify(c.settings)}`;
    const result = decode(row(c.position), c.prompt, c.output, { ...OFF, ...c.settings });
    for (let id = 0; id < V; id++) {
      const apart = Math.abs(result.probs[id] - expected[i * V + id]);
      worst = Math.max(worst, apart);
      assert.ok(apart <= 1e-6, `${what}: token ${id} differs by ${apart}`);
      assert.equal(result.probs[id] > 0, expected[i * V + id] > 0, `${what}: token ${id} kept`);
    }
    assert.deepEqual(result.steps.map((s) => s.name), ["model", ...c.order], what);
    result.steps.forEach((step, k) => {
      const wanted = c.steps[k];
      assert.equal(step.kept, wanted.kept, `${what}: ${step.name}`);
      for (const key of ["removed", "entropy", "perplexity"]) {
        assert.ok(
          near(step[key], wanted[key], 1e-9),
          `${what}: ${step.name} ${key} ${step[key]} ${wanted[key]}`,
        );
      }
    });
    assert.equal(draw(cumulate(result.probs), c.u), c.token, `${what}: draw`);
  });
  assert.ok(worst < 1e-9, `largest difference ${worst}`);
});

test("the engines are Python's", () => {
  for (const [name, engine] of Object.entries(fixture.engines)) {
    assert.deepEqual(ENGINES[name].order, engine.order);
    assert.equal(ENGINES[name].ties, engine.ties);
    assert.equal(ENGINES[name].window, engine.last_n);
    assert.deepEqual([...ENGINES[name].outputOnly].sort(), engine.output_only);
  }
  assert.deepEqual(Object.keys(ENGINES), Object.keys(fixture.engines));
});

test("−inf logits are never kept", () => {
  for (const engine of Object.keys(ENGINES)) {
    const { probs, kept } = decode([0, -Infinity, 1, 1], [], [], {
      ...OFF,
      engine,
      temperature: 2,
      top_k: 3,
    });
    assert.equal(kept, 3);
    assert.equal(probs[1], 0);
    assert.ok(near(probs.reduce((a, b) => a + b), 1, 1e-12));
  }
});

test("a position without a distribution is refused in one line", () => {
  for (const logits of [[-Infinity, -Infinity], [0, NaN], [0, Infinity]]) {
    assert.throws(() => survey(logits), /^Error: The logits must be free of NaN and \+∞[^\n]*$/);
  }
});

test("equal logits: each engine's rule at the tie", () => {
  const s = { ...OFF, top_k: 2 };
  assert.equal(decode([1, 1, 1, 0], [], [], { ...s, engine: "vllm" }).kept, 3);
  const exact = decode([1, 1, 1, 0], [], [], { ...s, engine: "mlx" });
  assert.deepEqual([...exact.probs], [0.5, 0.5, 0, 0]);
});

test("the smallest temperatures are greedy, whatever the logits", () => {
  for (const engine of Object.keys(ENGINES)) {
    for (const temperature of [0.01, 1e-40, 1e-310, 5e-324]) {
      for (const sign of [1, -1]) {
        const logits = [0, 30, -20, 29].map((z) => z * sign),
          { probs, steps } = decode(logits, [], [], { ...OFF, engine, temperature });
        assert.equal(probs[sign > 0 ? 1 : 2], 1, `${engine} ${temperature}`);
        assert.ok(
          steps.every((step) => Number.isFinite(step.entropy) && step.kept > 0),
          `${engine} ${temperature}`,
        );
      }
    }
  }
  const tied = decode([2, 2, 1], [], [], { ...OFF, engine: "llama.cpp", temperature: 1e-310 });
  assert.deepEqual([[...tied.probs], tied.kept], [[0.5, 0.5, 0], 2]);
});

test("the chart always shows the model's two likeliest tokens", () => {
  const rank = Uint32Array.from({ length: 100 }, (_, i) => i),
    model = Uint32Array.from(rank).reverse();
  const of = (kept, own = model) => chartRows({ rank, kept }, own);
  for (const kept of [1, 5, 50, 98, 99, 100]) {
    const { ids, shown } = of(kept);
    assert.ok(ids.includes(99) && ids.includes(98), `kept ${kept}: ${ids}`);
    assert.equal(new Set(ids).size, 17);
    ids.forEach((id, i) =>
      assert.equal(id < kept, i < shown, `kept ${kept}: row ${i} holds ${id}`)
    );
  }
  assert.deepEqual(of(100).ids, [...Array.from({ length: 15 }, (_, i) => i), 99, 98]);
  assert.deepEqual(of(50, rank), {
    ids: [...Array.from({ length: 14 }, (_, i) => i), 50, 51, 52],
    shown: 14,
  });
  assert.deepEqual(chartRows({ rank: rank.slice(0, 3), kept: 2 }, rank.slice(0, 3)), {
    ids: [0, 1, 2],
    shown: 2,
  });
  // on a phone
  assert.deepEqual(chartRows({ rank, kept: 50 }, model, 7), {
    ids: [0, 1, 2, 3, 50, 99, 98],
    shown: 4,
  });
});

test("a screen reader hears a token's text, not signs for white space", () => {
  assert.deepEqual([" the", "\n", " ", "", "\tx"].map(aloud), [
    "“the”",
    "“line break”",
    "a space",
    "nothing",
    "“tab x”",
  ]);
});

test("percentages are 0 and 100 only where that is exact", () => {
  const said = [0, 1e-17, 0.00012, 0.0512, 0.9994, 0.9996, 1 - 1e-9, 1].map((p) =>
    percent(p).replace("\u00a0", " ")
  );
  assert.deepEqual(said, [
    "0 %",
    "<0.01 %",
    "0.01 %",
    "5.12 %",
    "99.9 %",
    ">99.9 %",
    ">99.9 %",
    "100 %",
  ]);
});

test("uniform numbers are uniform, replayable and differ between seeds", () => {
  const n = 20000, bins = new Array(20).fill(0);
  for (let i = 1; i <= n; i++) {
    const u = uniform(7, i);
    assert.ok(u >= 0 && u < 1);
    bins[Math.floor(u * 20)]++;
  }
  const chi = bins.reduce((sum, b) => sum + (b - n / 20) ** 2 / (n / 20), 0);
  assert.ok(chi < 43.8, `chi-square ${chi} on 19 degrees of freedom`); // p = 0.001
  assert.equal(uniform(7, 3), uniform(7, 3));
  assert.equal(new Set(Array.from({ length: 500 }, (_, s) => uniform(s, 1))).size, 500);
});

test("draws follow the distribution", () => {
  const p = [0.5, 0, 0.3, 0.2], sums = cumulate(p), n = 20000, seen = [0, 0, 0, 0];
  for (let i = 1; i <= n; i++) seen[draw(sums, uniform(1, i))]++;
  assert.equal(seen[1], 0);
  const chi = [0, 2, 3].reduce((sum, k) => sum + (seen[k] - n * p[k]) ** 2 / (n * p[k]), 0);
  assert.ok(chi < 13.8, `chi-square ${chi} on 2 degrees of freedom`); // p = 0.001
  assert.equal(draw(cumulate([0.25, 0.75, 0]), 1 - 2 ** -53), 1); // never a token without mass
});

test("whatever the address asks for, the settings are valid and on the sliders", () => {
  const strange = {
    engine: "__proto__",
    temperature: -1,
    top_k: 2.7,
    top_p: "x",
    min_p: 9,
    repetition_penalty: 0,
    seed: 1e99,
    draws: -3,
  };
  const s = settings((key) => strange[key]);
  assert.deepEqual([s.engine, s.temperature, s.top_k, s.top_p, s.min_p], ["vllm", 0, 3, 1, 1]);
  assert.ok(s.repetition_penalty > 0 && Number.isSafeInteger(s.seed) && s.draws === 0);
  for (const name of Object.keys(OFF)) {
    assert.ok(stops(name, s).includes(s[name]), name);
    assert.ok(stops(name, s).includes(OFF[name]), name);
  }
  assert.deepEqual(activeOrder({ ...OFF, engine: "vllm", temperature: 0, top_k: 5 }), [
    "temperature",
  ]);
});
