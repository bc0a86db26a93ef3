// The chart of the one-shot game: the losses that were bought, and a forecast of the hero that the
// player moves.
import { LENGTHS, RATES, WIDTHS } from "course:widgets/one_shot_game/settings";
import { svg } from "../shared/dom.mjs";
import { tr } from "../shared/language.mjs";
import { clamp } from "../shared/numbers.mjs";
import { heroRun, lossOfRun } from "./rules.mjs";
import { ownForecast, tokensShort } from "./words.mjs";

const BOX = { width: 400, height: 250, left: 34, right: 330, top: 10, bottom: 222 };
const LOSSES = [2.8, 5.6];
const SIDE = 16; // between the bars of the forecasts
const LINE = 12; // height of a label
const KEY_STEP = 0.01; // nats, of an arrow key
const LARGE_KEY_STEP = 0.1; // with the shift key

const acrossAt = (length) => BOX.left + ((BOX.right - BOX.left) * length) / (LENGTHS.length - 1);
const downAt = (loss) =>
  BOX.top + ((BOX.bottom - BOX.top) * (LOSSES[1] - loss)) / (LOSSES[1] - LOSSES[0]);
const inside = (loss) => downAt(clamp(loss, LOSSES));

function boardAxes() {
  const g = svg("g", { "aria-hidden": "true" });
  for (const loss of [3, 3.5, 4, 4.5, 5, 5.5]) {
    const y = downAt(loss);
    g.append(
      svg("line", { class: "cw-grid", x1: BOX.left, x2: BOX.width - 8, y1: y, y2: y }),
      svg("text", { x: BOX.left - 5, y: y + 4, "text-anchor": "end" }, loss.toFixed(1)),
    );
  }
  LENGTHS.forEach((tokens, length) => {
    const x = acrossAt(length);
    g.append(svg("text", { x, y: BOX.bottom + 18, "text-anchor": "middle" }, tokensShort(tokens)));
  });
  return g;
}

/** A bar from the low to the high end of an interval, and a tick at the forecast. */
function bar(x, { loss, low, high }, name) {
  const y = inside(loss);
  return svg(
    "g",
    {},
    svg("line", { class: "cw-bar", x1: x, x2: x, y1: inside(low), y2: inside(high) }),
    svg("line", { class: "cw-bar", x1: x - 5, x2: x + 5, y1: y, y2: y }),
    svg("text", { x, y: inside(high) - 6, "text-anchor": "middle" }, name),
  );
}

/** The chart and its `draw`. `onForecast(loss)`: the player has moved the forecast. */
export function lossChart({ now, onForecast }) {
  const lines = svg("g", { class: "cw-bought", "aria-hidden": "true" });
  const column = svg("line", { class: "cw-column", y1: BOX.top, y2: BOX.bottom });
  const own = svg("line", { class: "cw-own-bar" });
  const after = svg("g", { class: "cw-after", "aria-hidden": "true" });
  const handle = svg(
    "g",
    {
      class: "cw-handle",
      role: "slider",
      tabindex: 0,
      "aria-label": tr("Your forecast of the loss"),
    },
    svg("circle", { class: "cw-hit", r: 24 }),
    svg("circle", { r: 7 }),
  );
  handle.setAttribute("aria-orientation", "vertical");
  const picture = svg(
    "svg",
    {
      viewBox: `0 0 ${BOX.width} ${BOX.height}`,
      class: "cw-chart cw-losses",
      role: "group",
      "aria-label": tr("Loss by training tokens, of the runs that were bought"),
    },
    boardAxes(),
    column,
    lines,
    own,
    after,
    handle,
  );

  handle.addEventListener("pointerdown", (event) => {
    if (now().committed) return;
    handle.setPointerCapture(event.pointerId);
    event.preventDefault();
    handle.focus();
  });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const box = picture.getBoundingClientRect();
    const y = ((event.clientY - box.top) * BOX.width) / box.width;
    const share = (BOX.bottom - y) / (BOX.bottom - BOX.top);
    onForecast(LOSSES[0] + share * (LOSSES[1] - LOSSES[0]));
  });
  handle.addEventListener("keydown", (event) => {
    const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 };
    if (!Object.hasOwn(steps, event.key) || now().committed) return;
    event.preventDefault();
    const step = event.shiftKey ? LARGE_KEY_STEP : KEY_STEP;
    onForecast(now().forecast + steps[event.key] * step);
  });

  /** The bought runs of one width and rate: a line and its dots, and where it ends. */
  function series(runs, width, rate, game) {
    const found = runs
      .filter((run) => run.width === width && run.rate === rate)
      .sort((a, b) => a.length - b.length);
    if (found.length === 0) return null;
    const places = found.map((run) => [acrossAt(run.length), downAt(lossOfRun(run, game))]);
    const path = places.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
    const dots = places.map(([cx, cy]) => svg("circle", { cx, cy, r: 4 }));
    const node = svg("g", { class: `cw-width-${width}` }, svg("path", { d: `M${path}` }), ...dots);
    const [x, y] = places.at(-1);
    return { node, x, y, width };
  }

  /** The widths at the ends of the lines, none on another. */
  function endLabels(found) {
    const byHeight = [...found].sort((a, b) => a.y - b.y);
    const lowest = new Map(); // by place: down to where labels stand
    return byHeight.map(({ x, y, width }) => {
      const labelY = Math.max(y + 4, (lowest.get(x) ?? 0) + LINE);
      lowest.set(x, labelY);
      return svg("text", { x: x + 7, y: labelY }, String(WIDTHS[width]));
    });
  }

  function draw(s, runs, game) {
    const found = WIDTHS
      .flatMap((_, width) => RATES.map((_, rate) => series(runs, width, rate, game)))
      .filter((one) => one !== null);
    lines.replaceChildren(...found.map(({ node }) => node), ...endLabels(found));

    const x = acrossAt(heroRun(s.hero).length);
    column.setAttribute("x1", x);
    column.setAttribute("x2", x);
    const forecast = ownForecast(s);
    own.setAttribute("x1", x);
    own.setAttribute("x2", x);
    own.setAttribute("y1", inside(forecast.low));
    own.setAttribute("y2", inside(forecast.high));
    handle.setAttribute("transform", `translate(${x} ${inside(s.forecast)})`);
    handle.setAttribute("aria-valuemin", LOSSES[0]);
    handle.setAttribute("aria-valuemax", LOSSES[1]);
    handle.setAttribute("aria-valuenow", s.forecast);
    handle.setAttribute("aria-valuetext", tr("{x} nats", { x: s.forecast.toFixed(2) }));
    handle.setAttribute("aria-disabled", String(s.committed));

    after.replaceChildren();
    if (!s.committed) return;
    const y = inside(lossOfRun(heroRun(s.hero), game));
    const rivals = Object.entries(game.rivals[s.hero - 1]);
    after.append(
      svg("line", { class: "cw-outcome", x1: x - SIDE, x2: BOX.width - 8, y1: y, y2: y }),
      svg("path", { d: `M${x - SIDE} ${y - 6}l6 6l-6 6l-6 -6Z` }),
      svg("text", { x: x - SIDE - 10, y: y + 4, "text-anchor": "end" }, tr("outcome")),
      ...rivals.map(([name, rival], i) => bar(x + SIDE * (1.4 + 1.6 * i), rival, tr(name))),
    );
  }
  return { picture, draw };
}
