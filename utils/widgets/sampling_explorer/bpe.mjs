// The course's tokenizer: byte-level BPE, exactly as the `tokenizers` library encodes and decodes
// it.

/**
 * GPT-2's table (Radford et al. 2019): a printable character for each byte, so that merges are made
 * of text.
 */
function byteCharacters() {
  const printable = (byte) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  const characters = [];
  let next = 256; // the others are numbered from here
  for (let byte = 0; byte < 256; byte++) {
    if (printable(byte)) {
      characters.push(String.fromCodePoint(byte));
    } else {
      characters.push(String.fromCodePoint(next));
      next++;
    }
  }
  return characters;
}

// GPT-2's split. White space is named by its Unicode property, because JavaScript's \s takes U+FEFF
// and leaves U+0085.
const SPACE = "\\p{White_Space}";
const WORDS = new RegExp(
  [
    "'(?:[sdmt]|ll|ve|re)", // the end of a contraction
    " ?\\p{L}+", // letters, with the space before them
    " ?\\p{N}+", // digits
    ` ?[^${SPACE}\\p{L}\\p{N}]+`, // signs
    `${SPACE}+(?![^${SPACE}])`, // spaces, but not the one that belongs to the next word
    `${SPACE}+`,
  ].join("|"),
  "gu",
);

/** A heap of numbers: `push` one, `pop` the smallest. */
class Heap {
  #items = [];

  get size() {
    return this.#items.length;
  }

  push(x) {
    const items = this.#items;
    let i = items.length;
    while (i > 0) { // larger ones above move down
      const up = (i - 1) >> 1;
      if (items[up] <= x) break;
      items[i] = items[up];
      i = up;
    }
    items[i] = x;
  }

  pop() {
    const items = this.#items;
    const least = items[0];
    const x = items.pop(); // looks for its place from the top
    let i = 0;
    while (2 * i + 1 < items.length) { // smaller ones below move up
      let down = 2 * i + 1;
      if (down + 1 < items.length && items[down + 1] < items[down]) down++;
      if (items[down] >= x) break;
      items[i] = items[down];
      i = down;
    }
    if (items.length > 0) items[i] = x;
    return least;
  }
}

/**
 * Joins the pair of neighbours of lowest rank, of equal ones the leftmost, until none has a rank: n
 * log n steps for n parts. `ranks`: by pair, written "left right".
 */
function merge(parts, ranks) {
  const n = parts.length;
  const next = Int32Array.from(parts, (_, i) => i + 1); // each part's neighbours
  const previous = Int32Array.from(parts, (_, i) => i - 1);
  const rankAt = (i) => ranks.get(`${parts[i]} ${parts[next[i]]}`);

  // A pair waits as one number, so that the heap sorts by rank and then by place.
  const waiting = new Heap();
  const offer = (i) => {
    if (i < 0 || next[i] >= n) return;
    const rank = rankAt(i);
    if (rank !== undefined) waiting.push(rank * n + i);
  };
  for (let i = 0; i < n; i++) offer(i);

  while (waiting.size > 0) {
    const item = waiting.pop();
    const i = item % n;
    const j = next[i];
    const stale = parts[i] === null || j >= n || rankAt(i) * n + i !== item;
    if (stale) continue; // one of the two has been joined since
    parts[i] += parts[j];
    parts[j] = null;
    next[i] = next[j];
    if (next[i] < n) previous[next[i]] = i;
    offer(previous[i]);
    offer(i);
  }
  return parts.filter((part) => part !== null);
}

const CACHED_LENGTH = 40; // longer words do not come again
const CACHED_WORDS = 5000;

export class Tokenizer {
  #tokens; // by id, in byte characters
  #ids; // by token
  #ranks; // of merges, by "left right"
  #special; // ids of special tokens, by text
  #characters = byteCharacters(); // by byte
  #bytes; // by character
  #cache = new Map(); // ids by word

  /**
   * `tokens`: the vocabulary by id, in byte characters; `merges`: "left right", first to last;
   * `special`: text to id.
   */
  constructor({ tokens, merges, special }) {
    this.#tokens = tokens;
    this.#ids = new Map(tokens.map((token, id) => [token, id]));
    this.#ranks = new Map(merges.map((pair, rank) => [pair, rank]));
    this.#special = special;
    this.#bytes = new Map(this.#characters.map((character, byte) => [character, byte]));
  }

  get size() {
    return this.#tokens.length;
  }

  /** The ids of `text`. */
  encode(text) {
    const ids = [];
    for (const part of this.#split(text)) {
      if (Object.hasOwn(this.#special, part)) {
        ids.push(this.#special[part]);
        continue;
      }
      for (const [word] of part.matchAll(WORDS)) {
        // One by one: a word of many thousand tokens is too much for one call's arguments.
        for (const id of this.#word(word)) ids.push(id);
      }
    }
    return ids;
  }

  /** The bytes that token `id` stands for; none for a special token. */
  bytes(id) {
    const token = this.#tokens[id];
    if (Object.hasOwn(this.#special, token)) return new Uint8Array(0);
    return Uint8Array.from(token, (character) => this.#bytes.get(character));
  }

  /** The text of `ids`; with `special`, special tokens by their names. */
  decode(ids, special = false) {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    let text = "";
    for (const id of ids) {
      const token = this.#tokens[id];
      const named = special && Object.hasOwn(this.#special, token);
      text += named ? token : decoder.decode(this.bytes(id), { stream: true });
    }
    return text + decoder.decode(); // what is left of half a character
  }

  /** The text cut at special tokens, which are kept as parts of their own. */
  #split(text) {
    let parts = [text];
    for (const special of Object.keys(this.#special)) {
      parts = parts.flatMap((part) => {
        const pieces = part.split(special);
        return pieces.flatMap((piece, i) => (i === 0 ? [piece] : [special, piece]));
      });
    }
    return parts;
  }

  #word(word) {
    const known = this.#cache.get(word);
    if (known) return known;
    const bytes = new TextEncoder().encode(word);
    const characters = Array.from(bytes, (byte) => this.#characters[byte]);
    const ids = merge(characters, this.#ranks).map((part) => this.#ids.get(part));
    if (word.length < CACHED_LENGTH && this.#cache.size < CACHED_WORDS) this.#cache.set(word, ids);
    return ids;
  }
}
