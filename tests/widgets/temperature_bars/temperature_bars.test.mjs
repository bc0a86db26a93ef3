// The bars' probabilities against NumPy's: test_widget.py makes the fixture.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { TEMPERATURES } from "course:widgets/temperature_bars/settings";
import { probabilities, shares } from "../../../utils/widgets/temperature_bars/distribution.mjs";
import { settings, stops } from "../../../utils/widgets/temperature_bars/settings.mjs";
import { percentage, sentence } from "../../../utils/widgets/temperature_bars/words.mjs";

const fixture = JSON.parse(readFileSync(process.env.COURSE_FIXTURE, "utf8"));
const near = (value, expected, what) =>
  assert.ok(Math.abs(value - expected) <= 1e-12, `${what}: ${value}, Python says ${expected}`);

test("the slider is Python's", () => assert.deepEqual(TEMPERATURES, fixture.temperatures));

test(`${fixture.cases.length} distributions over the whole vocabulary are NumPy's`, () => {
  for (const { logits, ids, temperature, tokens, others } of fixture.cases) {
    const what = `temperature ${temperature}`;
    const found = shares(logits, ids, temperature);
    found.tokens.forEach((p, i) => near(p, tokens[i], `${what}, token ${i}`));
    near(found.others, others, `${what}, others`);
    const sum = probabilities(logits, temperature).reduce((a, b) => a + b);
    near(sum, 1, `${what}, sum`);
  }
});

test("huge logits and low temperatures give probabilities", () => {
  assert.deepEqual(probabilities([1e6, 0, -1e6], 0.1), [1, 0, 0]);
  assert.deepEqual(probabilities([-1e6, -1e6], 2), [0.5, 0.5]);
});

test("whatever an address asks for is a position of the slider", () => {
  for (const asked of [null, undefined, NaN, "hot", {}, true, -5, 0, 0.123, 1e9, Infinity]) {
    const { temperature } = settings(() => asked);
    assert.ok(temperature >= 0.1 && temperature <= 2);
    assert.ok(stops(temperature).includes(temperature));
  }
  assert.equal(settings(() => null).temperature, 1);
  assert.equal(settings(() => 1e9).temperature, 2);
  assert.equal(settings(() => 0.123).temperature, 0.123);
});

test("numbers and sentences", () => {
  assert.deepEqual([0.0004, 0.0006, 0.323, 0.99996].map(percentage), [
    "<0.1\u00a0%",
    "0.1\u00a0%",
    "32.3\u00a0%",
    ">99.9\u00a0%",
  ]);
  assert.equal(
    sentence(1, "hand", { tokens: [0.323], others: 0.39 }),
    "In a hundred draws at temperature 1, “hand” comes about 32 times and a word without a bar" +
      " of its own about 39 times.",
  );
  assert.match(sentence(0.1, "hand", { tokens: [0.9999], others: 1e-9 }), /nearly every time and/);
  assert.match(sentence(0.1, "hand", { tokens: [0.9999], others: 1e-9 }), /own hardly ever\.$/);
  assert.match(
    sentence(2, "hand", { tokens: [0.013], others: 0.9 }),
    /“hand” comes about once and/,
  );
});
