// What an architecture costs. Repeats the formulas of utils/models/budget.py, which documents them
// and names their sources; tests hold the two equal. Pure functions, no page.
//
// A `config` has the fields of Python's Shape; its `n_kv_head` may be null for as many as `n_head`.
import { GPUS, PRECISIONS } from "course:models/budget";

const SECONDS_PER_DAY = 86400;

/** Heads for keys and values. */
const keyValueHeads = (config) => config.n_kv_head ?? config.n_head;

/** Trainable numbers by part; biases count with their matrix. */
export function parameterCounts(config) {
  const gpt2 = config.style === "gpt2";
  const width = config.d_model;
  const keyWidth = (width / config.n_head) * keyValueHeads(config); // of all keys together

  // Queries and the output are as wide as the model, keys and values as their heads together.
  let attention = 2 * width * width + 2 * width * keyWidth;
  // A GELU stands between two matrices; SwiGLU has a third one, for its gate.
  let feedForward = (gpt2 ? 2 : 3) * width * config.d_ff;
  if (gpt2) {
    attention += 2 * width + 2 * keyWidth; // biases
    feedForward += config.d_ff + width;
  }
  const norm = gpt2 ? 2 * width : width; // LayerNorm has gain and bias, RMSNorm a gain
  const table = config.vocab_size * width;
  return {
    token_embedding: table,
    position_embedding: gpt2 ? config.context_length * width : 0,
    attention: config.n_layer * attention,
    feed_forward: config.n_layer * feedForward,
    norms: (2 * config.n_layer + 1) * norm, // two in each layer, one before the head
    output_head: config.tie_embeddings ? 0 : table,
  };
}

export function countParameters(config) {
  return Object.values(parameterCounts(config)).reduce((sum, n) => sum + n, 0);
}

/** Bytes for running the model and for training it with AdamW. */
export function memoryBytes(config, precision, batchSize) {
  const bits = PRECISIONS[precision];
  const wideBits = Math.max(bits, 16); // int8 and int4 are formats of stored weights alone
  const n = countParameters(config);
  const headWidth = config.d_model / config.n_head;
  const cachedPerPosition = 2 * config.n_layer * keyValueHeads(config) * headWidth;
  return {
    weights: (n * bits) / 8,
    kv_cache: (cachedPerPosition * batchSize * config.context_length * wideBits) / 8,
    train_weights: (n * wideBits) / 8,
    gradients: (n * wideBits) / 8,
    optimizer: n * (wideBits === 32 ? 8 : 12), // two moments; below float32 also a float32 copy
  };
}

/**
 * Operations of training on one token: 6N for the weights, 12·L·d·T for attention over a full
 * context.
 */
export function flopsPerToken(config) {
  return {
    weights: 6 * countParameters(config),
    attention: 12 * config.n_layer * config.d_model * config.context_length,
  };
}

export function trainingFlops(config, tokens) {
  const { weights, attention } = flopsPerToken(config);
  return (weights + attention) * tokens;
}

/** The peak of a GPU in operations per second. */
export function peakRate(gpu, precision) {
  return precision === "fp32" ? GPUS[gpu].peak32 : GPUS[gpu].peak16;
}

export function trainingDays(
  flops,
  gpu,
  { n_gpu = 1, utilisation = 0.4, precision = "bf16" } = {},
) {
  const flopsPerSecond = n_gpu * peakRate(gpu, precision) * utilisation;
  return flops / flopsPerSecond / SECONDS_PER_DAY;
}
