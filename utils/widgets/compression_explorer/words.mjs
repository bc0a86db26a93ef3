// Sizes, qualities and sentences as the compression explorer says them.
import { PROMPT } from "course:widgets/compression_explorer/settings";
import { tr } from "../shared/language.mjs";
import { whole } from "../shared/numbers.mjs";
import { differenceOf, pointOf, qualityOf, winnerOver } from "./points.mjs";

export const COMPRESSION_WORDS = {
  view: tr("Show"),
  views: { map: tr("the map of sizes"), text: tr("a text in bits") },
  bits: tr("Bits"),
  bitsOf: (bits) => bits === 16 ? "16 (float16)" : tr("{bits} per weight", { bits }),
  sparsity: tr("Zeros"),
  sparsityOf: (share) => tr("{share}\u00a0% of the weights", { share: Math.round(100 * share) }),
  granularity: tr("Scales"),
  granularities: {
    tensor: tr("one per matrix"),
    channel: tr("one per row"),
    group: tr("one per 64 weights"),
  },
  text: tr("Text"),
  token: tr("Read up to"),
  tokenOf: (token, count) => tr("token {token} of {count}", { token, count }),
  reset: tr("Reset all"),
  sample: tr("How this model goes on"),
};

export const MAP_WORDS = {
  prompt: PROMPT,
  up: tr("bits per byte"),
  across: tr("size in MB"),
  tables: {
    unigram: tr("a table of how common each token is"),
    books: tr("a four-gram of its books"),
  },
  picture: (count) =>
    tr(
      "{count} ways of storing the course model, by their size in bytes and their bits per byte " +
        "on held-out books. The sliders choose one of them.",
      { count },
    ),
  keys: {
    unbeaten: tr("nothing is smaller and better"),
    tensor: tr("one scale per matrix"),
    channel: tr("per row"),
    group: tr("per 64 weights"),
  },
  note: tr(
    "Tap a mark or move the sliders. The embedding has 8 bits, in float16 models 16. Zeros are " +
      "the smallest weights of each matrix, and nothing was trained afterwards. Each matrix is " +
      "stored in the smaller of two ways: all codes, or a bit per weight and the codes that are " +
      "not zero.",
  ),
};

export const RACERS = {
  model: tr("the course model"),
  books: tr("a four-gram of its books"),
  learning: tr("a four-gram that learns here"),
  unigram: tr("how common each token is"),
  deflate: tr("deflate, the whole text"),
};

export const RIBBON_WORDS = {
  race: tr("Bytes that each needs for what has been read"),
  columns: [tr("Who"), tr("Bytes"), tr("Bits per byte")],
  note: tr(
    "The darker a token, the more bits it costs the model. What the model and the tables weigh " +
      "themselves is not counted (6 MB for the model); deflate and the four-gram that learns " +
      "here bring nothing, or next to nothing, along.",
  ),
  noDeflate: tr("This browser has no deflate, so that row is missing."),
};

/** What is said about the reader's own text. */
export const OWN_BITS = {
  title: tr("Your own text, read by the course’s model"),
  name: tr("your own text"),
  label: tr("Your text"),
  submit: tr("Read"),
  first:
    "The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog.",
  empty: tr("There is nothing to read yet."),
  reading: (done, count) => tr("Read {done} of {count} tokens…", { done, count }),
  read: (count, all) =>
    count === all
      ? tr("Read: {count} tokens.", { count })
      : tr("Read: the first {count} of {all} tokens, as many as the model can look back on.", {
        count,
        all,
      }),
};

/** Bytes as megabytes, without a unit. */
export const megabytesOf = (bytes) => String(Number((bytes / 1e6).toPrecision(3)));

const rate = (value) => value.toFixed(2);

/** A token in quotation marks, its line breaks made visible. */
export const quoted = (token) =>
  tr("“{word}”", { word: token.replaceAll("\n", "↵").trim() || "␣" });

const SCALES = {
  tensor: tr("a scale per matrix"),
  channel: tr("a scale per row"),
  group: tr("a scale per 64 weights"),
};

