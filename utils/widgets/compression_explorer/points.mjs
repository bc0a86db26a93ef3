// The points of the map: which one is chosen, how far from float16 it is, and what beats it. Pure
// functions, no page.

export const NO_SCALES = "none"; // granularity of float16, which needs no scales

export const meanOf = (list) => list.reduce((a, b) => a + b) / list.length;

/** The mean over the books, in bits per byte. */
export const qualityOf = (point) => meanOf(point.bits_per_byte);

/** The recorded point of the settings `s`. */
export function pointOf(points, { bits, sparsity, granularity }) {
  const asked = bits === 16 ? NO_SCALES : granularity;
  return points.find((point) =>
    point.bits === bits && point.sparsity === sparsity && point.granularity === asked
  );
}

/** Mean difference of two lists over books, and its standard error. */
export function differenceOf(list, others) {
  const differences = list.map((value, i) => value - others[i]);
  const mean = meanOf(differences);
  const squares = differences.map((d) => (d - mean) ** 2);
  const n = differences.length;
  const variance = squares.reduce((a, b) => a + b) / (n - 1);
  return { mean, se: Math.sqrt(variance / n) };
}

/** Whether `other` is no larger and no worse than `point`, and one of the two. */
function isBetter(other, point) {
  const smaller = other.n_bytes - point.n_bytes;
  const better = qualityOf(other) - qualityOf(point);
  return smaller <= 0 && better <= 0 && (smaller < 0 || better < 0);
}

/** The points that no other beats, from the smallest to the largest. */
export function frontierOf(points) {
  const unbeaten = points.filter((point) => !points.some((other) => isBetter(other, point)));
  return unbeaten.sort((a, b) => a.n_bytes - b.n_bytes);
}

/** The best of those that beat `point`; null where none does. */
export function winnerOver(points, point) {
  const better = points.filter((other) => isBetter(other, point));
  if (better.length === 0) return null;
  return better.reduce((a, b) => (qualityOf(b) < qualityOf(a) ? b : a));
}
