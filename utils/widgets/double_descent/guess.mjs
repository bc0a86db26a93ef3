// The reader's guess of the error curve: for each number of features, a level, which is log10 of
// the error. Pure functions, no page.
import { BEGINNING, FEATURES } from "./settings.mjs";

/** Where there is something to guess. */
export const GUESSED = FEATURES.filter((p) => p > BEGINNING);

/** Where the guess has a handle; all of them are in GUESSED. */
export const HANDLES = [8, 15, 32, 104, 301];

/** A guess that the error stays where it is. */
export const flat = (level) => GUESSED.map(() => level);

/** The level at `p` on a straight line between two points, over a logarithmic axis. */
function between(p, [p0, level0], [p1, level1]) {
  const share = Math.log(p / p0) / Math.log(p1 / p0);
  return level0 + share * (level1 - level0);
}

/**
 * The guess after a pencil has gone from one point to another, each a number of features and a
 * level.
 */
export function painted(levels, from, to) {
  const [left, right] = from[0] <= to[0] ? [from, to] : [to, from];
  return levels.map((level, i) => {
    const p = GUESSED[i];
    const passed = left[0] < p && p <= right[0];
    return passed ? between(p, left, right) : level;
  });
}

/**
 * The guess after handle number `h` was moved to `level`. Its neighbours stay, and straight lines
 * lead to them.
 */
export function lifted(levels, h, level) {
  const point = (p) => [p, levels[GUESSED.indexOf(p)]];
  const here = [HANDLES[h], level];
  const before = point(HANDLES[h - 1] ?? GUESSED[0]);
  const after = h + 1 < HANDLES.length ? point(HANDLES[h + 1]) : here;
  return levels.map((old, i) => {
    const p = GUESSED[i];
    if (p === here[0]) return level;
    if (before[0] < p && p < here[0]) return between(p, before, here);
    if (here[0] < p && p < after[0]) return between(p, here, after);
    return old;
  });
}

/** The number of the handle nearest to `p` features. */
export function nearestHandle(p) {
  const distances = HANDLES.map((handle) => Math.abs(Math.log(p / handle)));
  return distances.indexOf(Math.min(...distances));
}

/** The number of features at which the guess is highest; null for one without a peak inside. */
export function guessedPeak(levels) {
  const top = Math.max(...levels);
  const i = levels.indexOf(top);
  const rises = top > levels[0] + 0.1;
  const falls = top > levels.at(-1) + 0.1;
  return rises && falls ? GUESSED[i] : null;
}
