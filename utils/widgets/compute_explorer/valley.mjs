// The main chart of the compute explorer: the loss over the size of the model at one budget, and a
// ball that the reader moves along it by dragging, tapping and arrow keys.
import { svg } from "../shared/dom.mjs";
import { tr } from "../shared/language.mjs";
import { clamp } from "../shared/numbers.mjs";
import { bottomOf, lossAt, sizeFor, tokensFor } from "./laws.mjs";
import { modelsNear } from "./settings.mjs";
import {
  decades,
  diamondAt,
  evenScale,
  gridLine,
  logScale,
  pathThrough,
  roundTicks,
} from "./scales.mjs";
import { brief } from "./words.mjs";

const BOX = { width: 400, height: 256, left: 46, right: 392, top: 48, bottom: 212 };
const REACH = 100; // sizes of the picture: so many times more and less than 20 tokens per parameter
const STEPS = 240; // of the curve
const STEEP = 20; // the picture is as high as the valley at so many times its bottom's size
const BALL = 9;
const ROW = 15; // height of a row of names
const LETTER = 7; // width of a letter
const GAP = 6; // between two names
const TAP = 8; // a pointer that moves less, in pixels, has tapped

/** The sizes that the picture shows. */
export function shownSizes(budget) {
  const middle = sizeFor(budget, 20);
  return [middle / REACH, middle * REACH];
}

/** The losses that the picture shows: from below the bottom to well up both slopes. */
export function shownLosses(law, s) {
  const free = bottomOf(law, s.budget);
  const lowest = lossAt(law, s.budget, free);
  const slopes = [free / STEEP, free * STEEP].map((n) => lossAt(law, s.budget, n));
  let highest = Math.max(...slopes);
  const limited = lossAt(law, s.budget, bottomOf(law, s.budget, s.unique), s.unique);
  highest = Math.max(highest, limited + 0.4 * (highest - lowest));
  return [lowest - 0.1 * (highest - lowest), highest];
}

/**
 * Where the names of the marks at `xs`, which rise, stand: in two rows in turn, neighbours pushed
 * apart until none covers another; `[{ x, row, half }]`, the last one half of its width.
 */
export function namePlaces(names, xs) {
  const places = names.map((name, i) => ({
    x: xs[i],
    row: i % 2,
    half: (LETTER * name.length) / 2,
  }));
  for (let round = 0; round < 100; round++) {
    for (let i = 2; i < places.length; i++) {
      const [a, b] = [places[i - 2], places[i]]; // neighbours in a row
      const overlap = Math.max(0, a.x + a.half + GAP - (b.x - b.half));
      a.x -= overlap / 2;
      b.x += overlap / 2;
    }
    for (const place of places) {
      place.x = clamp(place.x, [place.half + 2, BOX.width - place.half - 2]);
    }
  }
  return places;
}

