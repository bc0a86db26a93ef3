// The compression explorer: a map of sizes and qualities of the course model, stored in many ways,
// and a text whose tokens are coloured by what they cost it in bits. Its parts and Python's tables
// are joined into one module wherever it is used: utils/widgets/shared/bundle.py says why and how.
import {
  BITS,
  GRANULARITIES,
  SPARSITIES,
  USUAL,
} from "course:widgets/compression_explorer/settings";
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
import { ownBitsPanel } from "./own_bits.mjs";
import { meanOf, NO_SCALES, pointOf } from "./points.mjs";
import { bytesRead, raceTable, tokenRibbon, totalsOf } from "./ribbon.mjs";
import { linkable, settings } from "./settings.mjs";
import { sizeMap } from "./size_map.mjs";
import {
  COMPRESSION_WORDS,
  MAP_WORDS,
  mapSentences,
  printable,
  RIBBON_WORDS,
  textSentences,
} from "./words.mjs";

export { linkable };
export { settings };

function render({ model, el }) {
  const uid = uniqueId("cw-bytes");
  const get = (key) => model.get(key);
  const now = () => settings(get);
  const change = changer(model, USUAL);
  const updates = []; // what puts each control at the present settings

  // ---- Controls

  function settingSlider(key, list, text) {
    const control = slider({
      id: `${uid}-${key}`,
      name: COMPRESSION_WORDS[key],
      resetName: COMPRESSION_WORDS[key].toLowerCase(),
      onInput: (value) => change({ [key]: value }),
      onReset: () => change({ [key]: null }),
    });
    updates.push((s) =>
      control.show({
        positions: list(s),
        value: s[key],
        text: text(s),
        unchanged: get(key) === null || get(key) === undefined,
      })
    );
    return control.node;
  }

  function settingSelect(key, names, onChange) {
    const { node, list } = select({
      id: `${uid}-${key}`,
      name: COMPRESSION_WORDS[key],
      children: options(names),
      onChange,
    });
    updates.push((s) => {
      list.value = s[key];
    });
    return { node, list };
  }

  const view = settingSelect("view", COMPRESSION_WORDS.views, (chosen) => change({ view: chosen }));
  const scaleNames = Object.fromEntries(
    GRANULARITIES.map((name) => [name, COMPRESSION_WORDS.granularities[name]]),
  );
  const scales = settingSelect(
    "granularity",
    scaleNames,
    (granularity) => change({ granularity }),
  );
  updates.push((s) => {
    scales.list.disabled = s.bits === 16;
  });
  const texts = settingSelect("text", {}, (text) => change({ text, token: null }));
  let offered = ""; // the names of the texts in the list
  updates.unshift(() => {
    const names = Object.fromEntries(get("texts").map(({ key, name }) => [key, tr(name)]));
    if (offered === JSON.stringify(names)) return;
    texts.list.replaceChildren(...options(names));
    offered = JSON.stringify(names);
  });
  const countOf = (s) => get("texts").find(({ key }) => key === s.text).ids.length;
  const resetAll = button(
    COMPRESSION_WORDS.reset,
    () => change(Object.fromEntries(linkable.map((key) => [key, null]))),
  );
  const tools = h("div", { class: "cw-tools" }, resetAll);
  const mapControls = h(
    "div",
    {},
    settingSlider("bits", () => BITS, (s) => COMPRESSION_WORDS.bitsOf(s.bits)),
    settingSlider("sparsity", () => SPARSITIES, (s) => COMPRESSION_WORDS.sparsityOf(s.sparsity)),
    scales.node,
  );
  const textControls = h(
    "div",
    {},
    texts.node,
    settingSlider(
      "token",
      (s) => Array.from({ length: countOf(s) }, (_, i) => i + 1),
      (s) => COMPRESSION_WORDS.tokenOf(s.token, countOf(s)),
    ),
  );

  // ---- What they move

  const [{ tenths, bits_per_byte: books }] = get("unigram");
  const tables = { unigram: meanOf(books.unigram), books: meanOf(books.books) };
  const map = sizeMap({
    points: get("points"),
    tables,
    onChoose({ bits, sparsity, granularity }) {
      const chosen = granularity === NO_SCALES ? {} : { granularity };
      change({ bits, sparsity, ...chosen });
    },
  });
  const ribbon = tokenRibbon({ onChoose: (token) => change({ token }) });
  const race = raceTable();
  const sample = h("blockquote", { class: "cw-sample", lang: "en" });
  const sampleTitle = h("p", { class: "cw-caption" }, COMPRESSION_WORDS.sample);
  const words = h("p", { class: "cw-verdict" });
  const note = h("p", { class: "cw-note" });
  const speaker = announcer(700);

  const key = (kind, text) => h("span", {}, h("i", { class: `cw-key-${kind}` }), text);
  const { unbeaten, ...shapes } = MAP_WORDS.keys;
  const keys = h(
    "p",
    { class: "cw-keys" },
    ...BITS.map((bits) => key(`bits cw-bits-${bits}`, tr("{bits} bits", { bits }))),
    ...Object.entries(shapes).map(([name, text]) => key(name, text)),
    key("unbeaten", unbeaten),
  );

  function drawMap(s) {
    const points = get("points");
    const point = pointOf(points, s);
    map.draw(point);
    sample.replaceChildren(h("b", {}, MAP_WORDS.prompt), printable(point.sample));
    say(note, MAP_WORDS.note);
    return mapSentences(points, s, tables);
  }

  function drawText(s) {
    const text = get("texts").find(({ key: own }) => own === s.text);
    ribbon.draw(text, s.token);
    race.draw(text, s.token);
    const noDeflate = text.deflate_bytes === null ? ` ${RIBBON_WORDS.noDeflate}` : "";
    say(note, RIBBON_WORDS.note + noDeflate);
    return textSentences(text, s.token, totalsOf(text, s.token), bytesRead(text, s.token));
  }

  function draw() {
    const s = now();
    for (const update of updates) update(s);
    const onMap = s.view === "map";
    for (const node of [map.picture, mapControls, keys, sampleTitle, sample]) {
      node.toggleAttribute("hidden", !onMap);
    }
    for (const node of [ribbon.node, textControls, race.node]) node.hidden = onMap;
    if (panel) panel.node.hidden = onMap;
    const said = onMap ? drawMap(s) : drawText(s);
    say(words, said.join(" "));
    speaker.later(said);
  }

  // ---- The page

  const live = get("live"); // where the model's weights are, on a page that has them
  const panel = live && ownBitsPanel({
    live,
    uid,
    tenths,
    onRead(own) {
      const others = get("texts").filter(({ key: other }) => other !== own.key);
      model.set("texts", [...others, own]);
      change({ text: own.key, token: null });
      request(); // another text may have the same settings
    },
  });
  const root = h(
    "div",
    { class: "cw cw-bytes" },
    h(
      "div",
      { class: "cw-desk" },
      h("div", { class: "cw-view" }, map.picture, ribbon.node),
      h(
        "div",
        { class: "cw-side" },
        h("div", { class: "cw-controls" }, view.node, mapControls, textControls),
        race.node,
        words,
        tools,
      ),
      h("div", { class: "cw-under" }, keys, sampleTitle, sample, note),
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
