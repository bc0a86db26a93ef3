// The sampling explorer: what each decoding setting does to one real distribution, in each engine's order.
// Its parts are joined into one module wherever it is used (utils/widgets/shared/bundle.py says why and how).
import {
  activeOrder,
  cumulate,
  decode,
  draw,
  ENGINES,
  isOff,
  OFF,
  survey,
  uniform,
  unpackLogits,
} from "./decoding.mjs";
import { h, nats, percent, say, visible, whole } from "../shared/dom.mjs";
import { livePanel } from "./live_panel.mjs";
import { tokenChart } from "./token_chart.mjs";

export { activeOrder, cumulate, decode, draw, ENGINES, OFF, uniform, unpackLogits };

// ---- Settings (null: as when the explorer starts) -----------------------------------------------------------

const USUAL = { engine: "vllm", ...OFF, seed: 1, draws: 0 };
const RANGE = {
  temperature: [0, 3],
  top_k: [0, 262144],
  top_p: [0, 1],
  min_p: [0, 1],
  repetition_penalty: [0.5, 2],
  frequency_penalty: [-2, 2],
  presence_penalty: [-2, 2],
  seed: [0, 2 ** 31 - 1],
  draws: [0, 1000],
};
const WHOLE = ["top_k", "seed", "draws"];
export const linkable = ["prompt", ...Object.keys(USUAL)];

/** Every setting, valid whatever the reader or the address asked for. */
export function settings(get) {
  const s = { engine: Object.hasOwn(ENGINES, get("engine")) ? get("engine") : USUAL.engine };
  for (const [key, [low, high]] of Object.entries(RANGE)) {
    const asked = get(key), ok = typeof asked === "number" && !Number.isNaN(asked);
    s[key] = ok
      ? Math.min(high, Math.max(low, WHOLE.includes(key) ? Math.round(asked) : asked))
      : USUAL[key];
  }
  return s;
}

const every = (low, high, parts) =>
  Array.from({ length: Math.round((high - low) * parts) + 1 }, (_, i) => (low * parts + i) / parts);
const STOPS = {
  temperature: every(0, 3, 20),
  top_p: every(0, 1, 100),
  repetition_penalty: every(0.5, 2, 20),
  top_k: [
    ...every(0, 20, 1),
    25,
    30,
    40,
    50,
    60,
    80,
    100,
    150,
    200,
    300,
    500,
    750,
    1000,
    2000,
    4000,
  ],
  min_p: [0, 0.001, 0.002, 0.003, 0.005, 0.007, ...every(0.01, 0.1, 100), ...every(0.15, 1, 20)],
  frequency_penalty: every(-2, 2, 10),
  presence_penalty: every(-2, 2, 10),
};
/** The positions of a slider: round values and, so that it never lies, the present one. */
export const stops = (
  key,
  s,
) => (STOPS[key].includes(s[key]) ? STOPS[key] : [...STOPS[key], s[key]].sort((a, b) => a - b));

const NAMES = {
  temperature: "Temperature",
  top_k: "Top-k",
  top_p: "Top-p",
  min_p: "Min-p",
  repetition_penalty: "Repetition penalty",
  frequency_penalty: "Frequency penalty",
  presence_penalty: "Presence penalty",
};
const NOTES = {
  transformers: "Its penalty sees prompt and output. It has no frequency or presence penalty.",
  vllm: "The repetition penalty sees prompt and output, the other two the output alone.",
  "llama.cpp": "Penalties see the last 64 tokens, the prompt’s included. Temperature comes last.",
  mlx: "Penalties see the last 20 tokens, the prompt’s included. Temperature comes last.",
};
const value = (key, s) => {
  if (s[key] !== OFF[key] && isOff(key, s)) return "0 (off in mlx-lm)";
  if (key === "temperature" && s.engine === "vllm" && s[key] > 0 && s[key] < 0.01) {
    return `${s[key]} (raised to 0.01)`;
  }
  if (s[key] === OFF[key]) {
    return key === "temperature" || key === "repetition_penalty" ? `${s[key]} (off)` : "off";
  }
  if (key === "temperature" && s[key] === 0) return "0 (greedy)";
  return String(s[key]).replace("-", "−");
};

