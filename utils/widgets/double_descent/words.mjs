// Numbers and sentences as the double-descent explorer says them.
import { DATA, POINTS } from "course:widgets/double_descent/settings";
import { whole } from "../shared/numbers.mjs";
import { guessedPeak } from "./guess.mjs";
import { BEGINNING, MOST, shownUpTo, USUAL } from "./settings.mjs";

/** An error, to two digits. */
export function short(error) {
  if (error < 0.001) return "less than 0.001";
  return error >= 99.5 ? whole(error) : String(Number(error.toPrecision(2)));
}

export const counted = (features) => `${features} feature${features === 1 ? "" : "s"}`;

export const QUESTION = `The right chart shows the test error for 1 to ${BEGINNING} features. ` +
  `How does it go on? Draw your guess into the chart, or move its five handles, and compare.`;

export const NAMES = {
  fit: `The fit to ${POINTS} noisy points`,
  error: "Test error by number of features, log scales",
  guess: (p) => `Your guess of the test error at ${p} features`,
  compare: "Compare",
  skip: "Skip the guess",
  median: `median of ${DATA.length}`,
  own: "this data set",
  guessed: "your guess",
  usual: `with λ = ${USUAL.ridge}, σ = ${USUAL.noise}`,
};

/** What the fit is, under these settings. */
function fitSentence({ data, features, ridge }) {
  const what = `Data set ${data}, ${counted(features)} for ${POINTS} points`;
  if (ridge > 0) return `${what}: with a ridge, the fit may miss the points.`;
  if (features < POINTS) return `${what}: too few to pass through all of them.`;
  if (features === POINTS) {
    return `${what}: only one curve passes through all of them, however far it has to swing.`;
  }
  return `${what}: many curves pass through all of them. This is the one with the smallest ` +
    "coefficients.";
}

/** What the whole `curve` shows, a list of `{ features, error }`. */
export function curveSentence(curve) {
  const least = (a, b) => b.error < a.error ? b : a;
  const most = (a, b) => b.error > a.error ? b : a;
  const valley = curve.reduce(least);
  const end = curve.at(-1);
  const peak = curve.filter(({ features }) => features > valley.features).reduce(most, end);
  const at = ({ features, error }) => `${short(error)} at ${features}`;
  if (peak.error < 1.5 * end.error) {
    return `No peak: the lowest error is ${at(valley)}, and the last is ${at(end)}.`;
  }
  const ratio = end.error / valley.error;
  const verdict = ratio > 1
    ? `${ratio.toPrecision(2)} times the lowest, ${at(valley)}`
    : "the lowest of all";
  return `The peak is ${at(peak)} features. The error comes down again, to ${at(end)}: ${verdict}.`;
}

/** How the guess compares, once the whole curve is seen. */
function guessSentence(levels) {
  const peak = guessedPeak(levels);
  if (peak === null) return "Your guess had no peak.";
  return `Your guess had its peak at ${peak} features.`;
}

/**
 * What both charts show, as sentences. `own`: the error of the fit that is drawn; `middle`: the
 * median, or null while it is computed; `curve`: all medians, or null; `levels`: the guess, or null
 * where there is none.
 */
export function sentences(s, { own, middle, curve, levels }) {
  const said = [fitSentence(s)];
  if (s.features <= shownUpTo(s)) {
    const others = middle === null ? "" : `; the median of ${DATA.length} is ${short(middle)}`;
    said.push(`Test error ${short(own)}${others}.`);
  } else if (s.traced === 0) {
    said.push("Its test error appears once you have guessed or skipped.");
  }
  if (s.traced === 0) return said;
  if (s.traced < MOST) {
    said.push("Move Features to the right, and the error draws its curve.");
    return said;
  }
  if (curve !== null) said.push(curveSentence(curve));
  if (levels !== null) said.push(guessSentence(levels));
  return said;
}
