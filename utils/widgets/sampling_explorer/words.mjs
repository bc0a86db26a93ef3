// Probabilities, entropies and tokens as the sampling explorer says them.
import { tr } from "../shared/language.mjs";
import { whole } from "../shared/numbers.mjs";

/** A probability as a percentage of about three digits; 0 and 100 only where they are exact. */
export function percent(p) {
  if (p === 0 || p === 1) return `${100 * p}\u00a0%`;
  if (p < 0.0001) return "<0.01\u00a0%";
  if (p >= 0.9995) return ">99.9\u00a0%";
  const digits = p >= 0.0995 ? 1 : 2;
  return `${(100 * p).toFixed(digits)}\u00a0%`;
}

export function nats(x) {
  const text = Math.abs(x) < 0.005 ? "0" : x.toFixed(2); // never -0.00
  return tr("{x}\u00a0nats", { x: text });
}

/** A perplexity: three digits, or all digits of a large one. */
export function short(x) {
  if (x >= 99.5) return whole(x);
  return x.toFixed(x < 9.95 ? 2 : 1);
}

/** A token's text with its white space made visible. */
export function visible(text) {
  const shown = text.replaceAll(" ", "␣").replaceAll("\n", "↵").replaceAll("\t", "⇥");
  return shown || tr("(nothing)");
}

/** The same for a screen reader, which passes over signs such as ␣. */
export function aloud(text) {
  const named = text
    .replaceAll("\n", ` ${tr("line break")} `)
    .replaceAll("\t", ` ${tr("tab")} `)
    .trim();
  if (named === "") return text === "" ? tr("nothing") : tr("a space");
  return tr("“{word}”", { word: named });
}

const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

/** What is said while the model is loaded. */
export const WORDS_OF_LOADING = {
  offer: (bytes) => tr("Load the model ({size} MB)", { size: megabytes(bytes) }),
  begun: tr("Loading the model…"),
  progress: (bytes, all) =>
    tr("{size} of {all} MB", { size: megabytes(bytes), all: megabytes(all) }),
  loaded: tr("The model is loaded. It runs in this page; nothing is sent anywhere."),
  failed: (why) => tr("Could not load the model: {why}", { why }),
  missing: (src) =>
    tr("the file {src} is not there, or the connection broke off. Try again.", { src }),
  incomplete: (src) =>
    tr("the file {src} is incomplete. Try again, or load the page anew.", { src }),
};
