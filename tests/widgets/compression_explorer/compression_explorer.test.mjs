// The compression explorer's numbers against Python's, and its sentences: test_widget.py makes the
// fixture.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { deflatedBytes } from "../../../utils/widgets/compression_explorer/deflated.mjs";
import {
  bitsOfToken,
  learningBits,
  totalOf,
} from "../../../utils/widgets/compression_explorer/grams.mjs";
import {
  differenceOf,
  frontierOf,
  pointOf,
  qualityOf,
  winnerOver,
} from "../../../utils/widgets/compression_explorer/points.mjs";
import { bytesRead, totalsOf } from "../../../utils/widgets/compression_explorer/ribbon.mjs";
import { settings } from "../../../utils/widgets/compression_explorer/settings.mjs";
import {
  formOf,
  mapSentences,
  printable,
  quoted,
  textSentences,
} from "../../../utils/widgets/compression_explorer/words.mjs";

const fixture = JSON.parse(readFileSync(process.env.COURSE_FIXTURE, "utf8"));
const { points, texts } = fixture.record;
const TABLES = { unigram: 2.7, books: 1.7 };
const close = (got, expected, tolerance = 1e-9) =>
  assert.ok(Math.abs(got - expected) < tolerance, `${got} is not ${expected}`);

test("the four-gram that learns is Python's", () => {
  for (const { ids, tenths, bits } of fixture.learning) {
    const got = learningBits(ids, tenths);
    assert.equal(got.length, bits.length);
    got.forEach((value, i) => close(value, bits[i]));
  }
});

test("bits of a token are minus the logarithm of its softmax", () => {
  for (const { logits, id, bits } of fixture.softmax) close(bitsOfToken(logits, id), bits, 1e-6);
  close(totalOf([1, 2, 4], 2), 3);
});

test("deflate needs about the bytes that Python's zlib needs", async () => {
  for (const { text, bytes } of fixture.deflated) { // other versions find other repetitions
    close(await deflatedBytes(text), bytes, 0.03 * bytes);
  }
});

test("without CompressionStream there is no number", async () => {
  const own = globalThis.CompressionStream;
  globalThis.CompressionStream = undefined;
  assert.equal(await deflatedBytes("text"), null);
  globalThis.CompressionStream = class {
    constructor() {
      throw new TypeError("unknown format");
    }
  };
  assert.equal(await deflatedBytes("text"), null);
  globalThis.CompressionStream = own;
});

test("differences over books have the standard error of statistics", () => {
  for (const { list, others, mean, se } of fixture.differences) {
    const got = differenceOf(list, others);
    close(got.mean, mean);
    close(got.se, se);
  }
});

test("nothing on the frontier is beaten, and all else is", () => {
  const frontier = frontierOf(points);
  const sizes = new Set(frontier.map(({ n_bytes }) => n_bytes)); // some points are alike
  assert.deepEqual([...sizes], [...new Set(fixture.frontier)]);
  for (const point of points) {
    const winner = winnerOver(points, point);
    if (frontier.includes(point)) assert.equal(winner, null);
    else {
      assert.ok(winner.n_bytes <= point.n_bytes);
      assert.ok(qualityOf(winner) <= qualityOf(point));
    }
  }
});

const got = (asked) => settings((key) => asked[key] ?? fixture.record[key]);

test("every setting finds its point, whatever was asked for", () => {
  const usual = got({});
  assert.deepEqual(usual, {
    view: "map",
    bits: 16,
    sparsity: 0,
    granularity: "channel",
    text: "willows",
    token: texts.find(({ key }) => key === "willows").ids.length,
  });
  assert.equal(got({ bits: 5 }).bits, 4);
  assert.equal(got({ sparsity: 0.95 }).sparsity, 0.9);
  assert.equal(got({ token: 1e9 }).token, usual.token);
  assert.equal(got({ token: 0 }).token, 1);
  for (const wrong of [{ view: "x" }, { bits: "four" }, { granularity: 3 }, { text: "own" }]) {
    assert.deepEqual(got(wrong), usual);
  }
  for (const point of points) {
    const s = got({ ...point, granularity: point.granularity });
    assert.equal(pointOf(points, s), point);
  }
});

test("the map says what is chosen and what beats it", () => {
  const original = mapSentences(points, got({}), TABLES);
  assert.match(original[0], /^The course model in float16: 11\.7 MB, and 1\.\d\d bits per byte/);
  const s = got({ bits: 2, sparsity: 0.9, granularity: "tensor" });
  const said = mapSentences(points, s, TABLES).join(" ");
  assert.match(said, /^2 bits, 90.% zeros, a scale per matrix: /);
  assert.match(said, /of float16’s/);
  assert.match(said, /A table of how common each token is would do better/);
  assert.equal(formOf({ bits: 16, sparsity: 0.5 }), "float16, 50\u00a0% zeros");
});

test("the text says what its last token cost, and at the end who leads", () => {
  const text = texts.find(({ key }) => key === "willows");
  const all = text.ids.length;
  assert.equal(bytesRead(text, all), text.n_bytes);
  assert.ok(bytesRead(text, 3) < 30);
  const totals = totalsOf(text, all);
  close(totals.model, text.model.reduce((a, b) => a + b) / 8, 1e-6);
  assert.equal(totals.deflate, text.deflate_bytes);
  assert.equal(textSentences(text, 3, totalsOf(text, 3), bytesRead(text, 3)).length, 2);
  const said = textSentences(text, all, totals, text.n_bytes);
  assert.match(said[0], /costs the model \d+\.\d bits/);
  assert.match(said[2], /^The fewest bytes go to .* \(\d+\), ahead of deflate \(\d+\)\.$/);
  const without = { ...text, books: undefined, deflate_bytes: null };
  const few = totalsOf(without, all);
  assert.deepEqual(Object.keys(few), ["model", "learning", "unigram"]);
  assert.match(
    textSentences(without, all, few, 9)[2],
    /^The fewest bytes go to the course model \(\d+\)\.$/,
  );
  assert.equal(quoted("\n"), "“↵”");
  assert.equal(quoted(" "), "“␣”");
  assert.equal(printable("a\u0001b\ufffd\nc"), "a·b·\nc");
});
