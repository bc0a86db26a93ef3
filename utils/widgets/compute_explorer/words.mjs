// Numbers and sentences as the compute explorer says them.
import { GPUS } from "course:models/budget";
import { LAW_NAMES, OURS, UTILISATION, WATTS } from "course:widgets/compute_explorer/settings";
import { digits, duration, power, short } from "../parameter_budget/words.mjs";
import { whole } from "../shared/numbers.mjs";

const MANY = 1000; // GPUs, where one takes too long
const MANY_PASSES = 15; // over the same text

/** A count of parameters or tokens on a chart: "72.2B". */
export function brief(n) {
  const units = ["", "k", "M", "B", "T"];
  let i = 0;
  while (i < units.length - 1 && n >= 999.5) {
    n /= 1000;
    i++;
  }
  return `${Number(n.toPrecision(3))}${units[i]}`;
}

/** Tokens per parameter. */
export const perParameter = (ratio) =>
  ratio >= 99.5 ? whole(ratio) : String(Number(ratio.toPrecision(2)));

export const nats = (loss) => loss.toFixed(3);

/** How far above the bottom, in nats and as a share. */
export function above(loss, lowest) {
  const apart = loss - lowest;
  if (apart < 0.0005) return "less than 0.001 above the bottom";
  const share = (100 * apart) / lowest;
  const percent = share < 0.05 ? "" : ` (${share.toFixed(1)}\u00a0%)`;
  return `${apart.toFixed(3)}${percent} above the bottom`;
}

export const flopText = (budget) => `${power(budget)} FLOP`;

/** Energy. */
export function energy(kilowattHours) {
  if (kilowattHours < 0.001) return "less than 0.001 kWh";
  if (kilowattHours < 10) return `${Number(kilowattHours.toPrecision(2))} kWh`;
  if (kilowattHours < 1e6) return `${whole(kilowattHours)} kWh`;
  return `${short(kilowattHours)} kWh`;
}

export function timeText({ days }, gpu) {
  const rate = `${whole(100 * UTILISATION)}\u00a0% of ${GPUS[gpu].peak16 / 1e12} TFLOP/s`;
  const many = days > 2 ? `, ${duration(days / MANY)} on ${whole(MANY)} of them` : "";
  return `${duration(days)} on one ${gpu} at ${rate}${many}`;
}

export const energyText = ({ kilowattHours }, gpu) =>
  `${energy(kilowattHours)} at ${WATTS[gpu]} W per board, cooling and hosts not counted`;

/** Who says so. */
const byLaw = (law) => OURS.includes(law) ? "by the law of our runs" : `by ${LAW_NAMES[law]}`;

export const MODEL_NOTE =
  "A diamond stands where the law puts that model at this budget. It is no measured loss: the " +
  "models saw different text, cut into different tokens.";
export const OTHER_TOKENS =
  "We have runs at this budget, but their losses count other tokens: choose a law of our runs.";

/**
 * What the valley shows, as sentences. `f`: the numbers of `measure` in widget.mjs.
 */
export function sentences(s, f) {
  const said = [
    `${short(f.n)} parameters on ${short(f.d)} tokens, ${perParameter(s.tokens_per_parameter)} ` +
    `per parameter: ${nats(f.loss)} nats ${byLaw(s.law)}, ${above(f.loss, f.lowest)}.`,
  ];
  if (f.passes > 1) {
    said.push(
      `The tokens are ${digits(f.passes)} passes over ${short(s.unique)} different ones, worth ` +
        `${short(f.fresh)} fresh ones (a form fitted to models of up to 9 billion parameters).`,
    );
  }
  if (f.passes > MANY_PASSES) {
    said.push("The form knows no harm from repetition, though runs in this chapter show some.");
  }
  said.push(
    `The bottom is at ${short(f.bottom)} parameters and ${short(f.bottomTokens)} tokens.`,
  );
  if (s.law === "kaplan") {
    said.push(
      `Their own table for choosing a size says ${
        short(f.advice)
      }. Their N leaves the embedding out.`,
    );
  }
  if (!f.tested) said.push("Here the law is beyond the sizes and tokens of its own runs: dashed.");
  if (f.runs.length > 0 && f.measured === null) said.push(OTHER_TOKENS);
  if (f.measured !== null) {
    const { run, expected } = f.measured;
    said.push(
      `Dots are ${f.runs.length} sizes that we trained. The lowest is ${nats(run.loss)} at ` +
        `${short(run.n_params)} parameters; the law says ${nats(expected)} there.`,
    );
  }
  return said;
}
