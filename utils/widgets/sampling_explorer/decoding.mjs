// From logits to a draw, as four engines do it. Repeats utils/sampling.py and utils/pipelines.py, which document
// the rules and name their sources; tests hold the two equal. Pure functions, no page.

const PENALTIES = ["repetition_penalty", "frequency_penalty", "presence_penalty"];

/** `order`: which setting acts when. `ties`: its rule at top_k. `window`: how many of the latest tokens the
 * penalties see. `outputOnly`: penalties that do not see the prompt. */
export const ENGINES = {
  transformers: {
    label: "transformers",
    order: ["repetition_penalty", "temperature", "top_k", "top_p", "min_p"],
    ties: "keep",
    window: Infinity,
    outputOnly: [],
  },
  vllm: {
    label: "vLLM",
    order: [...PENALTIES, "temperature", "min_p", "top_k", "top_p"],
    ties: "keep",
    window: Infinity,
    outputOnly: ["frequency_penalty", "presence_penalty"],
  },
  "llama.cpp": {
    label: "llama.cpp",
    order: [...PENALTIES, "top_k", "top_p", "min_p", "temperature"],
    ties: "exact",
    window: 64,
    outputOnly: [],
  },
  mlx: {
    label: "mlx-lm",
    order: [
      "repetition_penalty",
      "presence_penalty",
      "frequency_penalty",
      "top_p",
      "min_p",
      "top_k",
      "temperature",
    ],
    ties: "exact",
    window: 20,
    outputOnly: [],
  },
};

/** Every setting at the value that changes nothing. */
export const OFF = {
  temperature: 1,
  top_k: 0,
  top_p: 1,
  min_p: 0,
  repetition_penalty: 1,
  frequency_penalty: 0,
  presence_penalty: 0,
};

/** Whether a setting changes nothing. mlx-lm takes top-p 0 for off as well. */
export const isOff = (name, s) =>
  s[name] === OFF[name] || (s.engine === "mlx" && name === "top_p" && s.top_p === 0);

/** The settings that are on, in the order in which the engine applies them; what it lacks is left out. */
export function activeOrder(s) {
  const greedy = s.temperature === 0;
  return ENGINES[s.engine].order.filter((name) => {
    if (isOff(name, s)) return false;
    // vLLM and mlx-lm take the maximum at once; llama.cpp runs its chain first, with the same result
    return !(greedy && (s.engine === "vllm" || s.engine === "mlx") &&
      ["top_k", "top_p", "min_p"].includes(name));
  });
}

