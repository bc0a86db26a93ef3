// The course's tokenizer: byte-level BPE, exactly as the `tokenizers` library encodes and decodes it.

/** GPT-2's table (Radford et al. 2019): a printable character for each byte, so that merges are made of text. */
function byteCharacters() {
  const printable = (b) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(printable(b) ? b : next++));
}

// GPT-2's split. White space is named by its Unicode property, because JavaScript's \s takes U+FEFF and leaves U+0085.
const SPACE = "\\p{White_Space}";
const WORDS = new RegExp(
  `'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^${SPACE}\\p{L}\\p{N}]+|${SPACE}+(?![^${SPACE}])|${SPACE}+`, "gu",
);

export class Tokenizer {
  #ids; #tokens; #ranks; #special; #cache = new Map(); #characters = byteCharacters(); #bytes;

  /** `tokens`: the vocabulary by id, in byte characters; `merges`: "left right", first to last; `special`: text to id. */
  constructor({ tokens, merges, special }) {
    this.#tokens = tokens;
    this.#ids = new Map(tokens.map((token, id) => [token, id]));
    this.#ranks = new Map(merges.map((pair, rank) => [pair, rank]));
    this.#special = special;
    this.#bytes = new Map(this.#characters.map((character, byte) => [character, byte]));
  }

  get size() { return this.#tokens.length; }

  /** The ids of `text`. */
  encode(text) {
    const ids = [];
    for (const part of this.#split(text)) {
      if (Object.hasOwn(this.#special, part)) ids.push(this.#special[part]);
      else for (const [word] of part.matchAll(WORDS)) ids.push(...this.#word(word));
    }
    return ids;
  }

  /** The bytes that token `id` stands for; none for a special token. */
  bytes(id) {
    const token = this.#tokens[id];
    if (Object.hasOwn(this.#special, token)) return new Uint8Array(0);
    return Uint8Array.from(token, (character) => this.#bytes.get(character));
  }

  decode(ids) {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return ids.map((id) => decoder.decode(this.bytes(id), { stream: true })).join("") + decoder.decode();
  }

  /** The text cut at special tokens, which are kept as parts of their own. */
  #split(text) {
    let parts = [text];
    for (const special of Object.keys(this.#special))
      parts = parts.flatMap((part) => part.split(special).flatMap((piece, i) => (i ? [special, piece] : [piece])));
    return parts;
  }

  #word(word) {
    if (this.#cache.has(word)) return this.#cache.get(word);
    let parts = Array.from(new TextEncoder().encode(word), (byte) => this.#characters[byte]);
    for (;;) {
      let best = Infinity, at = -1;
      for (let i = 0; i + 1 < parts.length; i++) {
        const rank = this.#ranks.get(`${parts[i]} ${parts[i + 1]}`);
        if (rank < best) [best, at] = [rank, i];
      }
      if (at < 0) break;
      parts.splice(at, 2, parts[at] + parts[at + 1]);
    }
    const ids = parts.map((part) => this.#ids.get(part));
    if (word.length < 40 && this.#cache.size < 5000) this.#cache.set(word, ids);
    return ids;
  }
}
