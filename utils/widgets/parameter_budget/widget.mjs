// The parameter-budget explorer: where a model's parameters sit, what they weigh, what training
// them costs. Its parts and Python's tables are joined into one module wherever it is used:
// utils/widgets/shared/bundle.py says why and how.
import { GPUS, PRECISIONS, PRESETS } from "course:models/budget";
import { SHAPE } from "course:widgets/parameter_budget/settings";
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
import { h } from "../shared/dom.mjs";
import { tr } from "../shared/language.mjs";
import { whole } from "../shared/numbers.mjs";
import { countParameters } from "./budget.mjs";
import { costsView, measure, partsView, sentence } from "./results.mjs";
import { CHANGEABLE, linkable, settings, stops, usualOf } from "./settings.mjs";
import { digits, short } from "./words.mjs";

export { linkable };
export { settings };

/** Each slider's name, and what its value means under the settings `s`. */
const SLIDERS = {
  n_layer: [tr("Layers"), (s) => whole(s.n_layer)],
  d_model: [tr("Width"), (s) => whole(s.d_model)],
  n_head: [
    tr("Heads"),
    (s) => tr("{heads}, each {width} wide", { heads: s.n_head, width: s.d_model / s.n_head }),
  ],
  n_kv_head: [tr("Key-value heads"), (s) => whole(s.n_kv_head)],
  d_ff: [
    tr("Feed-forward width"),
    (s) =>
      tr("{width} ({times} × width)", { width: whole(s.d_ff), times: digits(s.d_ff / s.d_model) }),
  ],
  vocab_size: [tr("Vocabulary"), (s) => tr("{n} tokens", { n: whole(s.vocab_size) })],
  context_length: [tr("Context"), (s) => tr("{n} tokens", { n: whole(s.context_length) })],
  batch_size: [
    tr("Batch"),
    (s) => s.batch_size > 1 ? tr("{n} sequences", { n: whole(s.batch_size) }) : tr("1 sequence"),
  ],
  tokens: [tr("Tokens"), (s) => {
    const perParameter = whole(s.tokens / countParameters(s));
    return tr("{tokens} ({ratio} per parameter)", { tokens: short(s.tokens), ratio: perParameter });
  }],
  n_gpu: [tr("GPUs"), (s) => whole(s.n_gpu)],
  utilisation: [
    tr("Utilisation"),
    (s) => tr("{share} % of peak", { share: whole(100 * s.utilisation) }),
  ],
};

/** What a list says for each entry of a table. */
const textsOf = (table, text) =>
  Object.fromEntries(Object.entries(table).map(([key, entry]) => [key, text(key, entry)]));
const CHOICE_NAMES = {
  preset: textsOf(PRESETS, (_, preset) => tr(preset.label)),
  style: { gpt2: tr("GPT-2 (biases, LayerNorm)"), llama: tr("Llama (gated, no biases)") },
  precision: textsOf(
    PRECISIONS,
    (name, bits) => tr("{format} ({bits} bits)", { format: name, bits }),
  ),
  gpu: textsOf(GPUS, (name, gpu) => `${name}, ${gpu.memory / 1e9} GB`),
};

function render({ model, el }) {
  const uid = uniqueId("cw-budget");
  const get = (key) => model.get(key);
  const change = changer(model);
  const reset = (keys, others = {}) =>
    change({ ...Object.fromEntries(keys.map((key) => [key, null])), ...others });
  const updates = []; // what puts each control at the present settings

  /** What a setting is when the reader leaves it alone; null where that follows from the others. */
  function usualValue(key, s) {
    const usual = usualOf(s.preset)[key];
    return key === "n_kv_head" ? usual ?? s.n_head : usual;
  }

  function settingSlider(key) {
    const [name, text] = SLIDERS[key];
    const { node, show } = slider({
      id: `${uid}-${key}`,
      name,
      resetName: name.toLowerCase(),
      onInput(value) {
        const usual = usualValue(key, settings(get));
        change({ [key]: value === usual ? null : value });
      },
      onReset: () => change({ [key]: null }),
    });
    updates.push((s) =>
      show({
        positions: stops(key, s),
        value: s[key],
        text: text(s),
        unchanged: get(key) === null || get(key) === undefined,
      })
    );
    return node;
  }

  function settingSelect(key, name, onChange = (value) => change({ [key]: value })) {
    const children = options(CHOICE_NAMES[key]);
    const { node, list } = select({ id: `${uid}-${key}`, name, children, onChange });
    updates.push((s) => {
      list.value = s[key];
    });
    return node;
  }

  function tiedCheckbox() {
    const box = h("input", { type: "checkbox", id: `${uid}-tied` });
    box.addEventListener("change", () => change({ tie_embeddings: box.checked }));
    updates.push((s) => {
      box.checked = s.tie_embeddings;
    });
    const label = h("label", { for: box.id }, tr("Output head tied to the embedding"));
    return h("div", { class: "cw-check" }, box, label);
  }

  const presets = settingSelect(
    "preset",
    tr("Model"),
    (preset) => reset([...SHAPE, "tokens"], { preset }), // a new model comes with its own numbers
  );
  const resetAll = button(tr("Reset all"), () => reset(CHANGEABLE));
  const parts = partsView();
  const costs = costsView();
  // A screen reader hears the result when the slider rests, not every step.
  const speaker = announcer(700);

  function draw() {
    const s = settings(get);
    const numbers = measure(s);
    for (const update of updates) update(s);
    parts.draw(s, numbers);
    costs.draw(s, numbers);
    speaker.later([sentence(numbers)]);
  }

  const sliders = (...keys) => keys.map(settingSlider);
  const group = (name, ...children) => h("fieldset", {}, h("legend", {}, name), ...children);
  const architecture = group(
    tr("Architecture"),
    settingSelect("style", tr("Style")),
    ...sliders("n_layer", "d_model", "n_head", "n_kv_head", "d_ff", "vocab_size"),
    tiedCheckbox(),
  );
  const use = group(
    tr("Use"),
    settingSelect("precision", tr("Precision")),
    ...sliders("context_length", "batch_size"),
  );
  const training = group(
    tr("Training"),
    settingSelect("gpu", tr("GPU")),
    ...sliders("tokens", "n_gpu", "utilisation"),
  );
  const tools = h("div", { class: "cw-tools" }, resetAll);
  // What the sliders move stays in view; on a wide page they stand beside it.
  const controls = h("div", { class: "cw-controls" }, architecture, h("div", {}, use, training));
  const root = h(
    "div",
    { class: "cw cw-budget" },
    h("div", { class: "cw-head" }, presets, tools),
    h("div", { class: "cw-desk" }, parts.summary, parts.legend, controls, costs.node),
    speaker.node,
  );
  return mount({
    model,
    el,
    root,
    keys: linkable,
    request: queued(draw),
    draw,
    tools,
    dispose: speaker.cancel,
  });
}

export default { render };
