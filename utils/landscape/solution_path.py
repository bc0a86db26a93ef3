"""Which of many solutions does an optimizer reach? Two parameters, one equation, explicit steps.

The data are four measurements of one direction: row i of X is c_i · (1, 0.5) and y_i = c_i, so
every w on the line w1 + 0.5 w2 = 1 has zero loss. In the linear model the gradient always points
along (1, 0.5): gradient descent, its stochastic and its normalized form can only end at the
projection of their start on that line, whatever the step size. Adam rescales each coordinate and
leaves that direction. With w = u² - v² (Woodworth et al. 2020) the scale of the initialisation
decides between a sparse and a small solution.

The explorer on the page (``utils/widgets/solution_path``) repeats these steps in JavaScript,
operation by operation; a test holds the two paths equal to the last bit. Plain floats, no arrays:
that is what makes them comparable. Who changes the order of an addition or a product here has to
change it there.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from utils.validate import choice, integer, number, require

DIRECTION = (1.0, 0.5)
TARGET = 1.0
LENGTHS = (0.5, 1.0, 1.5, 1.0)  # c_i, one per sample
METHODS = ("gd", "sgd", "normalized", "adam")
MODELS = ("linear", "squares")
STEPS = 500
SMALLEST = 1e-3  # scale of an initialisation: below it, digits run out
LIMIT = 1e6  # a path that comes this far from 0 has diverged
SHRINK = 0.98  # normalized GD: a fixed step would hop over the line for ever
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # Kingma & Ba 2015

Point = tuple[float, float]


@dataclass(frozen=True)
class Path:
    """The points w_0, w_1, … that an optimizer visits, and the step at which it diverged.

    ``diverged_at`` is None for a path that stayed within `LIMIT`.
    """

    points: list[Point]
    diverged_at: int | None


# ---- the loss ------------------------------------------------------------------------------------


def residual(w: Point) -> float:
    """w1 + 0.5 w2 - 1; zero on the line of solutions.

    >>> residual((0.0, 0.0)), residual((1.0, 0.0)), residual((0.0, 2.0))
    (-1.0, 0.0, 0.0)
    """
    return DIRECTION[0] * w[0] + DIRECTION[1] * w[1] - TARGET


def loss(w: Point) -> float:
    """Half the mean squared error of the four samples at ``w``."""
    r = residual(w)
    return 0.5 * _mean_square() * r * r


def _mean_square() -> float:
    """The mean of c_i²: by how much the samples stretch the squared residual."""
    total = 0.0
    for c in LENGTHS:
        total += c * c
    return total / len(LENGTHS)


# ---- the two models: w itself, or w = u² - v² ----------------------------------------------------


def weights(parameters: Sequence[float], model: str) -> Point:
    """The w that ``parameters`` stand for: themselves, or u² - v².

    >>> weights([3.0, 2.0, 1.0, 1.0], "squares")
    (8.0, 3.0)
    """
    if model == "linear":
        return parameters[0], parameters[1]
    u1, u2, v1, v2 = parameters
    return u1 * u1 - v1 * v1, u2 * u2 - v2 * v2


def balanced(w: Point, scale: float) -> list[float]:
    """(u1, u2, v1, v2) with u² - v² = w and u v = scale² in each coordinate.

    So u = v = scale at w = 0. Gradient flow keeps u v, so ``scale`` is the initialisation scale of
    the whole path.

    >>> balanced((0.0, 0.0), scale=0.5)
    [0.5, 0.5, 0.5, 0.5]
    """
    us: list[float] = []
    vs: list[float] = []
    for x in w:
        s = math.sqrt(x * x + 4 * scale * scale * scale * scale)  # u² + v²
        large = math.sqrt((s + abs(x)) / 2)
        small = scale * scale / large  # the difference of two near numbers would lose digits
        us.append(large if x >= 0 else small)
        vs.append(small if x >= 0 else large)
    return us + vs


def gradient(parameters: Sequence[float], model: str, samples: Sequence[int]) -> list[float]:
    """Gradient of half the mean squared error over ``samples``, one entry per parameter.

    >>> gradient([0.0, 0.0], "linear", [1])  # sample 1 has length 1
    [-1.0, -0.5]
    """
    w = weights(parameters, model)
    g1 = g2 = 0.0
    for i in samples:
        x1 = LENGTHS[i] * DIRECTION[0]
        x2 = LENGTHS[i] * DIRECTION[1]
        r = x1 * w[0] + x2 * w[1] - LENGTHS[i] * TARGET
        g1 += r * x1
        g2 += r * x2
    g1 = g1 / len(samples)
    g2 = g2 / len(samples)
    if model == "linear":
        return [g1, g2]
    # The chain rule: dw/du = 2u and dw/dv = -2v.
    u1, u2, v1, v2 = parameters
    return [2 * u1 * g1, 2 * u2 * g2, -2 * v1 * g1, -2 * v2 * g2]


# ---- an optimizer's path -------------------------------------------------------------------------


def run(
    method: str,
    eta: float,
    start: Point,
    order: Sequence[int] | str,
    *,
    model: str = "linear",
    scale: float = 0.5,
    steps: int = STEPS,
) -> Path:
    """Run ``steps`` steps of size ``eta`` from ``start`` = w_0.

    method: "gd"; "sgd", step t on sample ``order[t]`` alone, where ``order`` may be one of
        `sample_orders`; "normalized", a step of length eta · 0.98^t against the gradient; "adam" as
        usual.
    model: "linear", or "squares" for w = u² - v² started with u v = scale².

    Stops where the path leaves |w1| + |w2| ≤ 1e6 or becomes NaN, and drops that point. Raises
    ``ValueError`` for an unknown name, a step size that is not positive, a scale below 1e-3, a
    start that is no pair of numbers, or an order that is short or names another sample.

    >>> path = run("gd", 0.5, (0.0, 0.0), "1" * 500)
    >>> len(path.points), path.diverged_at
    (501, None)
    >>> [round(w, 6) for w in path.points[-1]]  # the solution of smallest norm
    [0.8, 0.4]
    """
    choice("method", method, METHODS)
    choice("model", model, MODELS)
    number("eta", eta, 0.0, open_low=True)
    number("scale", scale, SMALLEST)
    integer("steps", steps, 0)
    start = _point("start", start)
    samples = _samples(order, steps)

    p = list(start) if model == "linear" else balanced(start, scale)
    points = [weights(p, model)]
    everyone = range(len(LENGTHS))
    adam = _Adam(len(p))
    shrunk = 1.0  # 0.98^t
    for t in range(steps):
        g = gradient(p, model, [samples[t]] if method == "sgd" else everyone)
        if method == "adam":
            adam.step(p, g, eta)
        elif method == "normalized":
            _descend(p, g, _over_length(eta * shrunk, g))
            shrunk *= SHRINK
        else:
            _descend(p, g, eta)

        w = weights(p, model)
        inside = abs(w[0]) + abs(w[1]) <= LIMIT  # false for NaN as well
        if not inside:
            return Path(points, t + 1)
        points.append(w)
    return Path(points, None)


def _descend(p: list[float], g: list[float], size: float) -> None:
    """Move the parameters ``p`` by ``size`` times the gradient, in place."""
    for j, gj in enumerate(g):
        p[j] -= size * gj


def _over_length(size: float, g: list[float]) -> float:
    """``size`` divided by the gradient's length; 0 where there is no gradient."""
    square = 0.0
    for gj in g:
        square += gj * gj
    return size / math.sqrt(square) if square > 0 else 0.0


