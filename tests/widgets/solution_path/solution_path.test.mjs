// The explorer's steps against Python's: test_widget.py makes the fixture.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { CONSTANTS, PROBLEM } from "course:widgets/solution_path/settings";
import {
  flowEnd,
  residual,
  run,
  sharpness,
} from "../../../utils/widgets/solution_path/descent.mjs";
import { endMark, segment } from "../../../utils/widgets/solution_path/plane.mjs";
import {
  linkable,
  METHODS,
  MODELS,
  placeOf,
  settings,
  stops,
} from "../../../utils/widgets/solution_path/settings.mjs";
import { plain, verdict } from "../../../utils/widgets/solution_path/words.mjs";

const fixture = JSON.parse(readFileSync(process.env.COURSE_FIXTURE, "utf8"));
const near = (value, expected, what) => {
  for (const j of [0, 1]) {
    const apart = Math.abs(value[j] - expected[j]) / Math.max(1, Math.abs(expected[j]));
    assert.ok(apart <= 1e-9, `${what}: ${value}, Python says ${expected}`);
  }
};

test("the problem and the constants are Python's", () => {
  assert.deepEqual(PROBLEM, fixture.problem);
  assert.deepEqual(CONSTANTS, fixture.constants);
  assert.deepEqual(Object.keys(METHODS), fixture.methods);
  assert.deepEqual(Object.keys(MODELS), fixture.models);
});

test(`${fixture.cases.length} random runs take Python's path`, () => {
  for (const [i, c] of fixture.cases.entries()) {
    const path = run(c.method, c.eta, c.start, c.order, c),
      what = `case ${i}, ${c.method}, ${c.model}`;
    assert.equal(path.diverged, c.diverged, what);
    assert.equal(path.points.length, c.points.length, what);
    path.points.forEach((w, t) => near(w, c.points[t], `${what}, step ${t}`));
    const flow = flowEnd(c.start, c);
    near(flow, c.flow, `${what}, flow`);
    const apart = Math.abs(sharpness(flow, c) / c.sharpness - 1);
    assert.ok(apart <= 1e-9, `${what}, sharpness`);
  }
});

test("whatever an address asks for becomes a run", () => {
  const wild = [
    null,
    undefined,
    -5,
    0,
    1e300,
    NaN,
    "adam",
    "squares",
    "x",
    true,
    "__proto__",
    "constructor",
    {},
  ];
  let state = 1;
  const pick = () => wild[(state = (state * 1103515245 + 12345) % 2147483648) % wild.length];
  for (let i = 0; i < 500; i++) {
    const asked = Object.fromEntries(linkable.map((key) => [key, pick()]));
    const s = settings((key) => asked[key]);
    const path = run(s.method, s.eta, [s.start1, s.start2], "0".repeat(500), s);
    const flow = flowEnd([s.start1, s.start2], s);
    assert.ok(path.points.flat().every(Number.isFinite));
    assert.ok(Math.abs(residual(flow)) < 1e-9);
    assert.match(verdict(s, path, flow), /^(Ends at|Diverges|After)/);
    for (const key of ["eta", "scale", "start1", "start2"]) {
      assert.ok(stops(key, s).includes(s[key]));
    }
  }
});

test("a segment is cut where the picture ends, and keeps its direction", () => {
  assert.equal(segment([0, 0], [10, 5]), "M0.00 0.00L10.00 5.00");
  assert.equal(segment([0, 0], [1e9, 5e8]), "M0.00 0.00L2000.00 1000.00");
  assert.equal(segment([-1e9, 1e9], [1e9, -1e9]), "M-2000.00 2000.00L2000.00 -2000.00");
  assert.equal(segment([3000, 0], [3000, 10]), "");
  assert.equal(segment([3000, 0], [9000, 10]), "");
});

test("numbers of any size stay short", () => {
  assert.equal(plain(0), "0.000");
  assert.equal(plain(-1.25), "−1.250");
  assert.equal(plain(3.7e11), "3.7 × 10¹¹");
  assert.equal(plain(-2.5e-7), "−2.5 × 10⁻⁷");
});

test("a value between two positions of a slider stands between them", () => {
  assert.equal(placeOf(0.5, [0, 1, 2]), 0.25);
  assert.deepEqual([0, 2].map((x) => placeOf(x, [0, 1, 2])), [0, 1]);
  assert.deepEqual([-0.1, 2.1].map((x) => placeOf(x, [0, 1, 2])), [null, null]);
});

test("an end outside the frame is an arrow within it", () => {
  assert.match(endMark([200, 100], [200, 200]), /a6 6/); // a disc
  for (const point of [[401, 200], [-1e9, 3e8], [200, -1], [5e7, 5e7], [1e9, 1]]) {
    const corners = endMark(point, [180, 30]).match(/-?[\d.]+/g).map(Number);
    assert.equal(corners.length, 6);
    const [ahead, along] = [[corners[0] - 180, corners[1] - 30], [point[0] - 180, point[1] - 30]];
    assert.ok(
      Math.abs(ahead[0] * along[1] - ahead[1] * along[0]) < 0.02 * Math.hypot(...along),
      `${point}: ${corners}`,
    );
    assert.ok(corners.every((v) => v >= -1 && v <= 401), `${point}: ${corners}`);
  }
});
