// The text as a table: a row per token, which can be chosen and removed, and a column per head.
import { RANGES } from "course:widgets/attention_explorer/settings";
import { h, say } from "../shared/dom.mjs";
import { ATTENTION_WORDS, points, wholePercent } from "./words.mjs";

const HEADS = 4;
const LARGEST_EFFECT = 1; // a change of the probability by 100 points fills the cell

/** A cell with a bar and its number. `show(share, text)`: `share` of null empties it. */
function barCell(kind) {
  const bar = h("i");
  const number = h("span", { class: "cw-number" });
  const track = h("span", { class: "cw-track", "aria-hidden": "true" }, bar);
  const cell = h("td", { class: kind }, h("div", {}, track, number));
  function show(share, text) {
    bar.style.width = `${100 * Math.min(1, Math.abs(share ?? 0))}%`;
    bar.className = share < 0 ? "cw-less" : "cw-more";
    say(number, text);
    number.classList.toggle("cw-none", text === "0");
  }
  return { cell, show };
}

/** One token: its radio button, its cells, and the button that removes it or puts it back. */
function tokenRow(uid, place, { onChoose, onRemove }) {
  const radio = h("input", { type: "radio", name: `${uid}-place`, value: place });
  const text = h("span", { class: "cw-token", lang: "en" });
  const number = h("span", { class: "cw-place" }, String(place));
  const label = h("label", {}, radio, number, text);
  const cells = Array.from({ length: HEADS }, () => barCell("cw-look"));
  const effect = barCell("cw-effect");
  const remove = h("button", { type: "button", class: "cw-remove" });
  remove.addEventListener("click", () => onRemove(place));
  radio.addEventListener("change", () => onChoose(place));
  radio.addEventListener("keydown", (event) => {
    if (event.key !== "Delete" && event.key !== "Backspace") return;
    event.preventDefault();
    onRemove(place, true);
  });
  const row = h(
    "tr",
    {},
    h("th", { scope: "row" }, label),
    ...cells.map(({ cell }) => cell),
    effect.cell,
    h("td", { class: "cw-action" }, remove),
  );

  /** `looks`: the share of each head, or null; `change`: the effect of removing it, or null. */
  function draw({ token, chosen, removed, looks, change }) {
    const later = !removed && looks[0] === null;
    const shown = token.trim();
    row.className = [chosen && "cw-chosen", removed && "cw-gone", later && "cw-later"]
      .filter(Boolean).join(" ");
    radio.checked = chosen;
    radio.disabled = removed;
    say(text, shown);
    radio.setAttribute("aria-label", ATTENTION_WORDS.word(shown, place, removed));
    cells.forEach(({ show }, head) => {
      const share = looks[head];
      show(share, share === null ? "" : wholePercent(share));
    });
    effect.cell.hidden = change === null;
    if (change !== null) effect.show(change / LARGEST_EFFECT, points(change));
    say(remove, removed ? "↺" : "×");
    const name = removed ? ATTENTION_WORDS.putBack : ATTENTION_WORDS.remove;
    remove.setAttribute("aria-label", name(shown, place));
    remove.tabIndex = chosen || removed ? 0 : -1; // the others are reached through their rows
  }
  return { row, radio, draw };
}

/**
 * The table and its `draw`. `onChoose(place)`: the reader asks where this place looks.
 * `onRemove(place, byKey)`: the reader removes it, or puts it back; by a key, its radio button has
 * the focus. Places count from 1.
 */
export function tokenTable(uid, on) {
  const rows = Array.from({ length: RANGES.place[1] }, (_, i) => tokenRow(uid, i + 1, on));
  const effectHead = h("th", { scope: "col", class: "cw-effect" }, ATTENTION_WORDS.effect);
  const heads = Array.from(
    { length: HEADS },
    (_, i) => h("th", { scope: "col" }, ATTENTION_WORDS.head(i + 1)),
  );
  const head = h(
    "tr",
    {},
    h("th", { scope: "col" }, ATTENTION_WORDS.token),
    ...heads,
    effectHead,
    h("td", { class: "cw-action" }),
  );
  const node = h(
    "table",
    { class: "cw-looks" },
    h("caption", { class: "cw-hidden" }, ATTENTION_WORDS.table),
    h("thead", {}, head),
    h("tbody", {}, ...rows.map(({ row }) => row)),
  );

  /** `looks[head][place]`, and the effects of removing each token, or null where they are hidden. */
  function draw(s, tokens, looks, changes) {
    effectHead.hidden = changes === null;
    rows.forEach(({ row, draw: drawRow }, i) => {
      row.hidden = i >= tokens.length;
      if (row.hidden) {
        row.className = "";
        return;
      }
      drawRow({
        token: tokens[i],
        chosen: s.place === i + 1,
        removed: s.removed === i + 1,
        looks: looks.map((head) => head[i]),
        change: changes === null ? null : changes[i],
      });
    });
  }
  return { node, draw, focus: (place) => rows[place - 1].radio.focus() };
}
