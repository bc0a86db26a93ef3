// The parameter-budget explorer: where a model's parameters sit, what they weigh, what training them costs.
// One file without imports, because anywidget and the book's pages load it from a Blob. The numeric core
// repeats utils/budget.py, which documents the formulas; tests hold the two equal.

export const PARTS = [
  "token_embedding",
  "position_embedding",
  "attention",
  "feed_forward",
  "norms",
  "output_head",
];
export const PRECISIONS = { fp32: 32, bf16: 16, int8: 8, int4: 4 };
export const GPUS = {
  T4: { peak16: 65e12, peak32: 8.1e12, memory: 16e9 },
  V100: { peak16: 125e12, peak32: 15.7e12, memory: 32e9 },
  A100: { peak16: 312e12, peak32: 19.5e12, memory: 80e9 },
  H100: { peak16: 989e12, peak32: 67e12, memory: 80e9 },
};

const preset = (label, style, sizes, published, tokens, tied = true, n_kv_head = null) => {
  const [n_layer, d_model, n_head, d_ff, vocab_size, context_length] = sizes;
  const shape = { style, n_layer, d_model, n_head, n_kv_head, d_ff, vocab_size, context_length };
  return { label, published, tokens, ...shape, tie_embeddings: tied };
};
export const PRESETS = {
  course: preset("The course's own model", "llama", [6, 256, 4, 704, 4096, 256], null, null),
  gpt2: preset("GPT-2 (small)", "gpt2", [12, 768, 12, 3072, 50257, 1024], 124439808, null),
  "gpt2-xl": preset("GPT-2 XL", "gpt2", [48, 1600, 25, 6400, 50257, 1024], 1557611200, null),
  gpt3: preset("GPT-3", "gpt2", [96, 12288, 96, 49152, 50257, 2048], 175e9, 300e9),
  "llama2-7b": preset(
    "Llama 2 7B",
    "llama",
    [32, 4096, 32, 11008, 32000, 4096],
    6738415616,
    2e12,
    false,
  ),
  "llama3-8b": preset(
    "Llama 3 8B",
    "llama",
    [32, 4096, 32, 14336, 128256, 8192],
    8030261248,
    15e12,
    false,
    8,
  ),
  "llama3-70b": preset(
    "Llama 3 70B",
    "llama",
    [80, 8192, 64, 28672, 128256, 8192],
    70553706496,
    15e12,
    false,
    8,
  ),
  "llama3.2-1b": preset(
    "Llama 3.2 1B",
    "llama",
    [16, 2048, 32, 8192, 128256, 131072],
    1235814400,
    9e12,
    true,
    8,
  ),
};

export function parameterCounts(c) {
  const gpt2 = c.style === "gpt2", d = c.d_model, kv = (d / c.n_head) * (c.n_kv_head ?? c.n_head);
  const attention = 2 * d * d + 2 * d * kv + (gpt2 ? 2 * d + 2 * kv : 0);
  const feedForward = gpt2 ? 2 * d * c.d_ff + c.d_ff + d : 3 * d * c.d_ff;
  return {
    token_embedding: c.vocab_size * d,
    position_embedding: gpt2 ? c.context_length * d : 0,
    attention: c.n_layer * attention,
    feed_forward: c.n_layer * feedForward,
    norms: (2 * c.n_layer + 1) * (gpt2 ? 2 * d : d),
    output_head: c.tie_embeddings ? 0 : c.vocab_size * d,
  };
}

export const countParameters = (c) =>
  Object.values(parameterCounts(c)).reduce((sum, n) => sum + n, 0);

export function memoryBytes(c, precision, batch) {
  const bits = PRECISIONS[precision], wide = Math.max(bits, 16), n = countParameters(c);
  const cached = 2 * c.n_layer * (c.n_kv_head ?? c.n_head) * (c.d_model / c.n_head);
  return {
    weights: (n * bits) / 8,
    kv_cache: (cached * batch * c.context_length * wide) / 8,
    train_weights: (n * wide) / 8,
    gradients: (n * wide) / 8,
    optimizer: n * (wide === 32 ? 8 : 12),
  };
}

export const flopsPerToken = (c) => ({
  weights: 6 * countParameters(c),
  attention: 12 * c.n_layer * c.d_model * c.context_length,
});

export function trainingFlops(c, tokens) {
  const { weights, attention } = flopsPerToken(c);
  return (weights + attention) * tokens;
}

export const peakRate = (gpu, precision) => GPUS[gpu][precision === "fp32" ? "peak32" : "peak16"];
export const trainingDays = (
  flops,
  gpu,
  { n_gpu = 1, utilisation = 0.4, precision = "bf16" } = {},
) => flops / (n_gpu * peakRate(gpu, precision) * utilisation) / 86400;

