// Counts, bytes and times as the parameter-budget explorer says them.
import { PRESETS } from "course:models/budget";
import { SHAPE } from "course:widgets/parameter_budget/settings";
import { superscript, whole } from "../shared/numbers.mjs";

/** Three digits, whatever the size. */
export function digits(x) {
  if (x < 9.995) return x.toFixed(2);
  return x.toFixed(x < 99.95 ? 1 : 0);
}

/** A number in the largest of the `units`, a thousand apart, in which it is at least 1. */
function scaled(n, units) {
  let i = 0;
  while (i < units.length - 1 && n >= 999.5) {
    n /= 1000;
    i++;
  }
  const number = i === 0 ? whole(n) : digits(n);
  return `${number}\u00a0${units[i]}`.trimEnd(); // no line break before a unit
}

export const short = (n) => scaled(n, ["", "thousand", "million", "billion", "trillion"]);
export const bytes = (n) => scaled(n, ["B", "kB", "MB", "GB", "TB", "PB"]);

/** A large number as a power of ten. */
export function power(n) {
  const [mantissa, exponent] = n.toExponential(2).split("e+");
  return `${mantissa} × 10${superscript(exponent)}`;
}

export function duration(days) {
  const seconds = days * 86400;
  if (seconds < 0.001) return "less than a millisecond";
  if (seconds < 1) return `${Number(seconds.toPrecision(2))} seconds`;
  if (seconds < 60) return `${digits(seconds)} seconds`;
  if (days < 1 / 24) return `${digits(days * 1440)} minutes`;
  if (days < 2) return `${digits(days * 24)} hours`;
  if (days < 1000) return `${digits(days)} days`;
  return `${whole(days)} days (${digits(days / 365.25)} years)`;
}

export function share(x) {
  if (x > 0 && x < 0.0005) return "<0.1\u00a0%";
  return `${(100 * x).toFixed(1)}\u00a0%`;
}

/** How the count compares with the published one. */
export function verdict(s, n) {
  const preset = PRESETS[s.preset];
  const same = SHAPE.every((key) => (preset[key] ?? preset.n_head) === s[key]);
  if (!same) return `${preset.label}, changed.`;
  if (preset.published === null) return `${preset.label}.`;
  if (preset.published === n) return `${preset.label}: equal to the released checkpoint.`;
  const apart = ((100 * Math.abs(n - preset.published)) / preset.published).toFixed(1);
  return `${preset.label}: the paper says ${short(preset.published)}, ${apart} % away.`;
}
