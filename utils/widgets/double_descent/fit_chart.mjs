// The left chart of the double-descent explorer: the points, the target curve and the fit.
import { DATA, RANGES } from "course:widgets/double_descent/settings";
import { svg } from "../shared/dom.mjs";
import { clamp } from "../shared/numbers.mjs";
import { noisyTargets } from "./errors.mjs";
import { height, target, waves } from "./fit.mjs";
import { NAMES } from "./words.mjs";

const WIDTH = 400; // of the picture in its own units, as is the height
const HEIGHT = 200;
const MARGIN = 8; // left and right, where a point may stand
const TOP = 2.6; // of the vertical axis, which ends at −TOP
const STEPS = 400; // of a drawn curve
const FAR = 20; // what lies farther out is not drawn: a fit can leave what SVG can draw

const acrossOf = (x) => MARGIN + x * (WIDTH - 2 * MARGIN);
const downOf = (y) => ((TOP - clamp(y, [-FAR, FAR])) * HEIGHT) / (2 * TOP);

const places = Array.from({ length: STEPS + 1 }, (_, i) => i / STEPS);
let rows = null; // the waves at these places; made when first used
function wavesAtPlaces() {
  rows ??= places.map((x) => waves(x, RANGES.features[1]));
  return rows;
}

/** A path through the heights at `places`. */
function outline(heights) {
  const points = heights.map((y, i) => `${acrossOf(places[i])} ${downOf(y).toFixed(1)}`);
  return `M${points.join("L")}`;
}

/** The chart, and `draw(s, amplitudes)`. */
export function fitChart() {
  const curve = svg("path", { class: "cw-target", d: outline(wavesAtPlaces().map(target)) });
  const line = svg("path", { class: "cw-fit" });
  const dots = DATA[0].inputs.map(() => svg("circle", { class: "cw-point", r: 4.5 }));
  const axis = svg("line", { class: "cw-axis", x1: 0, x2: WIDTH, y1: downOf(0), y2: downOf(0) });
  const picture = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "cw-chart", role: "img" },
    axis,
    curve,
    line,
    ...dots,
  );

  function draw(s, amplitudes) {
    line.setAttribute("d", outline(wavesAtPlaces().map((row) => height(amplitudes, row))));
    const { inputs } = DATA[s.data - 1];
    noisyTargets(s.data - 1, s.noise).forEach((y, i) => {
      dots[i].setAttribute("cx", acrossOf(inputs[i]).toFixed(1));
      dots[i].setAttribute("cy", downOf(y).toFixed(1));
    });
    picture.setAttribute("aria-label", NAMES.fitWith(s.features));
  }
  return { picture, draw };
}
