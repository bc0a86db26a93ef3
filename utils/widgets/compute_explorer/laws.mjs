// The laws of the loss and what follows from them at one budget. Repeats the formulas of
// utils/scaling/laws.py and published.py, which document them and name their sources; tests hold
// the two equal. Pure functions, no page.
import { KAPLAN_OPTIMUM, LAWS, PF_DAY } from "course:scaling/constants";
import {
  FITTED_TO,
  OURS,
  REPETITIONS_WORTH,
  UTILISATION,
  WATTS,
} from "course:widgets/compute_explorer/settings";
import { trainingDays } from "../parameter_budget/budget.mjs";

const FLOPS_PER_PARAMETER_AND_TOKEN = 6;
const SEARCH = 1e7; // how far from 20 tokens per parameter the bottom is looked for, as a factor of N
const SCANNED = 400; // sizes

/** The N times D that a budget pays for. */
const product = (budget) => budget / FLOPS_PER_PARAMETER_AND_TOKEN;

export const flopsOf = ({ n_params, n_tokens }) =>
  FLOPS_PER_PARAMETER_AND_TOKEN * n_params * n_tokens;

/** The tokens left for a model of `n` parameters, and the size at which D/N is `ratio`. */
export const tokensFor = (budget, n) => product(budget) / n;
export const sizeFor = (budget, ratio) => Math.sqrt(product(budget) / ratio);
export const ratioFor = (budget, n) => product(budget) / (n * n);

/** The numbers of a law, `{ E, A, B, alpha, beta, k }`. `ours`: the record of our own runs. */
export const lawOf = (name, ours) => OURS.includes(name) ? ours.laws[name] : LAWS[name];

/** The loss in nats of `n` parameters after `d` fresh tokens. */
export function lossOf(law, n, d) {
  // In logarithms, as in Python: A can be 1e60 where k is small.
  const tooSmall = Math.log(law.A) - law.alpha * Math.log(n);
  const tooLittle = Math.log(law.B) - law.beta * Math.log(d);
  const larger = Math.max(tooSmall, tooLittle);
  const smaller = Math.min(tooSmall, tooLittle);
  return law.E + Math.exp(law.k * (larger + Math.log1p(Math.exp(smaller - larger))));
}

/**
 * How many fresh tokens `d` tokens are worth where only `unique` different ones exist (0: as many as
 * needed). Muennighoff et al. 2023, equation 5; their term for too many parameters is left out.
 */
export function freshTokens(d, unique) {
  if (unique === 0 || d <= unique) return d;
  const repetitions = d / unique - 1;
  const worth = REPETITIONS_WORTH * (1 - Math.exp(-repetitions / REPETITIONS_WORTH));
  return unique + unique * worth;
}

/** The loss of a model of `n` parameters that takes the whole budget. */
export const lossAt = (law, budget, n, unique = 0) =>
  lossOf(law, n, freshTokens(tokensFor(budget, n), unique));

/** Hoffmann et al. 2022, equation 4: the size of lowest loss, where no token is repeated. */
function freeBottom(law, budget) {
  const { A, B, alpha, beta } = law;
  const ratio = Math.log(alpha * A) - Math.log(beta * B);
  return Math.exp((ratio + beta * Math.log(product(budget))) / (alpha + beta));
}

/** The size of lowest loss at a budget. Where tokens repeat there is no formula, so it searches. */
export function bottomOf(law, budget, unique = 0) {
  const free = freeBottom(law, budget);
  if (unique === 0 || tokensFor(budget, free) <= unique) return free;

  const middle = Math.log(sizeFor(budget, 20));
  const at = (x) => lossAt(law, budget, Math.exp(x), unique);
  const step = (2 * Math.log(SEARCH)) / SCANNED;
  let best = middle - Math.log(SEARCH);
  for (let i = 1; i <= SCANNED; i++) {
    const x = middle - Math.log(SEARCH) + i * step;
    if (at(x) < at(best)) best = x;
  }
  let [left, right] = [best - step, best + step];
  while (right - left > 1e-9) {
    const third = (right - left) / 3;
    if (at(left + third) < at(right - third)) right -= third;
    else left += third;
  }
  return Math.exp((left + right) / 2);
}

/** The size that Kaplan et al. 2020 advise in their table 6, from another fit than their law. */
export function kaplanAdvice(budget) {
  const { scale, exponent, compute_over_c_min } = KAPLAN_OPTIMUM;
  return scale * (budget / compute_over_c_min / PF_DAY) ** exponent;
}

/**
 * The sizes at this budget, `[low, high]`, that lie within the range of the law's own runs; null
 * where none does.
 */
export function testedSizes(name, budget, ours) {
  const { n_params, n_tokens, budgets } = OURS.includes(name) ? ours.fitted_to : FITTED_TO[name];
  if (budgets && (budget < 0.99 * budgets[0] || budget > 1.01 * budgets[1])) return null;
  const low = Math.max(n_params[0], tokensFor(budget, n_tokens[1]));
  const high = Math.min(n_params[1], tokensFor(budget, n_tokens[0]));
  return low < high ? [low, high] : null;
}

export const isTested = (name, budget, n, ours) => {
  const sizes = testedSizes(name, budget, ours);
  return sizes !== null && sizes[0] <= n && n <= sizes[1];
};

/** Days on one GPU at the stated utilisation, and kilowatt-hours of its board at full power. */
export function cost(budget, gpu) {
  const days = trainingDays(budget, gpu, { utilisation: UTILISATION });
  return { days, kilowattHours: (days * 24 * WATTS[gpu]) / 1000 };
}
