// The part of the sampling explorer that loads the course's model and writes with it, in the reader's own page.
import { Tokenizer } from "./bpe.mjs";
import { bytesOf, cumulate, decode, draw, uniform } from "./decoding.mjs";
import { h, nats, percent, short } from "./dom.mjs";
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
  const { metadata, tensors } = readSafetensors(bytesOf(weights).buffer), config = JSON.parse(metadata.config);
  return { gpt: new LiveGPT(config, tensors), tokenizer: new Tokenizer(tokenizer), eos: config.eos_token_id };
}

/** Text that grows a token at a time. `advance(settings)` feeds or draws one token; it ends by itself. */
export class Writer {
  /** `model`: what `loadModel` gives. Throws an Error with one line for a prompt that is empty or too long. */
  constructor({ gpt, tokenizer, eos }, promptText, { stop = [], maxTokens = 120 } = {}) {
    const prompt = tokenizer.encode(promptText);
    if (!prompt.length) throw new Error("The prompt must hold at least one token.");
    if (prompt.length > gpt.contextLength) throw new Error(`The prompt has ${prompt.length} tokens; at most ${gpt.contextLength} fit.`);
    gpt.reset();
    Object.assign(this, { gpt, tokenizer, eos, prompt, promptText, maxTokens });
    this.output = [];
    this.tokens = []; // {start, end, surprise, probability}: where each token's text stands in scanner.text
    this.scanner = new StopScanner(stop);
    this.logits = null; // of the next token, once the prompt is read
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
    const id = draw(cumulate(probs), uniform(s.seed, this.output.length + 1)), start = this.scanner.text.length;
    this.output.push(id);
    if (id === this.eos) return this.#end("the model ended its text");
    this.scanner.push(this.tokenizer.bytes(id));
    this.tokens.push({ start, end: this.scanner.text.length, surprise: -Math.log(own[id]), probability: probs[id] });
    if (this.scanner.found !== null) this.#end(`stopped before ${JSON.stringify(this.scanner.found)}`);
    else if (this.output.length >= this.maxTokens) this.#end("as many tokens as asked for");
    else if (this.gpt.length >= this.gpt.contextLength) this.#end(`the context of ${this.gpt.contextLength} tokens is full`);
    else this.logits = this.gpt.step(id);
  }

  #end(reason) {
    this.scanner.finish();
    this.reason = reason;
  }
}

const SLICE = 20; // milliseconds of work before the page may answer and paint
const lines = (text) => text.split("\n").map((line) => line.replaceAll("\\n", "\n")).filter(Boolean);

/**
 * The panel. `live`: `{src, bytes}` of the model's script. `now()`: the present settings. `show(position)`: draw
 * this position's distribution in the chart. Returns the panel's `node` and `dispose`.
 */
export function livePanel({ live, uid, now, show }) {
  let model = null, writer = null, running = false, spans = [], first = 0, gone = false;
  const field = (name, label, node) => {
    node.id = `${uid}-live-${name}`;
    return h("div", { class: `cw-field cw-field-${name}` }, h("label", { for: node.id }, label), node);
  };
  const button = (text) => h("button", { type: "button", class: "cw-button" }, text);
  const load = button(`Load the model (${(live.bytes / 1e6).toFixed(1)} MB)`);
  const status = h("p", { class: "cw-status", role: "status" });
  const prompt = h("textarea", { rows: 2, maxlength: 4000, spellcheck: "false" });
  prompt.value = "It was a dark night, and";
  const stop = h("textarea", { rows: 2, spellcheck: "false", placeholder: "\\n" });
  const count = h("input", { type: "number", min: 1, max: 255, value: 120 });
  const write = button("Write"), pause = button("Pause");
  const text = h("div", { class: "cw-text", tabindex: 0, role: "region", "aria-label": "Text written by the model" });
  const scale = h("p", { class: "cw-scale" }, "How much a token surprised the model: ", h("span", {}, "0"), h("i"), h("span", {}, "10 nats or more"));
  const desk = h("div", { hidden: true },
    field("prompt", "Prompt", prompt),
    h("div", { class: "cw-fields" }, field("stop", "Stop strings, one a line (\\n: line break)", stop), field("count", "Tokens", count)),
    h("div", { class: "cw-buttons" }, write, pause), text, scale);
  pause.disabled = true;

  load.addEventListener("click", async () => {
    load.disabled = true;
    status.textContent = "Loading the model…";
    try {
      model = await loadModel(live.src, node);
    } catch (error) {
      status.textContent = `Could not load the model: ${error.message}`;
      load.disabled = false;
      return;
    }
    load.hidden = true;
    desk.hidden = false;
    status.textContent = "The model is loaded. It runs in this page; nothing is sent anywhere.";
    prompt.focus();
  });

  /** Fill in what has been released since the last time; a released text is never taken back. */
  function paint() {
    const { scanner, tokens } = writer;
    for (let i = first; i < tokens.length; i++) {
      const { start, end, surprise, probability } = tokens[i];
      spans[i] ??= text.appendChild(h("span", {
        style: `--cw-surprise:${Math.min(surprise / 10, 1).toFixed(3)}`, title: `${nats(surprise)}; drawn with probability ${percent(probability)}`,
      }));
      spans[i].textContent = scanner.text.slice(start, Math.min(end, scanner.released));
      if (end <= scanner.released) first = i + 1;
    }
    while (writer.reason && spans.length && spans.at(-1).textContent === "") spans.pop().remove(); // a stop string's own
  }
  const present = () => {
    const { logits, prompt: before, output, promptText, scanner } = writer;
    if (logits) show({ logits, prompt_ids: before, output_ids: [...output], prompt: promptText, output: scanner.text });
  };
  function rest() { // paused or ended
    running = false;
    paint();
    present();
    const n = writer.tokens.length, mean = writer.tokens.reduce((sum, t) => sum + t.surprise, 0) / n;
    const said = n ? `${n} token${n > 1 ? "s" : ""}, perplexity ${short(Math.exp(mean))} to the model itself` : "nothing written";
    status.textContent = `${writer.reason ? `Ended: ${writer.reason}` : "Paused"}. ${said}.`;
    pause.textContent = writer.reason ? "Pause" : "Go on";
    pause.disabled = writer.reason !== null;
  }
  async function run() {
    const own = writer;
    let shown = 0;
    running = true;
    pause.textContent = "Pause";
    pause.disabled = false;
    status.textContent = "Writing…";
    while (running && own === writer && !own.reason && !gone) {
      const until = performance.now() + SLICE, s = now();
      do own.advance(s); while (!own.reason && performance.now() < until);
      paint();
      if (performance.now() - shown > 250) {
        present();
        shown = performance.now();
      }
      await new Promise((resolve) => setTimeout(resolve));
    }
    if (own === writer && own.reason && !gone) rest();
  }
  write.addEventListener("click", () => {
    try {
      const maxTokens = Math.min(255, Math.max(1, Math.round(Number(count.value)) || 1));
      writer = new Writer(model, prompt.value, { stop: lines(stop.value), maxTokens });
    } catch (error) {
      status.textContent = error.message;
      return;
    }
    [spans, first] = [[], 0];
    text.replaceChildren(h("span", { class: "cw-given" }, prompt.value));
    run();
  });
  pause.addEventListener("click", () => { if (running) rest(); else run(); });

  const node = h("div", { class: "cw-live", role: "group", "aria-labelledby": `${uid}-live` },
    h("p", { class: "cw-title", id: `${uid}-live` }, "Write with the course’s model, under the same sliders"), load, status, desk);
  return { node, dispose: () => { gone = true; } };
}
