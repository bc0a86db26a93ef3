// The fits to the 40 data sets of the double-descent explorer, and their test errors. What was
// computed is kept, so that a slider that comes back costs nothing.
import { DATA, RANGES } from "course:widgets/double_descent/settings";
import { fit, meanProduct, minusTarget, target, waves } from "./fit.mjs";

const MOST_FEATURES = RANGES.features[1];

/** The middle value; the mean of the middle two of an even number. */
export function median(values) {
  const sorted = Float64Array.from(values).sort(); // by size, as numbers
  const half = sorted.length / 2;
  return (sorted[Math.ceil(half) - 1] + sorted[Math.floor(half)]) / 2;
}

/** The waves at a data set's inputs, and the targets there without noise. Made when first used. */
const prepared = [];
function points(d) {
  if (!prepared[d]) {
    const rows = DATA[d].inputs.map((x) => waves(x, MOST_FEATURES));
    prepared[d] = { rows, clean: rows.map(target), noise: DATA[d].noise };
  }
  return prepared[d];
}

/** The targets of data set `d`, counted from 0, with noise of this size. */
export function noisyTargets(d, noise) {
  const { clean, noise: drawn } = points(d);
  return clean.map((y, i) => y + noise * drawn[i]);
}

/** The amplitudes of the curve that is fitted to data set `d`. */
export function fitted(d, s) {
  return fit(points(d).rows, [noisyTargets(d, s.noise)], s.features, s.ridge)[0];
}

/**
 * A fit is linear in its targets, so it is the fit to the clean targets plus `noise` times the fit
 * to the noise itself. Its squared distance from the target curve is then
 * `a + noise · (b + noise · c)`, and one fit serves every size of the noise.
 */
function errorParts(d, features, ridge) {
  const { rows, clean, noise } = points(d);
  const [ofClean, ofNoise] = fit(rows, [clean, noise], features, ridge);
  const missed = minusTarget(ofClean);
  return {
    a: meanProduct(missed, missed),
    b: 2 * meanProduct(missed, ofNoise),
    c: meanProduct(ofNoise, ofNoise),
  };
}

// By ridge and number of features: the parts of the data sets' errors, as far as they are computed.
const known = new Map();

function partsOf(features, ridge) {
  const key = `${ridge} ${features}`;
  if (!known.has(key)) known.set(key, []);
  return known.get(key);
}

/** Whether the errors of all data sets are known under these settings. */
export const isMeasured = (features, ridge) => partsOf(features, ridge).length === DATA.length;

/** Computes the error of one more data set, which takes a fraction of a millisecond. */
export function measureNext(features, ridge) {
  const parts = partsOf(features, ridge);
  parts.push(errorParts(parts.length, features, ridge));
}

/** The test error of every data set. */
export function testErrors({ features, ridge, noise }) {
  while (!isMeasured(features, ridge)) measureNext(features, ridge);
  const errors = partsOf(features, ridge).map(({ a, b, c }) => a + noise * (b + noise * c));
  return errors.map((error) => Math.max(0, error)); // rounding
}
