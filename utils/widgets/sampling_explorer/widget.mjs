// The sampling explorer: what each decoding setting does to one real distribution, in each engine's
// order. Its parts and Python's tables are joined into one module wherever it is used:
// utils/widgets/shared/bundle.py says why and how.
import { ENGINES, NOTES, USUAL } from "course:sampling/settings";
import {
  announcer,
  button,
  changer,
  mount,
  options,
  queued,
  resting,
  select,
  uniqueId,
} from "../shared/controls.mjs";
import { h, say } from "../shared/dom.mjs";
import { tr } from "../shared/language.mjs";
import { whole } from "../shared/numbers.mjs";
import { decode, survey, unpackLogits } from "./decoding.mjs";
import { drawsView } from "./draws.mjs";
import { livePanel } from "./live_panel.mjs";
import { pipelineView } from "./pipeline.mjs";
import { linkable, settings } from "./settings.mjs";
import { FEW_ROWS, ROWS, tokenChart } from "./token_chart.mjs";
import { nats, visible } from "./words.mjs";

export { linkable };
export { settings };

const ENGINE_NAMES = Object.fromEntries(
  Object.entries(ENGINES).map(([key, engine]) => [key, engine.label]),
);
const NARROW = 576; // pixels: on a phone the chart stands above the sliders and has fewer rows
// The kinds of prompts in the record.
const KIND_NAMES = {
  between: tr("in between"),
  peaked: tr("peaked"),
  flat: tr("flat"),
  repeating: tr("repeating"),
};

/** The options for the recorded prompts, in a group for each kind where they have kinds. */
function promptOptions(recorded) {
  const option = (p) => {
    const end = p.output ? ` ${tr("(after its greedy text)")}` : " …";
    return h("option", { value: p.key }, p.prompt.trim() + end);
  };
  const kinds = new Set(recorded.map((p) => p.kind ?? ""));
  return [...kinds].flatMap((kind) => {
    const ofKind = recorded.filter((p) => (p.kind ?? "") === kind).map(option);
    if (kind === "") return ofKind;
    return [h("optgroup", { label: KIND_NAMES[kind] ?? kind }, ...ofKind)];
  });
}

