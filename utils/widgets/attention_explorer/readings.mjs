// What a model made of a text: the shares of attention, and the probabilities of the next word. The
// copying model runs here; the course model was recorded, and runs here too once it is loaded. Pure
// functions, no page.
import { COPYING_MODEL } from "course:widgets/attention_explorer/settings";
import { bytesOf } from "../shared/base64.mjs";
import { LiveGPT, readSafetensors } from "../sampling_explorer/live_gpt.mjs";

// A reading is `{ tokens, present, layers, heads, shares, next }`: the texts of all tokens; the
// places, from 0, of those that were read; `shares[layer][head][i]`, the shares that the i-th of
// them gives to itself and those before it; `next`, a list of `{ text, p }`, the likeliest first.

const likeliestFirst = (next) => next.sort((a, b) => b.p - a.p);

/** All places but the one that is removed, counted from 1; 0 removes none. */
function presentPlaces(count, removed) {
  const places = Array.from({ length: count }, (_, i) => i);
  return places.filter((place) => place !== removed - 1);
}

// ---- A model in this page

function softmax(logits) {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const powers = Array.from(logits, (z) => Math.exp(z - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

/**
 * What a model in this page makes of the token `ids` without the place `removed`. `texts`: of every
 * token of the vocabulary.
 */
export function readLive(gpt, texts, ids, removed) {
  const layers = gpt.blocks.length;
  const heads = gpt.sizes.n_head;
  const present = presentPlaces(ids.length, removed);
  const shares = Array.from({ length: layers }, () => Array.from({ length: heads }, () => []));
  gpt.reset();
  let logits;
  for (const place of present) {
    gpt.seen = [];
    logits = gpt.step(ids[place]);
    gpt.seen.forEach((row, i) => shares[Math.floor(i / heads)][i % heads].push([...row]));
  }
  const next = likeliestFirst(softmax(logits).map((p, id) => ({ text: texts[id], p })));
  return { tokens: ids.map((id) => texts[id]), present, layers, heads, shares, next };
}

let copying = null; // made when first used

/** What the copying model makes of the token `ids` without the place `removed`. */
export function readCopying(ids, removed) {
  const { config, words, weights } = COPYING_MODEL;
  copying ??= new LiveGPT(config, readSafetensors(bytesOf(weights).buffer).tensors);
  return readLive(copying, words, ids, removed);
}

// ---- The course model, recorded

/**
 * What was recorded of the course model after a prompt without the place `removed`. `next` holds
 * the tokens that were among the likeliest in some reading of the prompt.
 */
export function readRecorded({ layers, heads }, prompt, removed) {
  const present = presentPlaces(prompt.tokens.length, removed);
  const { shares: packed, p } = prompt.readings[removed];
  const steps = bytesOf(packed);
  let i = 0; // in the steps: layer by layer, head by head, row after row
  const shares = Array.from(
    { length: layers },
    () =>
      Array.from({ length: heads }, () =>
        present.map((_, row) => {
          const cells = [...steps.subarray(i, i + row + 1)];
          i += row + 1;
          const sum = cells.reduce((a, b) => a + b);
          return cells.map((cell) => cell / sum);
        })),
  );
  const next = prompt.candidates.map((text, k) => ({ text, p: p[k] }));
  return { tokens: prompt.tokens, present, layers, heads, shares, next: likeliestFirst(next) };
}

// ---- What the explorer shows of a reading

/**
 * The readings of what `get("course")` and `get("copy")` hold, each made once: `reading(s, removed)`,
 * by default with what the settings remove. A prompt may hold its readings, as the reader's own does.
 */
export function reader(get) {
  const known = new Map();
  return (s, removed = s.removed) => {
    const ids = s.model === "copy" ? get("copy").sentences[s.words - 1][s.text] : null;
    const prompt = ids ? null : get("course").prompts.find(({ key }) => key === s.text);
    if (prompt?.live) return prompt.live[removed];
    const key = [s.model, s.text, ids ? s.words : "", removed].join();
    if (!known.has(key)) {
      const made = ids ? readCopying(ids, removed) : readRecorded(get("course"), prompt, removed);
      known.set(key, made);
    }
    return known.get(key);
  };
}

/**
 * Where the place `looking`, counted from 1, looks: for each head of the layer, also counted from
 * 1, the share of each token; null for one that comes later or is removed.
 */
export function looksOf({ tokens, present, shares }, layer, looking) {
  const row = present.indexOf(looking - 1);
  return shares[layer - 1].map((head) =>
    tokens.map((_, place) => head[row][present.indexOf(place)] ?? null)
  );
}

/** The probability of the next word `text`; 0 where it is not among those known. */
export const chanceOf = ({ next }, text) => next.find((word) => word.text === text)?.p ?? 0;

/** What removing each token does to the probability of the word that leads with all in place. */
export function effects(read, s) {
  const { tokens, next: [{ text, p }] } = read(s, 0);
  return tokens.map((_, place) => chanceOf(read(s, place + 1), text) - p);
}

/** The head and the place, both from 1, of the largest share in `looks`. */
export function largestLook(looks) {
  let largest = { head: 0, place: 0, share: -1 };
  looks.forEach((shares, head) =>
    shares.forEach((share, place) => {
      if (share !== null && share > largest.share) {
        largest = { head: head + 1, place: place + 1, share };
      }
    })
  );
  return largest;
}
