// The sliders of the sampling explorer, in the order in which the engine applies them, each with
// what it does.
import { ENGINES, NAMES, OFF } from "course:sampling/settings";
import { slider } from "../shared/controls.mjs";
import { h, say } from "../shared/dom.mjs";
import { tr } from "../shared/language.mjs";
import { whole } from "../shared/numbers.mjs";
import { isOff } from "./decoding.mjs";
import { stops } from "./settings.mjs";
import { nats, percent } from "./words.mjs";

/** What a slider's value means to the engine. */
function meaning(key, s) {
  const engine = ENGINES[s.engine];
  const value = s[key];
  const lowest = engine.lowestTemperature;
  if (!engine.order.includes(key)) return tr("not in {engine}", { engine: engine.label });
  if (value !== OFF[key] && isOff(key, s)) {
    return tr("0 (off in {engine})", { engine: engine.label });
  }
  if (key === "temperature" && value > 0 && value < lowest) {
    return tr("{value} (raised to {lowest})", { value, lowest });
  }
  if (value === OFF[key]) {
    const numeric = key === "temperature" || key === "repetition_penalty";
    return numeric ? tr("{value} (off)", { value }) : tr("off");
  }
  if (key === "temperature" && value === 0) return tr("0 (greedy)");
  return String(value).replace("-", "−");
}

/** What a slider's step did to the distribution; `step` is undefined where it was not applied. */
function effectOf(key, s, step) {
  const engine = ENGINES[s.engine];
  const greedy = s.temperature === 0;
  if (key === "temperature" && greedy && engine.greedy === "refused") {
    return tr("{engine} refuses 0; this is its do_sample=False.", { engine: engine.label });
  }
  if (step) {
    return tr("leaves {kept}, removes {removed}, {entropy}", {
      kept: whole(step.kept),
      removed: percent(step.removed),
      entropy: nats(step.entropy),
    });
  }
  // Greedy decoding leaves no other reason for a setting that is there and on.
  const ignored = engine.order.includes(key) && !isOff(key, s);
  return ignored ? tr("ignored at temperature 0") : "";
}

/** One setting: its slider, and a line that says what it does. */
function stage({ key, uid, change }) {
  const control = slider({
    id: `${uid}-${key}`,
    name: tr(NAMES[key]),
    resetName: tr(NAMES[key]).toLowerCase(),
    onInput: (value) => change({ [key]: value }),
    onReset: () => change({ [key]: null }),
  });
  const effect = h("p", { class: "cw-effect" });
  const item = h("li", {}, control.node, effect);

  function draw(s, step) {
    control.show({
      positions: stops(key, s),
      value: s[key],
      text: meaning(key, s),
      unchanged: s[key] === OFF[key],
      disabled: !ENGINES[s.engine].order.includes(key),
    });
    item.classList.toggle("cw-on", step !== undefined);
    say(effect, effectOf(key, s, step));
  }
  return { item, draw };
}

/**
 * The list of sliders. `change(values)` sets settings; `draw(s, steps)` takes the steps that
 * `decode` returns.
 */
export function pipelineView({ uid, change }) {
  const keys = Object.keys(OFF);
  const stages = Object.fromEntries(keys.map((key) => [key, stage({ key, uid, change })]));
  const node = h("ol", { class: "cw-pipeline" });
  let ordered = ""; // the engine in whose order they stand

  function arrange(engine) {
    if (ordered === engine) return;
    ordered = engine;
    const { order } = ENGINES[engine];
    const absent = keys.filter((key) => !order.includes(key));
    node.replaceChildren(...[...order, ...absent].map((key) => stages[key].item));
    for (const key of keys) stages[key].item.classList.toggle("cw-absent", absent.includes(key));
  }

  function draw(s, steps) {
    arrange(s.engine);
    const stepOf = new Map(steps.map((step) => [step.name, step]));
    for (const key of keys) stages[key].draw(s, stepOf.get(key));
  }
  return { node, arrange, draw };
}
