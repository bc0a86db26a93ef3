// What the title page's bars say.
import { whole } from "../shared/numbers.mjs";

export const TITLE_WORDS = {
  caption: "The likeliest next words after the prompt",
  word: "Next word",
  share: "Probability",
  temperature: "Temperature",
  others: (count) => `all ${whole(count)} others`,
};

/** A probability as a percentage with one decimal; 0 and 100 are never reached. */
export function percentage(p) {
  if (p < 0.0005) return "<0.1\u00a0%";
  if (p >= 0.9995) return ">99.9\u00a0%";
  return `${(100 * p).toFixed(1)}\u00a0%`;
}

/** How often something of probability `p` comes in a hundred draws, in words. */
function often(p) {
  const count = Math.round(100 * p);
  if (count === 0) return "hardly ever";
  if (count === 1) return "about once";
  if (count === 100) return "nearly every time";
  return `about ${count} times`;
}

/** What a hundred draws at this temperature would give, in one sentence. */
export function sentence(temperature, word, { tokens, others }) {
  const first = `“${word}” comes ${often(tokens[0])}`;
  const rest = `a word without a bar of its own ${often(others)}`;
  return `In a hundred draws at temperature ${temperature}, ${first} and ${rest}.`;
}
