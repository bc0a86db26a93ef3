// The rules of the one-shot game: what a run costs, which may be bought, how a forecast is scored.
// `game` is the record of losses, prices and rivals. A run is `{ width, length, rate }`, places in
// the tables WIDTHS, LENGTHS and RATES. Pure functions, no page.
import {
  BUDGET,
  HEROES,
  LENGTHS,
  RATE,
  RATES,
  TOKENS_PER_STEP,
  WIDTHS,
} from "course:widgets/one_shot_game/settings";

const LEVEL = 0.9; // of the interval
const HERO_RATE = RATES.indexOf(RATE);

/** The run that is to be forecast; heroes are counted from 1. */
export function heroRun(hero) {
  const [width, length] = HEROES[hero - 1];
  return { width, length, rate: HERO_RATE };
}

export const lossOfRun = ({ width, length, rate }, game) => game.losses[width][length][rate];

/** CPU seconds. */
export const priceOf = ({ width, length }, game) =>
  game.seconds_per_step[width] * Math.round(LENGTHS[length] / TOKENS_PER_STEP);

export const spentOn = (runs, game) => runs.reduce((sum, run) => sum + priceOf(run, game), 0);

/** Whether a run takes as many operations as the hero, or more: those are not for sale. */
export function tooLarge(run, hero, game) {
  const size = ({ width, length }) => game.n_params[width] * LENGTHS[length];
  return size(run) >= size(heroRun(hero));
}

export const sameRun = (a, b) => a.width === b.width && a.length === b.length && a.rate === b.rate;

/** Whether the game lets a player who has `runs` buy another one. */
export const mayBuy = (run, runs, hero, game) =>
  !tooLarge(run, hero, game) && !runs.some((other) => sameRun(other, run)) &&
  spentOn([...runs, run], game) <= BUDGET;

/** `runs` and, one after another, those of `wanted` that may be bought. */
export function withBought(runs, wanted, hero, game) {
  const list = [...runs];
  for (const run of wanted) if (mayBuy(run, list, hero, game)) list.push(run);
  return list;
}

/** The runs of a rival's design. */
export const designRuns = (name, game) =>
  game.designs[name].map(([width, length]) => ({ width, length, rate: HERO_RATE }));

// ---- Runs as a text, for an address: "r" and two characters for each, its cell and its rate

export const asText = (runs) =>
  runs.length === 0 ? "" : "r" +
    runs.map(({ width, length, rate }) => (width * LENGTHS.length + length).toString(36) + rate)
      .join("");

/** The runs of such a text; what is none is left out. */
export function fromText(text) {
  const pairs = /^r/.test(text) ? text.slice(1).match(/[0-9a-z][0-9]/g) ?? [] : [];
  const runs = pairs.map(([cell, rate]) => ({
    width: Math.floor(parseInt(cell, 36) / LENGTHS.length),
    length: parseInt(cell, 36) % LENGTHS.length,
    rate: Number(rate),
  }));
  return runs.filter(({ width, rate }) => width < WIDTHS.length && rate < RATES.length);
}

// ---- The score

/**
 * How a forecast did: its miss as a share of the outcome, whether the interval held, and the
 * interval score in nats (Gneiting and Raftery 2007, equation 43): the width of the interval, plus
 * 2 / (1 - level) times how far outside of it the outcome lies. The lower the better.
 */
export function scored({ loss, low, high }, outcome) {
  const outside = Math.max(0, low - outcome, outcome - high);
  return {
    miss: loss / outcome - 1,
    held: outside === 0,
    score: high - low + (2 / (1 - LEVEL)) * outside,
  };
}
