// Numbers and sentences as the solution-path explorer says them.
import { tr } from "../shared/language.mjs";
import { superscript } from "../shared/numbers.mjs";
import { loss, stableStep } from "./descent.mjs";

export const minus = (text) => text.replace("-", "−");

/** With `digits` decimals, and no sign before a zero. */
export function fixed(x, digits = 3) {
  const rounded = Math.abs(x) < 0.5 * 10 ** -digits ? 0 : x;
  return minus(rounded.toFixed(digits));
}

/** A number of any size, short. */
export function plain(x) {
  const extreme = x !== 0 && (Math.abs(x) >= 1e4 || Math.abs(x) < 5e-4);
  if (!extreme) return fixed(x);
  const [mantissa, exponent] = x.toExponential(1).split("e");
  return minus(`${mantissa} × 10${superscript(exponent.replace("+", ""))}`);
}

export const place = (w) => `(${fixed(w[0], 2)}, ${fixed(w[1], 2)})`;

export const norm = (x, y) => Math.sqrt(x * x + y * y);

/** What the path shows, in one or two sentences. */
export function verdict(s, path, flow) {
  const end = path.points.at(-1);
  const edge = stableStep(flow, s);
  const beyond = s.method === "gd" && s.eta > edge;
  const times = (s.eta / edge).toFixed(2);
  const why = beyond ? ` ${tr("The step is {times} times the edge.", { times })}` : "";

  if (path.diverged !== null) {
    const step = path.diverged;
    return tr("Diverges: at step {step} the weights pass a million.", { step }) + why;
  }
  if (loss(end) > 1e-4) {
    const steps = path.points.length - 1;
    const left = plain(loss(end));
    return tr("After {steps} steps the loss is {left}: not at a solution.", { steps, left }) + why;
  }
  const apart = norm(end[0] - flow[0], end[1] - flow[1]);
  const whose = s.model === "linear"
    ? tr("nearest to its start")
    : tr("that gradient flow reaches");
  const told = { place: place(end), whose, apart: fixed(apart, 2) };
  if (apart < 0.01) return tr("Ends at {place}, the solution {whose}.", told);
  return tr("Ends at {place}: a solution, but {apart} away from the one {whose}.", told);
}
