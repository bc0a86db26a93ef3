// The bars, in a table so that they can be read aloud.
import { h, say } from "../shared/dom.mjs";
import { percentage, TITLE_WORDS } from "./words.mjs";

/** One row: a name, its bar from 0 to 100 %, its probability. The model's words are English. */
function barRow(name, kind) {
  const lang = kind === "cw-word" && "en";
  const bar = h("i");
  const number = h("td", { class: "cw-number" });
  const row = h(
    "tr",
    { class: kind },
    h("th", { scope: "row", lang }, name),
    h("td", { class: "cw-track", "aria-hidden": "true" }, h("div", {}, bar)),
    number,
  );

  function draw(p) {
    bar.style.width = `${100 * p}%`;
    say(number, percentage(p));
  }
  return { row, draw };
}

/** The table of `words` and of the `othersCount` other tokens together: its `node`, `draw(shares)`. */
export function barsTable(words, othersCount) {
  const rows = words.map((word) => barRow(word, "cw-word"));
  const rest = barRow(TITLE_WORDS.others(othersCount), "cw-others");
  const head = h(
    "tr",
    {},
    h("th", { scope: "col" }, TITLE_WORDS.word),
    h("td"),
    h("th", { scope: "col" }, TITLE_WORDS.share),
  );
  const node = h(
    "table",
    { class: "cw-word-bars" },
    h("caption", { class: "cw-hidden" }, TITLE_WORDS.caption),
    h("thead", {}, head),
    h("tbody", {}, ...rows.map(({ row }) => row), rest.row),
  );

  function draw({ tokens, others }) {
    tokens.forEach((p, i) => rows[i].draw(p));
    rest.draw(others);
  }
  return { node, draw };
}
