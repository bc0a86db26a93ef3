// A text as a ribbon of tokens, each the darker the more bits it costs, and the race of the totals.
import { h, say } from "../shared/dom.mjs";
import { totalOf } from "./grams.mjs";
import { RACERS, RIBBON_WORDS } from "./words.mjs";

const DARKEST = 14; // bits
const DARK = 34; // per cent of the colour; more would be hard to read on

/** The ribbon and its `draw(text, count)`. `onChoose(token)`: the reader has tapped one, from 1. */
export function tokenRibbon({ onChoose }) {
  const node = h("p", { class: "cw-ribbon", lang: "en" });
  let drawn = null; // the text whose tokens stand there
  let pieces = [];

  function fill(text) {
    pieces = text.tokens.map((token) => h("span", {}, token));
    pieces.forEach((piece, i) => piece.addEventListener("click", () => onChoose(i + 1)));
    node.replaceChildren(...pieces);
    drawn = text;
  }

  /** `count`: tokens that are read; the last of them is the chosen one. */
  function draw(text, count) {
    if (drawn !== text) fill(text);
    pieces.forEach((piece, i) => {
      const share = i < count ? Math.min(1, text.model[i] / DARKEST) : 0;
      piece.style.setProperty("--cw-heat", `${Math.round(DARK * share)}%`);
      piece.className = i === count - 1 ? "cw-chosen" : i < count ? "" : "cw-later";
    });
  }
  return { node, draw };
}

function racer(name) {
  const title = h("th", { scope: "row" }, RACERS[name]);
  const bar = h("i", { class: `cw-racer-${name}` });
  const track = h("td", { class: "cw-track", "aria-hidden": "true" }, h("div", {}, bar));
  const size = h("td", { class: "cw-number" });
  const rate = h("td", { class: "cw-number" });
  return { row: h("tr", {}, title, track, size, rate), bar, size, rate };
}

/** What everybody needs for the first `count` tokens, in bytes; deflate for the whole text. */
export function totalsOf(text, count) {
  const found = {};
  for (const name of ["model", "books", "learning", "unigram"]) {
    if (text[name]) found[name] = totalOf(text[name], count) / 8;
  }
  if (text.deflate_bytes !== null) found.deflate = text.deflate_bytes;
  return found;
}

/** The UTF-8 bytes of the first `count` tokens. */
export function bytesRead(text, count) {
  if (count === text.tokens.length) return text.n_bytes;
  return text.sizes?.slice(0, count).reduce((a, b) => a + b, 0) ??
    new TextEncoder().encode(text.tokens.slice(0, count).join("")).length;
}

/** The table of totals and its `draw(text, count)`. */
export function raceTable() {
  const rows = Object.keys(RACERS).map((name) => [name, racer(name)]);
  const [who, bytes, rate] = RIBBON_WORDS.columns;
  const head = h(
    "tr",
    {},
    h("th", { scope: "col" }, who),
    h("td"),
    h("th", { scope: "col", class: "cw-number" }, bytes),
    h("th", { scope: "col", class: "cw-number" }, rate),
  );
  const node = h(
    "table",
    { class: "cw-race" },
    h("caption", { class: "cw-hidden" }, RIBBON_WORDS.race),
    h("thead", {}, head),
    h("tbody", {}, ...rows.map(([, { row }]) => row)),
  );

  function draw(text, count) {
    const totals = totalsOf(text, count);
    const whole = totalsOf(text, text.tokens.length);
    const longest = Math.max(...Object.values(whole));
    const read = bytesRead(text, count);
    for (const [name, r] of rows) {
      r.row.hidden = totals[name] === undefined;
      if (r.row.hidden) continue;
      const over = name === "deflate" ? text.n_bytes : read;
      r.bar.style.width = `${(100 * totals[name]) / longest}%`;
      say(r.size, totals[name].toFixed(0));
      say(r.rate, ((8 * totals[name]) / over).toFixed(2));
    }
  }
  return { node, draw };
}
