// The explorer's steps against Python's: tests/test_solution_path.py makes the fixture.
import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";
import * as core from "../../../utils/widgets/solution_path/widget.mjs";

const fixture = JSON.parse(fs.readFileSync(process.env.COURSE_FIXTURE, "utf8"));
const near = (value, expected, what) => {
  for (const j of [0, 1]) {
    const apart = Math.abs(value[j] - expected[j]) / Math.max(1, Math.abs(expected[j]));
    assert.ok(apart <= 1e-9, `${what}: ${value}, Python says ${expected}`);
  }
};

test("the problem and the constants are Python's", () => {
  assert.deepEqual(core.PROBLEM, fixture.problem);
  assert.deepEqual(core.CONSTANTS, fixture.constants);
  assert.deepEqual(Object.keys(core.METHODS), fixture.methods);
  assert.deepEqual(Object.keys(core.MODELS), fixture.models);
});

test(`${fixture.cases.length} random runs take Python's path`, () => {
  for (const [i, c] of fixture.cases.entries()) {
    const path = core.run(c.method, c.eta, c.start, c.order, c),
      what = `case ${i}, ${c.method}, ${c.model}`;
    assert.equal(path.diverged, c.diverged, what);
    assert.equal(path.points.length, c.points.length, what);
    path.points.forEach((w, t) => near(w, c.points[t], `${what}, step ${t}`));
    const flow = core.flowEnd(c.start, c);
    near(flow, c.flow, `${what}, flow`);
    const apart = Math.abs(core.sharpness(flow, c) / c.sharpness - 1);
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
    const asked = Object.fromEntries(core.linkable.map((key) => [key, pick()]));
    const s = core.settings((key) => asked[key]);
    const path = core.run(s.method, s.eta, [s.start1, s.start2], "0".repeat(500), s);
    const flow = core.flowEnd([s.start1, s.start2], s);
    assert.ok(path.points.flat().every(Number.isFinite));
    assert.ok(Math.abs(core.residual(flow)) < 1e-9);
    assert.match(core.verdict(s, path, flow), /^(Ends at|Diverges|After)/);
    for (const key of ["eta", "scale", "start1", "start2"]) {
      assert.ok(core.stops(key, s).includes(s[key]));
    }
  }
});

test("a segment is cut where the picture ends, and keeps its direction", () => {
  assert.equal(core.segment([0, 0], [10, 5]), "M0.00 0.00L10.00 5.00");
  assert.equal(core.segment([0, 0], [1e9, 5e8]), "M0.00 0.00L2000.00 1000.00");
  assert.equal(core.segment([-1e9, 1e9], [1e9, -1e9]), "M-2000.00 2000.00L2000.00 -2000.00");
  assert.equal(core.segment([3000, 0], [3000, 10]), "");
  assert.equal(core.segment([3000, 0], [9000, 10]), "");
});

test("numbers of any size stay short", () => {
  assert.equal(core.plain(0), "0.000");
  assert.equal(core.plain(-1.25), "−1.250");
  assert.equal(core.plain(3.7e11), "3.7 × 10¹¹");
  assert.equal(core.plain(-2.5e-7), "−2.5 × 10⁻⁷");
});

test("a value between two positions of a slider stands between them", () => {
  assert.equal(core.placeOf(0.5, [0, 1, 2]), 0.25);
  assert.deepEqual([0, 2].map((x) => core.placeOf(x, [0, 1, 2])), [0, 1]);
  assert.deepEqual([-0.1, 2.1].map((x) => core.placeOf(x, [0, 1, 2])), [null, null]);
});

test("an end outside the frame is an arrow within it", () => {
  assert.match(core.endMark([200, 100], [200, 200]), /a6 6/); // a disc
  for (const point of [[401, 200], [-1e9, 3e8], [200, -1], [5e7, 5e7], [1e9, 1]]) {
    const corners = core.endMark(point, [180, 30]).match(/-?[\d.]+/g).map(Number);
    assert.equal(corners.length, 6);
    const [ahead, along] = [[corners[0] - 180, corners[1] - 30], [point[0] - 180, point[1] - 30]];
    assert.ok(
      Math.abs(ahead[0] * along[1] - ahead[1] * along[0]) < 0.02 * Math.hypot(...along),
      `${point}: ${corners}`,
    );
    assert.ok(corners.every((v) => v >= -1 && v <= 401), `${point}: ${corners}`);
  }
});
