// The chart of one distribution, a table so that it can be read aloud, and the four numbers above
// it.
import { h, say } from "../shared/dom.mjs";
import { tr } from "../shared/language.mjs";
import { whole } from "../shared/numbers.mjs";
import { nats, percent, short } from "./words.mjs";

export const ROWS = 17;
export const FEW_ROWS = 7; // so that a phone shows the chart and some sliders at once
const REMOVED_ROWS = 3; // for the first tokens that can no longer be drawn
const OWN_ROWS = 2; // for the model's own likeliest tokens, wherever the settings have put them

/**
 * The ids of the chart's rows: the likeliest of those that can be drawn, then the first of those
 * removed. The model's own likeliest ones stay in view, each at the end of its block.
 * `result`: what `decode` returns; `modelRank`: ids by descending own logit; `most`: how many rows
 * there may be. `shown` rows can be drawn.
 */
export function chartRows({ rank, kept }, modelRank, most = ROWS) {
  const size = rank.length;
  const count = Math.min(most, size);
  const removedRows = Math.min(REMOVED_ROWS, size - kept);
  const shown = Math.min(kept, count - removedRows);
  const drawable = [...rank.slice(0, shown)];
  const removed = [...rank.slice(kept, kept + count - shown)];

  const own = [...modelRank.slice(0, OWN_ROWS)];
  const lost = own.filter((id) => !drawable.includes(id) && !removed.includes(id));
  const lostDrawable = lost.filter((id) => rank.indexOf(id) < kept);
  const lostRemoved = lost.filter((id) => !lostDrawable.includes(id));
  replaceLast(drawable, lostDrawable);
  replaceLast(removed, lostRemoved);
  return { ids: [...drawable, ...removed], shown };
}

/** Puts `ids` in the place of as many at the end of `list`. */
function replaceLast(list, ids) {
  if (ids.length > 0) list.splice(-ids.length, ids.length, ...ids);
}

/** One row of the table. */
function tokenRow() {
  const name = h("span", { class: "cw-token", lang: "en" });
  const mark = h("span", { class: "cw-hidden" }); // what a line through the token means
  const own = h("i", { class: "cw-own" });
  const bar = h("i", { class: "cw-now" });
  const tick = h("i", { class: "cw-drawn" });
  const after = h("td", { class: "cw-number" });
  const before = h("td", { class: "cw-number cw-before" });
  const row = h(
    "tr",
    {},
    h("th", { scope: "row" }, name, mark),
    h("td", { class: "cw-bars", "aria-hidden": "true" }, h("div", {}, own, bar, tick)),
    after,
    before,
  );
  return { row, name, mark, own, bar, tick, after, before };
}

/** A line of colours and what they mean. */
function colourKeys() {
  const key = (kind, name) => h("span", {}, h("i", { class: `cw-${kind}` }), name);
  return h(
    "p",
    { class: "cw-keys", "aria-hidden": "true" },
    key("now", tr("now")),
    key("own", tr("the model’s own")),
    key("drawn", tr("drawn")),
  );
}

/** The four numbers, and what each was before the settings. */
function factsView() {
  const names = [tr("Can be drawn"), tr("Removed"), tr("Entropy, nats"), tr("Perplexity")];
  const facts = names.map((name) => ({ name, now: h("b"), was: h("span") }));
  const items = facts.map(({ name, now, was }) =>
    h("div", {}, h("dt", {}, name), h("dd", {}, now, was))
  );

  /** Returns a sentence of what it shows. */
  function draw({ rank, kept, own, steps }) {
    let removed = 0;
    for (let i = rank.length - 1; i >= kept; i--) removed += own[rank[i]]; // small ones first
    const was = steps[0];
    const is = steps.at(-1);
    const said = [
      [whole(kept), ` ${tr("of {n}", { n: whole(was.kept) })}`],
      [percent(removed), ` ${tr("of its mass")}`],
      [is.entropy.toFixed(2), ` ${tr("model {x}", { x: was.entropy.toFixed(2) })}`],
      [short(is.perplexity), ` ${tr("model {x}", { x: short(was.perplexity) })}`],
    ];
    facts.forEach((fact, i) => {
      say(fact.now, said[i][0]);
      say(fact.was, said[i][1]);
    });
    return tr("{kept} tokens can be drawn; {removed} removed; entropy {entropy}.", {
      kept: whole(kept),
      removed: percent(removed),
      entropy: nats(is.entropy),
    });
  }
  return { node: h("dl", { class: "cw-facts" }, ...items), draw };
}

