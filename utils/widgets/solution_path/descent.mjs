// The optimizers of the solution-path explorer. Repeats utils/landscape/solution_path.py operation
// by operation, which says what each function returns; a test holds the two paths equal. Pure
// functions, no page.
import { CONSTANTS, PROBLEM } from "course:widgets/solution_path/settings";

/** The zero-loss solutions w are those with A1 · w1 + A2 · w2 = B. */
export const A1 = PROBLEM.direction[0];
export const A2 = PROBLEM.direction[1];
export const B = PROBLEM.target;
const LENGTHS = PROBLEM.lengths; // one per sample
const ALL_SAMPLES = LENGTHS.map((_, i) => i);

const meanSquare = () => LENGTHS.reduce((sum, c) => sum + c * c, 0) / LENGTHS.length;

export const residual = (w) => A1 * w[0] + A2 * w[1] - B;

export function loss(w) {
  const r = residual(w);
  return 0.5 * meanSquare() * r * r;
}

/** [u1, u2, v1, v2] with u² − v² = w and u v = scale² in each coordinate. */
export function balanced(w, scale) {
  const us = [];
  const vs = [];
  for (const x of w) {
    const s = Math.sqrt(x * x + 4 * scale * scale * scale * scale);
    const large = Math.sqrt((s + Math.abs(x)) / 2);
    const small = (scale * scale) / large; // the difference of two near numbers would lose digits
    us.push(x >= 0 ? large : small);
    vs.push(x >= 0 ? small : large);
  }
  return [...us, ...vs];
}

/** The w that the parameters `p` stand for. */
export function weights(p, model) {
  if (model === "linear") return [p[0], p[1]];
  const [u1, u2, v1, v2] = p;
  return [u1 * u1 - v1 * v1, u2 * u2 - v2 * v2];
}

/** Of half the mean squared error over `samples`, one entry per parameter. */
export function gradient(p, model, samples) {
  const w = weights(p, model);
  const g = [0, 0];
  for (const i of samples) {
    const x1 = LENGTHS[i] * A1;
    const x2 = LENGTHS[i] * A2;
    const r = x1 * w[0] + x2 * w[1] - LENGTHS[i] * B;
    g[0] += r * x1;
    g[1] += r * x2;
  }
  g[0] /= samples.length;
  g[1] /= samples.length;
  if (model === "linear") return g;
  const [u1, u2, v1, v2] = p;
  return [2 * u1 * g[0], 2 * u2 * g[1], -2 * v1 * g[0], -2 * v2 * g[1]];
}

/** A function that takes one step along the gradient it is given, changing `p` in place. */
function stepper(method, eta, p) {
  if (method === "adam") {
    const { beta1, beta2, epsilon } = CONSTANTS;
    const m = p.map(() => 0);
    const v = p.map(() => 0);
    let power1 = 1;
    let power2 = 1;
    return (g) => {
      power1 *= beta1;
      power2 *= beta2;
      for (let j = 0; j < p.length; j++) {
        m[j] = beta1 * m[j] + (1 - beta1) * g[j];
        v[j] = beta2 * v[j] + (1 - beta2) * g[j] * g[j];
        p[j] -= (eta * (m[j] / (1 - power1))) / (Math.sqrt(v[j] / (1 - power2)) + epsilon);
      }
    };
  }
  if (method === "normalized") {
    let shrunk = 1; // a fixed step would hop over the line for ever
    return (g) => {
      let square = 0;
      for (const gj of g) square += gj * gj;
      const size = square > 0 ? (eta * shrunk) / Math.sqrt(square) : 0;
      shrunk *= CONSTANTS.shrink;
      for (let j = 0; j < p.length; j++) p[j] -= size * g[j];
    };
  }
  return (g) => {
    for (let j = 0; j < p.length; j++) p[j] -= eta * g[j];
  };
}

/**
 * The `points` w_0, w_1, … and the step at which the path `diverged`, or null. `order`: a text with
 * one digit per step, the sample that SGD uses.
 */
export function run(
  method,
  eta,
  start,
  order,
  { model = "linear", scale = 0.5, steps = CONSTANTS.steps } = {},
) {
  const p = model === "linear" ? [...start] : balanced(start, scale);
  const points = [weights(p, model)];
  const step = stepper(method, eta, p);
  for (let t = 0; t < steps; t++) {
    const samples = method === "sgd" ? [Number(order[t])] : ALL_SAMPLES;
    step(gradient(p, model, samples));
    const w = weights(p, model);
    const near = Math.abs(w[0]) + Math.abs(w[1]) <= CONSTANTS.limit; // false also for NaN
    if (!near) return { points, diverged: t + 1 };
    points.push(w);
  }
  return { points, diverged: null };
}

/** The solution that gradient flow reaches. */
export function flowEnd(start, { model = "linear", scale = 0.5 } = {}) {
  if (model === "linear") {
    const q = residual(start) / (A1 * A1 + A2 * A2);
    return [start[0] - q * A1, start[1] - q * A2];
  }
  const double = 2 * scale * scale;
  const t1 = Math.asinh(start[0] / double);
  const t2 = Math.asinh(start[1] / double);
  const point = (q) => [double * Math.sinh(t1 + q * A1), double * Math.sinh(t2 + q * A2)];
  let low = -100;
  let high = 100; // the residual rises with q
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2;
    if (residual(point(middle)) > 0) high = middle;
    else low = middle;
  }
  return point((low + high) / 2);
}

/** The largest eigenvalue of the loss's Hessian at a solution. */
export function sharpness(end, { model = "linear", scale = 0.5 } = {}) {
  if (model === "linear") return meanSquare() * (A1 * A1 + A2 * A2);
  const [u1, u2, v1, v2] = balanced(end, scale);
  return meanSquare() * 4 * (A1 * A1 * (u1 * u1 + v1 * v1) + A2 * A2 * (u2 * u2 + v2 * v2));
}

/** The largest step size at which gradient descent is stable at the solution `flow`. */
export const stableStep = (flow, s) => 2 / sharpness(flow, s);