// ---- Settings: a preset, and what the reader changed (null: as in the preset) ----------------------------

const USE = { precision: "bf16", batch_size: 1, gpu: "H100", n_gpu: 1, utilisation: 0.4 };
const RANGE = {
  n_layer: [1, 128],
  d_model: [64, 16384],
  n_head: [1, 256],
  n_kv_head: [1, 256],
  d_ff: [64, 65536],
  vocab_size: [256, 262144],
  context_length: [64, 131072],
  batch_size: [1, 1024],
  tokens: [1e6, 1e14],
  n_gpu: [1, 32768],
  utilisation: [0.05, 0.7],
};
const CHOICES = {
  style: ["gpt2", "llama"],
  precision: Object.keys(PRECISIONS),
  gpu: Object.keys(GPUS),
};
const SHAPE = [
  "style",
  "n_layer",
  "d_model",
  "n_head",
  "n_kv_head",
  "d_ff",
  "vocab_size",
  "context_length",
  "tie_embeddings",
];
export const linkable = [
  "preset",
  ...SHAPE,
  "batch_size",
  "precision",
  "tokens",
  "gpu",
  "n_gpu",
  "utilisation",
];

const nearest = (list, value) =>
  list.reduce((
    best,
    v,
  ) => (Math.abs(Math.log(v / value)) < Math.abs(Math.log(best / value)) ? v : best));
const divisors = (n, ok = () => true) =>
  Array.from({ length: n }, (_, i) => i + 1).filter((h) => n % h === 0 && ok(h));
const headChoices = (c) =>
  divisors(c.d_model, (h) => h <= 256 && (c.style === "gpt2" || (c.d_model / h) % 2 === 0)); // rotary needs pairs

/** Every setting, valid whatever the reader or the address asked for. */
export function settings(get) {
  const name = Object.hasOwn(PRESETS, get("preset")) ? get("preset") : "gpt2";
  const base = { ...USE, ...PRESETS[name] }, s = { preset: name };
  for (const key of linkable.slice(1)) {
    const asked = get(key), range = RANGE[key];
    if (CHOICES[key]) s[key] = CHOICES[key].includes(asked) ? asked : base[key];
    else if (key === "tie_embeddings") s[key] = typeof asked === "boolean" ? asked : base[key];
    else if (typeof asked !== "number" || !Number.isFinite(asked)) s[key] = base[key];
    else {s[key] = Math.min(
        range[1],
        Math.max(range[0], key === "utilisation" ? asked : Math.round(asked)),
      );}
  }
  s.d_model = 2 * Math.round(s.d_model / 2);
  s.n_head = nearest(headChoices(s), s.n_head);
  s.n_kv_head = nearest(divisors(s.n_head), s.n_kv_head ?? s.n_head);
  s.tokens ??= 20 * countParameters(s); // Hoffmann et al. 2022, where no source says how many
  return s;
}

const every = (low, high, step) =>
  Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, i) => low + i * step);
const powers = (low, high) =>
  Array.from({ length: Math.log2(high / low) + 1 }, (_, i) => low * 2 ** i);
const STOPS = {
  n_layer: () => [...every(1, 32, 1), ...every(34, 64, 2), ...every(68, 128, 4)],
  d_model: () => [...every(64, 1024, 64), ...every(1152, 4096, 128), ...every(4608, 16384, 512)],
  n_head: headChoices,
  n_kv_head: (s) => divisors(s.n_head),
  d_ff: () => [...every(64, 2048, 64), ...every(2304, 8192, 256), ...every(9216, 65536, 1024)],
  vocab_size: () => powers(256, 262144),
  context_length: () => powers(64, 131072),
  batch_size: () => powers(1, 1024),
  tokens: () =>
    every(6, 13, 1).flatMap((k) => [1, 1.5, 2, 3, 5, 7].map((m) => m * 10 ** k)).concat(1e14),
  n_gpu: () => powers(1, 32768),
  utilisation: () => every(1, 14, 1).map((k) => k / 20),
};
/** The positions of a slider: its round values, the presets' and, so that it never lies, the present one. */
export function stops(key, s) {
  const own = key === "n_head" || key === "n_kv_head"
    ? []
    : Object.values(PRESETS).map((p) => p[key] ?? s[key]);
  return [...new Set([...STOPS[key](s), ...own, s[key]])].sort((a, b) => a - b);
}

// ---- Words and numbers -----------------------------------------------------------------------------------

