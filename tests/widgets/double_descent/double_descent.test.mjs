// The explorer's fits and errors against NumPy's: test_widget.py makes the fixture.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import {
  fitted,
  isMeasured,
  measureNext,
  median,
  testErrors,
} from "../../../utils/widgets/double_descent/errors.mjs";
import { target, testError, waves } from "../../../utils/widgets/double_descent/fit.mjs";
import {
  flat,
  GUESSED,
  guessedPeak,
  HANDLES,
  lifted,
  nearestHandle,
  painted,
} from "../../../utils/widgets/double_descent/guess.mjs";
import {
  BEGINNING,
  FEATURES,
  linkable,
  settings,
  stops,
  USUAL,
} from "../../../utils/widgets/double_descent/settings.mjs";
import { curveSentence, sentences, short } from "../../../utils/widgets/double_descent/words.mjs";

const fixture = JSON.parse(readFileSync(process.env.COURSE_FIXTURE, "utf8"));

/** Equal but for rounding, which a nearly singular fit enlarges. */
function near(value, expected, what, scale = Math.abs(expected)) {
  const apart = Math.abs(value - expected);
  assert.ok(apart <= 1e-9 * scale + 1e-12, `${what}: ${value}, NumPy says ${expected}`);
}

test("waves and the target are NumPy's", () => {
  fixture.waves.inputs.forEach((x, i) => {
    const row = waves(x, 301);
    fixture.waves.values[i].forEach((value, j) => near(row[j], value, `wave ${j} at ${x}`, 1));
    near(target(row), fixture.waves.target[i], `target at ${x}`, 1);
  });
});

test(`${fixture.cases.length} settings have NumPy's fit and errors`, () => {
  for (const c of fixture.cases) {
    const what = `${c.features} features, ridge ${c.ridge}, noise ${c.noise}`;
    const amplitudes = fitted(7, { ...c });
    assert.equal(amplitudes.length, c.features);
    const largest = Math.max(...c.amplitudes.map(Math.abs));
    amplitudes.forEach((value, j) => near(value, c.amplitudes[j], `${what}, ${j}`, largest));
    testErrors(c).forEach((error, d) => near(error, c.errors[d], `${what}, data set ${d}`));
    near(median(testErrors(c)), c.median, `${what}, median`);
    near(testError(amplitudes), c.errors[7], `${what}, its own error`);
  }
});

test("errors are computed one data set at a time", () => {
  let count = 0;
  while (!isMeasured(11, 0.01)) {
    measureNext(11, 0.01);
    count += 1;
  }
  assert.equal(count, 40);
});

test("the median is the middle", () => {
  assert.equal(median([3, 1, 200]), 3);
  assert.equal(median([10, 2, 1, 4]), 3);
});

// ---- Guesses

test("every handle stands where there is something to guess", () => {
  assert.ok(HANDLES.every((p) => GUESSED.includes(p)));
  assert.ok(GUESSED.every((p) => p > BEGINNING && FEATURES.includes(p)));
  assert.equal(nearestHandle(6), 0);
  assert.equal(nearestHandle(16), HANDLES.indexOf(15));
  assert.equal(nearestHandle(290), HANDLES.indexOf(301));
});

test("a pencil changes what it passes, in either direction", () => {
  const start = flat(-1);
  const forth = painted(start, [10, 0], [20, 1]);
  const back = painted(start, [20, 1], [10, 0]);
  assert.deepEqual(forth, back);
  GUESSED.forEach((p, i) => {
    if (p <= 10 || p > 20) assert.equal(forth[i], -1, `${p}`);
    else assert.ok(forth[i] > 0 && forth[i] <= 1, `${p}`);
  });
  assert.equal(forth[GUESSED.indexOf(20)], 1);
});

test("a handle takes the line to its neighbours along", () => {
  const h = HANDLES.indexOf(15);
  const levels = lifted(flat(-1), h, 1);
  for (const p of HANDLES) assert.equal(levels[GUESSED.indexOf(p)], p === 15 ? 1 : -1);
  const rising = levels.slice(GUESSED.indexOf(8), GUESSED.indexOf(15) + 1);
  assert.ok(rising.every((level, i) => i === 0 || level > rising[i - 1]));
  assert.equal(guessedPeak(levels), 15);
  const last = lifted(flat(-1), HANDLES.length - 1, 1);
  assert.equal(last.at(-1), 1);
  assert.equal(guessedPeak(last), null); // it only rises
  assert.equal(guessedPeak(flat(0)), null);
});

// ---- Settings and words

test("whatever an address asks for becomes a setting in range", () => {
  const wild = [null, undefined, -5, 0, 2.4, 1e300, NaN, "ridge", true, "__proto__", {}];
  for (const asked of wild) {
    const s = settings(() => asked);
    assert.deepEqual(Object.keys(s), linkable);
    for (const key of ["features", "ridge", "noise"]) assert.ok(stops(key, s).includes(s[key]));
    assert.ok(Number.isInteger(s.features) && s.features >= 1 && s.features <= 301);
    assert.ok(Number.isInteger(s.data) && s.data >= 1 && s.data <= 40);
    const own = testError(fitted(s.data - 1, s));
    assert.ok(Number.isFinite(own));
    const seen = { own, middle: null, curve: null, levels: null };
    assert.match(sentences(s, seen).join(" "), /^Data set \d+, \d+ features? for 15 points/);
  }
});

test("the sentences say what the curve does, and that the end does not beat the valley", () => {
  const curve = (asked) =>
    FEATURES.map((features) => ({
      features,
      error: median(testErrors({ ...USUAL, ...asked, features })),
    }));
  assert.equal(
    curveSentence(curve({})),
    "The peak is 2.6 at 15 features. The error comes down again, to 0.063 at 301: " +
      "2.3 times the lowest, 0.027 at 5.",
  );
  assert.equal(
    curveSentence(curve({ ridge: 0.3 })),
    "No peak: the lowest error is 0.025 at 5, and the last is 0.041 at 301.",
  );
  assert.match(curveSentence(curve({ noise: 0 })), /^No peak: .* less than 0.001 at/);
});

test("nothing is said of the error before the guess", () => {
  const seen = { own: 12, middle: 2.6, curve: [], levels: null };
  const said = sentences({ ...USUAL }, seen).join(" ");
  assert.ok(!/12|2\.6/.test(said), said);
});

test("errors of any size stay short", () => {
  assert.deepEqual([0, 0.0273, 0.1, 2.64, 29.4, 4321].map(short), [
    "less than 0.001",
    "0.027",
    "0.1",
    "2.6",
    "29",
    "4,321",
  ]);
});
