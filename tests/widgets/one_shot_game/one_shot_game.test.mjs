// The game's prices, rules and scores against Python's: test_widget.py makes the fixture.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { BUDGET, HEROES, LENGTHS, RATES, WIDTHS } from "course:widgets/one_shot_game/settings";
import {
  asText,
  designRuns,
  fromText,
  heroRun,
  lossOfRun,
  mayBuy,
  priceOf,
  scored,
  spentOn,
  tooLarge,
  withBought,
} from "../../../utils/widgets/one_shot_game/rules.mjs";
import {
  asForecast,
  linkable,
  settings,
  stops,
  USUAL,
} from "../../../utils/widgets/one_shot_game/settings.mjs";
import { resultSentences, taskSentence } from "../../../utils/widgets/one_shot_game/words.mjs";

const fixture = JSON.parse(readFileSync(process.env.COURSE_FIXTURE, "utf8"));
const { game } = fixture;
const everyRun = WIDTHS.flatMap((_, width) =>
  LENGTHS.flatMap((_, length) => RATES.map((_, rate) => ({ width, length, rate })))
);
const near = (value, expected, what) =>
  assert.ok(Math.abs(value - expected) < 1e-9, `${what}: ${value}, Python says ${expected}`);

test("a run costs its steps, and what the hero's compute buys is not for sale", () => {
  for (const { width, length, price, large } of fixture.runs) {
    const run = { width, length, rate: 2 };
    near(priceOf(run, game), price, `price of ${width}, ${length}`);
    assert.deepEqual([1, 2, 3].map((hero) => tooLarge(run, hero, game)), large);
  }
});

test("forecasts are scored as Python scores them", () => {
  for (const { forecast, outcome, miss, held, score } of fixture.scores) {
    const found = scored(forecast, outcome);
    near(found.miss, miss, "miss");
    near(found.score, score, "score");
    assert.equal(found.held, held);
  }
});

test("a wide interval holds and scores badly", () => {
  const wide = scored({ loss: 4, low: 2, high: 6 }, 3.1);
  const narrow = scored({ loss: 3.1, low: 3.05, high: 3.15 }, 3.1);
  assert.ok(wide.held && narrow.held && wide.score > 10 * narrow.score);
});

test("nobody spends more than there is, buys twice, or buys the hero", () => {
  for (const hero of HEROES.keys()) {
    const runs = withBought([], everyRun, hero + 1, game);
    assert.ok(spentOn(runs, game) <= BUDGET);
    assert.equal(new Set(runs.map((run) => asText([run]))).size, runs.length);
    assert.ok(!mayBuy(heroRun(hero + 1), [], hero + 1, game));
    assert.ok(!mayBuy(runs[0], runs, hero + 1, game));
    for (const name of ["L", "grid"]) {
      const design = designRuns(name, game);
      assert.equal(withBought([], design, hero + 1, game).length, design.length);
    }
  }
});

test("runs become a text and come back", () => {
  assert.equal(asText([]), "");
  assert.deepEqual(fromText(asText(everyRun)), everyRun);
  for (const text of ["", "0102", "r", "r!!", "r09", "r0"]) assert.deepEqual(fromText(text), []);
});

test("whatever an address asks for becomes a game by the rules", () => {
  const wild = [null, undefined, -5, 0, 2.4, 1e300, NaN, "r02", true, "__proto__", {}];
  for (const asked of [...wild, asText(everyRun), "rz2z2z2"]) {
    const s = settings((key) => key === "game" ? game : asked);
    assert.deepEqual(Object.keys(s), linkable);
    const runs = fromText(s.bought);
    assert.ok(spentOn(runs, game) <= BUDGET);
    assert.equal(asText(runs), s.bought);
    for (const key of ["forecast", "spread"]) assert.ok(stops(key, s).includes(s[key]), key);
    assert.ok(resultSentences(s, runs, game).length >= 4);
  }
  assert.deepEqual([1, 3.14159, 9].map(asForecast), [2.5, 3.14, 5.5]);
});

test("the outcome is not said before the forecast is committed", () => {
  const s = { ...USUAL, bought: asText(designRuns("grid", game)) };
  const runs = fromText(s.bought);
  const outcome = lossOfRun(heroRun(1), game).toFixed(3);
  assert.ok(!taskSentence(s, runs, game).includes(outcome));
  assert.match(taskSentence(s, runs, game), /width 96, 2,048,000 tokens.*bought 12 runs/);
  const said = resultSentences({ ...s, forecast: 3.2 }, runs, game);
  assert.ok(said[0].includes(outcome));
  assert.match(said[1], /^You: 3\.20 \[3\.00, 3\.40\], miss \+3\.5\u00a0%, interval held/);
});