/** How often each token that the penalty `name` sees has occurred, by id. */
function occurrences(name, engine, prompt, output) {
  const seen = engine.outputOnly.includes(name) ? output : [...prompt, ...output],
    counts = new Map();
  for (const id of seen.slice(Math.max(0, seen.length - engine.window))) {
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

const PENALISE = {
  repetition_penalty: (z, count, value) => (z < 0 ? z * value : z / value),
  frequency_penalty: (z, count, value) => z - value * count,
  presence_penalty: (z, count, value) => z - value,
};

/** Softmax of the first `kept` of the logits `z`, of which `top` is the largest. Probabilities, entropy in nats. */
function distribution(z, kept, top = z[0]) {
  const p = new Float64Array(kept);
  let sum = 0, weighted = 0;
  for (let i = kept - 1; i >= 0; i--) { // where they descend, small ones first
    const x = z[i] - top;
    sum += p[i] = Math.exp(x);
    if (p[i] > 0) weighted += p[i] * x;
  }
  for (let i = 0; i < kept; i++) p[i] /= sum;
  return { p, entropy: Math.max(0, Math.log(sum) - weighted / sum) };
}

/** Descending logits over the temperature. A tiny one takes the largest out of range: then from their maximum. */
const divided = (
  z,
  t,
) => (Number.isFinite(z[0] / t) ? z.map((x) => x / t) : z.map((x) => (x - z[0]) / t));

/** How many tokens a truncation keeps. Each keeps a prefix, as the tokens stand in descending order. */
const TRUNCATE = {
  top_k(z, p, k, engine) {
    if (k >= z.length || k >= p.length) return p.length;
    let n = k;
    if (engine.ties === "keep") { while (n < p.length && z[n] === z[k - 1]) n++; }
    return n;
  },
  top_p(z, p, bound) { // drop from the least likely one up, while the tail weighs at most 1 − bound
    let n = p.length;
    for (let tail = 0; n > 1 && (tail += p[n - 1]) <= 1 - bound; n--);
    return n;
  },
  min_p(z, p, share) {
    let n = p.length;
    while (n > 1 && p[n - 1] < share * p[0]) n--;
    return n;
  },
};

const descending = (z) => (a, b) => z[b] - z[a] || a - b; // of equal ones the lower id first

/** What `decode` needs of one position whatever the settings, so that a slider need not sort the vocabulary again. */
export function survey(logits) {
  const z = Float64Array.from(logits),
    rank = Uint32Array.from(z, (_, id) => id).sort(descending(z));
  const sorted = Float64Array.from(rank, (id) => z[id]), own = new Float64Array(z.length);
  let kept = z.length;
  while (sorted[kept - 1] === -Infinity) kept--;
  const { p, entropy } = distribution(sorted, kept);
  for (let i = 0; i < kept; i++) own[rank[i]] = p[i];
  return { z, rank, sorted, own, p, entropy, kept };
}

/** The ids of `rank` in the order of `z`, which differs only at the ids in `moved`: those are sorted and merged in. */
function reranked(rank, z, moved) {
  const before = descending(z),
    few = [...moved].sort(before),
    result = new Uint32Array(rank.length);
  let i = 0, k = 0;
  for (const id of rank) {
    if (moved.has(id)) continue;
    while (k < few.length && before(few[k], id) < 0) result[i++] = few[k++];
    result[i++] = id;
  }
  while (k < few.length) result[i++] = few[k++];
  return result;
}

/**
 * What the settings `s` make of one position's `logits` (indexed by token id), given the ids of the `prompt` and
 * of the `output` so far. `base`, if at hand, is the logits' `survey`. Returns
 * `steps`: the model's own distribution, then one entry a setting that is on, each with `name`, `kept` (tokens
 *   that can still be drawn), `removed` (probability, just before this step, of those it removed), `entropy` in
 *   nats and `perplexity`;
 * `rank`: ids by descending final logit, of which the first `kept` can be drawn;
 * `probs`: final probabilities by id; `own`: the model's, by id.
 */
export function decode(logits, prompt, output, s, base = survey(logits)) {
  const engine = ENGINES[s.engine], steps = [], moved = new Set(), penalised = base.z.slice();
  const record = (name, removed, entropy) =>
    steps.push({ name, kept, removed, entropy, perplexity: Math.exp(entropy) });
  let { rank, sorted: v, kept } = base, now = base;
  record("model", 0, base.entropy);

  const order = activeOrder(s), last = order.findLastIndex((name) => PENALISE[name]);
  order.forEach((name, i) => {
    let n = kept;
    if (PENALISE[name]) { // penalties come first in every engine
      for (const [id, count] of occurrences(name, engine, prompt, output)) {
        penalised[id] = PENALISE[name](penalised[id], count, s[name]);
        moved.add(id);
      }
      if (i === last) {
        rank = reranked(rank, penalised, moved);
        v = Float64Array.from(rank, (id) => penalised[id]);
      }
    } else if (name === "temperature") {
      const t = s.engine === "vllm" && s.temperature > 0
        ? Math.max(s.temperature, 0.01)
        : s.temperature;
      if (t === 0) n = 1;
      else v = divided(v, t);
      while (v[n - 1] === -Infinity) n--; // so far below the maximum that the quotient is not a number any more
    } else n = TRUNCATE[name](v, now.p, s[name], engine);
    let removed = 0;
    for (let k = kept - 1; k >= n; k--) removed += now.p[k];
    kept = n;
    now = i < last
      ? distribution(penalised, penalised.length, penalised.reduce((a, b) => Math.max(a, b)))
      : distribution(v, kept);
    record(name, removed, now.entropy);
  });
  const probs = new Float64Array(v.length);
  for (let i = 0; i < kept; i++) probs[rank[i]] = now.p[i];
  return { steps, rank, kept, probs, own: base.own };
}

/** The cumulative sums of `probs`, for `draw`. */
export function cumulate(probs) {
  let sum = 0;
  return Float64Array.from(probs, (p) => (sum += p));
}

/** The token whose interval of the `cumulative` distribution holds `u` in [0, 1): inverse-CDF sampling. */
export function draw(cumulative, u) {
  const total = cumulative.at(-1), target = u * total;
  const first = (test) => { // the first index that passes; they pass from there on
    let low = 0, high = cumulative.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (test(cumulative[middle])) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  // Rounding may lift the target to the full sum: then the last token that has mass is meant.
  return Math.min(first((c) => c > target), first((c) => c === total));
}

const scramble = (x) => { // MurmurHash3's finaliser: every input bit moves every output bit
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
};

/** The `n`-th uniform number in [0, 1) of `seed`, 53 bits. A function of both alone, so any draw can be replayed. */
export function uniform(seed, n) {
  const key = scramble((seed ^ 0x9e3779b9) | 0),
    high = scramble(key ^ scramble(2 * n + 1)),
    low = scramble(high ^ key ^ (2 * n + 2));
  return (high * 2 ** 21 + (low >>> 11)) / 2 ** 53;
}

/** The bytes that a base64 text stands for. */
export function bytesOf(base64) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** Recorded logits: base64 of little-endian int16, times `scale`. */
export function unpackLogits(base64, scale) {
  const bytes = bytesOf(base64), view = new DataView(bytes.buffer);
  return Float64Array.from(
    { length: bytes.length / 2 },
    (_, i) => view.getInt16(2 * i, true) * scale,
  );
}
