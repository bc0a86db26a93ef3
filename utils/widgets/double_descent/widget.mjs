// The double-descent explorer: guess how the test error goes on, then drag the number of features,
// and see the fit bend and the error draw its curve. Its parts and Python's tables are joined into
// one module wherever it is used: utils/widgets/shared/bundle.py says why and how.
import { RANGES } from "course:widgets/double_descent/settings";
import {
  announcer,
  button,
  changer,
  mount,
  queued,
  slider,
  uniqueId,
} from "../shared/controls.mjs";
import { h, say } from "../shared/dom.mjs";
import { tr } from "../shared/language.mjs";
import { errorChart, levelOf } from "./error_chart.mjs";
import { fitted, isMeasured, measureNext, median, testErrors } from "./errors.mjs";
import { testError } from "./fit.mjs";
import { fitChart } from "./fit_chart.mjs";
import { flat } from "./guess.mjs";
import {
  BEGINNING,
  FEATURES,
  linkable,
  MOST,
  settings,
  shownUpTo,
  stops,
  USUAL,
} from "./settings.mjs";
import { NAMES, QUESTION, sentences } from "./words.mjs";

export { linkable };
export { settings };

const SLICE = 5; // milliseconds of computing before the browser may do something else

const asUsual = (s) => s.ridge === USUAL.ridge && s.noise === USUAL.noise;
const middleOf = (s) => median(testErrors(s));

/**
 * The medians under the settings `s`, a list of `{ features, error }`, from one feature to where
 * they are not computed yet.
 */
function knownCurve(s) {
  const unknown = FEATURES.findIndex((features) => !isMeasured(features, s.ridge));
  const known = unknown < 0 ? FEATURES : FEATURES.slice(0, unknown);
  return known.map((features) => ({ features, error: middleOf({ ...s, features }) }));
}

/**
 * What is to be computed next, `{ features, ridge }`, or undefined: the error of the fit that is
 * drawn, then the curve, then the one under the usual settings, where that is drawn too.
 */
function missing(s) {
  const wanted = [s.features, ...FEATURES].map((features) => ({ features, ridge: s.ridge }));
  if (!asUsual(s)) {
    wanted.push(...FEATURES.map((features) => ({ features, ridge: USUAL.ridge })));
  }
  return wanted.find(({ features, ridge }) => !isMeasured(features, ridge));
}

