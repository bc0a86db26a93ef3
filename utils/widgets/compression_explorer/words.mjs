// Sizes, qualities and sentences as the compression explorer says them.
import { PROMPT } from "course:widgets/compression_explorer/settings";
import { whole } from "../shared/numbers.mjs";
import { differenceOf, pointOf, qualityOf, winnerOver } from "./points.mjs";

export const COMPRESSION_WORDS = {
  view: "Show",
  views: { map: "the map of sizes", text: "a text in bits" },
  bits: "Bits",
  bitsOf: (bits) => bits === 16 ? "16 (float16)" : `${bits} per weight`,
  sparsity: "Zeros",
  sparsityOf: (share) => `${Math.round(100 * share)}\u00a0% of the weights`,
  granularity: "Scales",
  granularities: {
    tensor: "one per matrix",
    channel: "one per row",
    group: "one per 64 weights",
  },
  text: "Text",
  token: "Read up to",
  tokenOf: (token, count) => `token ${token} of ${count}`,
  reset: "Reset all",
  sample: "How this model goes on",
};

export const MAP_WORDS = {
  prompt: PROMPT,
  up: "bits per byte",
  across: "size in MB",
  tables: { unigram: "a table of how common each token is", books: "a four-gram of its books" },
  picture: (count) =>
    `${count} ways of storing the course model, by their size in bytes and their bits per byte ` +
    "on held-out books. The sliders choose one of them.",
  keys: {
    unbeaten: "nothing is smaller and better",
    tensor: "one scale per matrix",
    channel: "per row",
    group: "per 64 weights",
  },
  note:
    "Tap a mark or move the sliders. The embedding has 8 bits, in float16 models 16. Zeros are " +
    "the smallest weights of each matrix, and nothing was trained afterwards. Each matrix is " +
    "stored in the smaller of two ways: all codes, or a bit per weight and the codes that are " +
    "not zero.",
};

export const RACERS = {
  model: "the course model",
  books: "a four-gram of its books",
  learning: "a four-gram that learns here",
  unigram: "how common each token is",
  deflate: "deflate, the whole text",
};

export const RIBBON_WORDS = {
  race: "Bytes that each needs for what has been read",
  columns: ["Who", "Bytes", "Bits per byte"],
  note: "The darker a token, the more bits it costs the model. What the model and the tables " +
    "weigh themselves is not counted (6 MB for the model); deflate and the four-gram that learns " +
    "here bring nothing, or next to nothing, along.",
  noDeflate: "This browser has no deflate, so that row is missing.",
};

/** What is said about the reader's own text. */
export const OWN_BITS = {
  title: "Your own text, read by the course’s model",
  name: "your own text",
  label: "Your text",
  submit: "Read",
  first:
    "The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog.",
  empty: "There is nothing to read yet.",
  reading: (done, count) => `Read ${done} of ${count} tokens…`,
  read: (count, all) =>
    count === all
      ? `Read: ${count} tokens.`
      : `Read: the first ${count} of ${all} tokens, as many as the model can look back on.`,
};

/** Bytes as megabytes, without a unit. */
export const megabytesOf = (bytes) => String(Number((bytes / 1e6).toPrecision(3)));

const rate = (value) => value.toFixed(2);

/** A token in quotation marks, its line breaks made visible. */
export const quoted = (token) => `“${token.replaceAll("\n", "↵").trim() || "␣"}”`;

/** How a model of the map is stored, in a few words. */
export function formOf({ bits, sparsity, granularity }) {
  const scales = COMPRESSION_WORDS.granularities[granularity];
  const zeros = sparsity > 0 ? `${Math.round(100 * sparsity)}\u00a0% zeros` : "no zeros";
  if (bits === 16) return `float16, ${zeros}`;
  return `${bits} bits, ${zeros}, ${scales.replace("one", "a scale")}`;
}

/** What the map shows, as sentences. */
export function mapSentences(points, s, tables) {
  const point = pointOf(points, s);
  const original = pointOf(points, { bits: 16, sparsity: 0 });
  const share = Math.round((100 * point.n_bytes) / original.n_bytes);
  const size = `${megabytesOf(point.n_bytes)} MB`;
  const said = [];
  if (point === original) {
    said.push(
      `The course model in float16: ${size}, and ${rate(qualityOf(point))} bits per byte on ` +
        "eight held-out books.",
    );
  } else {
    const { mean, se } = differenceOf(point.bits_per_byte, original.bits_per_byte);
    const sign = mean < 0 ? "−" : "+";
    said.push(
      `${formOf(point)}: ${size}, ${share}\u00a0% of float16’s, and ${rate(qualityOf(point))} ` +
        `bits per byte (${sign}${Math.abs(mean).toFixed(3)} ± ${se.toFixed(3)}, the standard ` +
        "error over eight held-out books).",
    );
  }
  const winner = winnerOver(points, point);
  if (winner === null) said.push("Nothing on this map is both smaller and better.");
  else {
    said.push(
      `Smaller or equal, and no worse on these books: ${formOf(winner)}, ${
        megabytesOf(winner.n_bytes)
      } MB with ` +
        `${rate(qualityOf(winner))} bits per byte.`,
    );
  }
  if (qualityOf(point) > tables.unigram) {
    said.push("A table of how common each token is would do better than this model.");
  } else if (qualityOf(point) > tables.books) {
    said.push("A four-gram of the model’s own books would do better.");
  }
  return said;
}

/** What the text shows, as sentences. `totals`: bytes by who needs them; `read`: bytes of text. */
export function textSentences(text, count, totals, read) {
  const bits = text.model[count - 1];
  const chance = 100 * 2 ** -bits;
  const shown = chance < 0.01 ? "less than 0.01" : Number(chance.toPrecision(2));
  const said = [
    `${quoted(text.tokens[count - 1])} costs the model ${bits.toFixed(1)} bits: it gave this ` +
    `token a probability of ${shown}\u00a0%.`,
  ];
  const ends = count === text.tokens.length;
  const what = ends ? "The whole text" : `So far the text`;
  said.push(
    `${what} of ${whole(read)} bytes costs it ${totals.model.toFixed(0)} bytes, ` +
      `${rate((8 * totals.model) / read)} bits per byte.`,
  );
  if (ends) said.push(`${leaderOf(totals)}.`);
  return said;
}

/** Who needs the fewest bytes, and what the model and deflate need. */
function leaderOf(totals) {
  const names = Object.keys(totals);
  const first = names.reduce((a, b) => (totals[b] < totals[a] ? b : a));
  const named = (name) =>
    `${RACERS[name].replace(", the whole text", "")} (${totals[name].toFixed(0)})`;
  const others = ["model", "deflate"].filter((name) =>
    name !== first && totals[name] !== undefined
  );
  const rest = others.map(named).join(" and ");
  return `The fewest bytes go to ${named(first)}${rest && `, ahead of ${rest}`}`;
}

/** A text for the page: what no font can show becomes a dot. */
export const printable = (text) =>
  [...text].map((character) => {
    const code = character.codePointAt(0);
    const hidden = (code < 32 && character !== "\n") || code === 127 || code === 0xfffd;
    return hidden ? "·" : character;
  }).join("");
