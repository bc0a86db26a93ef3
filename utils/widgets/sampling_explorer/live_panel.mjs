// The part of the sampling explorer that writes with the course's model, in the reader's own page.
import { button, numberField } from "../shared/controls.mjs";
import { h } from "../shared/dom.mjs";
import { tr } from "../shared/language.mjs";
import { modelLoader } from "./loading.mjs";
import { nats, percent, short } from "./words.mjs";
import { Writer } from "./writer.mjs";

const SLICE = 20; // milliseconds of work before the page may answer and paint
const CHART_EVERY = 250; // milliseconds between two distributions for the chart
const USUAL_COUNT = 120; // of tokens
const MOST = 255;
const FIRST_PROMPT = "It was a dark night, and";

/** Stop strings, one on each line, where \n stands for a line break. */
function stopStrings(text) {
  const strings = text.split("\n").map((line) => line.replaceAll("\\n", "\n"));
  return strings.filter((string) => string !== "");
}

/** The text on the page. A token's ground is the darker the more it surprised the model. */
function writtenText() {
  const node = h("div", {
    class: "cw-text",
    tabindex: 0,
    role: "region",
    lang: "en",
    "aria-label": tr("Text written by the model"),
  });
  let spans = []; // one per token
  let first = 0; // the first token whose text may still grow

  function begin(prompt) {
    spans = [];
    first = 0;
    node.replaceChildren(h("span", { class: "cw-given" }, prompt));
    node.scrollTop = node.scrollHeight;
  }

  function spanOf({ surprise, probability }) {
    return h("span", {
      style: `--cw-surprise:${Math.min(surprise / 10, 1).toFixed(3)}`,
      title: tr("{surprise}; drawn with probability {chance}", {
        surprise: nats(surprise),
        chance: percent(probability),
      }),
    });
  }

  /** Fills in what has been released since the last time; a released text is never taken back. */
  function paint({ scanner, tokens, reason }) {
    const below = node.scrollHeight - node.scrollTop - node.clientHeight;
    const follow = below < 30; // unless the reader has scrolled up
    // Half a character may have come to the last token when the text ended.
    if (reason) first = Math.min(first, Math.max(0, tokens.length - 1));
    for (let i = first; i < tokens.length; i++) {
      const { start, end } = tokens[i];
      if (!spans[i]) {
        spans[i] = spanOf(tokens[i]);
        node.append(spans[i]);
      }
      spans[i].textContent = scanner.text.slice(start, Math.min(end, scanner.released));
      if (end <= scanner.released) first = i + 1;
    }
    if (reason) { // a stop string's own tokens say nothing
      while (spans.length > 0 && spans.at(-1).textContent === "") spans.pop().remove();
    }
    if (follow) node.scrollTop = node.scrollHeight;
  }
  return { node, begin, paint };
}

/** How a text went, in a sentence. */
function account({ tokens, reason }) {
  const state = reason ? tr("Ended: {reason}.", { reason }) : tr("Paused.");
  const n = tokens.length;
  if (n === 0) return `${state} ${tr("nothing written.")}`;
  const mean = tokens.reduce((sum, token) => sum + token.surprise, 0) / n;
  const perplexity = short(Math.exp(mean));
  const length = n > 1 ? tr("{n} tokens", { n }) : tr("1 token");
  const told = tr("{length}, perplexity {perplexity} to the model itself.", { length, perplexity });
  return `${state} ${told}`;
}

/** The scale of the text's colours. */
function colourScale() {
  return h(
    "p",
    { class: "cw-scale" },
    tr("How much a token surprised the model: "),
    h("span", {}, "0"),
    h("i"),
    h("span", {}, tr("10 nats or more")),
  );
}

/**
 * The panel. `live`: `{src, sizes}` of the model's scripts. `now()`: the present settings.
 * `show(position, first)`: offer this position's distribution to the chart; `first` says that its
 * text has just begun. Returns the panel's `node` and `dispose`.
 */