function render({ model, el }) {
  const uid = uniqueId("cw-descent");
  const get = (key) => model.get(key);
  const now = () => settings(get);
  const change = changer(model, USUAL);
  const updates = []; // what puts each control at the present settings

  // ---- Controls

  function settingSlider(key, name, onInput) {
    const control = slider({
      id: `${uid}-${key}`,
      name,
      resetName: name,
      onInput,
      onReset: () => change({ [key]: null }),
    });
    updates.push((s) =>
      control.show({
        positions: stops(key, s),
        value: s[key],
        text: String(s[key]),
        unchanged: get(key) === null || get(key) === undefined,
      })
    );
    return control.node;
  }

  /** Once the guess is made, the curve is traced as far as the reader has moved. */
  function setFeatures(features) {
    const { traced } = now();
    change({ features, traced: traced === 0 ? 0 : Math.max(traced, features) });
  }
  const features = settingSlider("features", tr("Features"), setFeatures);
  const ridge = settingSlider("ridge", tr("Ridge λ"), (value) => change({ ridge: value }));
  const noise = settingSlider("noise", tr("Noise σ"), (value) => change({ noise: value }));

  // ---- The guess

  const unchangedLevel = () => levelOf(middleOf({ ...USUAL, features: BEGINNING }));
  let levels = flat(unchangedLevel());
  let drawn = false; // whether the reader has changed them

  const compare = button(NAMES.compare, () => {
    change({ features: BEGINNING, traced: BEGINNING });
    features.querySelector("input").focus();
  });
  const skip = button(NAMES.skip, () => {
    change({ traced: MOST });
    features.querySelector("input").focus();
  });
  const question = h(
    "div",
    { class: "cw-question" },
    h("p", {}, QUESTION),
    h("div", { class: "cw-tools" }, compare, skip),
  );
  updates.push((s) => {
    question.hidden = s.traced > 0;
    compare.disabled = !drawn;
  });

  // ---- The charts

  const left = fitChart();
  const right = errorChart({
    guess: () => levels,
    onGuess(changed) {
      levels = changed;
      drawn = true;
      compare.disabled = false;
      drawErrors(now());
    },
  });
  const words = h("p", { class: "cw-verdict" });
  const onPaper = h("p", { class: "cw-on-paper" }); // where nobody can guess or drag
  const speaker = announcer(700);
  let own; // the test error of the fit that is drawn

  function drawErrors(s) {
    const curve = knownCurve(s);
    const earlier = asUsual(s) ? [] : knownCurve(USUAL);
    right.draw(s, { curve, earlier, own, levels, drawn });

    const complete = curve.length === FEATURES.length;
    const shown = {
      own,
      middle: isMeasured(s.features, s.ridge) ? middleOf(s) : null,
      curve: complete ? curve : null,
      levels: drawn ? levels : null,
    };
    const said = sentences(s, shown);
    say(words, said.join(" "));
    say(onPaper, sentences({ ...s, traced: MOST }, { ...shown, levels: null }).join(" "));
    right.picture.setAttribute("aria-busy", String(missing(s) !== undefined));
    if (complete) speaker.later(said);
  }

  // ---- Computing, in slices

  let timer;

  function computeSlice() {
    const s = now();
    const end = performance.now() + SLICE;
    let next = missing(s);
    while (next !== undefined && performance.now() < end) {
      measureNext(next.features, next.ridge);
      next = missing(s);
    }
    drawErrors(s);
    if (next !== undefined) timer = setTimeout(computeSlice);
  }

  function draw() {
    clearTimeout(timer);
    const s = now();
    for (const update of updates) update(s);
    const amplitudes = fitted(s.data - 1, s);
    own = testError(amplitudes);
    left.draw(s, amplitudes);
    drawErrors(s);
    if (missing(s) !== undefined) timer = setTimeout(computeSlice);
  }

  // ---- The page

  const newData = button(tr("New data"), () => change({ data: (now().data % RANGES.data[1]) + 1 }));
  const resetAll = button(tr("Reset all"), () => {
    levels = flat(unchangedLevel());
    drawn = false;
    change(USUAL);
    request(); // the guess is no setting
  });
  const tools = h("div", { class: "cw-tools" }, newData, resetAll);

  const key = (kind, text) => h("span", {}, h("i", { class: `cw-key-${kind}` }), text);
  const ownKey = key("own", NAMES.own);
  const usualKey = key("before", NAMES.usual);
  const guessKey = key("guess", NAMES.guessed);
  updates.push((s) => {
    ownKey.hidden = s.features > shownUpTo(s);
    usualKey.hidden = asUsual(s);
    guessKey.hidden = s.traced > 0 && !drawn;
  });
  const chart = (name, picture, ...keys) =>
    h(
      "div",
      {},
      h("p", { class: "cw-name" }, name),
      picture,
      h("p", { class: "cw-keys" }, ...keys),
    );
  const charts = h(
    "div",
    { class: "cw-charts" },
    chart(
      NAMES.fit,
      left.picture,
      key("point", NAMES.points),
      key("target", NAMES.target),
      key("fit", NAMES.line),
    ),
    chart(
      NAMES.error,
      right.picture,
      key("fit", NAMES.median),
      ownKey,
      usualKey,
      guessKey,
    ),
  );
  const root = h(
    "div",
    { class: "cw cw-descent" },
    charts,
    question,
    h("div", { class: "cw-controls" }, features, ridge, noise),
    words,
    onPaper,
    tools,
    speaker.node,
  );
  const request = queued(draw);
  return mount({
    model,
    el,
    root,
    keys: linkable,
    request,
    draw,
    tools,
    dispose() {
      clearTimeout(timer);
      speaker.cancel();
    },
  });
}

export default { render };