/** The chart and its `draw`. `onMove(n)`: the reader wants this size; `onStep(by)`: the next one. */
export function valley({ onMove, onStep }) {
  const axes = svg("g", { "aria-hidden": "true" });
  const free = svg("path", { class: "cw-free" }); // as if no token had to be repeated
  const beyond = svg("path", { class: "cw-beyond" });
  const within = svg("path", { class: "cw-within" });
  const marks = svg("g", { class: "cw-models", "aria-hidden": "true" });
  const dots = svg("g", { class: "cw-runs", "aria-hidden": "true" });
  const bottom = svg("g", { class: "cw-bottom", "aria-hidden": "true" });
  const handle = svg(
    "g",
    { class: "cw-handle", role: "slider", tabindex: 0, "aria-label": tr("The ball: parameters") },
    svg("circle", { class: "cw-hit", r: 24 }),
    svg("circle", { r: BALL }),
  );
  const picture = svg(
    "svg",
    {
      viewBox: `0 0 ${BOX.width} ${BOX.height}`,
      class: "cw-chart cw-valley",
      role: "group",
      "aria-label": tr("Loss by size of the model"),
    },
    axes,
    free,
    beyond,
    within,
    bottom,
    marks,
    dots,
    handle,
  );

  // ---- Moving the ball

  let across; // the scale of sizes, as drawn

  function moveTo(event) {
    const box = picture.getBoundingClientRect();
    const x = ((event.clientX - box.left) * BOX.width) / box.width;
    onMove(across.valueAt(clamp(x, [BOX.left, BOX.right])));
  }

  handle.addEventListener("pointerdown", (event) => {
    handle.setPointerCapture(event.pointerId);
    event.preventDefault();
    handle.focus();
  });
  handle.addEventListener("pointermove", (event) => {
    if (handle.hasPointerCapture(event.pointerId)) moveTo(event);
  });
  handle.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 };
    if (!Object.hasOwn(steps, event.key)) return;
    event.preventDefault();
    onStep(steps[event.key] * (event.shiftKey ? 5 : 1));
  });

  let pressed = null; // a tap beside the ball; a scroll cancels its pointer and never comes up
  picture.addEventListener("pointerdown", (event) => {
    pressed = handle.contains(event.target) ? null : event;
  });
  picture.addEventListener("pointerup", (event) => {
    const tap = pressed !== null &&
      Math.hypot(event.clientX - pressed.clientX, event.clientY - pressed.clientY) < TAP;
    if (tap) moveTo(event);
    pressed = null;
  });

  // ---- Drawing

  function drawAxes(s, sizes, losses, down) {
    axes.replaceChildren();
    for (const { value, text } of roundTicks(losses)) {
      const y = down.at(value);
      axes.append(
        gridLine(BOX.left, y, BOX.right, y),
        svg("text", { x: BOX.left - 5, y: y + 4, "text-anchor": "end" }, text),
      );
    }
    for (const n of decades(sizes)) {
      const x = across.at(n);
      const anchor = x > BOX.right - 14 ? "end" : x < BOX.left + 20 ? "start" : "middle";
      axes.append(
        gridLine(x, BOX.top, x, BOX.bottom),
        svg("text", { x, y: BOX.bottom + 18, "text-anchor": anchor }, brief(n)),
        svg(
          "text",
          { x, y: BOX.bottom + 36, "text-anchor": anchor },
          brief(tokensFor(s.budget, n)),
        ),
      );
    }
    axes.append(
      svg("text", { class: "cw-name", x: 4, y: BOX.bottom + 18 }, "N"),
      svg("text", { class: "cw-name", x: 4, y: BOX.bottom + 36 }, "D"),
      svg("text", { class: "cw-name", x: 4, y: BOX.top - 6 }, tr("nats")),
    );
  }

  function drawModels(s, f, down, [smallest, largest]) {
    const shown = modelsNear(s.budget)
      .filter(({ n_params }) => smallest <= n_params && n_params <= largest)
      .sort((a, b) => a.n_params - b.n_params);
    const xs = shown.map(({ n_params }) => across.at(n_params));
    const places = namePlaces(shown.map(({ label }) => label), xs);
    marks.replaceChildren(...shown.map(({ label, n_params }, i) => {
      const y = Math.max(BOX.top, down.at(lossAt(f.law, s.budget, n_params, s.unique)));
      const outside = `M${xs[i]} ${BOX.top - 4}l6 9h-12Z`; // an arrow: it lies above the picture
      const nameY = BOX.top - 8 - ROW * places[i].row;
      return svg(
        "g",
        {},
        svg("line", { x1: places[i].x, y1: nameY + 3, x2: xs[i], y2: y }),
        svg("path", { d: y === BOX.top ? outside : diamondAt(xs[i], y, 6) }),
        svg("text", { x: places[i].x, y: nameY, "text-anchor": "middle" }, label),
      );
    }));
  }

  function drawBottom(f, down, [smallest, largest]) {
    bottom.replaceChildren();
    if (f.bottom < smallest || f.bottom > largest) return;
    const x = across.at(f.bottom);
    const anchor = x > (BOX.left + BOX.right) / 2 ? "end" : "start";
    bottom.append(
      svg("line", { x1: x, x2: x, y1: down.at(f.lowest), y2: BOX.bottom }),
      svg("path", { d: `M${x} ${BOX.bottom - 8}l6 8h-12Z` }),
      svg(
        "text",
        { x: anchor === "end" ? x - 9 : x + 9, y: BOX.bottom - 4, "text-anchor": anchor },
        tr("bottom {n}", { n: brief(f.bottom) }),
      ),
    );
  }

  /** `f`: the numbers of `measure` in widget.mjs. */
  function draw(s, f) {
    const sizes = shownSizes(s.budget);
    const losses = shownLosses(f.law, s);
    across = logScale(sizes, [BOX.left, BOX.right]);
    const down = evenScale(losses, [BOX.bottom, BOX.top]);
    const place = (n, unique = s.unique) => [
      across.at(n),
      down.at(lossAt(f.law, s.budget, n, unique)),
    ];
    const curve = ([low, high], unique) => {
      const points = Array.from({ length: STEPS + 1 }, (_, i) => low * (high / low) ** (i / STEPS));
      const places = points.map((n) => place(n, unique));
      return pathThrough(places.filter(([, y]) => y >= BOX.top));
    };

    drawAxes(s, sizes, losses, down);
    free.setAttribute("d", s.unique > 0 ? curve(sizes, 0) : "");
    beyond.setAttribute("d", curve(sizes));
    const tested = f.testedSizes?.map((n) => clamp(n, sizes));
    within.setAttribute("d", tested && tested[0] < tested[1] ? curve(tested) : "");
    drawModels(s, f, down, sizes);
    drawBottom(f, down, sizes);
    const runs = f.measured === null ? [] : f.runs;
    dots.replaceChildren(
      ...runs.map((run) =>
        svg("circle", {
          cx: across.at(run.n_params).toFixed(1),
          cy: Math.max(BOX.top, down.at(run.loss)).toFixed(1),
          r: 4.5,
        })
      ),
    );

    // The ball lies on the curve: its middle is a radius away, at right angles to the slope.
    const [x, y] = place(f.n);
    const [x2, y2] = place(f.n * 1.01);
    const length = Math.hypot(x2 - x, y2 - y);
    const ballX = x + (BALL * (y2 - y)) / length;
    const ballY = Math.max(BOX.top - BALL, y - (BALL * (x2 - x)) / length);
    handle.setAttribute("transform", `translate(${ballX.toFixed(1)} ${ballY.toFixed(1)})`);
    handle.setAttribute("aria-valuemin", Math.log10(sizes[0]).toFixed(2));
    handle.setAttribute("aria-valuemax", Math.log10(sizes[1]).toFixed(2));
    handle.setAttribute("aria-valuenow", Math.log10(f.n).toFixed(2));
    handle.setAttribute("aria-valuetext", f.sizeText);
  }
  return { picture, draw };
}
