// Where numbers stand in the compute explorer's charts.
import { svg } from "../shared/dom.mjs";

/** A logarithmic scale from the values `low`..`high` to the places `from`..`to`. */
export function logScale([low, high], [from, to]) {
  const perUnit = (to - from) / Math.log(high / low);
  return {
    at: (value) => from + perUnit * Math.log(value / low),
    valueAt: (place) => low * Math.exp((place - from) / perUnit),
  };
}

/** A scale in equal steps. */
export function evenScale([low, high], [from, to]) {
  const perUnit = (to - from) / (high - low);
  return { at: (value) => from + perUnit * (value - low) };
}

/** The powers of ten in [low, high]. */
export function decades([low, high]) {
  const found = [];
  for (let k = Math.ceil(Math.log10(low) - 1e-9); k <= Math.log10(high) + 1e-9; k++) {
    found.push(10 ** k);
  }
  return found;
}

/** Two to six round numbers in [low, high], as `{ value, text }`. */
export function roundTicks([low, high]) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((candidate) => candidate >= rough);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) {
    found.push({ value: i * step, text: (i * step).toFixed(decimals) });
  }
  return found;
}

/** A path through places `[x, y]`; "" for fewer than two. */
export function pathThrough(places) {
  if (places.length < 2) return "";
  return `M${places.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`;
}

/** A diamond around a place. */
export const diamondAt = (x, y, r) => `M${x} ${y - r}L${x + r} ${y}L${x} ${y + r}L${x - r} ${y}Z`;

export const gridLine = (x1, y1, x2, y2) => svg("line", { class: "cw-grid", x1, y1, x2, y2 });
