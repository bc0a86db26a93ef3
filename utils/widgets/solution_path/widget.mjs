// The solution-path explorer: which of many zero-loss solutions an optimizer reaches, in two
// dimensions. Its parts and Python's tables are joined into one module wherever it is used:
// utils/widgets/shared/bundle.py says why and how.
import { CONSTANTS } from "course:widgets/solution_path/settings";
import {
  announcer,
  button,
  changer,
  mount,
  options,
  queued,
  select,
  slider,
  sliderOutput,
  undoneByScrolling,
  uniqueId,
} from "../shared/controls.mjs";
import { h } from "../shared/dom.mjs";
import { tr } from "../shared/language.mjs";
import { flowEnd, loss, run, stableStep } from "./descent.mjs";
import { plane } from "./plane.mjs";
import { linkable, METHODS, MODELS, placeOf, settings, stops, USUAL } from "./settings.mjs";
import { fixed, norm, plain, verdict } from "./words.mjs";

export { linkable };
export { settings };

const PLAY_TIME = 4000; // milliseconds for a whole path
const ORDERS = { 0: tr("first"), 1: tr("second"), 2: tr("third") };

/** The norms and the loss at the start, at the step shown, and where gradient flow ends. */
function normsTable() {
  const heads = [tr("Start"), tr("Now"), tr("Flow’s end")].map((text) =>
    h("th", { scope: "col" }, text)
  );
  const measures = {
    "‖w‖₂": (w) => norm(w[0], w[1]),
    "‖w‖₁": (w) => Math.abs(w[0]) + Math.abs(w[1]),
    "‖w − w₀‖₂": (w, start) => norm(w[0] - start[0], w[1] - start[1]),
    [tr("loss")]: (w) => (loss(w) < 1e-12 ? 0 : loss(w)),
  };
  const cells = {};
  const rows = Object.keys(measures).map((name) => {
    cells[name] = heads.map(() => h("td"));
    return h("tr", {}, h("th", { scope: "row" }, name), ...cells[name]);
  });
  const node = h(
    "table",
    { class: "cw-norms" },
    h("thead", {}, h("tr", {}, h("td"), ...heads)),
    h("tbody", {}, ...rows),
  );

  function draw(step, start, present, flow) {
    heads[1].textContent = tr("Step {step}", { step });
    for (const [name, measure] of Object.entries(measures)) {
      [start, present, flow].forEach((w, i) => {
        cells[name][i].textContent = plain(measure(w, start));
      });
    }
  }
  return { node, draw };
}

/**
 * How much of the path is shown: a slider of steps, and a button that plays them. `pathLength()`:
 * the number of the last step. `onShow(step)`: the reader wants to see the path up to here.
 */
function stepControl({ uid, pathLength, onShow }) {
  const id = `${uid}-step`;
  const input = h("input", { type: "range", id, min: 0, step: 1 });
  const output = sliderOutput(id);
  let frame = 0; // of the running animation; 0 where there is none

  function stop() {
    cancelAnimationFrame(frame);
    frame = 0;
    play.textContent = tr("Play");
  }

  function start() {
    const began = performance.now();
    const last = pathLength();
    play.textContent = tr("Stop");
    const advance = (time) => {
      const share = Math.max(0, time - began) / PLAY_TIME;
      // Slow at first: those steps are the ones to watch.
      const step = Math.min(last, Math.floor(last * share ** 2));
      onShow(step);
      if (step < last) frame = requestAnimationFrame(advance);
      else stop();
    };
    frame = requestAnimationFrame(advance);
  }

  const play = button(tr("Play"), () => (frame === 0 ? start() : stop()));
  function show(step) {
    stop();
    onShow(step);
  }
  input.addEventListener("input", () => show(Number(input.value)));
  undoneByScrolling(input, () => Number(input.value), show);

  function draw(step, last) {
    input.max = last;
    input.value = step;
    output.value = tr("{step} of {last}", { step, last });
    input.setAttribute("aria-valuetext", output.value);
  }
  const label = h("label", { for: id }, tr("Steps shown"));
  return { node: h("div", { class: "cw-slider" }, label, output, input), play, stop, draw };
}

