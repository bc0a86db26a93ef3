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
  `'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^${SPACE}\\p{L}\\p{N}]+|${SPACE}+(?![^${SPACE}])|${SPACE}+`,
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
    for (let up; i > 0 && items[up = (i - 1) >> 1] > x; i = up) items[i] = items[up];
    items[i] = x;
  }
  pop() {
    const items = this.#items, least = items[0], x = items.pop();
    let i = 0;
    for (let down; (down = 2 * i + 1) < items.length; i = down) {
      if (down + 1 < items.length && items[down + 1] < items[down]) down++;
      if (items[down] >= x) break;
      items[i] = items[down];
    }
    if (items.length) items[i] = x;
    return least;
  }
}

/** Join the pair of neighbours of lowest rank, of equal ones the leftmost, until none has a rank: n log n for n parts. */
function merge(parts, ranks) {
  const n = parts.length,
    heap = new Heap(),
    rank = (i) => ranks.get(`${parts[i]} ${parts[next[i]]}`);
  const next = Int32Array.from(parts, (_, i) => i + 1),
    previous = Int32Array.from(parts, (_, i) => i - 1);
  const offer = (i) => {
    if (i >= 0 && next[i] < n && rank(i) !== undefined) heap.push(rank(i) * n + i);
  };
  for (let i = 0; i < n; i++) offer(i);
  while (heap.size) {
    const item = heap.pop(), i = item % n, j = next[i];
    if (parts[i] === null || j >= n || rank(i) * n + i !== item) continue; // one of the two has been joined since
    parts[i] += parts[j];
    parts[j] = null;
    next[i] = next[j];
    if (next[i] < n) previous[next[i]] = i;
    offer(previous[i]);
    offer(i);
  }
  return parts.filter((part) => part !== null);
}

export class Tokenizer {
  #ids;
  #tokens;
  #ranks;
  #special;
  #cache = new Map();
  #characters = byteCharacters();
  #bytes;

  /** `tokens`: the vocabulary by id, in byte characters; `merges`: "left right", first to last; `special`: text to id. */
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

  /** The text of `ids`; with `special`, special tokens by their names. */
  decode(ids, special = false) {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const named = (id) => special && Object.hasOwn(this.#special, this.#tokens[id]);
    return ids.map((
      id,
    ) => (named(id) ? this.#tokens[id] : decoder.decode(this.bytes(id), { stream: true }))).join(
      "",
    ) + decoder.decode();
  }

  /** The text cut at special tokens, which are kept as parts of their own. */
  #split(text) {
    let parts = [text];
    for (const special of Object.keys(this.#special)) {
      parts = parts.flatMap((part) =>
        part.split(special).flatMap((piece, i) => (i ? [special, piece] : [piece]))
      );
    }
    return parts;
  }

  #word(word) {
    if (this.#cache.has(word)) return this.#cache.get(word);
    const parts = merge(
      Array.from(new TextEncoder().encode(word), (byte) => this.#characters[byte]),
      this.#ranks,
    );
    const ids = parts.map((part) => this.#ids.get(part));
    if (word.length < 40 && this.#cache.size < 5000) this.#cache.set(word, ids);
    return ids;
  }
}
