// Numbers and sentences as the solution-path explorer says them.
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
  const why = beyond ? ` The step is ${(s.eta / edge).toFixed(2)} times the edge.` : "";

  if (path.diverged !== null) {
    return `Diverges: at step ${path.diverged} the weights pass a million.${why}`;
  }
  if (loss(end) > 1e-4) {
    const steps = path.points.length - 1;
    return `After ${steps} steps the loss is ${plain(loss(end))}: not at a solution.${why}`;
  }
  const apart = norm(end[0] - flow[0], end[1] - flow[1]);
  const whose = s.model === "linear" ? "nearest to its start" : "that gradient flow reaches";
  if (apart < 0.01) return `Ends at ${place(end)}, the solution ${whose}.`;
  return `Ends at ${place(end)}: a solution, but ${fixed(apart, 2)} away from the one ${whose}.`;
}
