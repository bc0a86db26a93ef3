// Numbers and sentences as the double-descent explorer says them.
import { DATA, POINTS } from "course:widgets/double_descent/settings";
import { tr } from "../shared/language.mjs";
import { whole } from "../shared/numbers.mjs";
import { guessedPeak } from "./guess.mjs";
import { BEGINNING, MOST, shownUpTo, USUAL } from "./settings.mjs";

/** An error, to two digits. */
export function short(error) {
  if (error < 0.001) return tr("less than 0.001");
  return error >= 99.5 ? whole(error) : String(Number(error.toPrecision(2)));
}

export const counted = (features) =>
  features === 1 ? tr("1 feature") : tr("{features} features", { features });

export const QUESTION = tr(
  "The right chart shows the test error for 1 to {beginning} features. How does it go on? Draw " +
    "your guess into the chart, or move its five handles, and compare.",
  { beginning: BEGINNING },
);

export const NAMES = {
  fit: tr("The fit to {n} noisy points", { n: POINTS }),
  fitWith: (features) =>
    tr("The fit to {n} noisy points, with {features}", { n: POINTS, features: counted(features) }),
  error: tr("Test error by number of features, log scales"),
  guess: (p) => tr("Your guess of the test error at {p} features", { p }),
  compare: tr("Compare"),
  skip: tr("Skip the guess"),
  median: tr("median of {n}", { n: DATA.length }),
  own: tr("this data set"),
  guessed: tr("your guess"),
  usual: tr("with λ = {ridge}, σ = {noise}", USUAL),
  points: tr("{n} points", { n: POINTS }),
  target: tr("target"),
  line: tr("fit"),
};

/** What the fit is, under these settings. */
function fitSentence({ data, features, ridge }) {
  const what = tr("Data set {data}, {features} for {n} points", {
    data,
    features: counted(features),
    n: POINTS,
  });
  if (ridge > 0) return tr("{what}: with a ridge, the fit may miss the points.", { what });
  if (features < POINTS) return tr("{what}: too few to pass through all of them.", { what });
  if (features === POINTS) {
    return tr(
      "{what}: only one curve passes through all of them, however far it has to swing.",
      { what },
    );
  }
  return tr(
    "{what}: many curves pass through all of them. This is the one with the smallest coefficients.",
    { what },
  );
}

/** What the whole `curve` shows, a list of `{ features, error }`. */
export function curveSentence(curve) {
  const least = (a, b) => b.error < a.error ? b : a;
  const most = (a, b) => b.error > a.error ? b : a;
  const valley = curve.reduce(least);
  const end = curve.at(-1);
  const peak = curve.filter(({ features }) => features > valley.features).reduce(most, end);
  const at = ({ features, error }) =>
    tr("{error} at {features}", { error: short(error), features });
  const places = { valley: at(valley), peak: at(peak), end: at(end) };
  if (peak.error < 1.5 * end.error) {
    return tr("No peak: the lowest error is {valley}, and the last is {end}.", places);
  }
  const ratio = end.error / valley.error;
  if (ratio <= 1) {
    return tr(
      "The peak is {peak} features. The error comes down again, to {end}: the lowest of all.",
      places,
    );
  }
  return tr(
    "The peak is {peak} features. The error comes down again, to {end}: {ratio} times the lowest, " +
      "{valley}.",
    { ...places, ratio: ratio.toPrecision(2) },
  );
}

/** How the guess compares, once the whole curve is seen. */
function guessSentence(levels) {
  const peak = guessedPeak(levels);
  if (peak === null) return tr("Your guess had no peak.");
  return tr("Your guess had its peak at {peak} features.", { peak });
}

/**
 * What both charts show, as sentences. `own`: the error of the fit that is drawn; `middle`: the
 * median, or null while it is computed; `curve`: all medians, or null; `levels`: the guess, or null
 * where there is none.
 */
export function sentences(s, { own, middle, curve, levels }) {
  const said = [fitSentence(s)];
  if (s.features <= shownUpTo(s)) {
    said.push(
      middle === null
        ? tr("Test error {own}.", { own: short(own) })
        : tr("Test error {own}; the median of {n} is {middle}.", {
          own: short(own),
          n: DATA.length,
          middle: short(middle),
        }),
    );
  } else if (s.traced === 0) {
    said.push(tr("Its test error appears once you have guessed or skipped."));
  }
  if (s.traced === 0) return said;
  if (s.traced < MOST) {
    said.push(tr("Move Features to the right, and the error draws its curve."));
    return said;
  }
  if (curve !== null) said.push(curveSentence(curve));
  if (levels !== null) said.push(guessSentence(levels));
  return said;
}
