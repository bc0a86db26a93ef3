// The picture of the solution-path explorer: the plane of weights, a path in it, and a start that
// can be dragged.
import { RANGES } from "course:widgets/solution_path/settings";
import { clamp } from "../shared/numbers.mjs";
import { svg } from "../shared/dom.mjs";
import { tr } from "../shared/language.mjs";
import { A1, A2, B } from "./descent.mjs";
import { fixed, minus, norm } from "./words.mjs";

const START = RANGES.start1; // of both coordinates
const FRAME = [-2.5, 3.5]; // of both axes; wider, as a path may end farther out
const SIZE = 400; // of the picture in its own units
const UNIT = SIZE / (FRAME[1] - FRAME[0]);
const FAR = 2000; // what lies farther out is not drawn: a diverging path leaves what SVG can draw
const STEP = 0.05; // of an arrow key
const LARGE_STEP = 0.25; // with the shift key

/** Where a point of the plane stands in the picture. */
const at = ([w1, w2]) => [(w1 - FRAME[0]) * UNIT, (FRAME[1] - w2) * UNIT];

// ---- Shapes

const twoDigits = (...numbers) => numbers.map((v) => v.toFixed(2)).join(" ");

/** The part of the segment from p to q within `far` of the picture's corner. */
export function segment([px, py], [qx, qy], far = FAR) {
  let from = 0;
  let to = 1;
  for (const [a, d] of [[px, qx - px], [py, qy - py]]) {
    if (d === 0 && Math.abs(a) > far) return "";
    if (d === 0) continue;
    const [low, high] = [(-far - a) / d, (far - a) / d].sort((x, y) => x - y);
    from = Math.max(from, low);
    to = Math.min(to, high);
  }
  const point = (t) => twoDigits(px + t * (qx - px), py + t * (qy - py));
  return from < to ? `M${point(from)}L${point(to)}` : "";
}

const diamond = (x, y, r) => `M${x} ${y - r}L${x + r} ${y}L${x} ${y + r}L${x - r} ${y}Z`;

/**
 * The end's mark: a disc of radius `r`, or, for an end outside the frame, an arrow at its edge, on
 * the way there from the solution of gradient flow, (gx, gy).
 */