/**
 * The chart's `table`, `keys` and `summary`, and `draw(s, result, modelRank, counts, latest, most)`,
 * which shows at most as many rows and returns a sentence of what it shows. `text(id)`: a token as the reader sees it.
 */
export function tokenChart(text) {
  const rows = Array.from({ length: ROWS }, tokenRow);
  const more = h("tr", { class: "cw-more" }, h("td", { colspan: 4 }));
  const body = h("tbody", {}, ...rows.map(({ row }) => row));
  const heads = h(
    "tr",
    {},
    h("th", { scope: "col" }, tr("Next token")),
    h("td"),
    h("th", { scope: "col" }, tr("Now")),
    h("th", { scope: "col" }, tr("Model")),
  );
  const caption = tr("The likeliest tokens, and the first of those removed");
  const table = h(
    "table",
    { class: "cw-chart" },
    h("caption", { class: "cw-hidden" }, caption),
    h("thead", {}, heads),
    body,
  );
  const facts = factsView();

  function drawRows(s, { probs, own }, { ids, shown }, counts, latest) {
    /** Of the draws; without draws none. */
    const drawnShare = (id) => (counts === null ? 0 : (counts.get(id) ?? 0) / s.draws);
    let top = 0; // the longest bar's value
    for (const id of ids) top = Math.max(top, probs[id], own[id], drawnShare(id));
    const percentOfTop = (value) => `${(100 * value) / top}%`;

    rows.forEach((r, i) => {
      const id = ids[i];
      r.row.hidden = id === undefined; // a small vocabulary
      if (id === undefined) return;
      const removed = i >= shown;
      const drawn = drawnShare(id);
      say(r.name, text(id));
      say(r.mark, removed ? `, ${tr("removed")}` : "");
      r.row.className = `${removed ? "cw-removed" : ""}${id === latest ? " cw-latest" : ""}`;
      r.bar.style.width = percentOfTop(probs[id]);
      r.own.style.width = percentOfTop(own[id]);
      r.tick.hidden = drawn === 0;
      if (drawn > 0) r.tick.style.left = percentOfTop(drawn);
      say(r.after, percent(probs[id]));
      say(r.before, percent(own[id]));
    });
  }

  /** "and N more" after the rows that can be drawn. */
  function drawMore({ rank, kept, probs }, { ids, shown }) {
    const inView = new Set(ids);
    let rest = 0;
    for (let i = kept - 1; i >= 0; i--) {
      if (!inView.has(rank[i])) rest += probs[rank[i]];
    }
    const hidden = kept - shown;
    more.hidden = hidden <= 0;
    say(
      more.firstChild,
      hidden > 0
        ? tr("and {n} more, together {share}", { n: whole(hidden), share: percent(rest) })
        : "",
    );
    const next = rows[shown]?.row ?? null; // moved only where it must be: moving costs a layout
    if (more.nextSibling !== next || more.parentNode !== body) body.insertBefore(more, next);
  }

  function draw(s, result, modelRank, counts, latest, most) {
    const view = chartRows(result, modelRank, most);
    drawRows(s, result, view, counts, latest);
    drawMore(result, view);
    return facts.draw(result);
  }
  return { table, keys: colourKeys(), summary: facts.node, draw };
}
