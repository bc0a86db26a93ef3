// The compute explorer: a budget, a law of the loss, and a model's size as a ball in the valley of
// the loss. Its parts and Python's tables are joined into one module wherever it is used:
// utils/widgets/shared/bundle.py says why and how.
import { GPUS } from "course:models/budget";
import { LAW_NAMES, OURS, RANGES } from "course:widgets/compute_explorer/settings";
import { short } from "../parameter_budget/words.mjs";
import {
  announcer,
  button,
  changer,
  mount,
  options,
  queued,
  select,
  slider,
  uniqueId,
} from "../shared/controls.mjs";
import { h, say } from "../shared/dom.mjs";
import { tr } from "../shared/language.mjs";
import { clamp } from "../shared/numbers.mjs";
import { budgetMap } from "./budget_map.mjs";
import {
  bottomOf,
  cost,
  freshTokens,
  isTested,
  kaplanAdvice,
  lawOf,
  lossAt,
  ratioFor,
  sizeFor,
  testedSizes,
  tokensFor,
} from "./laws.mjs";
import { kept, linkable, runsNear, settings, stops, USUAL } from "./settings.mjs";
import { valley } from "./valley.mjs";
import { energyText, flopText, MODEL_NOTE, sentences, timeText } from "./words.mjs";

export { linkable };
export { settings };

/** Every number that the settings `s` lead to. `ours`: the record of our own runs. */
export function measure(s, ours) {
  const law = lawOf(s.law, ours);
  const n = sizeFor(s.budget, s.tokens_per_parameter);
  const d = tokensFor(s.budget, n);
  const bottom = bottomOf(law, s.budget, s.unique);
  const runs = runsNear(s.budget, ours);
  let measured = null; // the best of our runs at this budget, and what the law says of it
  if (OURS.includes(s.law) && runs.length > 0) {
    const run = runs.reduce((best, other) => (other.loss < best.loss ? other : best));
    measured = { run, expected: lossAt(law, run.budget, run.n_params) };
  }
  return {
    law,
    n,
    d,
    loss: lossAt(law, s.budget, n, s.unique),
    bottom,
    bottomTokens: tokensFor(s.budget, bottom),
    lowest: lossAt(law, s.budget, bottom, s.unique),
    passes: s.unique > 0 ? d / s.unique : 1,
    fresh: freshTokens(d, s.unique),
    tested: isTested(s.law, s.budget, n, ours),
    testedSizes: testedSizes(s.law, s.budget, ours),
    advice: kaplanAdvice(s.budget),
    runs,
    measured,
    cost: cost(s.budget, s.gpu),
    sizeText: tr("{n} on {d} tokens", { n: short(n), d: short(d) }),
  };
}

function render({ model, el }) {
  const uid = uniqueId("cw-compute");
  const get = (key) => model.get(key);
  const now = () => settings(get);
  const change = changer(model, USUAL);
  const updates = []; // what puts each control at the present settings

  // ---- Controls

  function settingSlider(key, name, text) {
    const control = slider({
      id: `${uid}-${key}`,
      name,
      resetName: name.toLowerCase(),
      onInput: (value) => change({ [key]: value }),
      onReset: () => change({ [key]: null }),
    });
    updates.push((s, f) =>
      control.show({
        positions: stops(key, s),
        value: s[key],
        text: text(s, f),
        unchanged: get(key) === null || get(key) === undefined,
      })
    );
    return control.node;
  }

  function settingSelect(key, name, names) {
    const { node, list } = select({
      id: `${uid}-${key}`,
      name,
      children: options(names),
      onChange: (value) => change({ [key]: value }),
    });
    updates.push((s) => {
      list.value = s[key];
    });
    return node;
  }

  const setRatio = (ratio) =>
    change({ tokens_per_parameter: clamp(kept(ratio), RANGES.tokens_per_parameter) });
  const toSize = (n) => setRatio(ratioFor(now().budget, n));

  function step(by) {
    const s = now();
    const list = stops("tokens_per_parameter", s);
    const i = clamp(list.indexOf(s.tokens_per_parameter) + by, [0, list.length - 1]);
    setRatio(list[i]);
  }

  const lawNames = Object.fromEntries(
    Object.entries(LAW_NAMES).map(([law, name]) => [law, tr(name)]),
  );
  const gpuNames = Object.fromEntries(Object.keys(GPUS).map((gpu) => [gpu, gpu]));
  const toBottom = button(tr("Roll to the bottom"), () => {
    const s = now();
    toSize(bottomOf(lawOf(s.law, get("ours")), s.budget, s.unique));
  });
  const resetAll = button(tr("Reset all"), () => change(USUAL));
  const tools = h("div", { class: "cw-tools" }, toBottom, resetAll);
  const controls = h(
    "div",
    { class: "cw-controls" },
    settingSelect("law", tr("Law"), lawNames),
    settingSlider("budget", tr("Budget"), (s) => flopText(s.budget)),
    settingSlider("tokens_per_parameter", tr("Size"), (_, f) => f.sizeText),
    settingSlider(
      "unique",
      tr("Different tokens"),
      (s) => s.unique === 0 ? tr("as many as needed") : short(s.unique),
    ),
    settingSelect("gpu", tr("GPU"), gpuNames),
    tools,
  );

  // ---- The charts and what they say

  const main = valley({ onMove: toSize, onStep: step });
  const map = budgetMap();
  const words = h("p", { class: "cw-verdict" });
  const timeLine = h("p");
  const energyLine = h("p");
  // A screen reader hears the result when the reader rests, not every step.
  const speaker = announcer(700);

  const key = (kind, text) => h("span", {}, h("i", { class: `cw-key-${kind}` }), text);
  const limitKey = key("free", tr("with fresh tokens alone"));
  updates.push((s) => {
    limitKey.hidden = s.unique === 0;
  });
  const keys = h(
    "p",
    { class: "cw-keys" },
    key("law", tr("the law")),
    key("beyond", tr("beyond its runs")),
    limitKey,
    key("model", tr("a published model")),
    key("run", tr("measured by us")),
    key("ball", tr("your model: drag it")),
  );

  function draw() {
    const s = now();
    const ours = get("ours");
    const f = measure(s, ours);
    for (const update of updates) update(s, f);
    main.draw(s, f);
    map.draw(s, f, ours);
    const said = sentences(s, f);
    say(words, said.join(" "));
    timeLine.replaceChildren(h("b", {}, tr("Time: ")), `${timeText(f.cost, s.gpu)}.`);
    energyLine.replaceChildren(h("b", {}, tr("Energy: ")), `${energyText(f.cost, s.gpu)}.`);
    speaker.later(said);
  }

  const note = h("p", { class: "cw-note" }, MODEL_NOTE);
  const caption = (text) => h("p", { class: "cw-caption" }, text);
  const root = h(
    "div",
    { class: "cw cw-compute" },
    h(
      "div",
      { class: "cw-desk" },
      h(
        "div",
        { class: "cw-view" },
        caption(tr("Loss by size N at this budget, with the D that it leaves")),
        main.picture,
      ),
      h("div", { class: "cw-side" }, controls, keys, words, timeLine, energyLine, note),
      h("div", { class: "cw-all" }, caption(tr("The best size N by budget in FLOP")), map.picture),
    ),
    speaker.node,
  );
  return mount({
    model,
    el,
    root,
    keys: [...linkable, "ours"],
    request: queued(draw),
    draw,
    tools,
    dispose: speaker.cancel,
  });
}

export default { render };