function render({ model, el }) {
  const uid = uniqueId("cw-sampling");
  const get = (key) => model.get(key);
  const now = () => settings(get);
  const change = changer(model, USUAL);
  const vocab = get("vocab") ?? [];
  const textOf = (id) => vocab[id] ?? `#${id}`;
  const recorded = get("prompts") ?? [];
  if (recorded.length === 0) throw new Error("there are no recorded prompts");

  // ---- Which text: a recorded prompt, or the one being written below

  const unpacked = new Map();
  function stored() {
    const prompt = recorded.find((item) => item.key === get("prompt")) ?? recorded[0];
    if (!unpacked.has(prompt)) {
      const logits = unpackLogits(prompt.logits, prompt.scale);
      unpacked.set(prompt, { ...prompt, logits, base: survey(logits) });
    }
    return unpacked.get(prompt);
  }
  let written = null; // the position of the text being written, once there is one
  let showWritten = false; // whether the chart shows it
  const source = () => (showWritten && written ? written : stored());
  const writtenOption = h("option", { value: "" }, tr("the text being written below"));

  function leaveWritten() {
    showWritten = false;
    request();
  }

  const prompts = select({
    id: `${uid}-prompt`,
    name: tr("After"),
    children: promptOptions(recorded),
    onChange(key) {
      showWritten = key === writtenOption.value;
      if (!showWritten) change({ prompt: key === recorded[0].key ? null : key });
      request();
    },
  });

  // ---- Controls

  const engines = select({
    id: `${uid}-engine`,
    name: tr("Engine"),
    children: options(ENGINE_NAMES),
    onChange: (engine) => change({ engine }),
  });
  const resetAll = button(tr("Reset all"), () => {
    change({ ...USUAL, prompt: null });
    leaveWritten();
  });
  const pipeline = pipelineView({ uid, change });
  const draws = drawsView({ uid, now, change, textOf });
  const chart = tokenChart((id) => visible(textOf(id)));
  let rows = ROWS; // of the chart

  // ---- What is said about them

  const context = h("p", {
    class: "cw-context",
    tabindex: 0,
    role: "region",
    lang: "en",
    "aria-label": tr("The text so far"),
  });
  const engineNote = h("p", { class: "cw-note" });
  const elsewhere = h("p", { class: "cw-note cw-elsewhere" });
  const speaker = announcer(300);
  const atRest = resting(300);

  let described; // the text that stands in `context`
  function describe({ prompt, output }) {
    const wanted = `${prompt}\0${output}`;
    if (described === wanted) return;
    described = wanted;
    const caret = h("span", { class: "cw-caret", "aria-hidden": "true" }, "?");
    context.replaceChildren(prompt, h("mark", {}, output), caret);
  }

  /** What the same sliders leave in every engine. */
  function comparison(s, p) {
    const others = Object.keys(ENGINES).map((engine) => {
      const { kept, steps } = decode(
        p.logits,
        p.prompt_ids,
        p.output_ids,
        { ...s, engine },
        p.base,
      );
      return `${ENGINES[engine].label} ${whole(kept)} (${nats(steps.at(-1).entropy)})`;
    });
    return tr("The same sliders leave: {others}.", { others: others.join(", ") });
  }

  function redraw() {
    // An address may name a prompt that is not there.
    if (get("prompt") && stored().key !== get("prompt")) change({ prompt: null });
    const s = now();
    const p = source();
    const result = decode(p.logits, p.prompt_ids, p.output_ids, s, p.base);
    prompts.list.value = p === written ? writtenOption.value : p.key;
    engines.list.value = s.engine;
    say(engineNote, tr(NOTES[s.engine]));
    pipeline.draw(s, result.steps);
    const { counts, latest, said } = draws.show(s, result.probs);
    const left = chart.draw(s, result, p.base.rank, counts, latest, rows);
    describe(p);
    speaker.later([said, left]);
    atRest.run(() => { // what can wait until the slider rests
      context.scrollTop = context.scrollHeight;
      elsewhere.textContent = comparison(s, p);
    });
  }
  const request = queued(redraw);

  // ---- The page

  const live = get("live"); // where the model's weights are, on a page that has them
  const panel = live && livePanel({
    live,
    uid,
    now,
    show(position, first) {
      if (!written) prompts.list.append(writtenOption);
      written = { ...position, base: survey(position.logits) };
      if (first) showWritten = true; // afterwards the reader chooses what the chart shows
      if (showWritten) request();
    },
  });
  const tools = h("div", { class: "cw-tools" }, resetAll);
  // The chart comes first and stays in view; on a wide page the sliders stand beside it.
  const view = h("div", { class: "cw-view" }, chart.summary, chart.table, chart.keys);
  const controls = h(
    "div",
    { class: "cw-controls" },
    engines.node,
    engineNote,
    pipeline.node,
    elsewhere,
  );
  const drawing = h("div", { class: "cw-drawing" }, draws.node, draws.result);
  const root = h(
    "div",
    { class: "cw cw-sampling" },
    h("div", { class: "cw-head" }, prompts.node, tools),
    context,
    h("div", { class: "cw-desk" }, view, controls, drawing),
    panel ? panel.node : "",
    speaker.node,
  );
  const resized = new ResizeObserver(([{ contentRect }]) => {
    const fitting = contentRect.width < NARROW ? FEW_ROWS : ROWS;
    if (rows === fitting) return;
    rows = fitting;
    request();
  });
  resized.observe(root);
  pipeline.arrange(now().engine); // puts the sliders in, which `mount` prepares for JupyterLab
  return mount({
    model,
    el,
    root,
    keys: linkable,
    others: { "change:prompt": leaveWritten, linked: leaveWritten },
    request,
    draw: redraw,
    tools,
    dispose() {
      panel?.dispose();
      resized.disconnect();
      speaker.cancel();
      atRest.cancel();
    },
  });
}

export default { render };