const whole = (n) => Math.round(n).toLocaleString("en-US");
const digits = (x) => x.toFixed(x < 9.995 ? 2 : x < 99.95 ? 1 : 0);
function scaled(n, units) {
  let i = 0;
  while (i < units.length - 1 && n >= 999.5) {
    n /= 1000;
    i++;
  }
  return `${i ? digits(n) : whole(n)}\u00a0${units[i]}`.trimEnd(); // no line break before a unit
}
export const short = (n) => scaled(n, ["", "thousand", "million", "billion", "trillion"]);
export const bytes = (n) => scaled(n, ["B", "kB", "MB", "GB", "TB", "PB"]);
export function power(n) {
  const [mantissa, exponent] = n.toExponential(2).split("e+");
  return `${mantissa} × 10${[...exponent].map((d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]).join("")}`;
}
export function duration(days) {
  const one = (x, unit) => `${digits(x)} ${unit}`;
  if (days < 1 / 24) return one(days * 1440, "minutes");
  if (days < 2) return one(days * 24, "hours");
  return days < 1000 ? one(days, "days") : `${whole(days)} days (${digits(days / 365.25)} years)`;
}
const share = (x) => (x > 0 && x < 0.0005 ? "<0.1\u00a0%" : `${(100 * x).toFixed(1)}\u00a0%`);

const PART_NAMES = {
  token_embedding: "Token embedding",
  position_embedding: "Position embedding",
  attention: "Attention",
  feed_forward: "Feed-forward",
  norms: "Norms",
  output_head: "Output head",
};
const SLIDERS = {
  n_layer: ["Layers", (s) => whole(s.n_layer)],
  d_model: ["Width", (s) => whole(s.d_model)],
  n_head: ["Heads", (s) => `${s.n_head}, each ${s.d_model / s.n_head} wide`],
  n_kv_head: ["Key-value heads", (s) => whole(s.n_kv_head)],
  d_ff: ["Feed-forward width", (s) => `${whole(s.d_ff)} (${digits(s.d_ff / s.d_model)} × width)`],
  vocab_size: ["Vocabulary", (s) => `${whole(s.vocab_size)} tokens`],
  context_length: ["Context", (s) => `${whole(s.context_length)} tokens`],
  batch_size: ["Batch", (s) => `${whole(s.batch_size)} sequence${s.batch_size > 1 ? "s" : ""}`],
  tokens: [
    "Tokens",
    (s) => `${short(s.tokens)} (${whole(s.tokens / countParameters(s))} a parameter)`,
  ],
  n_gpu: ["GPUs", (s) => whole(s.n_gpu)],
  utilisation: ["Utilisation", (s) => `${whole(100 * s.utilisation)} % of peak`],
};
const NAMES = {
  style: { gpt2: "GPT-2 (biases, LayerNorm)", llama: "Llama (gated, no biases)" },
  precision: {
    fp32: "fp32 (32 bits)",
    bf16: "bf16 (16 bits)",
    int8: "int8 (8 bits)",
    int4: "int4 (4 bits)",
  },
  gpu: Object.fromEntries(Object.entries(GPUS).map(([k, g]) => [k, `${k}, ${g.memory / 1e9} GB`])),
};

/** How the count compares with the published one, in words. */
export function verdict(s, n) {
  const p = PRESETS[s.preset], same = SHAPE.every((key) => (p[key] ?? p.n_head) === s[key]);
  if (!same) return `${p.label}, changed.`;
  if (p.published === null) return `${p.label}.`;
  if (p.published === n) return `${p.label}: equal to the released checkpoint.`;
  const apart = ((100 * Math.abs(n - p.published)) / p.published).toFixed(1);
  return `${p.label}: the paper says ${short(p.published)}, ${apart} % away.`;
}

// ---- The page --------------------------------------------------------------------------------------------

function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}
let made = 0; // ids must differ between two explorers on one page

