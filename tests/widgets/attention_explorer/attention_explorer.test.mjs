// The attention explorer's numbers against torch's, and its sentences: test_widget.py makes the
// fixture.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { nextRows } from "../../../utils/widgets/attention_explorer/next_chart.mjs";
import {
  effects,
  largestLook,
  looksOf,
  readCopying,
  reader,
  readRecorded,
} from "../../../utils/widgets/attention_explorer/readings.mjs";
import { settings } from "../../../utils/widgets/attention_explorer/settings.mjs";
import {
  attentionSentences,
  chance,
  gainSentence,
  points,
} from "../../../utils/widgets/attention_explorer/words.mjs";

const fixture = JSON.parse(readFileSync(process.env.COURSE_FIXTURE, "utf8"));
const { record } = fixture;
const get = (asked) => (key) => asked[key] ?? record[key];
const read = reader((key) => record[key]);

/** Every share and every probability of a reading is torch's, up to a tolerance. */
function assertReading(reading, { shares, next }, tolerance) {
  assert.equal(reading.layers, shares.length);
  shares.forEach((heads, layer) =>
    heads.forEach((rows, head) =>
      rows.forEach((row, i) => {
        const got = reading.shares[layer][head][i];
        assert.equal(got.length, i + 1);
        assert.ok(Math.abs(got.reduce((a, b) => a + b) - 1) < 1e-5);
        got.forEach((share, j) => assert.ok(Math.abs(share - row[j]) < tolerance));
      })
    )
  );
  for (const { text, p } of reading.next) assert.ok(Math.abs(p - next[text]) < tolerance, text);
  const chances = reading.next.map(({ p }) => p);
  assert.deepEqual(chances, [...chances].sort((a, b) => b - a));
}

test("the copying model in the page equals torch's", () => {
  for (const { ids, removed, expected } of fixture.copying) {
    assertReading(readCopying(ids, removed), expected, 1e-4);
  }
});

test("what is recorded of the course model is what torch computes", () => {
  for (const { key, removed, expected } of fixture.recorded) {
    const prompt = record.course.prompts.find((item) => item.key === key);
    assertReading(readRecorded(record.course, prompt, removed), expected, 0.012);
  }
});

test("the effect of removing each word equals torch's", () => {
  for (const { asked, expected } of fixture.effects) {
    const found = effects(read, settings(get(asked)));
    found.forEach((change, i) => assert.ok(Math.abs(change - expected[i]) < 1e-3));
  }
});

test("a place that comes later or is removed gets no share", () => {
  const looks = looksOf(read(settings(get({ removed: 2 }))), 1, 5);
  for (const head of looks) {
    assert.deepEqual(head.map((share) => share === null), [
      ...[false, true, false, false, false],
      ...Array(8).fill(true),
    ]);
  }
  assert.deepEqual(largestLook([[0.2, 0.8, null], [0.9, 0.1, null]]), {
    head: 2,
    place: 1,
    share: 0.9,
  });
});

test("settings are valid whatever is asked for", () => {
  const used = (asked) => settings(get(asked));
  const usual = used({});
  assert.deepEqual(usual, {
    model: "copy",
    text: "twice",
    words: 4,
    layer: 2,
    place: 13,
    removed: 0,
    compare: false,
  });
  assert.deepEqual(used({ model: "gpt9", text: "door", words: "x", compare: 1 }), usual);
  assert.equal(used({ layer: 5 }).layer, 2);
  assert.equal(used({ model: "course", text: "door", place: 13 }).place, 10);
  assert.equal(used({ place: 6, removed: 6 }).place, 13); // it is gone, so the last word looks
  assert.equal(used({ removed: 13 }).place, 12);
  assert.equal(used({ words: 99, removed: -3 }).words, 12);
});

test("it says where the word looks and what follows", () => {
  const said = (asked) => attentionSentences(read, settings(get(asked)));
  for (const { asked, expected } of fixture.said) {
    const text = said(asked).join(" ");
    for (const words of expected) assert.ok(text.includes(words), `${words}\nnot in\n${text}`);
  }
  assert.equal(said({}).length, 2);
  assert.equal(said({ compare: true }).length, 3);

  // Nothing comes before the first layer, which can therefore have carried nothing.
  assert.match(said({ compare: true })[2], /An earlier layer may have carried it to a word/);
  assert.doesNotMatch(said({ compare: true, layer: 1 })[2], /An earlier layer/);
});

test("the rows are those that led before, then those that lead now", () => {
  const next = (...texts) => ({ next: texts.map((text) => ({ text, p: 0.1 })) });
  const before = next("a", "b", "c", "d", "e", "f", "g");
  assert.deepEqual(nextRows(before, null), ["a", "b", "c", "d", "e", "f"]);
  assert.deepEqual(nextRows(next("x", "a", "y", "z", "w"), before), ["a", "b", "c", "x", "y", "z"]);
});

test("numbers as a reader sees them", () => {
  assert.deepEqual([0.0001, 0.1234, 0.9996].map(chance), [
    "<0.1\u00a0%",
    "12.3\u00a0%",
    ">99.9\u00a0%",
  ]);
  assert.deepEqual([-0.984, -0.0264, 0.00001, 0.02, 0].map(points), [
    "−98",
    "−2.6",
    "0",
    "+2.0",
    "0",
  ]);
  const copied = gainSentence({ nats: Math.log(65), se: 0.01, passages: 40 }, "copy");
  assert.match(copied, /^When a list of different words is said .* 65 \(± 1\) times /);
  const gained = gainSentence({ nats: 0.04, se: 0.01, passages: 9 }, "course");
  assert.match(gained, /^When a passage of a held-out book is said .* 1\.04 \(± 0\.01\) times /);
});
