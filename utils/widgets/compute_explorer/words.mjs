// Numbers and sentences as the compute explorer says them.
import { GPUS } from "course:models/budget";
import { LAW_NAMES, OURS, UTILISATION, WATTS } from "course:widgets/compute_explorer/settings";
import { digits, duration, power, short } from "../parameter_budget/words.mjs";
import { tr } from "../shared/language.mjs";
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
  if (apart < 0.0005) return tr("less than 0.001 above the bottom");
  const share = (100 * apart) / lowest;
  const percent = share < 0.05 ? "" : ` (${share.toFixed(1)}\u00a0%)`;
  return tr("{apart} above the bottom", { apart: `${apart.toFixed(3)}${percent}` });
}

export const flopText = (budget) => `${power(budget)} FLOP`;

/** Energy. */
export function energy(kilowattHours) {
  if (kilowattHours < 0.001) return tr("less than 0.001 kWh");
  if (kilowattHours < 10) return `${Number(kilowattHours.toPrecision(2))} kWh`;
  if (kilowattHours < 1e6) return `${whole(kilowattHours)} kWh`;
  return `${short(kilowattHours)} kWh`;
}

export function timeText({ days }, gpu) {
  const rate = {
    time: duration(days),
    gpu,
    share: whole(100 * UTILISATION),
    peak: GPUS[gpu].peak16 / 1e12,
    together: duration(days / MANY),
    many: whole(MANY),
  };
  if (days <= 2) return tr("{time} on one {gpu} at {share}\u00a0% of {peak} TFLOP/s", rate);
  return tr(
    "{time} on one {gpu} at {share}\u00a0% of {peak} TFLOP/s, {together} on {many} of them",
    rate,
  );
}

export const energyText = ({ kilowattHours }, gpu) =>
  tr("{energy} at {watts} W per board, cooling and hosts not counted", {
    energy: energy(kilowattHours),
    watts: WATTS[gpu],
  });

/** Who says so. */
const byLaw = (law) =>
  OURS.includes(law) ? tr("by the law of our runs") : tr("by {law}", { law: tr(LAW_NAMES[law]) });

export const MODEL_NOTE = tr(
  "A diamond stands where the law puts that model at this budget. It is no measured loss: the " +
    "models saw different text, cut into different tokens.",
);
export const OTHER_TOKENS = tr(
  "We have runs at this budget, but their losses count other tokens: choose a law of our runs.",
);

/**
 * What the valley shows, as sentences. `f`: the numbers of `measure` in widget.mjs.
 */
export function sentences(s, f) {
  const said = [tr(
    "{n} parameters on {d} tokens, {ratio} per parameter: {loss} nats {law}, {above}.",
    {
      n: short(f.n),
      d: short(f.d),
      ratio: perParameter(s.tokens_per_parameter),
      loss: nats(f.loss),
      law: byLaw(s.law),
      above: above(f.loss, f.lowest),
    },
  )];
  if (f.passes > 1) {
    said.push(tr(
      "The tokens are {passes} passes over {unique} different ones, worth {fresh} fresh ones (a " +
        "form fitted to models of up to 9 billion parameters).",
      { passes: digits(f.passes), unique: short(s.unique), fresh: short(f.fresh) },
    ));
  }
  if (f.passes > MANY_PASSES) {
    said.push(tr("The form knows no harm from repetition, though runs in this chapter show some."));
  }
  said.push(tr("The bottom is at {n} parameters and {d} tokens.", {
    n: short(f.bottom),
    d: short(f.bottomTokens),
  }));
  if (s.law === "kaplan") {
    said.push(tr(
      "Their own table for choosing a size says {n}. Their N leaves the embedding out.",
      { n: short(f.advice) },
    ));
  }
  if (!f.tested) {
    said.push(tr("Here the law is beyond the sizes and tokens of its own runs: dashed."));
  }
  if (f.runs.length > 0 && f.measured === null) said.push(OTHER_TOKENS);
  if (f.measured !== null) {
    const { run, expected } = f.measured;
    said.push(tr(
      "Dots are {count} sizes that we trained. The lowest is {loss} at {n} parameters; the law says " +
        "{expected} there.",
      {
        count: f.runs.length,
        loss: nats(run.loss),
        n: short(run.n_params),
        expected: nats(expected),
      },
    ));
  }
  return said;
}
