// The settings of the solution-path explorer (null: as it starts), and the positions of its
// sliders.
import { RANGES } from "course:widgets/solution_path/settings";
import { positions } from "../shared/controls.mjs";
import { tr } from "../shared/language.mjs";
import { clamp } from "../shared/numbers.mjs";

export const METHODS = {
  gd: tr("Gradient descent"),
  sgd: tr("SGD, one sample per step"),
  normalized: tr("Normalized GD"),
  adam: "Adam",
};
export const MODELS = { linear: tr("w, directly (linear)"), squares: "w = u² − v²" };
export const USUAL = {
  model: "linear",
  method: "gd",
  eta: 0.1,
  scale: 0.5,
  start1: -0.5,
  start2: 1,
  order: 0,
};
export const linkable = Object.keys(USUAL);
const CHOICES = { model: MODELS, method: METHODS };

/**
 * The value of one setting that was asked for, put in range; the usual one where it makes no sense.
 */
function valid(key, asked) {
  if (CHOICES[key]) return Object.hasOwn(CHOICES[key], asked) ? asked : USUAL[key];
  if (typeof asked !== "number" || !Number.isFinite(asked)) return USUAL[key];
  return clamp(key === "order" ? Math.round(asked) : asked, RANGES[key]);
}

/** Every setting, valid whatever the reader or the address asked for. */
export function settings(get) {
  return Object.fromEntries(linkable.map((key) => [key, valid(key, get(key))]));
}

/** From `low` to `high` by a factor, each to three digits. */
function geometric([low, high], factor) {
  const list = [];
  for (let x = low; x < high; x *= factor) list.push(Number(x.toPrecision(3)));
  return [...list, high];
}

const COORDINATE = Array.from({ length: 81 }, (_, i) => (i - 30) / 20);
const STOPS = {
  eta: geometric(RANGES.eta, 1.05),
  scale: geometric(RANGES.scale, 1.1),
  start1: COORDINATE,
  start2: COORDINATE,
};

/** The positions of a slider: its round values, the present and the usual one. */
export const stops = (key, s) => positions(STOPS[key], USUAL[key], s[key]);

/**
 * Where `x` lies on a slider of these positions, from 0 to 1, or null where it is outside of them.
 */
export function placeOf(x, list) {
  const after = list.findIndex((position) => position >= x);
  if (after < 0 || x < list[0]) return null;
  if (after === 0) return 0;
  const back = (list[after] - x) / (list[after] - list[after - 1]);
  return (after - back) / (list.length - 1);
}
