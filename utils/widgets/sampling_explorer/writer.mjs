// Text that the course's model writes in the reader's own page, token by token.
import { tr } from "../shared/language.mjs";
import { cumulate, decode, draw, uniform } from "./decoding.mjs";
import { StopScanner } from "./stop_scanner.mjs";

/**
 * Text that grows one token at a time. `advance(settings)` feeds or draws one token; it ends by
 * itself.
 */
export class Writer {
  /**
   * `model`: what `modelLoader` gives. Throws an Error with one line for a prompt that is empty, too
   * long or holds half a character, and for a stop string that does.
   */
  constructor({ gpt, tokenizer, eos }, promptText, { stop = [], maxTokens = 120 } = {}) {
    if (/\p{Surrogate}/u.test(promptText)) {
      throw new Error(tr("The prompt must not hold half a character (a lone surrogate)."));
    }
    const prompt = tokenizer.encode(promptText);
    if (prompt.length === 0) throw new Error(tr("The prompt must hold at least one token."));
    if (prompt.length > gpt.contextLength) {
      throw new Error(tr("The prompt has {count} tokens; at most {most} fit.", {
        count: prompt.length,
        most: gpt.contextLength,
      }));
    }
    this.scanner = new StopScanner(stop);
    gpt.reset();
    this.gpt = gpt;
    this.tokenizer = tokenizer;
    this.eos = eos;
    this.prompt = prompt;
    this.promptText = promptText;
    this.maxTokens = maxTokens;
    this.output = []; // ids
    // {start, end, surprise, probability}: where each token's text stands in scanner.text.
    this.tokens = [];
    this.logits = null; // of the next token, once the prompt is read
    // How much of the output the model has read; only a full context keeps the last token out.
    this.fed = 0;
    this.reason = null; // why the text has ended
  }

  advance(s) {
    if (this.reason) return;
    if (this.gpt.length < this.prompt.length) this.#readPrompt();
    else this.#write(s);
  }

  /** Feeds one token of the prompt; only its last one needs logits. */
  #readPrompt() {
    const n = this.gpt.length;
    const isLast = n === this.prompt.length - 1;
    this.logits = this.gpt.step(this.prompt[n], isLast);
  }

  /** Draws one token under the settings `s`. */
  #write(s) {
    const { probs, own } = decode(this.logits, this.prompt, this.output, s);
    const id = draw(cumulate(probs), uniform(s.seed, this.output.length + 1));
    const start = this.scanner.text.length;
    this.output.push(id);

    const full = this.gpt.length >= this.gpt.contextLength;
    if (!full) { // even where the text ends here, so that the chart can show what would come next
      this.logits = this.gpt.step(id);
      this.fed = this.output.length;
    }
    if (id === this.eos) {
      this.#end(tr("the model ended its text"));
      return;
    }
    this.scanner.push(this.tokenizer.bytes(id));
    this.tokens.push({
      start,
      end: this.scanner.text.length,
      surprise: -Math.log(own[id]),
      probability: probs[id],
    });
    if (this.scanner.found !== null) {
      const found = JSON.stringify(this.scanner.found);
      this.#end(tr("stopped before {found}", { found }));
    } else if (this.output.length >= this.maxTokens) {
      this.#end(tr("as many tokens as asked for"));
    } else if (full) {
      this.#end(tr("the context of {count} tokens is full", { count: this.gpt.contextLength }));
    }
  }

  /**
   * What the chart shows: the logits, and the ids and the text that they follow, which a stop
   * string does not cut.
   */
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
    if (this.scanner.found === null && this.tokens.length > 0) {
      this.tokens.at(-1).end = this.scanner.text.length; // half a character
    }
    this.reason = reason;
  }
}