export function livePanel({ live, uid, now, show }) {
  let model = null; // once it is loaded
  let writer = null; // of the present text
  let running = false;
  let fresh = false; // whether the chart has not been offered the present text yet
  let turns = 0;
  let gone = false;

  const status = h("p", { class: "cw-status", role: "status" });
  const prompt = h("textarea", { rows: 2, spellcheck: "false" });
  prompt.value = FIRST_PROMPT;
  const stop = h("textarea", { rows: 2, spellcheck: "false", placeholder: "\\n" });
  const count = numberField({ usual: USUAL_COUNT, min: 1, max: MOST, value: USUAL_COUNT });
  const text = writtenText();

  // ---- Loading

  const loader = modelLoader({
    live,
    status,
    onLoaded(loaded) {
      model = loaded;
      desk.hidden = false;
      prompt.focus();
    },
  });

  // ---- Writing

  function offer() {
    if (!writer.logits) return;
    show(writer.position(), fresh);
    fresh = false;
  }

  /** The text is paused, or has ended. */
  function rest() {
    running = false;
    text.paint(writer);
    offer();
    status.textContent = account(writer);
    const ended = writer.reason !== null;
    pause.textContent = ended ? tr("Pause") : tr("Go on");
    if (ended && pause.matches(":focus")) write.focus(); // a disabled button would lose it
    pause.disabled = ended;
  }

  /** The text cannot go on, whatever the settings: it stays as it is. */
  function fail(error) {
    running = false;
    status.textContent = tr("Could not go on: {why}", { why: error.message });
    pause.textContent = tr("Pause");
    if (pause.matches(":focus")) write.focus(); // a disabled button would lose it
    pause.disabled = true;
  }

  async function run() {
    const own = writer;
    turns++;
    const turn = turns; // a pause and another run may pass within one wait of this loop
    const mine = () => running && turn === turns && !gone;
    let offered = 0; // when
    running = true;
    pause.textContent = tr("Pause");
    pause.disabled = false;
    status.textContent = tr("Writing…");
    try {
      while (mine() && !own.reason) {
        const until = performance.now() + SLICE;
        const s = now();
        do own.advance(s); while (!own.reason && performance.now() < until);
        text.paint(writer);
        if (performance.now() - offered > CHART_EVERY) {
          offer();
          offered = performance.now();
        }
        await new Promise((resolve) => setTimeout(resolve));
      }
      if (mine()) rest();
    } catch (error) {
      fail(error);
    }
  }

  const write = button(tr("Write"), () => {
    try {
      const options = { stop: stopStrings(stop.value), maxTokens: count.read() };
      writer = new Writer(model, prompt.value, options);
    } catch (error) {
      if (running) rest();
      const before = writer ? ` ${tr("The text below is the one before.")}` : "";
      status.textContent = error.message + before;
      return;
    }
    fresh = true;
    text.begin(prompt.value);
    run();
  });
  const pause = button(tr("Pause"), () => {
    if (running) rest();
    else run();
  });
  pause.disabled = true;

  // ---- The page

  const field = (name, label, control) => {
    control.id = `${uid}-live-${name}`;
    const named = h("label", { for: control.id }, label);
    return h("div", { class: `cw-field cw-field-${name}` }, named, control);
  };
  const desk = h(
    "div",
    { class: "cw-writing", hidden: true },
    field("prompt", tr("Prompt"), prompt),
    h(
      "div",
      { class: "cw-fields" },
      field("stop", tr("Stop strings, one per line (\\n: line break)"), stop),
      field("count", tr("Tokens"), count.field),
    ),
    h("div", { class: "cw-buttons" }, write, pause),
    text.node,
    colourScale(),
  );
  const titleId = `${uid}-live`;
  const title = tr("Write with the course’s model, under the same sliders");
  const node = h(
    "div",
    { class: "cw-live", role: "group", "aria-labelledby": titleId },
    h("p", { class: "cw-title", id: titleId }, title),
    loader,
    status,
    desk,
  );
  return {
    node,
    dispose() {
      gone = true;
    },
  };
}
