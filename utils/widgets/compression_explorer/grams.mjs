// A four-gram that learns from the text itself, as experiments/myths/token_costs.py documents it;
// tests hold the two equal. And what the model itself says of a text. Pure functions, no page.

const GRAM_ORDER = 4;

/**
 * Bits of each of the token `ids` for an n-gram that knows how common each token is (`tenths` of a
 * bit, by id) and learns from the text, token by token (Witten and Bell's interpolation).
 */
export function learningBits(ids, tenths) {
  const seen = new Map(); // by history: how often each token followed, and how many did
  const found = [];
  for (let i = 0; i < ids.length; i++) {
    const token = ids[i];
    let p = 2 ** (-tenths[token] / 10);
    const histories = [];
    for (let n = 1; n < GRAM_ORDER && n <= i; n++) histories.push(ids.slice(i - n, i).join(" "));
    for (const history of histories) { // from the shortest to the longest
      const followers = seen.get(history);
      if (!followers) continue;
      const different = followers.counts.size;
      const own = followers.counts.get(token) ?? 0;
      p = (own + different * p) / (followers.total + different);
    }
    found.push(-Math.log2(p));
    for (const history of histories) {
      if (!seen.has(history)) seen.set(history, { total: 0, counts: new Map() });
      const followers = seen.get(history);
      followers.total += 1;
      followers.counts.set(token, (followers.counts.get(token) ?? 0) + 1);
    }
  }
  return found;
}

/** Bits of the token `id` by these logits: −log2 of its softmax. */
export function bitsOfToken(logits, id) {
  let largest = -Infinity;
  for (const z of logits) if (z > largest) largest = z;
  let sum = 0;
  for (const z of logits) sum += Math.exp(z - largest);
  return (Math.log(sum) + largest - logits[id]) / Math.LN2;
}

/** The bits that the first `count` tokens have cost, together. */
export function totalOf(bits, count) {
  let total = 0;
  for (let i = 0; i < count; i++) total += bits[i];
  return total;
}