// ---- The page -----------------------------------------------------------------------------------------------

let made = 0; // ids must differ between two explorers on one page

function render({ model, el }) {
  const uid = `cw-sampling-${++made}`, get = (key) => model.get(key), now = () => settings(get);
  const vocab = get("vocab") ?? [],
    recorded = get("prompts") ?? [],
    text = (id) => visible(vocab[id] ?? `#${id}`);
  if (!recorded.length) throw new Error("there are no recorded prompts");
  const change = (values) => {
    for (const [key, x] of Object.entries(values)) model.set(key, x === USUAL[key] ? null : x);
    model.save_changes();
  };
  const unpacked = new Map();
  const stored = () => {
    const p = recorded.find((item) => item.key === get("prompt")) ?? recorded[0];
    if (!unpacked.has(p)) {
      const logits = unpackLogits(p.logits, p.scale);
      unpacked.set(p, { ...p, logits, base: survey(logits) });
    }
    return unpacked.get(p);
  };
  let written = null, showWritten = false; // the live text's position, and whether the chart shows it
  const source = () => (showWritten && written ? written : stored());

  // ---- which prompt, which engine
  const promptId = `${uid}-prompt`, prompts = h("select", { id: promptId });
  const kinds = [...new Set(recorded.map((p) => p.kind ?? ""))];
  for (const kind of kinds) {
    const options = recorded.filter((p) => (p.kind ?? "") === kind).map((p) =>
      h(
        "option",
        { value: p.key },
        `${p.prompt.trim()}${p.output ? " (after its greedy text)" : " …"}`,
      )
    );
    prompts.append(
      ...(kind
        ? [h("optgroup", { label: { between: "in between" }[kind] ?? kind }, ...options)]
        : options),
    );
  }
  const mine = h("option", { value: "" }, "the text being written below");
  prompts.addEventListener("change", () => {
    showWritten = prompts.value === "";
    if (!showWritten) change({ prompt: prompts.value === recorded[0].key ? null : prompts.value });
    request();
  });
  const engineId = `${uid}-engine`;
  const engines = h(
    "select",
    { id: engineId },
    ...Object.entries(ENGINES).map(([key, e]) => h("option", { value: key }, e.label)),
  );
  engines.addEventListener("change", () => change({ engine: engines.value }));
  const all = h("button", { type: "button", class: "cw-button" }, "Reset all");
  const leave = () => {
    showWritten = false;
    request();
  };
  all.addEventListener("click", () => {
    change({ ...USUAL, prompt: null });
    leave();
  });
  const context = h("p", {
    class: "cw-context",
    tabindex: 0,
    role: "region",
    "aria-label": "The text so far",
  });
  const engineNote = h("p", { class: "cw-note" }),
    elsewhere = h("p", { class: "cw-note cw-elsewhere" });

  // ---- the pipeline: one slider a step, in the engine's order
  const sliders = {};
  for (const key of Object.keys(OFF)) {
    const id = `${uid}-${key}`,
      input = h("input", { type: "range", id, min: 0, step: 1 }),
      output = h("output", { for: id });
    const reset = h("button", {
      type: "button",
      class: "cw-reset",
      "aria-label": `Reset ${NAMES[key].toLowerCase()}`,
    }, "↺");
    const effect = h("p", { class: "cw-effect" });
    let positions = [];
    input.addEventListener("input", () => change({ [key]: positions[input.value] }));
    reset.addEventListener("click", () => {
      change({ [key]: null });
      input.focus();
    });
    const item = h(
      "li",
      {},
      h("div", { class: "cw-slider" }, h("label", { for: id }, NAMES[key]), output, input, reset),
      effect,
    );
    sliders[key] = {
      item,
      update(s, step) {
        positions = stops(key, s);
        const has = ENGINES[s.engine].order.includes(key);
        input.max = positions.length - 1;
        input.value = positions.indexOf(s[key]);
        input.disabled = !has;
        say(output, has ? value(key, s) : `not in ${ENGINES[s.engine].label}`);
        input.setAttribute("aria-valuetext", output.textContent);
        reset.disabled = s[key] === OFF[key];
        item.classList.toggle("cw-on", step !== undefined);
        const refused = key === "temperature" && s.temperature === 0 && s.engine === "transformers";
        const ignored = has && !step && !isOff(key, s); // greedy decoding leaves no other reason
        if (refused) say(effect, "transformers refuses 0; this is its do_sample=False.");
        else if (ignored) say(effect, "ignored at temperature 0");
        else {say(
            effect,
            step
              ? `leaves ${whole(step.kept)}, removes ${percent(step.removed)}, ${
                nats(step.entropy)
              }`
              : "",
          );}
      },
    };
  }
  const pipeline = h("ol", { class: "cw-pipeline" });
  let ordered = "";
  function reorder(engine) {
    if (ordered === engine) return;
    ordered = engine;
    const { order } = ENGINES[engine],
      rest = Object.keys(OFF).filter((key) => !order.includes(key));
    pipeline.replaceChildren(...[...order, ...rest].map((key) => sliders[key].item));
    for (const key of rest) sliders[key].item.classList.add("cw-absent");
    for (const key of order) sliders[key].item.classList.remove("cw-absent");
  }

  // ---- drawing tokens
  const chart = tokenChart(text);
  const seedId = `${uid}-seed`,
    seed = h("input", { type: "number", id: seedId, min: 0, max: RANGE.seed[1], step: 1 });
  seed.addEventListener("change", () => { // the field says what is used; cleared, it is the usual seed
    const asked = seed.value === "" ? null : Number(seed.value);
    seed.value = settings((key) => (key === "seed" ? asked : null)).seed;
    change({ seed: Number(seed.value) });
  });
  const drawing = { one: "Draw", many: "Draw 100", none: "Clear" };
  const buttons = Object.fromEntries(
    Object.entries(drawing).map((
      [key, name],
    ) => [key, h("button", { type: "button", class: "cw-button" }, name)]),
  );
  buttons.one.addEventListener(
    "click",
    () => change({ draws: Math.min(RANGE.draws[1], now().draws + 1) }),
  );
  buttons.many.addEventListener(
    "click",
    () => change({ draws: Math.min(RANGE.draws[1], now().draws + 100) }),
  );
  buttons.none.addEventListener("click", () => {
    change({ draws: 0 });
    buttons.one.focus();
  });
  const drawn = h("p", { class: "cw-result" });

  /** The draws 1 to n of the seed under the present settings: the same numbers u, whatever the sliders say. */
  function drawTokens(s, probs) {
    const full = s.draws >= RANGE.draws[1];
    buttons.none.disabled = s.draws === 0;
    if (full && (buttons.one.matches(":focus") || buttons.many.matches(":focus"))) {
      buttons.none.focus(); // else it is lost
    }
    buttons.one.disabled = buttons.many.disabled = full;
    if (s.draws === 0) {
      drawn.textContent =
        "A draw takes the token whose interval of the running sum of probabilities holds u.";
      return [null, -1];
    }
    const sums = cumulate(probs), counts = new Map();
    let id;
    for (let n = 1; n <= s.draws; n++) {
      id = draw(sums, uniform(s.seed, n));
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    drawn.replaceChildren(
      `Draw ${whole(s.draws)}: u = ${uniform(s.seed, s.draws).toFixed(4)} gives `,
      h("b", {}, text(id)),
      ` (${percent(probs[id])}).`,
      s.draws > 1
        ? ` ${whole(s.draws)} draws gave ${whole(counts.size)} different token${
          counts.size > 1 ? "s" : ""
        }; the marks show how often.`
        : "",
    );
    return [s.draws > 1 ? counts : null, id];
  }

  // ---- everything, at each change
  const spoken = h("p", { class: "cw-hidden", "aria-live": "polite" });
  let resting, queued = false, described, seeded;
  function update() {
    queued = false;
    if (get("prompt") && stored().key !== get("prompt")) change({ prompt: null }); // there is none of that name
    const s = now(), p = source(), result = decode(p.logits, p.prompt_ids, p.output_ids, s, p.base);
    const steps = new Map(result.steps.map((step) => [step.name, step]));
    prompts.value = p === written ? "" : p.key;
    engines.value = s.engine;
    say(engineNote, NOTES[s.engine]);
    if (seeded !== s.seed) seed.value = seeded = s.seed; // only then, as a reader may be typing
    reorder(s.engine);
    for (const [key, slider] of Object.entries(sliders)) slider.update(s, steps.get(key));
    const said = chart.draw(s, result, p.base.rank, ...drawTokens(s, result.probs));
    if (described !== `${p.prompt}\0${p.output}`) {
      described = `${p.prompt}\0${p.output}`;
      context.replaceChildren(
        p.prompt,
        h("mark", {}, p.output),
        h("span", { class: "cw-caret", "aria-hidden": "true" }, "?"),
      );
    }
    clearTimeout(resting); // what can wait until the slider rests
    resting = setTimeout(() => {
      spoken.textContent = said;
      context.scrollTop = context.scrollHeight;
      const others = Object.keys(ENGINES).map((engine) => {
        const { kept, steps: all } = decode(
          p.logits,
          p.prompt_ids,
          p.output_ids,
          { ...s, engine },
          p.base,
        );
        return `${ENGINES[engine].label} ${whole(kept)} (${nats(all.at(-1).entropy)})`;
      });
      elsewhere.textContent = `The same sliders leave: ${others.join(", ")}.`;
    }, 300);
  }
  const request = () => {
    if (!queued) {
      queued = true;
      queueMicrotask(update);
    }
  };

  const live = get("live"),
    panel = live && livePanel({
      live,
      uid,
      now,
      show: (position, first) => {
        if (!written) prompts.append(mine);
        written = { ...position, base: survey(position.logits) };
        if (first) showWritten = true; // afterwards the reader chooses what the chart shows
        if (showWritten) request();
      },
    });
  const root = h(
    "div",
    { class: "cw cw-sampling" },
    h(
      "div",
      { class: "cw-head" },
      h("div", { class: "cw-select" }, h("label", { for: promptId }, "After"), prompts),
      all,
    ),
    context,
    chart.summary,
    h(
      "div",
      { class: "cw-columns" },
      h(
        "div",
        {},
        chart.table,
        chart.keys,
        h(
          "div",
          { class: "cw-draw" },
          h("label", { for: seedId }, "Seed"),
          seed,
          ...Object.values(buttons),
        ),
        drawn,
      ),
      h(
        "div",
        {},
        h("div", { class: "cw-select" }, h("label", { for: engineId }, "Engine"), engines),
        engineNote,
        pipeline,
        elsewhere,
      ),
    ),
    panel ? panel.node : "",
    spoken,
  );
  reorder(now().engine); // puts the sliders in
  // JupyterLab takes a focused control's arrow keys for its own unless the control itself says not to.
  for (const node of root.querySelectorAll("input, select, button, textarea, [tabindex]")) {
    node.setAttribute("data-lm-suppress-shortcuts", "");
  }
  el.append(root);
  for (const key of linkable) model.on(`change:${key}`, request);
  for (const event of ["change:prompt", "linked"]) model.on(event, leave);
  update();
  return () => {
    panel?.dispose();
    clearTimeout(resting);
    for (const key of linkable) model.off(`change:${key}`, request);
    for (const event of ["change:prompt", "linked"]) model.off(event, leave);
    root.remove();
  };
}

export default { render };
