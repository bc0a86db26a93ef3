// The part of the sampling explorer that loads the course's model and writes with it, in the reader's own page.
import { Tokenizer } from "./bpe.mjs";
import { bytesOf, cumulate, decode, draw, uniform } from "./decoding.mjs";
import { h, nats, percent, short } from "../shared/dom.mjs";
import { LiveGPT, readSafetensors } from "./live_gpt.mjs";
import { StopScanner } from "./stop_scanner.mjs";

/** The model and tokenizer in the classic script at `src`: the one way in that also works from `file://`. */
export async function loadModel(src, parent) {
  const script = h("script", { src });
  const loaded = new Promise((resolve, reject) => {
    script.addEventListener("load", resolve);
    script.addEventListener("error", reject);
    parent.append(script);
  });
  const missing = new Error(`its file is not there (${src})`);
  try {
    await loaded;
  } catch {
    throw missing;
  } finally {
    script.remove();
  }
  if (!script.courseModel) throw missing; // the script hangs its data on its own element
  const { weights, tokenizer } = script.courseModel;
  const { metadata, tensors } = readSafetensors(bytesOf(weights).buffer),
    config = JSON.parse(metadata.config);
  return {
    gpt: new LiveGPT(config, tensors),
    tokenizer: new Tokenizer(tokenizer),
    eos: config.eos_token_id,
  };
}

/** Text that grows a token at a time. `advance(settings)` feeds or draws one token; it ends by itself. */
export class Writer {
  /** `model`: what `loadModel` gives. Throws an Error with one line for a prompt that is empty or too long. */
  constructor({ gpt, tokenizer, eos }, promptText, { stop = [], maxTokens = 120 } = {}) {
    const prompt = tokenizer.encode(promptText);
    if (!prompt.length) throw new Error("The prompt must hold at least one token.");
    if (prompt.length > gpt.contextLength) {
      throw new Error(`The prompt has ${prompt.length} tokens; at most ${gpt.contextLength} fit.`);
    }
    gpt.reset();
    Object.assign(this, { gpt, tokenizer, eos, prompt, promptText, maxTokens });
    this.output = [];
    this.tokens = []; // {start, end, surprise, probability}: where each token's text stands in scanner.text
    this.scanner = new StopScanner(stop);
    this.logits = null; // of the next token, once the prompt is read
    this.fed = 0; // how much of the output the model has read; only a full context keeps the last token out
    this.reason = null; // why the text has ended
  }

  advance(s) {
    if (this.reason) return;
    if (this.gpt.length < this.prompt.length) { // read the prompt; only its last token needs logits
      const n = this.gpt.length;
      this.logits = this.gpt.step(this.prompt[n], n === this.prompt.length - 1);
      return;
    }
    const { probs, own } = decode(this.logits, this.prompt, this.output, s);
    const id = draw(cumulate(probs), uniform(s.seed, this.output.length + 1)),
      start = this.scanner.text.length;
    this.output.push(id);
    const full = this.gpt.length >= this.gpt.contextLength;
    if (!full) { // even where the text ends here, so that the chart can show what would come next
      this.logits = this.gpt.step(id);
      this.fed = this.output.length;
    }
    if (id === this.eos) return this.#end("the model ended its text");
    this.scanner.push(this.tokenizer.bytes(id));
    this.tokens.push({
      start,
      end: this.scanner.text.length,
      surprise: -Math.log(own[id]),
      probability: probs[id],
    });
    if (this.scanner.found !== null) {
      this.#end(`stopped before ${JSON.stringify(this.scanner.found)}`);
    } else if (this.output.length >= this.maxTokens) this.#end("as many tokens as asked for");
    else if (full) this.#end(`the context of ${this.gpt.contextLength} tokens is full`);
  }

  /** What the chart shows: the logits, and the ids and the text that they follow, which a stop string does not cut. */
  position() {
    const output = this.output.slice(0, this.fed);
    return {
      logits: this.logits,
      prompt_ids: this.prompt,
      output_ids: output,
      prompt: this.promptText,
      output: this.tokenizer.decode(output, true),
    };
  }

  #end(reason) {
    this.scanner.finish();
    if (this.scanner.found === null && this.tokens.length) {
      this.tokens.at(-1).end = this.scanner.text.length; // half a character
    }
    this.reason = reason;
  }
}

const SLICE = 20; // milliseconds of work before the page may answer and paint
const lines = (text) =>
  text.split("\n").map((line) => line.replaceAll("\\n", "\n")).filter(Boolean);

const USUAL_COUNT = 120, MOST = 255;

/**
 * The panel. `live`: `{src, bytes}` of the model's script. `now()`: the present settings. `show(position, first)`:
 * offer this position's distribution to the chart; `first` says that its text has just begun. Returns the panel's
 * `node` and `dispose`.
 */
