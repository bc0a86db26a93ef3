// The explorer's losses, best sizes, days and energy against Python's: test_widget.py makes the
// fixture.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { LAW_NAMES, MODELS, OURS } from "course:widgets/compute_explorer/settings";
import {
  bottomOf,
  cost,
  freshTokens,
  isTested,
  kaplanAdvice,
  lawOf,
  lossAt,
  lossOf,
  ratioFor,
  sizeFor,
  tokensFor,
} from "../../../utils/widgets/compute_explorer/laws.mjs";
import {
  linkable,
  modelsNear,
  runsNear,
  settings,
  stops,
  USUAL,
} from "../../../utils/widgets/compute_explorer/settings.mjs";
import { roundTicks } from "../../../utils/widgets/compute_explorer/scales.mjs";
import {
  namePlaces,
  shownLosses,
  shownSizes,
} from "../../../utils/widgets/compute_explorer/valley.mjs";
import { measure } from "../../../utils/widgets/compute_explorer/widget.mjs";
import {
  above,
  brief,
  energy,
  OTHER_TOKENS,
  sentences,
} from "../../../utils/widgets/compute_explorer/words.mjs";

const fixture = JSON.parse(readFileSync(process.env.COURSE_FIXTURE, "utf8"));
const { ours } = fixture;

/** Equal but for rounding. */
function near(value, expected, what, share = 1e-10) {
  const apart = Math.abs(value - expected);
  assert.ok(apart <= share * Math.abs(expected), `${what}: ${value}, Python says ${expected}`);
}

const measured = (asked) => {
  const s = settings((key) => asked[key] ?? null);
  return { s, f: measure(s, ours) };
};

test(`${fixture.losses.length} losses are Python's`, () => {
  for (const { law, n, d, loss } of fixture.losses) {
    near(lossOf(lawOf(law, ours), n, d), loss, `${law}, N ${n}, D ${d}`);
  }
});

test("the bottom of every valley is Python's, with and without a limit on the tokens", () => {
  for (const { law, budget, unique, n, loss } of fixture.bottoms) {
    const what = `${law}, C ${budget}, U ${unique}`;
    const found = bottomOf(lawOf(law, ours), budget, unique);
    near(found, n, what, unique === 0 ? 1e-10 : 1e-3); // a search finds the loss better than the size
    near(lossAt(lawOf(law, ours), budget, found, unique), loss, what);
  }
});

test("repeated tokens are worth what Python says", () => {
  for (const { d, unique, worth } of fixture.fresh) near(freshTokens(d, unique), worth, `${d}`);
});

test("days, energy and Kaplan's advice are Python's", () => {
  for (const { budget, gpu, days, kwh } of fixture.costs) {
    near(cost(budget, gpu).days, days, `days on ${gpu}`);
    near(cost(budget, gpu).kilowattHours, kwh, `energy on ${gpu}`);
  }
  for (const { budget, n } of fixture.advice) near(kaplanAdvice(budget), n, `advice at ${budget}`);
});

test("a budget and the tokens per parameter fix the size and the tokens", () => {
  const n = sizeFor(6e20, 100);
  near(n, 1e9, "size");
  near(tokensFor(6e20, n), 1e11, "tokens");
  near(ratioFor(6e20, 1e9), 100, "ratio");
});

// ---- What is drawn

test("at the start Gopher is right of the bottom and Chinchilla near it", () => {
  const { s, f } = measured({});
  near(f.n, 280e9, "the ball", 1e-3);
  assert.ok(f.n > 3.5 * f.bottom);
  assert.ok(Math.abs(Math.log(70e9 / f.bottom)) < 0.05);
  assert.deepEqual(s, { ...USUAL });
  const names = modelsNear(s.budget).map(({ label }) => label);
  for (const name of ["Gopher", "Chinchilla", "GPT-3"]) assert.ok(names.includes(name), name);
  assert.ok(measured({ law: "kaplan" }).f.bottom > 3 * f.bottom);
  assert.ok(measured({ law: "hoffmann" }).f.bottom < 0.5 * f.bottom);
});

test("a law is solid where its own runs were, and nowhere else", () => {
  assert.ok(!measured({}).f.tested);
  assert.ok(isTested("besiroglu", 6 * 1e9 * 1e11, 1e9, ours));
  assert.ok(!isTested("besiroglu", 6 * 1e9 * 1e12, 1e9, ours)); // more tokens than any run
  assert.ok(!isTested("kaplan", 6 * 2e9 * 1e9, 2e9, ours));
  for (const { budget, n_params } of ours.runs) {
    const beside = [0.999, 1.001].map((factor) => factor * n_params); // the ends of the range
    assert.ok(beside.some((n) => isTested("coupled", budget, n, ours)), `${budget} ${n_params}`);
  }
  assert.ok(!isTested("coupled", 3e15, 3e6, ours)); // a larger budget than any run
});