function render({ model, el }) {
  const uid = uniqueId("cw-path");
  const get = (key) => model.get(key);
  const now = () => settings(get);
  const change = changer(model, USUAL);
  const updates = []; // what puts each control at the present settings

  // ---- Controls

  function settingSlider(key, name, text) {
    const control = slider({
      id: `${uid}-${key}`,
      name,
      resetName: name,
      onInput: (value) => change({ [key]: value }),
      onReset: () => change({ [key]: null }),
    });
    updates.push((s, flow) =>
      control.show({
        positions: stops(key, s),
        value: s[key],
        text: text(s, flow),
        unchanged: get(key) === null || get(key) === undefined,
      })
    );
    return control.node;
  }

  function settingSelect(key, name, names, read = (value) => value) {
    const { node, list } = select({
      id: `${uid}-${key}`,
      name,
      children: options(names),
      onChange: (value) => change({ [key]: read(value) }),
    });
    updates.push((s) => {
      list.value = s[key];
    });
    return node;
  }

  function etaText(s, flow) {
    const hasEdge = s.method === "gd" || s.method === "sgd";
    if (!hasEdge) return String(s.eta);
    const times = (s.eta / stableStep(flow, s)).toFixed(2);
    return tr("{eta} ({times} × edge)", { eta: s.eta, times });
  }
  const eta = settingSlider("eta", tr("Step size η"), etaText);
  const edgeTick = h("span", { class: "cw-tick" }); // the edge on the slider
  const edgeNote = h("p", { class: "cw-edge" });
  eta.append(edgeTick);
  updates.push((s, flow) => {
    const edge = stableStep(flow, s);
    const share = placeOf(edge, stops("eta", s));
    edgeTick.hidden = share === null;
    edgeTick.style.setProperty("--cw-at", share);
    edgeNote.replaceChildren(
      tr("Edge of gradient descent: η = 2/λ"),
      h("sub", {}, "max"),
      tr(" = {edge}, where the diamond is.", { edge: Number(edge.toPrecision(3)) }),
    );
  });

  const scale = settingSlider("scale", tr("Initial scale α"), (s) => String(s.scale));
  const order = settingSelect("order", tr("Order"), ORDERS, Number);
  updates.push((s) => {
    scale.hidden = s.model === "linear";
    order.hidden = s.method !== "sgd";
  });

  // ---- The path

  let path; // under the present settings
  let shown = Infinity; // how much of it the reader wants to see
  const picture = plane({ now, onMove: change });
  const table = normsTable();
  const steps = stepControl({
    uid,
    pathLength: () => path.points.length - 1,
    onShow(step) {
      shown = step;
      drawPath(now());
    },
  });
  const resetAll = button(tr("Reset all"), () => change(USUAL));
  const words = h("p", { class: "cw-verdict" });
  // A screen reader hears the result when the reader rests, not every step.
  const speaker = announcer(700);

  function drawPath(s) {
    const flow = flowEnd([s.start1, s.start2], s);
    const last = path.points.length - 1;
    const step = Math.min(shown, last);
    picture.draw(s, path.points.slice(0, step + 1), flow);
    steps.draw(step, last);
    table.draw(step, path.points[0], path.points[step], flow);
  }

  function draw() {
    steps.stop();
    shown = Infinity;
    const s = now();
    const start = [s.start1, s.start2];
    const flow = flowEnd(start, s);
    const orders = get("orders") ?? [];
    const sampleOrder = orders[s.order] ?? "0".repeat(CONSTANTS.steps);
    path = run(s.method, s.eta, start, sampleOrder, s);
    for (const update of updates) update(s, flow);
    drawPath(s);
    words.textContent = verdict(s, path, flow);
    speaker.later([words.textContent]);
  }

  const key = (kind, text) => h("span", {}, h("i", { class: `cw-key-${kind}` }), text);
  const keys = h(
    "p",
    { class: "cw-keys" },
    key("start", tr("start: drag it")),
    key("end", tr("end")),
    key("goal", tr("gradient flow’s end")),
  );
  // The picture comes first and stays in view; on a wide page the controls stand beside it.
  const tools = h("div", { class: "cw-buttons" }, steps.play, resetAll);
  const controls = h(
    "div",
    { class: "cw-controls" },
    settingSelect("model", tr("Model"), MODELS),
    scale,
    settingSelect("method", tr("Method"), METHODS),
    order,
    eta,
    edgeNote,
    settingSlider("start1", tr("Start w₁"), (s) => fixed(s.start1, 2)),
    settingSlider("start2", tr("Start w₂"), (s) => fixed(s.start2, 2)),
    steps.node,
    tools,
  );
  const root = h(
    "div",
    { class: "cw cw-path" },
    h(
      "div",
      { class: "cw-desk" },
      h("div", { class: "cw-view" }, picture.picture, keys, words),
      controls,
      table.node,
    ),
    speaker.node,
  );
  return mount({
    model,
    el,
    root,
    keys: [...linkable, "orders"],
    request: queued(draw),
    draw,
    tools,
    dispose() {
      steps.stop();
      speaker.cancel();
    },
  });
}

export default { render };
