// From logits to the shares that the bars show. It knows nothing of the page.

/** The probability of every token at this temperature: the softmax of the divided logits. */
export function probabilities(logits, temperature) {
  const largest = logits.reduce((a, b) => Math.max(a, b)); // so that no power overflows
  const powers = logits.map((z) => Math.exp((z - largest) / temperature));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

/**
 * The probability of each of the tokens `ids`, and that of all others together, over the whole
 * vocabulary.
 */
export function shares(logits, ids, temperature) {
  const all = probabilities(logits, temperature);
  const listed = new Set(ids);
  let others = 0;
  all.forEach((p, id) => {
    if (!listed.has(id)) others += p;
  });
  return { tokens: ids.map((id) => all[id]), others };
}