class _Adam:
    """Adam without weight decay (Kingma & Ba 2015, algorithm 1)."""

    def __init__(self, n_parameters: int) -> None:
        self.m = [0.0] * n_parameters  # running mean of the gradient
        self.v = [0.0] * n_parameters  # running mean of its square
        self.power1 = 1.0  # β1^t
        self.power2 = 1.0  # β2^t

    def step(self, p: list[float], g: list[float], eta: float) -> None:
        """Move the parameters ``p`` in place."""
        m, v = self.m, self.v
        self.power1 = self.power1 * BETA1
        self.power2 = self.power2 * BETA2
        for j, gj in enumerate(g):
            m[j] = BETA1 * m[j] + (1 - BETA1) * gj
            v[j] = BETA2 * v[j] + (1 - BETA2) * gj * gj
            # Both means start from 0, and are divided by the share of the weights that they hold so
            # far.
            mean = m[j] / (1 - self.power1)
            square = v[j] / (1 - self.power2)
            p[j] -= eta * mean / (math.sqrt(square) + EPSILON)


def sample_orders(n_orders: int = 3, steps: int = STEPS, seed: int = 0) -> list[str]:
    """Random orders for SGD, one digit per step.

    They are the record ``implicit_regularization/sample_orders``.

    >>> sample_orders(n_orders=2, steps=8)
    ['33023323', '21121021']
    """
    # Python's own generator, which draws the same in every version; the record and the page hold
    # its digits.
    rng = random.Random(seed)
    orders = []
    for _ in range(n_orders):
        digits = [str(rng.randrange(len(LENGTHS))) for _ in range(steps)]
        orders.append("".join(digits))
    return orders


