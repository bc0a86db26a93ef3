// Fourier features and their least squares for the double-descent explorer. The results are those
// of utils/landscape/fourier_fit.py, which says what each function returns; a test holds them
// equal. Pure functions, no page.
import { TARGET } from "course:widgets/double_descent/settings";

// ---- Waves

/** 0, 1, 1, 2, 2, …: how often wave number `j` goes up and down in 0 ≤ x < 1. */
const frequency = (j) => Math.floor((j + 1) / 2);

/** A feature is a wave divided by this. */
const divisor = (j) => Math.max(1, frequency(j));

/** The first `count` of 1, sin 2πx, cos 2πx, sin 4πx, … at one `x`. */
export function waves(x, count) {
  const values = new Float64Array(count);
  for (let j = 0; j < count; j++) {
    const angle = 2 * Math.PI * frequency(j) * x;
    const isSine = j % 2 === 1;
    values[j] = isSine ? Math.sin(angle) : Math.cos(angle);
  }
  return values;
}

/** The curve with these `amplitudes` where the waves have the values `row`. */
export function height(amplitudes, row) {
  let sum = 0;
  for (let j = 0; j < amplitudes.length; j++) sum += amplitudes[j] * row[j];
  return sum;
}

/** The curve that is to be learned, where the waves have the values `row`. */
export const target = (row) => height(TARGET, row);

// ---- Least squares, by Householder's QR decomposition

function dot(a, b, from = 0) {
  let sum = 0;
  for (let i = from; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/**
 * Mirrors `vector` at the plane across `axis`, whose first `from` entries do not count. `square`:
 * the sum of the squares of the others.
 */
function reflect({ axis, from, square }, vector) {
  if (square === 0) return;
  const twice = (2 * dot(axis, vector, from)) / square;
  for (let i = from; i < vector.length; i++) vector[i] -= twice * axis[i];
}

/**
 * Writes the matrix with these `columns`, none shorter than their number, as Q · R. Q is a row of
 * `mirrors`, the k-th of which turns column k into a multiple of the k-th unit vector; `upper[k]`
 * is column k of R. The columns are used up.
 */
function decompose(columns) {
  const mirrors = [];
  const upper = [];
  columns.forEach((column, k) => {
    for (const mirror of mirrors) reflect(mirror, column);
    const length = Math.sqrt(dot(column, column, k));
    const diagonal = column[k] > 0 ? -length : length; // the sign that loses no digits
    upper.push([...column.subarray(0, k), diagonal]);
    column[k] -= diagonal;
    mirrors.push({ axis: column, from: k, square: dot(column, column, k) });
  });
  return { mirrors, upper };
}

/** The b with the smallest ‖M b − y‖, for a matrix M with at least as many rows as `columns`. */
function leastSquares(columns, y) {
  const { mirrors, upper } = decompose(columns);
  return y.map((values) => {
    const turned = Float64Array.from(values);
    for (const mirror of mirrors) reflect(mirror, turned);
    // R b = turned, from the last entry to the first.
    const b = turned.slice(0, upper.length);
    for (let k = b.length - 1; k >= 0; k--) {
      b[k] /= upper[k][k];
      for (let i = 0; i < k; i++) b[i] -= upper[k][i] * b[k];
    }
    return b;
  });
}

/** The shortest b with M b = y, for a matrix M with at least as many columns as `rows`. */
function shortestSolution(rows, y) {
  const { mirrors, upper } = decompose(rows);
  return y.map((values) => {
    // Rᵀ z = y, from the first entry to the last; then b = Q z.
    const b = new Float64Array(rows[0].length);
    for (let k = 0; k < upper.length; k++) {
      let rest = values[k];
      for (let i = 0; i < k; i++) rest -= upper[k][i] * b[i];
      b[k] = rest / upper[k][k];
    }
    for (const mirror of [...mirrors].reverse()) reflect(mirror, b);
    return b;
  });
}

/**
 * The amplitudes of the fitted curve for each of several lists of targets, at inputs where the
 * waves have the values `rows`. Of the coefficients that minimize ‖residual‖² +
 * `ridge` · ‖coefficients‖², the shortest are taken.
 */
export function fit(rows, targets, count, ridge) {
  const n = rows.length;
  const features = rows.map((row) => row.slice(0, count).map((wave, j) => wave / divisor(j)));
  let coefficients;
  if (ridge > 0) {
    // As if every point had a feature of its own, √ridge there and 0 elsewhere, which takes up the
    // residual: the shortest solution then makes the sum above smallest.
    const longer = features.map((row, i) => {
      const extended = new Float64Array(count + n);
      extended.set(row);
      extended[count + i] = Math.sqrt(ridge);
      return extended;
    });
    coefficients = shortestSolution(longer, targets).map((b) => b.slice(0, count));
  } else if (count > n) {
    coefficients = shortestSolution(features, targets);
  } else {
    const columns = Array.from(
      { length: count },
      (_, j) => Float64Array.from(features, (row) => row[j]),
    );
    coefficients = leastSquares(columns, targets);
  }
  return coefficients.map((b) => b.map((coefficient, j) => coefficient / divisor(j)));
}

// ---- Test error

/**
 * The mean of the product of two curves over all x, from their amplitudes: the waves are
 * orthogonal, and the mean square of each but the constant is ½ (Parseval's theorem).
 */
export function meanProduct(a, b) {
  const shorter = Math.min(a.length, b.length);
  let sum = a[0] * b[0];
  for (let j = 1; j < shorter; j++) sum += 0.5 * a[j] * b[j];
  return sum;
}

/** What is left of a curve, as amplitudes, when the target is taken away. */
export function minusTarget(amplitudes) {
  const difference = new Float64Array(Math.max(amplitudes.length, TARGET.length));
  difference.set(amplitudes);
  TARGET.forEach((amplitude, j) => {
    difference[j] -= amplitude;
  });
  return difference;
}

/** The test error of a fitted curve: its mean squared distance from the target over all x. */
export function testError(amplitudes) {
  const missed = minusTarget(amplitudes);
  return meanProduct(missed, missed);
}
