// The solution-path explorer: which of many zero-loss solutions an optimizer reaches, in two dimensions.
// Its numeric core is a part, joined into one module wherever it is used (utils/widgets/shared/bundle.py says why and how).
import {
  A1,
  A2,
  B,
  CONSTANTS,
  flowEnd,
  loss,
  PROBLEM,
  residual,
  run,
  sharpness,
} from "./descent.mjs";

export { CONSTANTS, flowEnd, loss, PROBLEM, residual, run, sharpness };

// ---- Settings --------------------------------------------------------------------------------------------

export const METHODS = {
  gd: "Gradient descent",
  sgd: "SGD, one sample a step",
  normalized: "Normalized GD",
  adam: "Adam",
};
export const MODELS = { linear: "w, directly (linear)", squares: "w = u² − v²" };
export const DEFAULTS = {
  model: "linear",
  method: "gd",
  eta: 0.1,
  scale: 0.5,
  start1: -0.5,
  start2: 1,
  order: 0,
};
export const linkable = Object.keys(DEFAULTS);
const START = [-1.5, 2.5], FRAME = [-2.5, 3.5]; // both axes; the frame is wider, as a path may end farther out
const RANGE = { eta: [0.01, 3], scale: [0.02, 2], start1: START, start2: START, order: [0, 2] };

/** Every setting, valid whatever the reader or the address asked for. */
export function settings(get) {
  const s = {};
  for (const [key, usual] of Object.entries(DEFAULTS)) {
    const asked = get(key), range = RANGE[key];
    if (!range) s[key] = Object.hasOwn(key === "model" ? MODELS : METHODS, asked) ? asked : usual;
    else if (typeof asked !== "number" || !Number.isFinite(asked)) s[key] = usual;
    else {s[key] = Math.min(
        range[1],
        Math.max(range[0], key === "order" ? Math.round(asked) : asked),
      );}
  }
  return s;
}

const geometric = (low, high, factor) => {
  const list = [];
  for (let x = low; x < high; x *= factor) list.push(Number(x.toPrecision(3)));
  return [...list, high];
};
const STOPS = {
  eta: geometric(0.01, 3, 1.05),
  scale: geometric(0.02, 2, 1.1),
  start1: Array.from({ length: 81 }, (_, i) => (i - 30) / 20),
  start2: Array.from({ length: 81 }, (_, i) => (i - 30) / 20),
};
/** The positions of a slider: round values and, so that it never lies, the present and the usual one. */
export const stops = (key, s) =>
  [...new Set([...STOPS[key], DEFAULTS[key], s[key]])].sort((a, b) => a - b);

/** Where `x` lies on a slider of these positions, from 0 to 1, or null where it is outside of them. */
export function placeOf(x, positions) {
  const after = positions.findIndex((p) => p >= x), before = positions[after - 1];
  if (after < 0 || (after === 0 && x < positions[0])) return null;
  const back = after > 0 ? (positions[after] - x) / (positions[after] - before) : 0;
  return (after - back) / (positions.length - 1);
}

// ---- Words and numbers -----------------------------------------------------------------------------------

const minus = (text) => text.replace("-", "−");
const fixed = (x, n = 3) => minus((Math.abs(x) < 0.5 * 10 ** -n ? 0 : x).toFixed(n));
/** A number of any size, short. */
export function plain(x) {
  if (x !== 0 && (Math.abs(x) >= 1e4 || Math.abs(x) < 5e-4)) {
    const [mantissa, exponent] = x.toExponential(1).split("e");
    return minus(
      `${mantissa} × 10${
        [...exponent.replace("+", "")].map((d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d] ?? "⁻").join("")
      }`,
    );
  }
  return fixed(x);
}
const place = (w) => `(${fixed(w[0], 2)}, ${fixed(w[1], 2)})`;
const norm = (x, y) => Math.sqrt(x * x + y * y);

