// The settings of the compute explorer (null: as it starts), and the positions of its sliders.
import { GPUS } from "course:models/budget";
import {
  LAW_NAMES,
  MODELS,
  RANGES,
  SMALLEST_LIMIT,
} from "course:widgets/compute_explorer/settings";
import { positions } from "../shared/controls.mjs";
import { clamp } from "../shared/numbers.mjs";
import { flopsOf, ratioFor } from "./laws.mjs";

const GOPHER = 280e9;
const GOPHER_BUDGET = 5.76e23; // as Hoffmann et al. 2022 count it

/** The four digits that are kept of a ratio. */
export const kept = (ratio) => Number(ratio.toPrecision(4));

/** Gopher at its own budget. */
export const USUAL = {
  budget: GOPHER_BUDGET,
  law: "besiroglu",
  tokens_per_parameter: kept(ratioFor(GOPHER_BUDGET, GOPHER)),
  unique: 0,
  gpu: "H100",
};
export const linkable = Object.keys(USUAL);
const CHOICES = { law: Object.keys(LAW_NAMES), gpu: Object.keys(GPUS) };

/** The value of a setting that was asked for, put in range; the usual one where it makes no sense. */
function valid(key, asked) {
  if (CHOICES[key]) return CHOICES[key].includes(asked) ? asked : USUAL[key];
  if (typeof asked !== "number" || !Number.isFinite(asked)) return USUAL[key];
  if (key === "unique" && asked > 0) return clamp(asked, [SMALLEST_LIMIT, RANGES.unique[1]]);
  return clamp(asked, RANGES[key]);
}

/** Every setting, valid whatever the reader or the address asked for. */
export function settings(get) {
  return Object.fromEntries(linkable.map((key) => [key, valid(key, get(key))]));
}

// ---- What is near a budget

/** The published models whose budget is less than twice or more than half of this one. */
export const modelsNear = (budget) =>
  MODELS.filter((model) => Math.abs(Math.log2(flopsOf(model) / budget)) < 1);

/** Our runs at this budget. */
export const runsNear = (budget, ours) =>
  ours.runs.filter((run) => Math.abs(Math.log(run.budget / budget)) < Math.log(1.1));

// ---- Positions of the sliders

/** Round numbers from `low` to `high`, both powers of ten. */
function roundValues(low, high, leading) {
  const list = [];
  for (let k = Math.log10(low); k < Math.log10(high); k++) {
    list.push(...leading.map((m) => Number(`${m}e${Math.round(k)}`)));
  }
  return [...list, high];
}

const BUDGETS = roundValues(...RANGES.budget, [1, 1.5, 2, 3, 5, 7]);
const LIMITS = [0, ...roundValues(SMALLEST_LIMIT, RANGES.unique[1], [1, 2, 5])];
const RATIOS = Array.from({ length: 81 }, (_, i) => kept(20 * 10 ** ((i - 40) / 10)));

/** The positions of a slider: its round values and the present one. */
export function stops(key, s) {
  if (key === "budget") return positions(BUDGETS, USUAL.budget, s.budget);
  if (key === "unique") return positions(LIMITS, s.unique);
  // Sizes grow from left to right, so the tokens per parameter fall. The models' own are among them.
  const [low, high] = RANGES.tokens_per_parameter;
  const ofModels = modelsNear(s.budget)
    .map(({ n_params }) => kept(ratioFor(s.budget, n_params)))
    .filter((ratio) => low <= ratio && ratio <= high);
  return [...positions(RATIOS, ...ofModels, s.tokens_per_parameter)].sort((a, b) => b - a);
}
