// Text from tokens as they come, ending before a stop string wherever the tokens' borders fall.
// Repeats the StopScanner of utils/sampling/stops.py; a test holds the two equal.
import { tr } from "../shared/language.mjs";

// What is no whole character: a lone surrogate, and U+FFFD, which decoding shows for such bytes.
const HALF = /\p{Surrogate}|\ufffd/u;

export class StopScanner {
  #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #searched = 0; // how much of `text` has been searched

  /**
   * `stop`: strings that end the text. Text released is never taken back. Throws an Error with one
   * line for a string that would be found within a character.
   */
  constructor(stop = []) {
    if (stop.some((string) => HALF.test(string))) {
      throw new Error(
        tr("A stop string must not hold half a character (U+FFFD or a lone surrogate)."),
      );
    }
    this.stop = stop;
    this.text = ""; // decoded so far, cut at the stop string once there is one
    this.released = 0; // how much of `text` can no longer become part of a stop string
    this.found = null; // the stop string that ended the text
  }

  /**
   * Take a token's bytes; return the text that they release. A character comes once its last byte
   * is there.
   */
  push(bytes) {
    this.text += this.#decoder.decode(bytes, { stream: true });
    const hit = this.#firstHit();
    if (hit !== null) {
      this.found = hit.string;
      this.text = this.text.slice(0, hit.start);
      return this.#release(hit.start);
    }
    this.#searched = this.text.length;
    return this.#release(this.text.length - this.#held());
  }

  /** No more tokens: return what was held back. */
  finish() {
    if (this.found === null) this.text += this.#decoder.decode();
    return this.#release(this.text.length);
  }

  /**
   * The stop string that ends first, whatever the tokens' borders; of two that end together, the
   * longer.
   */
  #firstHit() {
    let first = null;
    for (const string of this.stop) {
      const from = Math.max(this.#searched - string.length + 1, 0); // it may have begun before
      const start = this.text.indexOf(string, from);
      if (start < 0) continue;
      const hit = { string, start, end: start + string.length };
      const earlier = first === null || hit.end < first.end;
      const longer = hit.end === first?.end && string.length > first.string.length;
      if (earlier || longer) first = hit;
    }
    return first;
  }

  /** How much of the text's end may be the beginning of a stop string. */
  #held() {
    const longest = Math.max(0, ...this.stop.map((string) => string.length - 1));
    let held = Math.min(longest, this.text.length);
    while (held > 0) {
      const tail = this.text.slice(-held);
      if (this.stop.some((string) => string.startsWith(tail))) break;
      held--;
    }
    return held;
  }

  #release(end) {
    const text = this.text.slice(this.released, end);
    this.released = Math.max(this.released, end);
    return text;
  }
}