/** How a model of the map is stored, in a few words. */
export function formOf({ bits, sparsity, granularity }) {
  const share = Math.round(100 * sparsity);
  const zeros = sparsity > 0 ? tr("{share}\u00a0% zeros", { share }) : tr("no zeros");
  if (bits === 16) return `float16, ${zeros}`;
  return tr("{bits} bits, {zeros}, {scales}", { bits, zeros, scales: SCALES[granularity] });
}

/** What the map shows, as sentences. */
export function mapSentences(points, s, tables) {
  const point = pointOf(points, s);
  const original = pointOf(points, { bits: 16, sparsity: 0 });
  const share = Math.round((100 * point.n_bytes) / original.n_bytes);
  const size = `${megabytesOf(point.n_bytes)} MB`;
  const said = [];
  if (point === original) {
    said.push(tr(
      "The course model in float16: {size}, and {rate} bits per byte on eight held-out books.",
      { size, rate: rate(qualityOf(point)) },
    ));
  } else {
    const { mean, se } = differenceOf(point.bits_per_byte, original.bits_per_byte);
    const sign = mean < 0 ? "−" : "+";
    said.push(tr(
      "{form}: {size}, {share}\u00a0% of float16’s, and {rate} bits per byte ({difference} ± {error}, " +
        "the standard error over eight held-out books).",
      {
        form: formOf(point),
        size,
        share,
        rate: rate(qualityOf(point)),
        difference: `${sign}${Math.abs(mean).toFixed(3)}`,
        error: se.toFixed(3),
      },
    ));
  }
  const winner = winnerOver(points, point);
  if (winner === null) said.push(tr("Nothing on this map is both smaller and better."));
  else {
    said.push(tr(
      "Smaller or equal, and no worse on these books: {form}, {size} MB with {rate} bits per byte.",
      {
        form: formOf(winner),
        size: megabytesOf(winner.n_bytes),
        rate: rate(qualityOf(winner)),
      },
    ));
  }
  if (qualityOf(point) > tables.unigram) {
    said.push(tr("A table of how common each token is would do better than this model."));
  } else if (qualityOf(point) > tables.books) {
    said.push(tr("A four-gram of the model’s own books would do better."));
  }
  return said;
}

/** What the text shows, as sentences. `totals`: bytes by who needs them; `read`: bytes of text. */
export function textSentences(text, count, totals, read) {
  const bits = text.model[count - 1];
  const chance = 100 * 2 ** -bits;
  const shown = chance < 0.01 ? tr("less than 0.01") : Number(chance.toPrecision(2));
  const said = [tr(
    "{token} costs the model {bits} bits: it gave this token a probability of {chance}\u00a0%.",
    { token: quoted(text.tokens[count - 1]), bits: bits.toFixed(1), chance: shown },
  )];
  const ends = count === text.tokens.length;
  const sizes = {
    read: whole(read),
    bytes: totals.model.toFixed(0),
    rate: rate((8 * totals.model) / read),
  };
  said.push(
    ends
      ? tr("The whole text of {read} bytes costs it {bytes} bytes, {rate} bits per byte.", sizes)
      : tr("So far the text of {read} bytes costs it {bytes} bytes, {rate} bits per byte.", sizes),
  );
  if (ends) said.push(leaderSentence(totals));
  return said;
}

/** Who needs the fewest bytes, and what the model and deflate need. */
function leaderSentence(totals) {
  const names = Object.keys(totals);
  const first = names.reduce((a, b) => (totals[b] < totals[a] ? b : a));
  const named = (name) => {
    const who = name === "deflate" ? "deflate" : RACERS[name];
    return `${who} (${totals[name].toFixed(0)})`;
  };
  const others = ["model", "deflate"].filter((name) =>
    name !== first && totals[name] !== undefined
  );
  const rest = others.map(named).join(tr(" and "));
  if (rest === "") return tr("The fewest bytes go to {first}.", { first: named(first) });
  return tr("The fewest bytes go to {first}, ahead of {rest}.", { first: named(first), rest });
}

/** A text for the page: what no font can show becomes a dot. */
export const printable = (text) =>
  [...text].map((character) => {
    const code = character.codePointAt(0);
    const hidden = (code < 32 && character !== "\n") || code === 127 || code === 0xfffd;
    return hidden ? "·" : character;
  }).join("");
