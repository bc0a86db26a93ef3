// The optimizers of the solution-path explorer. Repeats utils/solution_path.py operation by operation; a test holds
// the two paths equal. Pure functions, no page.

export const PROBLEM = { direction: [1, 0.5], target: 1, lengths: [0.5, 1, 1.5, 1] };
export const CONSTANTS = {
  steps: 500,
  limit: 1e6,
  shrink: 0.98,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
};
export const [A1, A2] = PROBLEM.direction, B = PROBLEM.target;
const C = PROBLEM.lengths, K = CONSTANTS;
const EVERYONE = C.map((_, i) => i);
const meanSquare = () => C.reduce((sum, c) => sum + c * c, 0) / C.length;

export const residual = (w) => A1 * w[0] + A2 * w[1] - B;
export function loss(w) {
  const r = residual(w);
  return 0.5 * meanSquare() * r * r;
}

export function balanced(w, scale) {
  const us = [], vs = [];
  for (const x of w) {
    const s = Math.sqrt(x * x + 4 * scale * scale * scale * scale);
    const large = Math.sqrt((s + Math.abs(x)) / 2), small = (scale * scale) / large;
    us.push(x >= 0 ? large : small);
    vs.push(x >= 0 ? small : large);
  }
  return [...us, ...vs];
}

export function weights(p, model) {
  if (model === "linear") return [p[0], p[1]];
  return [p[0] * p[0] - p[2] * p[2], p[1] * p[1] - p[3] * p[3]];
}

export function gradient(p, model, samples) {
  const w = weights(p, model), g = [0, 0];
  for (const i of samples) {
    const x1 = C[i] * A1, x2 = C[i] * A2, r = x1 * w[0] + x2 * w[1] - C[i] * B;
    g[0] += r * x1;
    g[1] += r * x2;
  }
  g[0] /= samples.length;
  g[1] /= samples.length;
  return model === "linear"
    ? g
    : [2 * p[0] * g[0], 2 * p[1] * g[1], -2 * p[2] * g[0], -2 * p[3] * g[1]];
}

/** The points w_0, w_1, … and the step at which the path diverged, or null. `order`: one digit a step. */
export function run(
  method,
  eta,
  start,
  order,
  { model = "linear", scale = 0.5, steps = K.steps } = {},
) {
  const p = model === "linear" ? [...start] : balanced(start, scale);
  const points = [weights(p, model)], m = p.map(() => 0), v = p.map(() => 0);
  let power1 = 1, power2 = 1, shrunk = 1;
  for (let t = 0; t < steps; t++) {
    const g = gradient(p, model, method === "sgd" ? [Number(order[t])] : EVERYONE);
    if (method === "adam") {
      power1 *= K.beta1;
      power2 *= K.beta2;
      for (let j = 0; j < p.length; j++) {
        m[j] = K.beta1 * m[j] + (1 - K.beta1) * g[j];
        v[j] = K.beta2 * v[j] + (1 - K.beta2) * g[j] * g[j];
        p[j] -= (eta * (m[j] / (1 - power1))) / (Math.sqrt(v[j] / (1 - power2)) + K.epsilon);
      }
    } else {
      let size = eta;
      if (method === "normalized") {
        let square = 0;
        for (const gj of g) square += gj * gj;
        size = square > 0 ? (eta * shrunk) / Math.sqrt(square) : 0;
        shrunk *= K.shrink;
      }
      for (let j = 0; j < p.length; j++) p[j] -= size * g[j];
    }
    const w = weights(p, model);
    if (!(Math.abs(w[0]) + Math.abs(w[1]) <= K.limit)) return { points, diverged: t + 1 };
    points.push(w);
  }
  return { points, diverged: null };
}

export function flowEnd(start, { model = "linear", scale = 0.5 } = {}) {
  if (model === "linear") {
    const q = residual(start) / (A1 * A1 + A2 * A2);
    return [start[0] - q * A1, start[1] - q * A2];
  }
  const double = 2 * scale * scale,
    t1 = Math.asinh(start[0] / double),
    t2 = Math.asinh(start[1] / double);
  const point = (q) => [double * Math.sinh(t1 + q * A1), double * Math.sinh(t2 + q * A2)];
  let low = -100, high = 100;
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2;
    if (residual(point(middle)) > 0) high = middle;
    else low = middle;
  }
  return point((low + high) / 2);
}

export function sharpness(end, { model = "linear", scale = 0.5 } = {}) {
  if (model === "linear") return meanSquare() * (A1 * A1 + A2 * A2);
  const [u1, u2, v1, v2] = balanced(end, scale);
  return meanSquare() * 4 * (A1 * A1 * (u1 * u1 + v1 * v1) + A2 * A2 * (u2 * u2 + v2 * v2));
}
