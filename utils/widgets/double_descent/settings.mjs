// The settings of the double-descent explorer (null: as it starts), and the positions of its
// sliders.
import { RANGES } from "course:widgets/double_descent/settings";
import { positions } from "../shared/controls.mjs";
import { clamp } from "../shared/numbers.mjs";

/** As many features as points, a data set whose errors are near the median, the error hidden. */
export const USUAL = { features: 15, ridge: 0, noise: 0.3, data: 3, traced: 0 };
export const linkable = Object.keys(USUAL);
const WHOLE = ["features", "data", "traced"];

/** Up to here the error is shown before the reader has guessed. */
export const BEGINNING = 5;
export const MOST = RANGES.features[1];

/** The number of features up to which the error is shown. */
export const shownUpTo = ({ traced }) => Math.max(traced, BEGINNING);

/** The value of a setting that was asked for, put in range; the usual one where it is no number. */
function valid(key, asked) {
  if (typeof asked !== "number" || !Number.isFinite(asked)) return USUAL[key];
  return clamp(WHOLE.includes(key) ? Math.round(asked) : asked, RANGES[key]);
}

/** Every setting, valid whatever the reader or the address asked for. */
export function settings(get) {
  return Object.fromEntries(linkable.map((key) => [key, valid(key, get(key))]));
}

/** One by one up to 20, where the curve bends, then by steps of 15 %. */
function featureStops() {
  const list = Array.from({ length: 20 }, (_, i) => i + 1);
  for (let p = 23; p < MOST; p = Math.ceil(1.15 * p)) list.push(p);
  return [...list, MOST];
}

/** The numbers of features at which the error is computed. */
export const FEATURES = featureStops();

const STOPS = {
  features: FEATURES,
  ridge: [0, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1],
  noise: Array.from({ length: 21 }, (_, i) => i / 20),
};

/** The positions of a slider: its round values, the present and the usual one. */
export const stops = (key, s) => positions(STOPS[key], USUAL[key], s[key]);