function render({ model, el }) {
  const uid = `cw-budget-${++made}`, get = (key) => model.get(key), updates = [];
  const change = (values) => {
    for (const [key, value] of Object.entries(values)) model.set(key, value);
    model.save_changes();
  };
  const base = (key, s) => ({ ...USE, ...PRESETS[s.preset] })[key];

  function slider(key) {
    const [name, text] = SLIDERS[key], id = `${uid}-${key}`;
    const input = h("input", { type: "range", id, min: 0, step: 1 }),
      output = h("output", { for: id });
    const reset = h("button", {
      type: "button",
      class: "cw-reset",
      "aria-label": `Reset ${name.toLowerCase()}`,
    }, "↺");
    let positions = [];
    input.addEventListener("input", () => {
      const value = positions[input.value], s = settings(get);
      const usual = base(key, s) ?? (key === "n_kv_head" ? s.n_head : null);
      change({ [key]: value === usual ? null : value });
    });
    reset.addEventListener("click", () => {
      change({ [key]: null });
      input.focus();
    });
    updates.push((s) => {
      positions = stops(key, s);
      input.max = positions.length - 1;
      input.value = positions.indexOf(s[key]);
      output.value = text(s);
      input.setAttribute("aria-valuetext", text(s));
      reset.disabled = get(key) === null || get(key) === undefined;
    });
    return h("div", { class: "cw-slider" }, h("label", { for: id }, name), output, input, reset);
  }

  function select(key, name, options, onChange = (value) => change({ [key]: value })) {
    const id = `${uid}-${key}`;
    const list = h(
      "select",
      { id },
      ...Object.entries(options).map(([value, text]) => h("option", { value }, text)),
    );
    list.addEventListener("change", () => onChange(list.value));
    updates.push((s) => {
      list.value = s[key];
    });
    return h("div", { class: "cw-select" }, h("label", { for: id }, name), list);
  }

  const unset = (keys) => Object.fromEntries(keys.map((key) => [key, null]));
  const presets = Object.fromEntries(Object.entries(PRESETS).map(([key, p]) => [key, p.label]));
  const choose = select(
    "preset",
    "Model",
    presets,
    (value) => change({ ...unset([...SHAPE, "tokens"]), preset: value }),
  );
  const all = h("button", { type: "button", class: "cw-button" }, "Reset all");
  all.addEventListener("click", () => change(unset(linkable.slice(1))));

  const tied = h("input", { type: "checkbox", id: `${uid}-tied` });
  tied.addEventListener("change", () => change({ tie_embeddings: tied.checked }));
  updates.push((s) => {
    tied.checked = s.tie_embeddings;
  });

  /** A bar of segments, named after their classes; what `scale` leaves over stays empty. */
  function bar(keys) {
    const segments = [...keys, "rest"].map((key) => h("span", { class: `cw-${key}` }));
    const node = h("div", { class: "cw-bar", role: "img" }, ...segments);
    return [node, (values, scale, label) => {
      const left = Math.max(0, scale - values.reduce((sum, v) => sum + v, 0));
      segments.forEach((segment, i) => {
        const part = (values[i] ?? left) / scale;
        segment.hidden = part < 1e-9;
        segment.style.flexGrow = 1000 * part;
      });
      node.setAttribute("aria-label", label);
    }];
  }

  const total = h("p", { class: "cw-total" }), note = h("p", { class: "cw-note" });
  const [partsBar, drawParts] = bar(PARTS);
  const counted = PARTS.map(() => h("dd"));
  const legend = h(
    "dl",
    { class: "cw-parts" },
    ...PARTS.map((key, i) =>
      h("div", {}, h("dt", {}, h("i", { class: `cw-${key}` }), PART_NAMES[key]), counted[i])
    ),
  );

  const [runBar, drawRun] = bar(["weights", "kv_cache"]);
  const [trainBar, drawTrain] = bar(["weights", "gradients", "optimizer"]);
  const lines = Object.fromEntries(["run", "train", "flops", "days"].map((key) => [key, h("p")]));
  const spoken = h("p", { class: "cw-hidden", "aria-live": "polite" });
  let speaking; // a screen reader hears the result when the slider rests, not every step
  const keyed = (key, value, text) => [h("i", { class: `cw-${key}` }), `${bytes(value)} ${text}`];

  updates.push((s) => {
    const counts = parameterCounts(s),
      n = countParameters(s),
      m = memoryBytes(s, s.precision, s.batch_size);
    total.replaceChildren(h("strong", {}, whole(n)), " parameters");
    note.textContent = verdict(s, n);
    const said = PARTS.filter((key) => counts[key]).map((key) =>
      `${PART_NAMES[key]} ${share(counts[key] / n)}`
    );
    drawParts(PARTS.map((key) => counts[key]), n, `Parameters by part: ${said.join(", ")}`);
    PARTS.forEach((key, i) => {
      counted[i].textContent = counts[key]
        ? `${whole(counts[key])} (${share(counts[key] / n)})`
        : "none";
    });
    const run = m.weights + m.kv_cache, train = m.train_weights + m.gradients + m.optimizer;
    const room = GPUS[s.gpu].memory,
      scale = Math.max(run, train),
      gpu = `${s.gpu} (${room / 1e9}\u00a0GB)`;
    const fits = (
      need,
    ) => (need <= room
      ? `one ${gpu} holds it`
      : `at least ${whole(Math.ceil(need / room))} × ${s.gpu} (${
        room / 1e9
      }\u00a0GB each, marked)`);
    for (const node of [runBar, trainBar]) {
      node.style.setProperty("--cw-mark", `${(100 * room) / scale}%`);
      node.classList.toggle("cw-marked", room < scale);
    }
    drawRun(
      [m.weights, m.kv_cache],
      scale,
      `Weights ${bytes(m.weights)}, KV cache ${bytes(m.kv_cache)}`,
    );
    drawTrain(
      [m.train_weights, m.gradients, m.optimizer],
      scale,
      `Weights ${bytes(m.train_weights)}, gradients ${bytes(m.gradients)}, optimizer ${
        bytes(m.optimizer)
      }`,
    );
    lines.run.replaceChildren(
      h("b", {}, "Running: "),
      ...keyed("weights", m.weights, "weights + "),
      ...keyed("kv_cache", m.kv_cache, "KV cache "),
      `= ${bytes(run)}; ${fits(run)}.`,
    );
    lines.train.replaceChildren(
      h("b", {}, "Training: "),
      ...keyed("weights", m.train_weights, "weights + "),
      ...keyed("gradients", m.gradients, "gradients + "),
      ...keyed("optimizer", m.optimizer, "AdamW "),
      `= ${bytes(train)} before activations; ${fits(train)}.`,
    );
    const { weights, attention } = flopsPerToken(s), flops = trainingFlops(s, s.tokens);
    const trained = s.precision === "fp32" ? "fp32" : "16-bit";
    lines.flops.replaceChildren(
      h("b", {}, "Operations: "),
      "D · (6N + 12 · L · d · T) = ",
      h("b", {}, `${power(flops)} FLOP`),
      `; the attention term is ${share(attention / (weights + attention))} of it.`,
    );
    const days = duration(trainingDays(flops, s.gpu, s)),
      peak = peakRate(s.gpu, s.precision) / 1e12;
    lines.days.replaceChildren(
      h("b", {}, "Time: "),
      h("b", {}, days),
      ` on ${whole(s.n_gpu)} × ${s.gpu} at ${
        whole(100 * s.utilisation)
      } % of ${peak} ${trained} TFLOP/s.`,
    );
    clearTimeout(speaking);
    speaking = setTimeout(() => {
      spoken.textContent = `${short(n)} parameters, ${bytes(run)} to run, ${
        bytes(train)
      } to train, ${days}.`;
    }, 700);
  });

  const group = (name, ...children) => h("fieldset", {}, h("legend", {}, name), ...children);
  const root = h(
    "div",
    { class: "cw cw-budget" },
    h("div", { class: "cw-head" }, choose, all),
    h("div", { class: "cw-summary" }, h("div", {}, total, note), partsBar),
    legend,
    h(
      "div",
      { class: "cw-columns" },
      group(
        "Architecture",
        select("style", "Style", NAMES.style),
        ...["n_layer", "d_model", "n_head", "n_kv_head", "d_ff", "vocab_size"].map(slider),
        h(
          "div",
          { class: "cw-check" },
          tied,
          h("label", { for: tied.id }, "Output head tied to the embedding"),
        ),
      ),
      h(
        "div",
        {},
        group(
          "Use",
          select("precision", "Precision", NAMES.precision),
          ...["context_length", "batch_size"].map(slider),
        ),
        group(
          "Training",
          select("gpu", "GPU", NAMES.gpu),
          ...["tokens", "n_gpu", "utilisation"].map(slider),
        ),
      ),
    ),
    h(
      "div",
      { class: "cw-columns cw-costs" },
      h("div", {}, runBar, lines.run, trainBar, lines.train),
      h("div", {}, lines.flops, lines.days),
    ),
    spoken,
  );
  // JupyterLab takes a focused control's arrow keys for its own unless the control itself says not to.
  for (const node of root.querySelectorAll("input, select, button")) {
    node.setAttribute("data-lm-suppress-shortcuts", "");
  }
  el.append(root);

  let queued = false;
  const draw = () => {
    queued = false;
    const s = settings(get);
    for (const update of updates) update(s);
  };
  const request = () => {
    if (!queued) {
      queued = true;
      queueMicrotask(draw);
    }
  };
  for (const key of linkable) model.on(`change:${key}`, request);
  draw();
  return () => {
    for (const key of linkable) model.off(`change:${key}`, request);
    clearTimeout(speaking);
    root.remove();
  };
}

export default { render };
