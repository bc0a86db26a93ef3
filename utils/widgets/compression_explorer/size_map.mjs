// The map: every recorded way of storing the course model as a mark, by its bytes and its bits per
// byte. A tap chooses the nearest mark.
import { svg } from "../shared/dom.mjs";
import {
  diamondAt,
  evenScale,
  gridLine,
  logScale,
  pathThrough,
  roundTicks,
} from "../compute_explorer/scales.mjs";
import { frontierOf, qualityOf } from "./points.mjs";
import { MAP_WORDS, megabytesOf } from "./words.mjs";

const MAP = { width: 400, height: 262, left: 36, right: 392, top: 22, bottom: 226 };
const SIZE_TICKS = [1e6, 1.5e6, 2e6, 3e6, 4e6, 6e6, 8e6, 12e6];
const ROOM = 1.08; // beside the smallest and the largest model, as a factor
const WORST = 3.2; // bits per byte at the top; worse models lie there as arrows
const BEST_ROOM = 0.08; // bits per byte below the best
const NEAR = 40; // pixels from a finger to the mark that it means
const STILL = 8; // a pointer that moves less, in pixels, has tapped

/** The path of a mark at a place, by what shares a scale. */
function markPath(granularity, x, y, r) {
  if (granularity === "tensor") return `M${x} ${y - r}l${r} ${1.7 * r}h${-2 * r}Z`;
  if (granularity === "group") return diamondAt(x, y, 1.2 * r);
  return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
}

/**
 * The chart and its `draw(s, point)`. `points`: all of them; `tables`: bits per byte of the n-grams;
 * `onChoose(point)`: the reader has tapped a mark.
 */
export function sizeMap({ points, tables, onChoose }) {
  const sizes = points.map(({ n_bytes }) => n_bytes);
  const best = Math.min(...points.map(qualityOf));
  const across = logScale(
    [Math.min(...sizes) / ROOM, Math.max(...sizes) * ROOM],
    [MAP.left, MAP.right],
  );
  const down = evenScale([best - BEST_ROOM, WORST], [MAP.bottom, MAP.top]);
  const placeOf = (point) => [
    across.at(point.n_bytes),
    down.at(Math.min(WORST, qualityOf(point))),
  ];

  const axes = svg("g", { "aria-hidden": "true" });
  for (const { value, text } of roundTicks([best - BEST_ROOM, WORST])) {
    const y = down.at(value);
    axes.append(
      gridLine(MAP.left, y, MAP.right, y),
      svg("text", { x: MAP.left - 5, y: y + 4, "text-anchor": "end" }, text),
    );
  }
  for (const bytes of SIZE_TICKS) {
    if (bytes < Math.min(...sizes) / ROOM || bytes > Math.max(...sizes) * ROOM) continue;
    const x = across.at(bytes);
    axes.append(
      gridLine(x, MAP.top, x, MAP.bottom),
      svg("text", { x, y: MAP.bottom + 16, "text-anchor": "middle" }, megabytesOf(bytes)),
    );
  }
  axes.append(
    svg("text", { class: "cw-name", x: 4, y: 12 }, MAP_WORDS.up),
    svg("text", {
      class: "cw-name",
      x: MAP.right,
      y: MAP.height - 4,
      "text-anchor": "end",
    }, MAP_WORDS.across),
  );
  for (const [name, value] of Object.entries(tables)) {
    const y = down.at(value);
    axes.append(
      svg("line", { class: "cw-table", x1: MAP.left, x2: MAP.right, y1: y, y2: y }),
      svg("text", { x: MAP.right - 3, y: y - 4, "text-anchor": "end" }, MAP_WORDS.tables[name]),
    );
  }

  const marks = points.map((point) => {
    const [x, y] = placeOf(point);
    const d = markPath(point.granularity, x, y, 4);
    return svg("path", { class: `cw-bits-${point.bits}`, d });
  });
  const frontier = frontierOf(points).filter((point) => qualityOf(point) <= WORST);
  const unbeaten = svg("path", { class: "cw-unbeaten", d: pathThrough(frontier.map(placeOf)) });
  const row = svg("path", { class: "cw-row" });
  const ring = svg("circle", { class: "cw-ring", r: 10 });
  const picture = svg(
    "svg",
    {
      viewBox: `0 0 ${MAP.width} ${MAP.height}`,
      class: "cw-chart",
      role: "img",
      "aria-label": MAP_WORDS.picture(points.length),
    },
    axes,
    unbeaten,
    row,
    svg("g", {}, ...marks),
    ring,
  );

  // ---- Choosing with a finger or a mouse; the sliders do the same for the keyboard

  function choose(event) {
    const box = picture.getBoundingClientRect();
    const perPixel = MAP.width / box.width;
    const away = (point) => {
      const [x, y] = placeOf(point);
      const dx = x / perPixel - (event.clientX - box.left);
      const dy = y / perPixel - (event.clientY - box.top);
      return Math.hypot(dx, dy);
    };
    const nearest = points.reduce((a, b) => (away(b) < away(a) ? b : a));
    if (away(nearest) <= NEAR) onChoose(nearest);
  }

  let pressed = null; // a scroll cancels its pointer, which then never comes up
  picture.addEventListener("pointerdown", (event) => {
    pressed = event;
  });
  picture.addEventListener("pointerup", (event) => {
    const tapped = pressed !== null &&
      Math.hypot(event.clientX - pressed.clientX, event.clientY - pressed.clientY) < STILL;
    if (tapped) choose(event);
    pressed = null;
  });

  /** `point` is the chosen one; a line joins it to those with more and fewer zeros. */
  function draw(point) {
    const alike = points.filter(({ bits, granularity }) =>
      bits === point.bits && granularity === point.granularity
    );
    row.setAttribute("class", `cw-row cw-bits-${point.bits}`);
    row.setAttribute("d", pathThrough(alike.map(placeOf)));
    const [x, y] = placeOf(point);
    ring.setAttribute("cx", x.toFixed(1));
    ring.setAttribute("cy", y.toFixed(1));
  }
  return { picture, draw };
}