test("our losses appear under our laws at our budgets, and are spoken of elsewhere", () => {
  const own = measured({ law: "coupled", budget: 1e15 });
  assert.equal(own.f.runs.length, 7);
  const least = Math.min(...own.f.runs.map(({ loss }) => loss));
  assert.equal(own.f.measured.run.loss, least);
  assert.match(sentences(own.s, own.f).join(" "), /Dots are 7 sizes that we trained/);
  const other = measured({ law: "hoffmann", budget: 1e15 });
  assert.equal(other.f.measured, null);
  assert.ok(sentences(other.s, other.f).includes(OTHER_TOKENS));
  assert.equal(runsNear(2e15, ours).length, 0);
});

test("the picture holds the bottom under every law at every budget", () => {
  for (const law of Object.keys(LAW_NAMES)) {
    for (const budget of stops("budget", USUAL)) {
      for (const unique of [0, 1e9]) {
        const { s, f } = measured({ law, budget, unique });
        const [low, high] = shownLosses(f.law, s);
        assert.ok(low < f.lowest && f.lowest < high, `${law} ${budget}`);
        const ticks = roundTicks([low, high]);
        assert.ok(ticks.length >= 2 && ticks.length <= 6, `${law} ${budget}: ${ticks.length}`);
        assert.equal(new Set(ticks.map(({ text }) => text)).size, ticks.length);
        const sizes = shownSizes(budget);
        assert.ok(unique > 0 || (sizes[0] < f.bottom && f.bottom < sizes[1]), `${law} ${budget}`);
      }
    }
  }
});

test("no name of a model covers another, at any budget", () => {
  for (const budget of stops("budget", USUAL)) {
    const labels = modelsNear(budget).map(({ label }) => label);
    const places = namePlaces(labels, labels.map(() => 250)); // all at one place
    for (let i = 2; i < places.length; i++) {
      const [a, b] = [places[i - 2], places[i]];
      assert.ok(a.x + a.half < b.x - b.half, `${labels[i - 2]} and ${labels[i]}`);
    }
  }
});

test("repetition is spoken of, and that the form knows no harm", () => {
  const said = (unique) => {
    const { s, f } = measured({ unique });
    return sentences(s, f).join(" ");
  };
  assert.ok(!said(0).includes("passes"));
  assert.ok(!said(1e12).includes("passes")); // more text than the model reads
  assert.match(said(1e11), /3\.43 passes over 100.billion different ones/);
  assert.ok(!said(1e11).includes("no harm"));
  assert.match(said(1e10), /34\.3 passes .* The form knows no harm/);
});

// ---- Settings and words

test("whatever an address asks for becomes a setting in range", () => {
  const wild = [null, undefined, -5, 0, 2.4, 1e300, NaN, "coupled", true, "__proto__", {}];
  for (const asked of wild) {
    const s = settings(() => asked);
    assert.deepEqual(Object.keys(s), linkable);
    for (const key of ["budget", "tokens_per_parameter", "unique"]) {
      assert.ok(stops(key, s).includes(s[key]), key);
    }
    const f = measure(s, ours);
    for (const key of ["n", "d", "loss", "bottom", "lowest"]) assert.ok(f[key] > 0, key);
    assert.match(sentences(s, f)[0], /parameters on .* tokens, .* nats/);
  }
});

test("sizes grow along their slider, and the models' own are among them", () => {
  const list = stops("tokens_per_parameter", USUAL);
  assert.ok(list.every((ratio, i) => i === 0 || ratio < list[i - 1]));
  for (const { n_params } of modelsNear(USUAL.budget)) {
    const n = list.map((ratio) => sizeFor(USUAL.budget, ratio));
    assert.ok(n.some((size) => Math.abs(size / n_params - 1) < 1e-3), `${n_params}`);
  }
  assert.ok(MODELS.length >= 9 && OURS.length === 2);
});

test("numbers of any size stay short", () => {
  assert.deepEqual([950, 72.2e9, 999.6e6, 15e12].map(brief), ["950", "72.2B", "1B", "15T"]);
  assert.deepEqual([1e-9, 0.0123, 283114.2, 4.2e9].map(energy), [
    "less than 0.001 kWh",
    "0.012 kWh",
    "283,114 kWh",
    "4.20\u00a0billion kWh",
  ]);
  assert.equal(above(2, 1.9999), "less than 0.001 above the bottom");
  assert.equal(above(1.9933, 1.9744), "0.019 (1.0\u00a0%) above the bottom");
});
