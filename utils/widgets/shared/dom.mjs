// Small helpers for a widget's page: elements, and numbers and tokens as a reader should see them.

/** An element. An attribute that is `false` is left out, one that is `true` stands without a value. */
export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

/** Set a text only where it differs, because setting it makes the browser lay it out again. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const grouped = new Intl.NumberFormat("en-US"); // made once: making one takes longer than drawing a bar
export const whole = (n) => grouped.format(Math.round(n));

/** A probability as a percentage of about three digits; 0 and 100 only where they are exact. */
export function percent(p) {
  if (p === 0 || p === 1) return `${100 * p}\u00a0%`;
  if (p < 0.0001) return "<0.01\u00a0%";
  if (p >= 0.9995) return ">99.9\u00a0%";
  const digits = p >= 0.0995 ? 1 : 2;
  return `${(100 * p).toFixed(digits)}\u00a0%`;
}

export const nats = (x) => `${Math.abs(x) < 0.005 ? "0" : x.toFixed(2)}\u00a0nats`;
export const short = (x) => (x < 99.5 ? x.toFixed(x < 9.95 ? 2 : 1) : whole(x));

/** A token's text with its white space made visible. */
export const visible = (text) =>
  text.replaceAll(" ", "␣").replaceAll("\n", "↵").replaceAll("\t", "⇥") || "(nothing)";
