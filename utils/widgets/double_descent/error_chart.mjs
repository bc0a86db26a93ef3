// The right chart of the double-descent explorer: the test error against the number of features,
// both axes logarithmic, and a guess that the reader draws with a pointer, taps or arrow keys.
import { POINTS } from "course:widgets/double_descent/settings";
import { svg } from "../shared/dom.mjs";
import { clamp } from "../shared/numbers.mjs";
import { GUESSED, HANDLES, lifted, nearestHandle, painted } from "./guess.mjs";
import { BEGINNING, MOST, shownUpTo } from "./settings.mjs";
import { NAMES, short } from "./words.mjs";

const BOX = { width: 400, height: 200, left: 36, right: 392, top: 8, bottom: 178 };
const LEVELS = [-2, 2]; // log10 of the error, at the bottom and at the top
const KEY_STEP = 0.1; // of an arrow key, in levels
const LARGE_KEY_STEP = 0.5; // with the shift key
const TAP = 6; // a pointer that moves less, in pixels, has tapped

// ---- Where things stand

const acrossAt = (p) => BOX.left + ((BOX.right - BOX.left) * Math.log(p)) / Math.log(MOST);
function downAt(level) {
  const share = (LEVELS[1] - level) / (LEVELS[1] - LEVELS[0]);
  return BOX.top + share * (BOX.bottom - BOX.top);
}

/** The level of an error; one outside of the chart stands at its edge. */
export const levelOf = (error) => clamp(Math.log10(Math.max(error, 1e-9)), LEVELS);

/** The number of features and the level at a place in the picture. */
function pointAt(x, y) {
  const across = (x - BOX.left) / (BOX.right - BOX.left);
  const down = (y - BOX.top) / (BOX.bottom - BOX.top);
  return [
    clamp(MOST ** across, [1, MOST]),
    clamp(LEVELS[1] - down * (LEVELS[1] - LEVELS[0]), LEVELS),
  ];
}

/** A path through points, each a number of features and a level; "" for none. */
function pathOf(points) {
  if (points.length === 0) return "";
  const places = points.map(([p, level]) =>
    `${acrossAt(p).toFixed(1)} ${downAt(level).toFixed(1)}`
  );
  return `M${places.join("L")}`;
}

const pathOfCurve = (curve) =>
  pathOf(curve.map(({ features, error }) => [features, levelOf(error)]));

/** The fixed parts of the picture: grid lines, and what they stand for. */
function axes() {
  const g = svg("g", { "aria-hidden": "true" });
  for (let level = LEVELS[0]; level <= LEVELS[1]; level++) {
    const y = downAt(level);
    g.append(
      svg("line", { class: "cw-grid", x1: BOX.left, x2: BOX.right, y1: y, y2: y }),
      svg("text", { x: BOX.left - 4, y: y + 4, "text-anchor": "end" }, String(10 ** level)),
    );
  }
  for (const p of [1, BEGINNING, 20, 75, MOST]) {
    const x = acrossAt(p);
    const anchor = p === MOST ? "end" : "middle";
    g.append(
      svg("line", { class: "cw-grid", x1: x, x2: x, y1: BOX.top, y2: BOX.bottom }),
      svg("text", { x, y: BOX.height - 6, "text-anchor": anchor }, String(p)),
    );
  }
  return g;
}

// ---- The chart

/**
 * The chart and its `draw`. `guess()`: the levels that are drawn at present. `onGuess(levels)`: the
 * reader has changed them.
 */
