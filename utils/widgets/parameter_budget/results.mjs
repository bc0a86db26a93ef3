// What the parameter-budget explorer shows of one model: its parts, and what it costs to run and to
// train.
import { GPUS, PARTS } from "course:models/budget";
import { h } from "../shared/dom.mjs";
import { tr } from "../shared/language.mjs";
import { whole } from "../shared/numbers.mjs";
import {
  countParameters,
  flopsPerToken,
  memoryBytes,
  parameterCounts,
  peakRate,
  trainingDays,
  trainingFlops,
} from "./budget.mjs";
import { bytes, duration, power, share, short, verdict } from "./words.mjs";

const PART_NAMES = {
  token_embedding: tr("Token embedding"),
  position_embedding: tr("Position embedding"),
  attention: tr("Attention"),
  feed_forward: tr("Feed-forward"),
  norms: tr("Norms"),
  output_head: tr("Output head"),
};

/** Every number of the settings `s`. */
export function measure(s) {
  const memory = memoryBytes(s, s.precision, s.batch_size);
  const perToken = flopsPerToken(s);
  const flops = trainingFlops(s, s.tokens);
  return {
    counts: parameterCounts(s),
    total: countParameters(s),
    memory,
    running: memory.weights + memory.kv_cache,
    training: memory.train_weights + memory.gradients + memory.optimizer,
    flops,
    attentionShare: perToken.attention / (perToken.weights + perToken.attention),
    time: duration(trainingDays(flops, s.gpu, s)),
  };
}

/** What the model costs, in short. */
const brief = ({ running, training, time }) =>
  tr("{running} to run, {training} to train, {time}", {
    running: bytes(running),
    training: bytes(training),
    time,
  });

/** The numbers in a sentence, for a screen reader. */
export const sentence = (numbers) =>
  tr("{n} parameters, {costs}.", { n: short(numbers.total), costs: brief(numbers) });

/**
 * A bar of segments, each coloured by the class that `keys` name. `draw(values, scale, label)`
 * gives a segment its share of `scale`; what is left over stays empty.
 */
function bar(keys) {
  const segments = [...keys, "rest"].map((key) => h("span", { class: `cw-${key}` }));
  const node = h("div", { class: "cw-bar", role: "img" }, ...segments);
  const draw = (values, scale, label) => {
    const used = values.reduce((sum, value) => sum + value, 0);
    const left = Math.max(0, scale - used);
    segments.forEach((segment, i) => {
      const part = (values[i] ?? left) / scale;
      segment.hidden = part < 1e-9;
      segment.style.flexGrow = 1000 * part;
    });
    node.setAttribute("aria-label", label);
  };
  return { node, draw };
}

/** How many parameters, and where they sit. */
export function partsView() {
  const total = h("p", { class: "cw-total" });
  const note = h("p", { class: "cw-note" });
  const costs = h("p", { class: "cw-brief" }); // where the bars of memory are out of sight
  const chart = bar(PARTS);
  const cells = PARTS.map(() => h("dd"));
  const rows = PARTS.map((key, i) => {
    const name = h("dt", {}, h("i", { class: `cw-${key}` }), PART_NAMES[key]);
    return h("div", {}, name, cells[i]);
  });

  function draw(s, numbers) {
    const { counts, total: n } = numbers;
    costs.textContent = brief(numbers);
    total.replaceChildren(h("strong", {}, whole(n)), tr(" parameters"));
    note.textContent = verdict(s, n);
    const present = PARTS.filter((key) => counts[key] > 0);
    const said = present.map((key) => `${PART_NAMES[key]} ${share(counts[key] / n)}`);
    chart.draw(
      PARTS.map((key) => counts[key]),
      n,
      tr("Parameters by part: {parts}", { parts: said.join(", ") }),
    );
    PARTS.forEach((key, i) => {
      const count = counts[key];
      cells[i].textContent = count > 0 ? `${whole(count)} (${share(count / n)})` : tr("none");
    });
  }
  return {
    summary: h("div", { class: "cw-summary" }, h("div", {}, total, note), chart.node, costs),
    legend: h("dl", { class: "cw-parts" }, ...rows),
    draw,
  };
}

