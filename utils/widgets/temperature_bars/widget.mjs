// The title page's bars: the next word after one recorded prompt, and the temperature that moves
// them. Its parts and Python's tables are joined into one module wherever it is used:
// utils/widgets/shared/bundle.py says why and how.
import { announcer, changer, mount, queued, slider, uniqueId } from "../shared/controls.mjs";
import { h, say } from "../shared/dom.mjs";
import { barsTable } from "./bars.mjs";
import { shares } from "./distribution.mjs";
import { linkable, settings, stops, USUAL } from "./settings.mjs";
import { sentence, TITLE_WORDS } from "./words.mjs";

export { linkable };
export { settings };

function render({ model, el }) {
  const logits = model.get("logits"); // of the whole vocabulary
  const likeliest = model.get("likeliest"); // {id, text}, the likeliest first
  const ids = likeliest.map(({ id }) => id);
  const words = likeliest.map(({ text }) => text.trim());
  const change = changer(model, USUAL);

  const table = barsTable(words, logits.length - ids.length);
  const control = slider({
    id: `${uniqueId("cw-temperature")}-slider`,
    name: TITLE_WORDS.temperature,
    resetName: TITLE_WORDS.temperature.toLowerCase(),
    onInput: (temperature) => change({ temperature }),
    onReset: () => change({ temperature: null }),
  });
  const summary = h("p", { class: "cw-summary" });
  // A screen reader hears the result when the reader rests, not every step.
  const speaker = announcer(700);

  function draw() {
    const { temperature } = settings((key) => model.get(key));
    const present = shares(logits, ids, temperature);
    const said = sentence(temperature, words[0], present);
    table.draw(present);
    control.show({
      positions: stops(temperature),
      value: temperature,
      text: String(temperature),
      unchanged: temperature === USUAL.temperature,
    });
    say(summary, said);
    speaker.later([said]);
  }

  const blank = h("span", { class: "cw-blank" }, "…");
  const prompt = h("p", { class: "cw-prompt", lang: "en" }, `${model.get("prompt")} `, blank);
  const tools = h("div", { class: "cw-tools" });
  const root = h(
    "div",
    { class: "cw cw-title-bars" },
    h(
      "div",
      { class: "cw-desk" },
      h("div", { class: "cw-view" }, prompt, table.node),
      h("div", { class: "cw-controls" }, control.node, summary, tools),
    ),
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
