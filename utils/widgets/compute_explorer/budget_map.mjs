// The second chart of the compute explorer: every budget with the best size by the law, published
// models and our own runs as dots at their budgets.
import { MODELS, RANGES } from "course:widgets/compute_explorer/settings";
import { svg } from "../shared/dom.mjs";
import { tr } from "../shared/language.mjs";
import { clamp } from "../shared/numbers.mjs";
import { bottomOf, flopsOf, testedSizes } from "./laws.mjs";
import { decades, diamondAt, gridLine, logScale, pathThrough } from "./scales.mjs";
import { brief } from "./words.mjs";

const FRAME = { width: 400, height: 250, left: 46, right: 392, top: 10, bottom: 218 };
const SIZES = [1e3, 1e13];
const PER_DECADE = 8; // points of the line
const MAP_LABEL = tr(
  "Budgets from 1e11 to 1e26 FLOP and sizes: a line for the best size by the law, published models " +
    "as diamonds and our own runs as dots at their budgets.",
);

const right = logScale(RANGES.budget, [FRAME.left, FRAME.right]);
const up = logScale(SIZES, [FRAME.bottom, FRAME.top]);
const spotOf = (budget, n) => [right.at(budget), up.at(clamp(n, SIZES))];

/** The budgets at which the line is drawn. */
const [least, most] = RANGES.budget;
const POINTS = Math.round(PER_DECADE * Math.log10(most / least));
const LINE = Array.from({ length: POINTS + 1 }, (_, i) => least * (most / least) ** (i / POINTS));

function mapAxes() {
  const g = svg("g", { "aria-hidden": "true" });
  for (const budget of decades(RANGES.budget)) {
    const exponent = Math.round(Math.log10(budget));
    if ((exponent - 11) % 3 !== 0) continue;
    const x = right.at(budget);
    const anchor = budget === most ? "end" : "middle";
    g.append(
      gridLine(x, FRAME.top, x, FRAME.bottom),
      svg("text", { x, y: FRAME.bottom + 18, "text-anchor": anchor }, `1e${exponent}`),
    );
  }
  for (const n of decades(SIZES)) {
    if (Math.round(Math.log10(n)) % 2 === 0) continue;
    const y = up.at(n);
    g.append(
      gridLine(FRAME.left, y, FRAME.right, y),
      svg("text", { x: FRAME.left - 5, y: y + 5, "text-anchor": "end" }, brief(n)),
    );
  }
  return g;
}

/** The chart and its `draw`. */
export function budgetMap() {
  const beyond = svg("path", { class: "cw-beyond" });
  const within = svg("path", { class: "cw-within" });
  const dots = svg("g", { class: "cw-runs" });
  const models = MODELS.map((model) =>
    svg(
      "path",
      { d: diamondAt(...spotOf(flopsOf(model), model.n_params), 5) },
      svg("title", {}, model.label),
    )
  );
  const now = svg("line", { class: "cw-now", y1: FRAME.top, y2: FRAME.bottom });
  const ball = svg("circle", { class: "cw-ball", r: 6 });
  const picture = svg(
    "svg",
    {
      viewBox: `0 0 ${FRAME.width} ${FRAME.height}`,
      class: "cw-chart cw-map",
      role: "img",
      "aria-label": MAP_LABEL,
    },
    mapAxes(),
    now,
    beyond,
    within,
    svg("g", { class: "cw-models" }, ...models),
    dots,
    ball,
  );

  function draw(s, f, ours) {
    const line = LINE
      .map((budget) => [budget, bottomOf(f.law, budget, s.unique)])
      .filter(([, n]) => SIZES[0] <= n && n <= SIZES[1]); // the rest is outside of the picture
    const tested = line.filter(([budget, n]) => {
      const sizes = testedSizes(s.law, budget, ours);
      return sizes !== null && sizes[0] <= n && n <= sizes[1];
    });
    beyond.setAttribute("d", pathThrough(line.map((point) => spotOf(...point))));
    within.setAttribute("d", pathThrough(tested.map((point) => spotOf(...point))));
    dots.replaceChildren(...ours.runs.map((run) => {
      const [cx, cy] = spotOf(run.budget, run.n_params);
      return svg("circle", { cx: cx.toFixed(1), cy: cy.toFixed(1), r: 2.2 });
    }));
    const [x, y] = spotOf(s.budget, f.n);
    now.setAttribute("x1", x.toFixed(1));
    now.setAttribute("x2", x.toFixed(1));
    ball.setAttribute("cx", x.toFixed(1));
    ball.setAttribute("cy", y.toFixed(1));
  }
  return { picture, draw };
}