# ---- where small steps end, and how sharp it is there --------------------------------------------


def flow_end(start: Point, *, model: str = "linear", scale: float = 0.5) -> Point:
    """Where gradient flow, the limit of small steps, ends.

    Linear: the projection of ``start`` on the line. Squares: w_j = 2 scale² sinh(θ_j + q a_j) with
    θ_j = asinh(w0_j / 2 scale²), and q such that the equation holds (Woodworth et al. 2020, for w0
    = 0).

    >>> flow_end((0.0, 0.0))  # the solution of smallest norm
    (0.8, 0.4)
    >>> [round(w, 2) for w in flow_end((0.0, 0.0), model="squares", scale=0.001)]  # the sparse one
    [1.0, 0.0]
    """
    choice("model", model, MODELS)
    number("scale", scale, SMALLEST)
    start = _point("start", start)
    a1, a2 = DIRECTION
    if model == "linear":
        q = residual(start) / (a1 * a1 + a2 * a2)
        return start[0] - q * a1, start[1] - q * a2

    double = 2 * scale * scale
    t1 = math.asinh(start[0] / double)
    t2 = math.asinh(start[1] / double)

    def point(q: float) -> Point:
        return double * math.sinh(t1 + q * a1), double * math.sinh(t2 + q * a2)

    # The residual rises with q, so halving a bracket finds its zero; it is wide enough for scale ≥
    # SMALLEST.
    low, high = -100.0, 100.0
    for _ in range(200):
        middle = (low + high) / 2
        if residual(point(middle)) > 0:
            high = middle
        else:
            low = middle
    return point((low + high) / 2)


def sharpness(end: Point, *, model: str = "linear", scale: float = 0.5) -> float:
    """λ_max of the loss's Hessian at the solution ``end``.

    Gradient descent is stable there for η < 2/λ_max.
    At zero loss the Hessian is the mean of squared gradients of the prediction, which all point one
    way.

    >>> sharpness((0.8, 0.4))
    1.40625
    """
    choice("model", model, MODELS)
    number("scale", scale, SMALLEST)
    end = _point("end", end)
    a1, a2 = DIRECTION
    if model == "linear":
        return _mean_square() * (a1 * a1 + a2 * a2)
    u1, u2, v1, v2 = balanced(end, scale)
    return _mean_square() * 4 * (a1 * a1 * (u1 * u1 + v1 * v1) + a2 * a2 * (u2 * u2 + v2 * v2))


# ---- what is refused -----------------------------------------------------------------------------


def _point(name: str, value: Sequence[float]) -> Point:
    pair = isinstance(value, Sequence) and len(value) == 2
    require(pair, name, "a pair of numbers", value)
    return number(f"{name}[0]", value[0]), number(f"{name}[1]", value[1])


def _samples(order: Sequence[int] | str, steps: int) -> list[int]:
    """The sample of each step, from a sequence of numbers or a text of digits."""
    listed = isinstance(order, Sequence)
    require(listed, "order", "a sequence of samples or a text of digits", order)
    require(len(order) >= steps, "order", f"at least steps = {steps} long", len(order))
    samples = []
    for i in order[:steps]:
        sample = int(i) if isinstance(i, str) and i.isdecimal() else i
        samples.append(integer("order", sample, 0, len(LENGTHS) - 1))
    return samples
