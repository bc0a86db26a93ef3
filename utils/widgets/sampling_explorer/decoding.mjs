// From logits to a draw, as four engines do it. Repeats utils/sampling/transforms.py and
// pipelines.py, which document the rules and name their sources; tests hold the two equal. What
// each engine has, and in which order, comes from utils/sampling/settings.py. Pure functions, no
// page.
import { ENGINES, OFF, TRUNCATIONS } from "course:sampling/settings";
import { bytesOf } from "../shared/base64.mjs";

/** Whether a setting changes nothing. */
export function isOff(name, s) {
  if (s[name] === OFF[name]) return true;
  return name === "top_p" && s.top_p === 0 && ENGINES[s.engine].zeroTopPIsOff;
}

/**
 * The settings that are on, in the order in which the engine applies them; what it lacks is left
 * out.
 */
export function activeOrder(s) {
  const engine = ENGINES[s.engine];
  // Some take the maximum at once; llama.cpp runs its chain first, with the same result.
  const skipsTruncation = s.temperature === 0 && engine.greedy === "at_once";
  return engine.order.filter((name) => {
    if (isOff(name, s)) return false;
    return !(skipsTruncation && TRUNCATIONS.includes(name));
  });
}

// ---- Penalties

/** How often each token that the penalty `name` sees has occurred, by id. */
function occurrences(name, engine, prompt, output) {
  const seen = engine.outputOnly.includes(name) ? output : [...prompt, ...output];
  const from = engine.window === null ? 0 : Math.max(0, seen.length - engine.window);
  const counts = new Map();
  for (const id of seen.slice(from)) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

/** The logit `z` of a token that has occurred `count` times. */
const PENALISE = {
  repetition_penalty: (z, value) => (z < 0 ? z * value : z / value),
  frequency_penalty: (z, value, count) => z - value * count,
  presence_penalty: (z, value) => z - value,
};

// ---- Temperature and truncation, on logits in descending order

/**
 * Logits over the temperature. A tiny one takes the largest out of range: then from their maximum.
 */
function divided(sorted, t) {
  const top = sorted[0];
  if (Number.isFinite(top / t)) return sorted.map((z) => z / t);
  return sorted.map((z) => (z - top) / t);
}

/**
 * How many tokens a truncation at `value` keeps of those with logits `z` and probabilities `p`.
 * Each keeps a prefix, as the tokens stand in descending order.
 */
const TRUNCATE = {
  top_k({ z, p, value, ties }) {
    if (value >= z.length || value >= p.length) return p.length;
    let n = value;
    if (ties === "keep") {
      while (n < p.length && z[n] === z[value - 1]) n++;
    }
    return n;
  },
  // Drop from the least likely one up, while the tail weighs at most 1 − value.
  top_p({ p, value }) {
    let n = p.length;
    let tail = p[n - 1];
    while (n > 1 && tail <= 1 - value) {
      n--;
      tail += p[n - 1];
    }
    return n;
  },
  min_p({ p, value }) {
    let n = p.length;
    while (n > 1 && p[n - 1] < value * p[0]) n--;
    return n;
  },
};

// ---- Distributions

/**
 * Softmax of the first `kept` of the logits `z`, of which `top` is the largest. Probabilities,
 * entropy in nats.
 */
function distribution(z, kept, top = z[0]) {
  const p = new Float64Array(kept);
  let sum = 0;
  let weighted = 0;
  for (let i = kept - 1; i >= 0; i--) { // where they descend, small ones first
    const x = z[i] - top;
    const weight = Math.exp(x);
    p[i] = weight;
    sum += weight;
    if (weight > 0) weighted += weight * x; // 0 · −∞ is not a number
  }
  for (let i = 0; i < kept; i++) p[i] /= sum;
  return { p, entropy: Math.max(0, Math.log(sum) - weighted / sum) };
}

/** Compares ids by descending logit, and of equal ones takes the lower id first. */
const descending = (z) => (a, b) => z[b] - z[a] || a - b;

/**
 * What `decode` needs of one position whatever the settings, so that a slider need not sort the
 * vocabulary again: the logits `z` by id, the ids by descending logit (`rank`) with these logits
 * (`sorted`) and probabilities (`p`), how many of them are not −∞ (`kept`), the probabilities by id
 * (`own`), and the entropy. Throws an Error with one line for logits that are NaN, +∞, or all −∞.
 */
export function survey(logits) {
  const z = Float64Array.from(logits);
  const valid = z.every((x) => x < Infinity) && z.some((x) => x > -Infinity); // NaN is neither
  if (!valid) throw new Error("The logits must be free of NaN and +∞, and not all be −∞.");
  const rank = Uint32Array.from(z, (_, id) => id).sort(descending(z));
  const sorted = Float64Array.from(rank, (id) => z[id]);
  let kept = z.length;
  while (sorted[kept - 1] === -Infinity) kept--;
  const { p, entropy } = distribution(sorted, kept);
  const own = new Float64Array(z.length);
  for (let i = 0; i < kept; i++) own[rank[i]] = p[i];
  return { z, rank, sorted, own, p, entropy, kept };
}

/**
 * The ids of `rank` in the order of `z`, which differs only at the ids in `moved`: those are sorted
 * and merged in.
 */
function reranked(rank, z, moved) {
  const order = descending(z);
  const few = [...moved].sort(order);
  const result = new Uint32Array(rank.length);
  let i = 0;
  let k = 0;
  for (const id of rank) {
    if (moved.has(id)) continue;
    while (k < few.length && order(few[k], id) < 0) result[i++] = few[k++];
    result[i++] = id;
  }
  while (k < few.length) result[i++] = few[k++];
  return result;
}

/**
 * What the settings `s` make of one position's `logits` (indexed by token id), given the ids of the
 * `prompt` and of the `output` so far. `base`, if at hand, is the logits' `survey`. Returns
 * `steps`: the model's own distribution, then one entry for each setting that is on, each with
 *   `name`, `kept` (tokens that can still be drawn), `removed` (probability, just before this step,
 *   of those it removed), `entropy` in nats and `perplexity`;
 * `rank`: ids by descending final logit, of which the first `kept` can be drawn;
 * `probs`: final probabilities by id; `own`: the model's, by id.
 */
export function decode(logits, prompt, output, s, base = survey(logits)) {
  const engine = ENGINES[s.engine];
  const order = activeOrder(s);
  // Penalties come first in every engine.
  const lastPenalty = order.findLastIndex((name) => PENALISE[name]);
  const steps = [];
  const record = (name, kept, removed, entropy) =>
    steps.push({ name, kept, removed, entropy, perplexity: Math.exp(entropy) });
  record("model", base.kept, 0, base.entropy);

  const penalised = base.z.slice(); // by id
  const moved = new Set(); // the ids whose logits a penalty has changed
  let { rank, sorted, kept } = base;
  let now = base; // the distribution after the step before
  order.forEach((name, i) => {
    let left = kept; // how many this step leaves
    if (PENALISE[name]) {
      for (const [id, count] of occurrences(name, engine, prompt, output)) {
        penalised[id] = PENALISE[name](penalised[id], s[name], count);
        moved.add(id);
      }
      if (i === lastPenalty) { // only then do the ids stand in a new order
        rank = reranked(rank, penalised, moved);
        sorted = Float64Array.from(rank, (id) => penalised[id]);
      }
    } else if (name === "temperature" && s.temperature === 0) {
      left = 1;
    } else if (name === "temperature") {
      sorted = divided(sorted, Math.max(s.temperature, engine.lowestTemperature));
      // So far below the maximum that the quotient is not a number any more.
      while (sorted[left - 1] === -Infinity) left--;
    } else {
      left = TRUNCATE[name]({ z: sorted, p: now.p, value: s[name], ties: engine.ties });
    }

    let removed = 0;
    for (let k = kept - 1; k >= left; k--) removed += now.p[k]; // small ones first
    kept = left;
    if (i < lastPenalty) {
      const top = penalised.reduce((a, b) => Math.max(a, b));
      now = distribution(penalised, penalised.length, top);
    } else {
      now = distribution(sorted, kept);
    }
    record(name, kept, removed, now.entropy);
  });

  const probs = new Float64Array(sorted.length);
  for (let i = 0; i < kept; i++) probs[rank[i]] = now.p[i];
  return { steps, rank, kept, probs, own: base.own };
}

// ---- Draws

/** The cumulative sums of `probs`, for `draw`. */
export function cumulate(probs) {
  const sums = new Float64Array(probs.length);
  let sum = 0;
  for (let id = 0; id < probs.length; id++) {
    sum += probs[id];
    sums[id] = sum;
  }
  return sums;
}

/** The first index of rising `sums` that passes the `test`; all pass from there on. */
function firstIndex(sums, test) {
  let low = 0;
  let high = sums.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (test(sums[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * The token whose interval of the `cumulative` distribution holds `u` in [0, 1): inverse-CDF
 * sampling.
 */
export function draw(cumulative, u) {
  const total = cumulative.at(-1);
  const target = u * total;
  const holder = firstIndex(cumulative, (sum) => sum > target);
  // Rounding may lift the target to the full sum: then the last token that has mass is meant.
  const last = firstIndex(cumulative, (sum) => sum === total);
  return Math.min(holder, last);
}

/** MurmurHash3's finaliser: every input bit moves every output bit. */
function scramble(x) {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/**
 * The `n`-th uniform number in [0, 1) of `seed`, 53 bits. A function of both alone, so any draw can
 * be replayed.
 */
export function uniform(seed, n) {
  const key = scramble((seed ^ 0x9e3779b9) | 0);
  const high = scramble(key ^ scramble(2 * n + 1));
  const low = scramble(high ^ key ^ (2 * n + 2));
  return (high * 2 ** 21 + (low >>> 11)) / 2 ** 53;
}

// ---- What the page is given

/** Recorded logits: base64 of little-endian int16, times `scale`. */
export function unpackLogits(base64, scale) {
  const bytes = bytesOf(base64);
  const view = new DataView(bytes.buffer);
  const logits = new Float64Array(bytes.length / 2);
  for (let i = 0; i < logits.length; i++) logits[i] = view.getInt16(2 * i, true) * scale;
  return logits;
}
