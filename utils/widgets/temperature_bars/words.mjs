// What the title page's bars say.
import { tr } from "../shared/language.mjs";
import { whole } from "../shared/numbers.mjs";

export const TITLE_WORDS = {
  caption: tr("The likeliest next words after the prompt"),
  word: tr("Next word"),
  share: tr("Probability"),
  temperature: tr("Temperature"),
  others: (count) => tr("all {count} others", { count: whole(count) }),
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
  if (count === 0) return tr("hardly ever");
  if (count === 1) return tr("about once");
  if (count === 100) return tr("nearly every time");
  return tr("about {count} times", { count });
}

/** What a hundred draws at this temperature would give, in one sentence. */
export function sentence(temperature, word, { tokens, others }) {
  return tr(
    "In a hundred draws at temperature {temperature}, “{word}” comes {first} and a word without a " +
      "bar of its own {rest}.",
    { temperature, word, first: often(tokens[0]), rest: often(others) },
  );
}