export function endMark([x, y], [gx, gy], r = 6) {
  const inside = x >= 0 && x <= SIZE && y >= 0 && y <= SIZE;
  if (inside) {
    return `M${twoDigits(x - r, y)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
  }
  /** How far along a coordinate the edge is, in units of the whole way `d`. */
  const room = (from, d) => {
    if (d === 0) return Infinity;
    const edge = d > 0 ? SIZE - 2 * r : 2 * r;
    return (edge - from) / d;
  };
  const way = Math.max(0, Math.min(room(gx, x - gx), room(gy, y - gy)));
  const far = norm(x - gx, y - gy);
  const cx = gx + way * (x - gx);
  const cy = gy + way * (y - gy);
  const dx = (1.7 * r * (x - gx)) / far;
  const dy = (1.7 * r * (y - gy)) / far;
  const tip = twoDigits(cx + dx, cy + dy);
  const left = twoDigits(cx - 0.6 * dy, cy + 0.6 * dx);
  const right = twoDigits(cx + 0.6 * dy, cy - 0.6 * dx);
  return `M${tip}L${left}L${right}Z`;
}

/** The ends, across the frame, of the line on which the residual is `r`. */
function level(r) {
  const [x1, y1] = at([FRAME[0], (B + r - A1 * FRAME[0]) / A2]);
  const [x2, y2] = at([FRAME[1], (B + r - A1 * FRAME[1]) / A2]);
  return { x1, y1, x2, y2 };
}

/**
 * The fixed parts of the picture: axes, level lines of the loss, the line of solutions, two famous
 * ones.
 */
function background() {
  const g = svg("g", { "aria-hidden": "true" });
  for (let r = -4; r <= 3.5; r += 0.5) {
    if (r !== 0) g.append(svg("line", { class: "cw-level", ...level(r) }));
  }
  for (const k of [-2, -1, 0, 1, 2, 3]) {
    const [x, y] = at([k, k]);
    const kind = k === 0 ? "cw-axis" : "cw-grid";
    g.append(svg("line", { class: kind, x1: x, x2: x, y1: 0, y2: SIZE }));
    g.append(svg("line", { class: kind, y1: y, y2: y, x1: 0, x2: SIZE }));
    if (k === 3) continue; // its place is the axis's name
    g.append(svg("text", { x: x - 4, y: SIZE - 6, "text-anchor": "end" }, minus(String(k))));
    g.append(svg("text", { x: 4, y: y - 4 }, minus(String(k))));
  }
  g.append(
    svg("text", { class: "cw-name", x: SIZE - 24, y: SIZE - 6 }, "w₁"),
    svg("text", { class: "cw-name", x: 6, y: 16 }, "w₂"),
    svg("line", { class: "cw-solutions", ...level(0) }),
  );
  const square = A1 * A1 + A2 * A2;
  const special = {
    [tr("smallest ‖w‖₂")]: at([(B * A1) / square, (B * A2) / square]),
    [tr("smallest ‖w‖₁")]: at([B / A1, 0]),
  };
  for (const [text, [x, y]] of Object.entries(special)) {
    g.append(svg("circle", { class: "cw-special", cx: x, cy: y, r: 4 }));
    g.append(svg("text", { x: x + 9, y: y + 1 }, text));
  }
  const [x, y] = at([-0.32, 2.86]);
  g.append(svg("text", { class: "cw-name", x, y }, tr("zero loss")));
  return g;
}

// ---- The picture

/**
 * The picture, its `draw`, and a start that the reader moves by dragging, tapping and arrow keys:
 * `onMove` gets the coordinates that changed. `now()`: the present settings.
 */
export function plane({ now, onMove }) {
  const line = svg("path", { class: "cw-line" });
  const dots = svg("path", { class: "cw-dots" });
  const goal = svg("path", { class: "cw-goal" });
  const end = svg("path", { class: "cw-end" });
  const handle = svg(
    "g",
    {
      class: "cw-handle",
      role: "slider",
      tabindex: 0,
      "aria-label": tr("Start, both coordinates"),
    },
    svg("circle", { class: "cw-hit", r: 26 }),
    svg("circle", { r: 9 }),
  );
  handle.setAttribute("aria-valuemin", START[0]);
  handle.setAttribute("aria-valuemax", START[1]);
  const picture = svg(
    "svg",
    { viewBox: `0 0 ${SIZE} ${SIZE}`, class: "cw-plane" },
    background(),
    line,
    dots,
    goal,
    end,
    handle,
  );

  const allowed = (x) => clamp(Math.round(x * 100) / 100, START);

  function moveTo(event) {
    const box = picture.getBoundingClientRect();
    const perPixel = (FRAME[1] - FRAME[0]) / box.width;
    onMove({
      start1: allowed(FRAME[0] + (event.clientX - box.left) * perPixel),
      start2: allowed(FRAME[1] - (event.clientY - box.top) * perPixel),
    });
  }

  handle.addEventListener("pointerdown", (event) => {
    handle.setPointerCapture(event.pointerId);
    event.preventDefault();
    handle.focus();
  });
  handle.addEventListener("pointermove", (event) => {
    if (handle.hasPointerCapture(event.pointerId)) moveTo(event);
  });

  let pressed = null; // a tap beside the handle; a scroll cancels its pointer and never comes up
  picture.addEventListener("pointerdown", (event) => {
    pressed = handle.contains(event.target) ? null : event;
  });
  picture.addEventListener("pointerup", (event) => {
    const tap = pressed !== null &&
      norm(event.clientX - pressed.clientX, event.clientY - pressed.clientY) < 8;
    if (tap) moveTo(event);
    pressed = null;
  });

  const arrows = {
    ArrowLeft: ["start1", -1],
    ArrowRight: ["start1", 1],
    ArrowDown: ["start2", -1],
    ArrowUp: ["start2", 1],
  };
  handle.addEventListener("keydown", (event) => {
    if (!Object.hasOwn(arrows, event.key)) return;
    event.preventDefault();
    const [key, sign] = arrows[event.key];
    const step = event.shiftKey ? LARGE_STEP : STEP;
    onMove({ [key]: allowed(now()[key] + sign * step) });
  });

  /**
   * The first points of a path, up to the present one, and the solution that gradient flow reaches.
   */
  function draw(s, weights, flow) {
    const points = weights.map(at);
    const drawable = points.filter(([x, y]) => Math.abs(x) < FAR && Math.abs(y) < FAR);
    const segments = points.slice(1).map((point, i) => segment(points[i], point));
    line.setAttribute("d", segments.join(""));
    dots.setAttribute("d", drawable.map((point) => `M${twoDigits(...point)}h0`).join(""));

    const [goalX, goalY] = at(flow);
    end.setAttribute("d", endMark(points.at(-1), [goalX, goalY]));
    goal.setAttribute("d", diamond(goalX, goalY, 9));

    const [startX, startY] = points[0];
    handle.setAttribute("transform", `translate(${startX} ${startY})`);
    handle.setAttribute("aria-valuenow", s.start1);
    handle.setAttribute("aria-valuetext", `w1 ${fixed(s.start1, 2)}, w2 ${fixed(s.start2, 2)}`);
  }
  return { picture, draw };
}
