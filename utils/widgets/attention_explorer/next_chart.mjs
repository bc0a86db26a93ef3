// The likeliest next words as bars, with what they were before as outlines.
import { h, say } from "../shared/dom.mjs";
import { chanceOf } from "./readings.mjs";
import { ATTENTION_WORDS, chance } from "./words.mjs";

const WORD_ROWS = 6;
const SMALLEST_OUTLINE = 0.005; // a narrower one would be two dashes
const OLD_ROWS = 3; // for the words that led before

/** The texts of the rows: those that led before, then those that lead now. */
export function nextRows(now, before) {
  const texts = (before ?? now).next.slice(0, OLD_ROWS).map(({ text }) => text);
  for (const { text } of now.next) {
    if (texts.length < WORD_ROWS && !texts.includes(text)) texts.push(text);
  }
  return texts;
}

function wordRow() {
  const name = h("th", { scope: "row", lang: "en" });
  const bar = h("i", { class: "cw-now" });
  const ghost = h("i", { class: "cw-ghost" });
  const now = h("td", { class: "cw-number" });
  const was = h("td", { class: "cw-number cw-was" });
  const track = h("td", { class: "cw-track", "aria-hidden": "true" }, h("div", {}, bar, ghost));
  return { row: h("tr", {}, name, track, now, was), name, bar, ghost, now, was };
}

/**
 * The table and its `draw(now, before, name)`: `before` is the reading that the outlines show, under
 * this name; null where there is none.
 */
export function nextChart() {
  const rows = Array.from({ length: WORD_ROWS }, wordRow);
  const wasName = h("span");
  const wasHead = h("th", { scope: "col" }, h("i", { class: "cw-ghost" }), wasName);
  const head = h(
    "tr",
    {},
    h("th", { scope: "col" }, ATTENTION_WORDS.next),
    h("td"),
    h("th", { scope: "col" }, ATTENTION_WORDS.now),
    wasHead,
  );
  const node = h(
    "table",
    { class: "cw-next" },
    h("caption", { class: "cw-hidden" }, ATTENTION_WORDS.chances),
    h("thead", {}, head),
    h("tbody", {}, ...rows.map(({ row }) => row)),
  );

  function draw(now, before, name) {
    wasHead.style.visibility = before === null ? "hidden" : "";
    say(wasName, name);
    nextRows(now, before).forEach((text, i) => {
      const r = rows[i];
      const p = chanceOf(now, text);
      say(r.name, text.trim());
      r.bar.style.width = `${100 * p}%`;
      say(r.now, chance(p));
      const old = before === null ? 0 : chanceOf(before, text);
      r.ghost.hidden = old < SMALLEST_OUTLINE;
      r.ghost.style.width = `${100 * old}%`;
      say(r.was, before === null ? "" : chance(old));
    });
  }
  return { node, draw };
}
