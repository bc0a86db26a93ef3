// The chart of one distribution, a table so that it can be read aloud, and the four numbers above it.
import { h, nats, percent, say, short, whole } from "../shared/dom.mjs";

const ROWS = 17, REMOVED_ROWS = 3, OWN_ROWS = 2;

/**
 * The ids of the chart's rows: the likeliest of those that can be drawn, then the first of those removed. The
 * model's own likeliest ones stay in view wherever the settings have put them, each at the end of its block.
 * `result`: what `decode` returns; `modelRank`: ids by descending own logit. `shown` rows can be drawn.
 */
export function chartRows({ rank, kept }, modelRank) {
  const size = rank.length,
    count = Math.min(ROWS, size),
    shown = Math.min(kept, count - Math.min(REMOVED_ROWS, size - kept));
  const drawable = [...rank.slice(0, shown)], removed = [...rank.slice(kept, kept + count - shown)];
  const lost = [...modelRank.slice(0, OWN_ROWS)].filter((id) =>
    !drawable.includes(id) && !removed.includes(id)
  );
  const left = lost.filter((id) => rank.indexOf(id) < kept),
    gone = lost.filter((id) => !left.includes(id));
  if (left.length) drawable.splice(-left.length, left.length, ...left);
  if (gone.length) removed.splice(-gone.length, gone.length, ...gone);
  return { ids: [...drawable, ...removed], shown };
}

/** The chart's parts, and `draw(s, result, modelRank, counts, latest)`, which also returns a sentence of what it shows. */
export function tokenChart(text) {
  const rows = Array.from({ length: ROWS }, () => {
    const name = h("span", { class: "cw-token" }), mark = h("span", { class: "cw-hidden" });
    const bar = h("i", { class: "cw-now" }),
      own = h("i", { class: "cw-own" }),
      tick = h("i", { class: "cw-drawn" });
    const after = h("td", { class: "cw-number" }),
      before = h("td", { class: "cw-number cw-before" });
    const row = h(
      "tr",
      {},
      h("th", { scope: "row" }, name, mark),
      h("td", { class: "cw-bars", "aria-hidden": "true" }, h("div", {}, own, bar, tick)),
      after,
      before,
    );
    return { row, name, mark, bar, own, tick, after, before };
  });
  const more = h("tr", { class: "cw-more" }, h("td", { colspan: 4 }));
  const body = h("tbody", {}, ...rows.map((r) => r.row));
  const table = h(
    "table",
    { class: "cw-chart" },
    h("caption", { class: "cw-hidden" }, "The likeliest tokens, and the first of those removed"),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { scope: "col" }, "Next token"),
        h("td"),
        h("th", { scope: "col" }, "Now"),
        h("th", { scope: "col" }, "Model"),
      ),
    ),
    body,
  );
  const key = (kind, name) => h("span", {}, h("i", { class: `cw-${kind}` }), name);
  const keys = h(
    "p",
    { class: "cw-keys", "aria-hidden": "true" },
    key("now", "now"),
    key("own", "the model’s own"),
    key("drawn", "drawn"),
  );
  const facts = ["Can be drawn", "Removed", "Entropy, nats", "Perplexity"].map((name) => ({
    name,
    now: h("b"),
    was: h("span"),
  }));
  const summary = h(
    "dl",
    { class: "cw-facts" },
    ...facts.map((f) => h("div", {}, h("dt", {}, f.name), h("dd", {}, f.now, f.was))),
  );

  function drawRows(s, { probs, own }, { ids, shown }, counts, latest) {
    const share = (id) => (counts?.get(id) ?? 0) / s.draws || 0; // of the draws; without draws none
    const top = ids.reduce((most, id) => Math.max(most, probs[id], own[id], share(id)), 0);
    rows.forEach((r, i) => {
      const id = ids[i];
      r.row.hidden = id === undefined;
      if (id === undefined) return;
      const gone = i >= shown, drawn = share(id);
      say(r.name, text(id));
      say(r.mark, gone ? ", removed" : "");
      r.row.className = `${gone ? "cw-removed" : ""}${id === latest ? " cw-latest" : ""}`;
      r.bar.style.width = `${(100 * probs[id]) / top}%`;
      r.own.style.width = `${(100 * own[id]) / top}%`;
      r.tick.hidden = drawn === 0;
      if (drawn) r.tick.style.left = `${(100 * drawn) / top}%`;
      say(r.after, percent(probs[id]));
      say(r.before, percent(own[id]));
    });
  }

  /** "and N more" after the rows that can be drawn. */
  function drawMore({ rank, kept, probs }, { ids, shown }) {
    const inView = new Set(ids);
    let rest = 0;
    for (let i = kept - 1; i >= 0; i--) if (!inView.has(rank[i])) rest += probs[rank[i]];
    more.hidden = kept <= shown;
    say(
      more.firstChild,
      kept > shown ? `and ${whole(kept - shown)} more, together ${percent(rest)}` : "",
    );
    const anchor = rows[shown]?.row ?? null;
    if (more.nextSibling !== anchor || more.parentNode !== body) body.insertBefore(more, anchor);
  }

  function drawFacts({ rank, kept, own, steps }) {
    let removed = 0;
    for (let i = rank.length - 1; i >= kept; i--) removed += own[rank[i]];
    const [was, is] = [steps[0], steps.at(-1)];
    const said = [
      [whole(kept), ` of ${whole(was.kept)}`],
      [percent(removed), " of its mass"],
      [is.entropy.toFixed(2), ` model ${was.entropy.toFixed(2)}`],
      [short(is.perplexity), ` model ${short(was.perplexity)}`],
    ];
    facts.forEach((f, i) => {
      say(f.now, said[i][0]);
      say(f.was, said[i][1]);
    });
    return `${whole(kept)} tokens can be drawn; ${percent(removed)} removed; entropy ${
      nats(is.entropy)
    }.`;
  }

  function draw(s, result, modelRank, counts, latest) {
    const view = chartRows(result, modelRank);
    drawRows(s, result, view, counts, latest);
    drawMore(result, view);
    return drawFacts(result);
  }
  return { table, keys, summary, draw };
}
