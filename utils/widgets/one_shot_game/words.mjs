// Numbers and sentences as the one-shot game says them.
import { BUDGET, LENGTHS, RATES, WIDTHS } from "course:widgets/one_shot_game/settings";
import { tr } from "../shared/language.mjs";
import { whole } from "../shared/numbers.mjs";
import { designRuns, heroRun, lossOfRun, priceOf, scored, spentOn } from "./rules.mjs";

/** A count of tokens: "256k". */
export const tokensShort = (tokens) =>
  tokens < 1e6 ? `${tokens / 1000}k` : `${(tokens / 1e6).toFixed(1)}M`;

/** CPU seconds. */
export const seconds = (s) => s < 9.95 ? s.toFixed(1) : s.toFixed(0);

/** A run in words. */
export const runName = ({ width, length, rate }) =>
  tr("width {width}, {tokens} tokens, c = {rate}", {
    width: WIDTHS[width],
    tokens: whole(LENGTHS[length]),
    rate: RATES[rate],
  });

const signed = (share) => `${share < 0 ? "−" : "+"}${(100 * Math.abs(share)).toFixed(1)}\u00a0%`;

/** The hero, and what is left to spend. */
export function taskSentence(s, runs, game) {
  const hero = heroRun(s.hero);
  const left = seconds(BUDGET - spentOn(runs, game));
  const bought = runs.length === 1 ? tr("1 run") : tr("{n} runs", { n: runs.length });
  return tr(
    "The hero: {hero}. You have bought {bought}; {left} of {budget} seconds are left.",
    { hero: runName(hero), bought, left, budget: BUDGET },
  );
}

/** What a forecast `{ loss, low, high }` came to. */
function resultText(forecast, outcome) {
  const { miss, held, score } = scored(forecast, outcome);
  return tr("{forecast}, miss {miss}, interval {held}, score {score}", {
    forecast: `${forecast.loss.toFixed(2)} [${forecast.low.toFixed(2)}, ${
      forecast.high.toFixed(2)
    }]`,
    miss: signed(miss),
    held: held ? tr("held") : tr("did not hold"),
    score: score.toFixed(2),
  });
}

const RIVAL_NAMES = { L: tr("an L"), grid: tr("a grid") };

/** The player's forecast. */
export const ownForecast = (s) => ({
  loss: s.forecast,
  low: s.forecast - s.spread,
  high: s.forecast + s.spread,
});

/** What came of it, a list of sentences. */
export function resultSentences(s, runs, game) {
  const hero = heroRun(s.hero);
  const outcome = lossOfRun(hero, game);
  const said = [
    tr("The hero came out at {loss} nats.", { loss: outcome.toFixed(3) }),
    tr("You: {result}.", { result: resultText(ownForecast(s), outcome) }),
  ];
  for (const [name, rival] of Object.entries(game.rivals[s.hero - 1])) {
    const own = designRuns(name, game);
    const cost = seconds(spentOn(own, game));
    said.push(tr("The coupled law, from {design} of {n} runs ({cost} seconds): {result}.", {
      design: RIVAL_NAMES[name],
      n: own.length,
      cost,
      result: resultText(rival, outcome),
    }));
  }
  if (runs.length > 0) {
    const best = Math.min(...runs.map((run) => lossOfRun(run, game)));
    said.push(tr(
      "To say that the hero is as good as your best run ({best}) would miss by {miss}.",
      { best: best.toFixed(2), miss: signed(best / outcome - 1) },
    ));
  }
  return said;
}

export const SCORE_NOTE = tr(
  "The score is the width of the interval in nats plus 20 times how far outside of it the outcome " +
    "lies: the lower the better. The law’s forecasts were made beforehand, from the runs of their " +
    "designs and not from yours.",
);

/** A button of the board, for a screen reader. */
export const cellName = (run, game) =>
  tr("Buy {run}, for {seconds} seconds", {
    run: runName(run),
    seconds: seconds(priceOf(run, game)),
  });