export function livePanel({ live, uid, now, show }) {
  let model = null,
    writer = null,
    running = false,
    spans = [],
    first = 0,
    fresh = false,
    turns = 0,
    gone = false;
  const field = (name, label, node) => {
    node.id = `${uid}-live-${name}`;
    return h(
      "div",
      { class: `cw-field cw-field-${name}` },
      h("label", { for: node.id }, label),
      node,
    );
  };
  const button = (text) => h("button", { type: "button", class: "cw-button" }, text);
  const load = button(`Load the model (${(live.bytes / 1e6).toFixed(1)} MB)`);
  const status = h("p", { class: "cw-status", role: "status" });
  const prompt = h("textarea", { rows: 2, spellcheck: "false" });
  prompt.value = "It was a dark night, and";
  const stop = h("textarea", { rows: 2, spellcheck: "false", placeholder: "\\n" });
  const count = h("input", { type: "number", min: 1, max: MOST, value: USUAL_COUNT });
  const write = button("Write"), pause = button("Pause");
  const text = h("div", {
    class: "cw-text",
    tabindex: 0,
    role: "region",
    "aria-label": "Text written by the model",
  });
  const scale = h(
    "p",
    { class: "cw-scale" },
    "How much a token surprised the model: ",
    h("span", {}, "0"),
    h("i"),
    h("span", {}, "10 nats or more"),
  );
  const desk = h(
    "div",
    { hidden: true },
    field("prompt", "Prompt", prompt),
    h(
      "div",
      { class: "cw-fields" },
      field("stop", "Stop strings, one a line (\\n: line break)", stop),
      field("count", "Tokens", count),
    ),
    h("div", { class: "cw-buttons" }, write, pause),
    text,
    scale,
  );
  pause.disabled = true;

  load.addEventListener("click", async () => {
    load.disabled = true;
    status.textContent = "Loading the model…";
    try {
      model = await loadModel(live.src, node);
    } catch (error) {
      status.textContent = `Could not load the model: ${error.message}`;
      load.disabled = false;
      load.focus(); // which a disabled button had lost
      return;
    }
    load.hidden = true;
    desk.hidden = false;
    status.textContent = "The model is loaded. It runs in this page; nothing is sent anywhere.";
    prompt.focus();
  });

  /** Fill in what has been released since the last time; a released text is never taken back. */
  function paint() {
    const { scanner, tokens } = writer,
      follow = text.scrollHeight - text.scrollTop - text.clientHeight < 30;
    if (writer.reason) first = Math.min(first, Math.max(0, tokens.length - 1)); // its end may have grown at the end
    for (let i = first; i < tokens.length; i++) {
      const { start, end, surprise, probability } = tokens[i];
      spans[i] ??= text.appendChild(h("span", {
        style: `--cw-surprise:${Math.min(surprise / 10, 1).toFixed(3)}`,
        title: `${nats(surprise)}; drawn with probability ${percent(probability)}`,
      }));
      spans[i].textContent = scanner.text.slice(start, Math.min(end, scanner.released));
      if (end <= scanner.released) first = i + 1;
    }
    while (writer.reason && spans.length && spans.at(-1).textContent === "") spans.pop().remove(); // a stop string's own
    if (follow) text.scrollTop = text.scrollHeight; // unless the reader has scrolled up
  }
  function present() {
    if (!writer.logits) return;
    show(writer.position(), fresh);
    fresh = false;
  }
  function rest() { // paused or ended
    running = false;
    paint();
    present();
    const n = writer.tokens.length,
      mean = writer.tokens.reduce((sum, t) => sum + t.surprise, 0) / n;
    const said = n
      ? `${n} token${n > 1 ? "s" : ""}, perplexity ${short(Math.exp(mean))} to the model itself`
      : "nothing written";
    status.textContent = `${writer.reason ? `Ended: ${writer.reason}` : "Paused"}. ${said}.`;
    pause.textContent = writer.reason ? "Pause" : "Go on";
    if (writer.reason && pause.matches(":focus")) write.focus(); // a disabled button would lose it
    pause.disabled = writer.reason !== null;
  }
  async function run() {
    const own = writer, turn = ++turns; // a pause and another run may pass within one wait of this loop
    let shown = 0;
    running = true;
    pause.textContent = "Pause";
    pause.disabled = false;
    status.textContent = "Writing…";
    while (running && turn === turns && !own.reason && !gone) {
      const until = performance.now() + SLICE, s = now();
      do own.advance(s); while (!own.reason && performance.now() < until);
      paint();
      if (performance.now() - shown > 250) {
        present();
        shown = performance.now();
      }
      await new Promise((resolve) => setTimeout(resolve));
    }
    if (running && turn === turns && !gone) rest();
  }
  /** The number of tokens asked for, within its limits; the field says what is used. */
  function wanted() {
    const asked = count.value === "" ? USUAL_COUNT : Math.round(Number(count.value));
    count.value = Math.min(MOST, Math.max(1, asked));
    return Number(count.value);
  }
  count.addEventListener("change", wanted);
  write.addEventListener("click", () => {
    try {
      writer = new Writer(model, prompt.value, { stop: lines(stop.value), maxTokens: wanted() });
    } catch (error) {
      if (running) rest();
      status.textContent = error.message + (writer ? " The text below is the one before." : "");
      return;
    }
    [spans, first, fresh] = [[], 0, true];
    text.replaceChildren(h("span", { class: "cw-given" }, prompt.value));
    text.scrollTop = text.scrollHeight;
    run();
  });
  pause.addEventListener("click", () => {
    if (running) rest();
    else run();
  });

  const node = h(
    "div",
    { class: "cw-live", role: "group", "aria-labelledby": `${uid}-live` },
    h(
      "p",
      { class: "cw-title", id: `${uid}-live` },
      "Write with the course’s model, under the same sliders",
    ),
    load,
    status,
    desk,
  );
  return {
    node,
    dispose: () => {
      gone = true;
    },
  };
}
