// Counts, bytes and times as the parameter-budget explorer says them.
import { PRESETS } from "course:models/budget";
import { SHAPE } from "course:widgets/parameter_budget/settings";
import { tr } from "../shared/language.mjs";
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

export const short = (n) =>
  scaled(n, ["", tr("thousand"), tr("million"), tr("billion"), tr("trillion")]);
export const bytes = (n) => scaled(n, ["B", "kB", "MB", "GB", "TB", "PB"]);

/** A large number as a power of ten. */
export function power(n) {
  const [mantissa, exponent] = n.toExponential(2).split("e+");
  return `${mantissa} × 10${superscript(exponent)}`;
}

export function duration(days) {
  const seconds = days * 86400;
  if (seconds < 0.001) return tr("less than a millisecond");
  if (seconds < 1) return tr("{n} seconds", { n: Number(seconds.toPrecision(2)) });
  if (seconds < 60) return tr("{n} seconds", { n: digits(seconds) });
  if (days < 1 / 24) return tr("{n} minutes", { n: digits(days * 1440) });
  if (days < 2) return tr("{n} hours", { n: digits(days * 24) });
  if (days < 1000) return tr("{n} days", { n: digits(days) });
  return tr("{n} days ({years} years)", { n: whole(days), years: digits(days / 365.25) });
}

export function share(x) {
  if (x > 0 && x < 0.0005) return "<0.1\u00a0%";
  return `${(100 * x).toFixed(1)}\u00a0%`;
}

/** How the count compares with the published one. */
export function verdict(s, n) {
  const preset = PRESETS[s.preset];
  const model = tr(preset.label);
  const same = SHAPE.every((key) => (preset[key] ?? preset.n_head) === s[key]);
  if (!same) return tr("{model}, changed.", { model });
  if (preset.published === null) return `${model}.`;
  if (preset.published === n) {
    return tr("{model}: equal to the released checkpoint.", { model });
  }
  const apart = ((100 * Math.abs(n - preset.published)) / preset.published).toFixed(1);
  return tr("{model}: the paper says {published}, {apart} % away.", {
    model,
    published: short(preset.published),
    apart,
  });
}