/** Whether `need` bytes fit into one GPU, in words. */
function fits(need, gpu) {
  const room = GPUS[gpu].memory;
  const size = `${room / 1e9}\u00a0GB`;
  if (need <= room) return tr("one {gpu} ({size}) holds it", { gpu, size });
  return tr("at least {n} × {gpu} ({size} each, marked)", {
    n: whole(Math.ceil(need / room)),
    gpu,
    size,
  });
}

/** What the model costs: memory for running and for training, operations, time. */
export function costsView() {
  const run = bar(["weights", "kv_cache"]);
  const train = bar(["weights", "gradients", "optimizer"]);
  const runLine = h("p");
  const trainLine = h("p");
  const flopsLine = h("p");
  const timeLine = h("p");
  const keyed = (key, value, text) => [h("i", { class: `cw-${key}` }), `${bytes(value)} ${text}`];

  /** Both bars on one scale, the memory of one GPU marked where it is too small. */
  function drawMemory(s, { memory, running, training }) {
    const room = GPUS[s.gpu].memory;
    const scale = Math.max(running, training);
    for (const { node } of [run, train]) {
      node.style.setProperty("--cw-mark", `${(100 * room) / scale}%`);
      node.classList.toggle("cw-marked", room < scale);
    }
    const runText = [
      tr("Weights {size}", { size: bytes(memory.weights) }),
      tr("KV cache {size}", { size: bytes(memory.kv_cache) }),
    ];
    run.draw([memory.weights, memory.kv_cache], scale, runText.join(", "));
    const trainText = [
      tr("Weights {size}", { size: bytes(memory.train_weights) }),
      tr("gradients {size}", { size: bytes(memory.gradients) }),
      tr("optimizer {size}", { size: bytes(memory.optimizer) }),
    ];
    const parts = [memory.train_weights, memory.gradients, memory.optimizer];
    train.draw(parts, scale, trainText.join(", "));

    runLine.replaceChildren(
      h("b", {}, tr("Running: ")),
      ...keyed("weights", memory.weights, tr("weights + ")),
      ...keyed("kv_cache", memory.kv_cache, tr("KV cache ")),
      `= ${bytes(running)}; ${fits(running, s.gpu)}.`,
    );
    trainLine.replaceChildren(
      h("b", {}, tr("Training: ")),
      ...keyed("weights", memory.train_weights, tr("weights + ")),
      ...keyed("gradients", memory.gradients, tr("gradients + ")),
      ...keyed("optimizer", memory.optimizer, "AdamW "),
      tr("= {size} before activations; {fits}.", {
        size: bytes(training),
        fits: fits(training, s.gpu),
      }),
    );
  }

  function draw(s, numbers) {
    drawMemory(s, numbers);
    flopsLine.replaceChildren(
      h("b", {}, tr("Operations: ")),
      "D · (6N + 12 · L · d · T) = ",
      h("b", {}, `${power(numbers.flops)} FLOP`),
      tr("; the attention term is {share} of it.", { share: share(numbers.attentionShare) }),
    );
    const rate = {
      gpus: `${whole(s.n_gpu)} × ${s.gpu}`,
      share: whole(100 * s.utilisation),
      peak: peakRate(s.gpu, s.precision) / 1e12,
      format: s.precision === "fp32" ? "fp32" : tr("16-bit"),
    };
    timeLine.replaceChildren(
      h("b", {}, tr("Time: ")),
      h("b", {}, numbers.time),
      tr(" on {gpus} at {share} % of {peak} {format} TFLOP/s.", rate),
    );
  }
  const node = h(
    "div",
    { class: "cw-columns cw-costs" },
    h("div", {}, run.node, runLine, train.node, trainLine),
    h("div", {}, flopsLine, timeLine),
  );
  return { node, draw };
}
