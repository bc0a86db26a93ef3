// The attention explorer: choose a word and see where each head looks, remove a word and see the
// next word's bars move, in a small model that copies and in the course's own. Its parts and
// Python's tables are joined into one module wherever it is used: utils/widgets/shared/bundle.py
// says why and how.
import { RANGES, USUAL } from "course:widgets/attention_explorer/settings";
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
import { nextChart } from "./next_chart.mjs";
import { ownTextPanel } from "./own_text.mjs";
import { effects, looksOf, reader } from "./readings.mjs";
import { linkable, settings, textsOf } from "./settings.mjs";
import { tokenTable } from "./token_table.mjs";
import { ATTENTION_WORDS, attentionSentences, gainSentence } from "./words.mjs";

export { linkable };
export { settings };

const AS_AT_FIRST = { text: null, layer: null, place: null, removed: null };

/** The whole numbers from `low` to `high`. */
const numbersBetween = ([low, high]) => Array.from({ length: high - low + 1 }, (_, i) => low + i);

function render({ model, el }) {
  const uid = uniqueId("cw-heads");
  const get = (key) => model.get(key);
  const now = () => settings(get);
  const change = changer(model, USUAL);
  const read = reader(get);

  // ---- Controls

  const models = select({
    id: `${uid}-model`,
    name: ATTENTION_WORDS.model,
    children: options(ATTENTION_WORDS.models),
    onChange: (chosen) => change({ ...AS_AT_FIRST, model: chosen }),
  });
  const texts = select({
    id: `${uid}-text`,
    name: ATTENTION_WORDS.text,
    children: [],
    onChange: (text) => change({ text, place: null, removed: null }),
  });
  const words = slider({
    id: `${uid}-words`,
    name: ATTENTION_WORDS.draw,
    resetName: ATTENTION_WORDS.draw,
    onInput: (value) => change({ words: value }),
    onReset: () => change({ words: null }),
  });
  const layer = slider({
    id: `${uid}-layer`,
    name: ATTENTION_WORDS.layer,
    resetName: ATTENTION_WORDS.layer,
    onInput: (value) => change({ layer: value }),
    onReset: () => change({ layer: null }),
  });
  const compare = h("input", { type: "checkbox", id: `${uid}-compare` });
  compare.addEventListener("change", () => change({ compare: compare.checked }));
  const check = h(
    "div",
    { class: "cw-check" },
    compare,
    h("label", { for: compare.id }, ATTENTION_WORDS.compare),
  );
  const reset = button(ATTENTION_WORDS.reset, () =>
    change({
      ...AS_AT_FIRST,
      model: null,
      words: null,
      compare: null,
    }));

  let offered = ""; // the names of the texts in the list
  function drawControls(s, layers) {
    models.list.value = s.model;
    const nameOf = (key) => get("course").prompts.find((prompt) => prompt.key === key)?.prompt;
    const names = textsOf(s.model, get).map((key) => [
      key,
      ATTENTION_WORDS.cases[key] ?? `${nameOf(key)} …`,
    ]);
    if (offered !== String(names)) {
      texts.list.replaceChildren(...options(Object.fromEntries(names)));
      texts.list.lang = s.model === "copy" ? "" : "en"; // the course model's prompts
      offered = String(names);
    }
    texts.list.value = s.text;
    words.node.hidden = s.model !== "copy";
    words.show({
      positions: numbersBetween(RANGES.words),
      value: s.words,
      text: ATTENTION_WORDS.drawOf(s.words, RANGES.words[1]),
      unchanged: s.words === USUAL.words,
    });
    layer.show({
      positions: numbersBetween([1, layers]),
      value: s.layer,
      text: ATTENTION_WORDS.layerOf(s.layer, layers),
      unchanged: get("layer") === null || get("layer") === undefined,
    });
    compare.checked = s.compare;
  }

  // ---- The text and the next word

  const table = tokenTable(uid, {
    onChoose: (place) => change({ place }),
    onRemove(place, byKey) {
      const s = now();
      const putBack = s.removed === place;
      // A word that is removed can no longer be the one that looks: the last word takes its place.
      const looking = s.place === place && !putBack ? null : s.place;
      focusAfterDraw = byKey === true; // a word that is gone would lose the keyboard
      change({ removed: putBack ? null : place, place: looking });
    },
  });
  let focusAfterDraw = false;
  const chart = nextChart();
  const verdict = h("p", { class: "cw-verdict" });
  const gain = h("p", { class: "cw-note" });
  const speaker = announcer(500);

  /** What the outlines show: the words untouched, or said twice; null where nothing differs. */
  function drawNext(s, reading) {
    const { before, twice } = ATTENTION_WORDS;
    if (s.removed > 0) chart.draw(reading, read(s, 0), before);
    else if (s.text === "shuffled" || s.text === "others") {
      chart.draw(reading, read({ ...s, text: "twice" }), twice);
    } else chart.draw(reading, null, before);
  }

  function draw() {
    const s = now();
    const reading = read(s);
    drawControls(s, reading.layers);
    const changes = s.compare ? effects(read, s) : null;
    table.draw(s, reading.tokens, looksOf(reading, s.layer, s.place), changes);
    drawNext(s, reading);
    const said = attentionSentences(read, s);
    say(verdict, said.join(" "));
    say(gain, gainSentence(get(s.model).gain, s.model));
    speaker.later(said);
    if (focusAfterDraw) table.focus(s.place);
    focusAfterDraw = false;
  }

  // ---- The page

  const live = get("live"); // where the model's weights are, on a page that has them
  const panel = live && ownTextPanel({
    live,
    uid,
    onRead(own) {
      const course = get("course");
      const others = course.prompts.filter(({ key }) => key !== own.key);
      model.set("course", { ...course, prompts: [...others, own] });
      change({ model: "course", text: own.key, place: null, removed: null });
      request(); // another text may have the same settings
    },
  });
  const tools = h("div", { class: "cw-tools" }, reset);
  const hint = h("p", { class: "cw-note" }, ATTENTION_WORDS.hint);
  const root = h(
    "div",
    { class: "cw cw-heads" },
    h(
      "div",
      { class: "cw-desk" },
      h(
        "div",
        { class: "cw-text" },
        h("div", { class: "cw-controls" }, models.node, texts.node, words.node, layer.node),
        h("div", { class: "cw-reading" }, table.node, hint, check),
      ),
      h(
        "div",
        { class: "cw-outcome" },
        h("div", { class: "cw-view" }, chart.node),
        h("div", { class: "cw-said" }, verdict, gain, tools),
      ),
    ),
    panel ? panel.node : "",
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
      panel?.dispose();
      speaker.cancel();
    },
  });
}

export default { render };
