// Text from tokens as they come, ending before a stop string wherever the tokens' borders fall. Repeats the
// StopScanner of utils/generation.py.

export class StopScanner {
  #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #searched = 0;

  /** `stop`: strings that end the text. Text released is never taken back. */
  constructor(stop = []) {
    this.stop = stop;
    this.text = ""; // decoded so far, cut at the stop string once there is one
    this.released = 0; // how much of `text` can no longer become part of a stop string
    this.found = null;
  }

  /** Take a token's bytes; return the text that they release. A character comes once its last byte is there. */
  push(bytes) {
    this.text += this.#decoder.decode(bytes, { stream: true });
    const hits = this.stop.map((
      s,
    ) => [this.text.indexOf(s, Math.max(this.#searched - s.length + 1, 0)), s]).filter(([at]) =>
      at >= 0
    );
    if (hits.length) { // the one that ends first, whatever the tokens' borders; of two that end together, the longer
      const ends = ([at, s]) => at + s.length;
      const [at, s] = hits.reduce((a, b) =>
        (ends(b) - ends(a) || a[1].length - b[1].length) < 0 ? b : a
      );
      this.found = s;
      this.text = this.text.slice(0, at);
      return this.#release(at);
    }
    this.#searched = this.text.length;
    let held = Math.min(Math.max(0, ...this.stop.map((s) => s.length - 1)), this.text.length);
    while (held > 0 && !this.stop.some((s) => s.startsWith(this.text.slice(-held)))) held--;
    return this.#release(this.text.length - held);
  }

  /** No more tokens: return what was held back. */
  finish() {
    if (this.found === null) this.text += this.#decoder.decode();
    return this.#release(this.text.length);
  }

  #release(end) {
    const text = this.text.slice(this.released, end);
    this.released = Math.max(this.released, end);
    return text;
  }
}
