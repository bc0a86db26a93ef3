// The settings of the parameter-budget explorer: a preset, and what the reader changed (null: as in
// the preset).
import { GPUS, PRECISIONS, PRESETS } from "course:models/budget";
import { RANGES, SHAPE } from "course:widgets/parameter_budget/settings";
import { positions } from "../shared/controls.mjs";
import { clamp } from "../shared/numbers.mjs";
import { countParameters } from "./budget.mjs";

/** What no preset says. */
const USE = { precision: "bf16", batch_size: 1, gpu: "H100", n_gpu: 1, utilisation: 0.4 };
const CHOICES = {
  style: ["gpt2", "llama"],
  precision: Object.keys(PRECISIONS),
  gpu: Object.keys(GPUS),
};
const TOKENS_PER_PARAMETER = 20; // Hoffmann et al. 2022, where no source says how many

/** Every setting but the preset. */
export const CHANGEABLE = [
  ...SHAPE,
  "batch_size",
  "precision",
  "tokens",
  "gpu",
  "n_gpu",
  "utilisation",
];
export const linkable = ["preset", ...CHANGEABLE];

/** What the settings are as long as the reader leaves them alone. */
export const usualOf = (preset) => ({ ...USE, ...PRESETS[preset] });

// ---- Values that can be built

/** The member of a list that is nearest to `value` in proportion. */
function nearest(list, value) {
  const distance = (x) => Math.abs(Math.log(x / value));
  return list.reduce((best, x) => (distance(x) < distance(best) ? x : best));
}

function divisors(n) {
  const upToN = Array.from({ length: n }, (_, i) => i + 1);
  return upToN.filter((candidate) => n % candidate === 0);
}

function headChoices(s) {
  const [, most] = RANGES.n_head;
  return divisors(s.d_model).filter((heads) => {
    const pairs = (s.d_model / heads) % 2 === 0; // rotary positions turn pairs of numbers
    return heads <= most && (s.style === "gpt2" || pairs);
  });
}

/** The value of one setting that was asked for, put in range; `usual` where it makes no sense. */
function valid(key, asked, usual) {
  if (CHOICES[key]) return CHOICES[key].includes(asked) ? asked : usual;
  if (key === "tie_embeddings") return typeof asked === "boolean" ? asked : usual;
  if (typeof asked !== "number" || !Number.isFinite(asked)) return usual;
  return clamp(key === "utilisation" ? asked : Math.round(asked), RANGES[key]);
}

/** Every setting, valid whatever the reader or the address asked for. */
export function settings(get) {
  const preset = Object.hasOwn(PRESETS, get("preset")) ? get("preset") : "gpt2";
  const usual = usualOf(preset);
  const s = { preset };
  for (const key of CHANGEABLE) s[key] = valid(key, get(key), usual[key]);
  s.d_model = 2 * Math.round(s.d_model / 2);
  s.n_head = nearest(headChoices(s), s.n_head);
  s.n_kv_head = nearest(divisors(s.n_head), s.n_kv_head ?? s.n_head);
  s.tokens ??= TOKENS_PER_PARAMETER * countParameters(s);
  return s;
}

// ---- Positions of the sliders

function every(low, high, step) {
  const count = Math.floor((high - low) / step) + 1;
  return Array.from({ length: count }, (_, i) => low + i * step);
}

function powersOfTwo(low, high) {
  const count = Math.log2(high / low) + 1;
  return Array.from({ length: count }, (_, i) => low * 2 ** i);
}

function roundNumbers() {
  const leading = [1, 1.5, 2, 3, 5, 7];
  const exponents = every(6, 13, 1);
  return [...exponents.flatMap((k) => leading.map((m) => m * 10 ** k)), 1e14];
}

const FIXED_STOPS = {
  n_layer: [...every(1, 32, 1), ...every(34, 64, 2), ...every(68, 128, 4)],
  d_model: [...every(64, 1024, 64), ...every(1152, 4096, 128), ...every(4608, 16384, 512)],
  d_ff: [...every(64, 2048, 64), ...every(2304, 8192, 256), ...every(9216, 65536, 1024)],
  vocab_size: powersOfTwo(...RANGES.vocab_size),
  context_length: powersOfTwo(...RANGES.context_length),
  batch_size: powersOfTwo(...RANGES.batch_size),
  tokens: roundNumbers(),
  n_gpu: powersOfTwo(...RANGES.n_gpu),
  utilisation: every(1, 14, 1).map((k) => k / 20),
};

/** The positions of a slider: its round values, the presets' and the present one. */
export function stops(key, s) {
  if (key === "n_head") return positions(headChoices(s), s[key]);
  if (key === "n_kv_head") return positions(divisors(s.n_head), s[key]);
  const ofPresets = Object.values(PRESETS).map((preset) => preset[key] ?? s[key]);
  return positions(FIXED_STOPS[key], ...ofPresets, s[key]);
}