export function errorChart({ guess, onGuess }) {
  const before = svg("path", { class: "cw-before" });
  const line = svg("path", { class: "cw-measured" });
  const rest = svg("path", { class: "cw-rest" }); // seen on paper only
  const guessed = svg("path", { class: "cw-guess" });
  const x = acrossAt(POINTS);
  const threshold = svg(
    "g",
    { class: "cw-threshold", "aria-hidden": "true" },
    svg("line", { x1: x, x2: x, y1: BOX.top, y2: BOX.bottom }),
    svg("text", { x: x + 5, y: BOX.top + 12 }, NAMES.points),
  );
  const dot = svg("circle", { class: "cw-own", r: 5.5 });
  const handles = HANDLES.map((p, h) => {
    const handle = svg(
      "g",
      { class: "cw-handle", role: "slider", tabindex: 0, "aria-label": NAMES.guess(p) },
      svg("circle", { class: "cw-hit", r: 24 }),
      svg("circle", { r: 7 }),
    );
    handle.setAttribute("aria-orientation", "vertical");
    handle.setAttribute("aria-valuemin", LEVELS[0]);
    handle.setAttribute("aria-valuemax", LEVELS[1]);
    handle.addEventListener("keydown", (event) => moveByKey(event, h));
    return handle;
  });
  const picture = svg(
    "svg",
    {
      viewBox: `0 0 ${BOX.width} ${BOX.height}`,
      class: "cw-chart",
      role: "group",
      "aria-label": NAMES.error,
    },
    axes(),
    threshold,
    before,
    rest,
    line,
    guessed,
    dot,
    ...handles,
  );

  // ---- Guessing

  let guessing = true;
  const levelAt = (h) => guess()[GUESSED.indexOf(HANDLES[h])];

  function moveByKey(event, h) {
    const signs = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 };
    if (!Object.hasOwn(signs, event.key)) return;
    event.preventDefault();
    const step = signs[event.key] * (event.shiftKey ? LARGE_KEY_STEP : KEY_STEP);
    onGuess(lifted(guess(), h, clamp(levelAt(h) + step, LEVELS)));
  }

  let pencil = null; // of the pointer that is down: where it was, and what it has done

  function under(event) {
    const box = picture.getBoundingClientRect();
    const perPixel = BOX.width / box.width;
    return pointAt((event.clientX - box.left) * perPixel, (event.clientY - box.top) * perPixel);
  }

  picture.addEventListener("pointerdown", (event) => {
    if (!guessing || !event.isPrimary) return;
    picture.setPointerCapture(event.pointerId);
    event.preventDefault(); // no text is to be selected
    const h = handles.findIndex((handle) => handle.contains(event.target));
    if (h >= 0) handles[h].focus();
    pencil = { h, last: under(event), down: event, levels: guess(), moved: false };
  });

  picture.addEventListener("pointermove", (event) => {
    if (pencil === null) return;
    const { down } = pencil;
    const apart = Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY);
    if (!pencil.moved && apart < TAP) return;
    const point = under(event);
    const sideways = Math.abs(event.clientX - down.clientX) > 2 * TAP;
    if (pencil.h >= 0 && !sideways) {
      onGuess(lifted(pencil.levels, pencil.h, point[1]));
    } else {
      if (pencil.h >= 0) pencil.h = -1; // a line that begins at a handle
      onGuess(painted(guess(), pencil.last, point));
      pencil.last = point;
    }
    pencil.moved = true;
  });

  picture.addEventListener("pointerup", (event) => {
    if (pencil === null) return;
    const [p, level] = under(event);
    const tapped = !pencil.moved && pencil.h < 0 && p > BEGINNING;
    if (tapped) onGuess(lifted(guess(), nearestHandle(p), level));
    pencil = null;
  });

  picture.addEventListener("pointercancel", () => { // the finger scrolls the page
    if (pencil === null) return;
    if (pencil.moved) onGuess(pencil.levels);
    pencil = null;
  });

  // ---- Drawing

  function drawGuess(levels, visible) {
    picture.classList.toggle("cw-guessing", guessing);
    guessed.setAttribute("d", visible ? pathOf(levels.map((level, i) => [GUESSED[i], level])) : "");
    handles.forEach((handle, h) => {
      const level = levels[GUESSED.indexOf(HANDLES[h])];
      handle.setAttribute("transform", `translate(${acrossAt(HANDLES[h])} ${downAt(level)})`);
      handle.setAttribute("aria-valuenow", level.toFixed(2));
      handle.setAttribute("aria-valuetext", short(10 ** level));
      handle.style.display = guessing ? "" : "none";
    });
  }

  /**
   * `curve` and `earlier`: medians, a list of `{ features, error }`, now and under the usual
   * settings (empty where these are the present ones); `own`: the error of the fit that is drawn;
   * `drawn`: whether the reader has made the guess `levels`.
   */
  function draw(s, { curve, earlier, own, levels, drawn }) {
    guessing = s.traced === 0;
    const shown = shownUpTo(s);
    const seen = (points) => points.filter(({ features }) => features <= shown);
    line.setAttribute("d", pathOfCurve(seen(curve)));
    rest.setAttribute("d", pathOfCurve(curve.filter(({ features }) => features >= shown)));
    before.setAttribute("d", pathOfCurve(seen(earlier)));
    threshold.style.display = guessing ? "none" : "";
    dot.style.display = s.features <= shown ? "" : "none";
    dot.setAttribute("cx", acrossAt(s.features).toFixed(1));
    dot.setAttribute("cy", downAt(levelOf(own)).toFixed(1));
    drawGuess(levels, guessing || drawn);
  }
  return { picture, draw };
}
