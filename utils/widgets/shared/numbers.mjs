// Numbers as a reader should see them, and within their range.

// Made once: making one takes longer than drawing a bar.
const grouped = new Intl.NumberFormat("en-US");

/** A whole number with its thousands grouped. */
export const whole = (x) => grouped.format(Math.round(x));

/** A whole number, given as text, in raised digits: an exponent of ten. */
export const superscript = (text) =>
  [...text].map((character) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[character] ?? "⁻").join("");

/** The number in [`low`, `high`] that is nearest to `x`. */
export const clamp = (x, [low, high]) => Math.min(high, Math.max(low, x));