/** What the path shows, in one or two sentences. */
export function verdict(s, path, flow) {
  const end = path.points.at(-1), edge = 2 / sharpness(flow, s), ratio = (s.eta / edge).toFixed(2);
  const beyond = s.method === "gd" && s.eta > edge;
  if (path.diverged !== null) {
    return `Diverges: at step ${path.diverged} the weights pass a million.` +
      (beyond ? ` The step is ${ratio} times the edge.` : "");
  }
  if (loss(end) > 1e-4) {
    const why = beyond ? ` The step is ${ratio} times the edge.` : "";
    return `After ${path.points.length - 1} steps the loss is ${
      plain(loss(end))
    }: not at a solution.${why}`;
  }
  const apart = norm(end[0] - flow[0], end[1] - flow[1]),
    whose = s.model === "linear" ? "nearest to its start" : "that gradient flow reaches";
  if (apart < 0.01) return `Ends at ${place(end)}, the solution ${whose}.`;
  return `Ends at ${place(end)}: a solution, but ${fixed(apart, 2)} away from the one ${whose}.`;
}

// ---- The page --------------------------------------------------------------------------------------------

function make(namespace, tag, attributes = {}, ...children) {
  const node = namespace ? document.createElementNS(namespace, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}
const h = (...args) => make(null, ...args),
  svg = (...args) => make("http://www.w3.org/2000/svg", ...args);

const SIZE = 400, UNIT = SIZE / (FRAME[1] - FRAME[0]);
const at = ([x, y]) => [(x - FRAME[0]) * UNIT, (FRAME[1] - y) * UNIT];
/** The part of the segment from p to q within `far` of the frame: a diverging path leaves what SVG can draw. */
export function segment([px, py], [qx, qy], far = 2000) {
  let from = 0, to = 1;
  for (const [a, d] of [[px, qx - px], [py, qy - py]]) {
    if (d === 0 && Math.abs(a) > far) return "";
    if (d === 0) continue;
    const [low, high] = [(-far - a) / d, (far - a) / d].sort((x, y) => x - y);
    from = Math.max(from, low);
    to = Math.min(to, high);
  }
  const point = (t) => `${(px + t * (qx - px)).toFixed(2)} ${(py + t * (qy - py)).toFixed(2)}`;
  return from < to ? `M${point(from)}L${point(to)}` : "";
}
const level = (r) => { // the line where the residual is r, across the frame
  const [x1, y1] = at([FRAME[0], (B + r - A1 * FRAME[0]) / A2]),
    [x2, y2] = at([FRAME[1], (B + r - A1 * FRAME[1]) / A2]);
  return { x1, y1, x2, y2 };
};
const diamond = (x, y, r) => `M${x} ${y - r}L${x + r} ${y}L${x} ${y + r}L${x - r} ${y}Z`;

/** The end's mark: a disc, or, for an end outside the frame, an arrow at its edge, on the way there from `goal`. */
export function endMark([x, y], [gx, gy], r = 6) {
  const format = (...numbers) => numbers.map((v) => v.toFixed(2)).join(" ");
  if (x >= 0 && x <= SIZE && y >= 0 && y <= SIZE) {
    return `M${format(x - r, y)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
  }
  const room = (from, d) => (d === 0 ? Infinity : ((d > 0 ? SIZE - 2 * r : 2 * r) - from) / d); // to the edge, in units of the whole way
  const way = Math.max(0, Math.min(room(gx, x - gx), room(gy, y - gy))), far = norm(x - gx, y - gy);
  const cx = gx + way * (x - gx),
    cy = gy + way * (y - gy),
    dx = (1.7 * r * (x - gx)) / far,
    dy = (1.7 * r * (y - gy)) / far;
  return `M${format(cx + dx, cy + dy)}L${format(cx - 0.6 * dy, cy + 0.6 * dx)}L${
    format(cx + 0.6 * dy, cy - 0.6 * dx)
  }Z`;
}

/** The fixed parts of the picture: axes, level lines of the loss, the line of solutions, two famous ones. */
function background() {
  const g = svg("g", { "aria-hidden": "true" });
  for (const r of [-4, -3.5, -3, -2.5, -2, -1.5, -1, -0.5, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]) {
    g.append(svg("line", { class: "cw-level", ...level(r) }));
  }
  for (const k of [-2, -1, 0, 1, 2, 3]) {
    const [x, y] = at([k, k]);
    g.append(
      svg("line", { class: k ? "cw-grid" : "cw-axis", x1: x, x2: x, y1: 0, y2: SIZE }),
      svg("line", { class: k ? "cw-grid" : "cw-axis", y1: y, y2: y, x1: 0, x2: SIZE }),
      ...(k < 3
        ? [ // the last one's place is the axis's name
          svg("text", { x: x - 4, y: SIZE - 6, "text-anchor": "end" }, minus(String(k))),
          svg("text", { x: 4, y: y - 4 }, minus(String(k))),
        ]
        : []),
    );
  }
  g.append(
    svg("text", { class: "cw-name", x: SIZE - 24, y: SIZE - 6 }, "w₁"),
    svg("text", { class: "cw-name", x: 6, y: 16 }, "w₂"),
  );
  g.append(svg("line", { class: "cw-solutions", ...level(0) }));
  const square = A1 * A1 + A2 * A2,
    small = at([(B * A1) / square, (B * A2) / square]),
    sparse = at([B / A1, 0]);
  for (const [[x, y], text] of [[small, "smallest ‖w‖₂"], [sparse, "smallest ‖w‖₁"]]) {
    g.append(
      svg("circle", { class: "cw-special", cx: x, cy: y, r: 4 }),
      svg("text", { x: x + 9, y: y + 1 }, text),
    );
  }
  const [x, y] = at([-0.32, 2.86]);
  g.append(svg("text", { class: "cw-name", x, y }, "zero loss"));
  return g;
}

let made = 0; // ids must differ between two explorers on one page

function render({ model, el }) {
  const uid = `cw-path-${++made}`,
    get = (key) => model.get(key),
    updates = [],
    now = () => settings(get);
  const change = (values) => {
    for (const [key, value] of Object.entries(values)) {
      model.set(key, value === DEFAULTS[key] ? null : value);
    }
    model.save_changes();
  };
  let path, shown = Infinity, frame = 0; // `shown`: how much of the path the reader wants to see

  function slider(key, name, text) {
    const id = `${uid}-${key}`,
      input = h("input", { type: "range", id, min: 0, step: 1 }),
      output = h("output", { for: id });
    const reset = h(
      "button",
      { type: "button", class: "cw-reset", "aria-label": `Reset ${name}` },
      "↺",
    );
    let positions = [];
    input.addEventListener("input", () => change({ [key]: positions[input.value] }));
    reset.addEventListener("click", () => {
      change({ [key]: null });
      input.focus();
    });
    updates.push((s, flow) => {
      positions = stops(key, s);
      input.max = positions.length - 1;
      input.value = positions.indexOf(s[key]);
      output.value = text(s, flow);
      input.setAttribute("aria-valuetext", output.value);
      reset.disabled = (get(key) ?? null) === null;
    });
    return h("div", { class: "cw-slider" }, h("label", { for: id }, name), output, input, reset);
  }
  function select(key, name, options, read = (value) => value) {
    const id = `${uid}-${key}`;
    const list = h(
      "select",
      { id },
      ...Object.entries(options).map(([value, text]) => h("option", { value }, text)),
    );
    list.addEventListener("change", () => change({ [key]: read(list.value) }));
    updates.push((s) => {
      list.value = s[key];
    });
    return h("div", { class: "cw-select" }, h("label", { for: id }, name), list);
  }
  const edgeText = (s, flow) => {
    const edge = 2 / sharpness(flow, s);
    return s.method === "gd" || s.method === "sgd"
      ? `${s.eta} (${(s.eta / edge).toFixed(2)} × edge)`
      : String(s.eta);
  };
  const eta = slider("eta", "Step size η", edgeText),
    tick = h("span", { class: "cw-tick" }),
    edgeNote = h("p", { class: "cw-edge" });
  eta.append(tick);
  updates.push((s, flow) => { // the edge on the slider, and in words
    const edge = 2 / sharpness(flow, s), share = placeOf(edge, stops("eta", s));
    tick.hidden = share === null;
    tick.style.setProperty("--cw-at", share);
    edgeNote.replaceChildren(
      "Edge of gradient descent: η = 2/λ",
      h("sub", {}, "max"),
      ` = ${Number(edge.toPrecision(3))}, where the diamond is.`,
    );
  });
  const scale = slider("scale", "Initial scale α", (s) => String(s.scale));
  const order = select("order", "Order", { 0: "first", 1: "second", 2: "third" }, Number);
  updates.push((s) => {
    scale.hidden = s.model === "linear";
    order.hidden = s.method !== "sgd";
  });

  const line = svg("path", { class: "cw-line" }), dots = svg("path", { class: "cw-dots" });
  const goal = svg("path", { class: "cw-goal" }), end = svg("path", { class: "cw-end" });
  const handle = svg(
    "g",
    { class: "cw-handle", role: "slider", tabindex: 0, "aria-label": "Start, both coordinates" },
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

  const round = (x) => Math.min(START[1], Math.max(START[0], Math.round(x * 100) / 100));
  const move = (event) => {
    const box = picture.getBoundingClientRect(), k = (FRAME[1] - FRAME[0]) / box.width;
    change({
      start1: round(FRAME[0] + (event.clientX - box.left) * k),
      start2: round(FRAME[1] - (event.clientY - box.top) * k),
    });
  };
  handle.addEventListener("pointerdown", (event) => {
    handle.setPointerCapture(event.pointerId);
    event.preventDefault();
    handle.focus();
  });
  handle.addEventListener("pointermove", (event) => {
    if (handle.hasPointerCapture(event.pointerId)) move(event);
  });
  let pressed = null; // a tap beside the handle; a scroll cancels its pointer and never comes up
  picture.addEventListener("pointerdown", (event) => {
    pressed = handle.contains(event.target) ? null : event;
  });
  picture.addEventListener("pointerup", (event) => {
    if (pressed && norm(event.clientX - pressed.clientX, event.clientY - pressed.clientY) < 8) {
      move(event);
    }
    pressed = null;
  });
  handle.addEventListener("keydown", (event) => {
    const [key, sign] = {
      ArrowLeft: ["start1", -1],
      ArrowRight: ["start1", 1],
      ArrowDown: ["start2", -1],
      ArrowUp: ["start2", 1],
    }[event.key] ?? [];
    if (!key) return;
    event.preventDefault();
    change({ [key]: round(now()[key] + sign * (event.shiftKey ? 0.25 : 0.05)) });
  });

  const stepId = `${uid}-step`,
    step = h("input", { type: "range", id: stepId, min: 0, step: 1 }),
    stepText = h("output", { for: stepId });
  const play = h("button", { type: "button", class: "cw-button" }, "Play");
  const all = h("button", { type: "button", class: "cw-button" }, "Reset all");
  const stop = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    play.textContent = "Play";
  };
  step.addEventListener("input", () => {
    stop();
    shown = Number(step.value);
    drawPath(now());
  });
  all.addEventListener("click", () => change(DEFAULTS));
  play.addEventListener("click", () => {
    if (frame) return stop();
    const began = performance.now(), last = path.points.length - 1;
    play.textContent = "Stop";
    const tick = (time) => { // quadratic: the first steps are the ones to watch
      shown = Math.min(last, Math.floor(last * (Math.max(0, time - began) / 4000) ** 2));
      drawPath(now());
      if (shown < last) frame = requestAnimationFrame(tick);
      else stop();
    };
    frame = requestAnimationFrame(tick);
  });

  const columns = ["Start", "Now", "Flow’s end"],
    rows = { "‖w‖₂": [], "‖w‖₁": [], "‖w − w₀‖₂": [], loss: [] };
  const heads = columns.map((text) => h("th", { scope: "col" }, text));
  const table = h(
    "table",
    { class: "cw-norms" },
    h("thead", {}, h("tr", {}, h("td"), ...heads)),
    h(
      "tbody",
      {},
      ...Object.entries(rows).map(([name, cells]) => {
        cells.push(...columns.map(() => h("td")));
        return h("tr", {}, h("th", { scope: "row" }, name), ...cells);
      }),
    ),
  );
  const words = h("p", { class: "cw-verdict" }),
    spoken = h("p", { class: "cw-hidden", "aria-live": "polite" });
  let speaking; // a screen reader hears the result when the reader rests, not every step

  function drawPath(s) {
    const flow = flowEnd([s.start1, s.start2], s),
      last = path.points.length - 1,
      t = Math.min(shown, last);
    const points = path.points.slice(0, t + 1).map(at), w = path.points[t], start = path.points[0];
    const near = points.filter(([x, y]) => Math.abs(x) < 2000 && Math.abs(y) < 2000);
    line.setAttribute("d", points.slice(1).map((q, i) => segment(points[i], q)).join(""));
    dots.setAttribute("d", near.map(([x, y]) => `M${x.toFixed(2)} ${y.toFixed(2)}h0`).join(""));
    const [gx, gy] = at(flow), [sx, sy] = at(start);
    end.setAttribute("d", endMark(at(w), [gx, gy]));
    goal.setAttribute("d", diamond(gx, gy, 9));
    handle.setAttribute("transform", `translate(${sx} ${sy})`);
    handle.setAttribute("aria-valuenow", s.start1);
    handle.setAttribute("aria-valuetext", `w1 ${fixed(s.start1, 2)}, w2 ${fixed(s.start2, 2)}`);
    step.max = last;
    step.value = t;
    stepText.value = `${t} of ${last}`;
    step.setAttribute("aria-valuetext", stepText.value);
    heads[1].textContent = `Step ${t}`;
    [start, w, flow].forEach((p, i) => {
      rows["‖w‖₂"][i].textContent = plain(norm(p[0], p[1]));
      rows["‖w‖₁"][i].textContent = plain(Math.abs(p[0]) + Math.abs(p[1]));
      rows["‖w − w₀‖₂"][i].textContent = plain(norm(p[0] - start[0], p[1] - start[1]));
      rows.loss[i].textContent = plain(loss(p) < 1e-12 ? 0 : loss(p));
    });
  }

  let queued = false;
  const draw = () => {
    queued = false;
    stop();
    shown = Infinity;
    const s = now(), flow = flowEnd([s.start1, s.start2], s);
    path = run(
      s.method,
      s.eta,
      [s.start1, s.start2],
      (get("orders") ?? [])[s.order] ?? "0".repeat(CONSTANTS.steps),
      s,
    );
    for (const update of updates) update(s, flow);
    drawPath(s);
    words.textContent = verdict(s, path, flow);
    clearTimeout(speaking);
    speaking = setTimeout(() => {
      spoken.textContent = words.textContent;
    }, 700);
  };

  const key = (kind, text) => h("span", {}, h("i", { class: `cw-key-${kind}` }), text);
  const root = h(
    "div",
    { class: "cw cw-path" },
    h(
      "div",
      { class: "cw-columns" },
      h(
        "div",
        {},
        picture,
        h(
          "p",
          { class: "cw-keys" },
          key("start", "start: drag it"),
          key("end", "end"),
          key("goal", "gradient flow’s end"),
        ),
        words,
        table,
      ),
      h(
        "div",
        {},
        select("model", "Model", MODELS),
        scale,
        select("method", "Method", METHODS),
        order,
        eta,
        edgeNote,
        slider("start1", "Start w₁", (s) => fixed(s.start1, 2)),
        slider("start2", "Start w₂", (s) => fixed(s.start2, 2)),
        h(
          "div",
          { class: "cw-slider" },
          h("label", { for: stepId }, "Steps shown"),
          stepText,
          step,
        ),
        h("div", { class: "cw-buttons" }, play, all),
      ),
    ),
    spoken,
  );
  // JupyterLab takes a focused control's arrow keys for its own unless the control itself says not to.
  for (const node of root.querySelectorAll("input, select, button, [tabindex]")) {
    node.setAttribute("data-lm-suppress-shortcuts", "");
  }
  el.append(root);
  for (const name of [...linkable, "orders"]) model.on(`change:${name}`, request);
  function request() {
    if (!queued) {
      queued = true;
      queueMicrotask(draw);
    }
  }
  draw();
  return () => {
    stop();
    clearTimeout(speaking);
    for (const name of [...linkable, "orders"]) model.off(`change:${name}`, request);
    root.remove();
  };
}

export default { render };
