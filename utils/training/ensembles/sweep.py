"""Train many two-layer networks at once: every width and every seed of a sweep, side by side.

A network this small keeps a processor waiting: most of a training step is spent starting operations, not
doing arithmetic. So all networks of a sweep share each operation, as one batched matrix product, and end
where a plain loop over them would have ended: in float64 the parameters agree to a relative 1e-10 after
50 steps, which tests/test_ensembles.py checks against ``torch.nn`` and ``torch.optim``.

Narrow networks are padded to share a product with wider ones. Padding costs arithmetic; ``buckets`` weighs
that against the cost of starting one more set of operations. On a GPU starting is what costs, so everything
goes into one bucket.

It trains on all examples at every step (full batch) and with one hidden layer only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from utils.runtime import device as default_device
from utils.runtime import named_device
from utils.training.ensembles.batch import (
    MAX_WIDTH,
    AdamW,
    Examples,
    Networks,
    Parameters,
    n_parameters,
)
from utils.validate import choice, integer, number, require

LOSSES = ("cross_entropy", "squared_error")
SCHEDULES = ("constant", "cosine")

# What starting one bucket's operations costs on a CPU, counted in (example x hidden unit) products.
# Measured on one core: about 50 µs a step, the time of some 20 hidden units on 200 examples, 3 seeds.
CPU_OVERHEAD = 12_000.0


@dataclass(frozen=True)
class Sweep:
    """What a sweep measured. There is an axis for each thing that was given as a list.

    ``dims`` names the axes of the four arrays: ``("weight_decay", "width", "seed", "step")``, less
    ``"weight_decay"`` if that was one number and less ``"step"`` if no ``eval_steps`` were given.

    Attributes
    ----------
    train_error, test_error : fraction of examples whose largest output is not the label, in [0, 1].
    train_loss, test_loss : the loss that was trained, in nats (cross-entropy) or squared output units.
    n_parameters : (n_widths,) weights and biases of a network of each width.
    parameters : the trained tensors ``W1`` (H, d), ``b1`` (H,), ``W2`` (k, H), ``b2`` (k,) under the key
        ``(width, seed)``, or ``(weight_decay, width, seed)`` where there is such an axis.
    """

    dims: tuple[str, ...]
    widths: tuple[int, ...]
    seeds: tuple[int, ...]
    weight_decays: tuple[float, ...]
    steps: tuple[int, ...]
    n_parameters: np.ndarray
    train_error: np.ndarray
    train_loss: np.ndarray
    test_error: np.ndarray
    test_loss: np.ndarray
    parameters: dict[tuple, Parameters] = field(repr=False)


def buckets(widths: Sequence[int], products: float, overhead: float) -> list[list[int]]:
    """Group sorted widths so that padding plus the cost of each group is least.

    A group of c widths costs ``overhead + products·c·max(width)``. Only neighbours share a group, which
    loses nothing: the cost of a group depends on its widest member and its size alone. Dynamic
    programming over the position of the last cut, O(len(widths)²).
    """
    widths = sorted(widths)
    best = [
        (0.0, 0)
    ]  # best[j]: cost of grouping the first j widths, and where the last group starts
    for j in range(1, len(widths) + 1):
        best.append(
            min((best[i][0] + overhead + products * (j - i) * widths[j - 1], i) for i in range(j))
        )
    groups, end = [], len(widths)
    while end:
        start = best[end][1]
        groups.append(widths[start:end])
        end = start
    return groups[::-1]


def train_sweep(
    X_train: np.ndarray,
    y_train: np.ndarray,
    X_test: np.ndarray,
    y_test: np.ndarray,
    *,
    widths: Sequence[int],
    seeds: Sequence[int],
    loss: str = "cross_entropy",
    steps: int = 1500,
    lr: float = 0.01,
    schedule: str = "cosine",
    weight_decay: float | Sequence[float] = 0.0,
    w1_std: float = 2**0.5,
    w2_scale: float = 1.0,
    eval_steps: Sequence[int] | None = None,
    n_classes: int | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Sweep:
    """Train a ReLU network of each width from each seed with full-batch Adam, all together.

    Parameters
    ----------
    X_train, X_test : (n, d) for all seeds alike, or (n_seeds, n, d): one data set for each seed.
    y_train, y_test : whole labels 0..k−1, (n,) or (n_seeds, n).
    loss : ``"cross_entropy"``, or ``"squared_error"``: the squared distance to the one-hot label, summed
        over the k outputs. Both are averaged over examples.
    lr, schedule : the step size; ``"cosine"`` takes it to zero as lr·(1 + cos(π·t/steps))/2.
    weight_decay : 0 is Adam (Kingma & Ba 2015, arXiv:1412.6980); above 0 is AdamW, decoupled from the
        gradient (Loshchilov & Hutter 2019, arXiv:1711.05101), on weights and biases alike. A list trains
        the sweep for each.
    w1_std, w2_scale : scale of the initial weights, see ``initial_parameters``.
    eval_steps : evaluate after these numbers of steps (0 is before training) rather than only at the end.
    device : as ``torch.device``; ``None`` means ``utils.runtime.device()``.

    Raises ``ValueError``, in one line, for anything out of range, misshapen or not finite.
    """
    widths = _distinct(
        "widths", [integer("widths", w, 1, MAX_WIDTH) for w in _listed("widths", widths)]
    )
    seeds = _distinct("seeds", [integer("seeds", s, 0) for s in _listed("seeds", seeds)])
    many_decays = isinstance(weight_decay, Sequence | np.ndarray)
    decays = list(weight_decay) if many_decays else [weight_decay]
    decays = _distinct("weight_decay", [number("weight_decay", x, 0.0) for x in decays])
    choice("loss", loss, LOSSES), choice("schedule", schedule, SCHEDULES)
    steps, lr = integer("steps", steps, 1), number("lr", lr, 0.0, open_low=True)
    good = eval_steps is None or isinstance(eval_steps, Iterable)
    require(good, "eval_steps", "None or at least one step, in a list", eval_steps)
    at = (
        [steps]
        if eval_steps is None
        else sorted({integer("eval_steps", t, 0, steps) for t in eval_steps})
    )
    require(len(at) > 0, "eval_steps", "None or at least one step", eval_steps)
    require(
        dtype in (torch.float32, torch.float64), "dtype", "torch.float32 or torch.float64", dtype
    )
    device = default_device() if device is None else named_device("device", device)
    train = _data("train", X_train, y_train, len(seeds))
    test = _data("test", X_test, y_test, len(seeds))
    d, test_d = train[0].shape[-1], test[0].shape[-1]
    require(test_d == d, "X_test", f"an array of {d} features, as X_train is", X_test)
    largest = int(max(train[1].max(), test[1].max()))
    k = integer("n_classes", largest + 1 if n_classes is None else n_classes, max(2, largest + 1))

    tables = np.empty((4, len(decays), len(widths), len(seeds), len(at)))
    learned: dict[tuple, Parameters] = {}
    examples = train[1].shape[-1] * len(seeds) * len(decays)
    overhead = CPU_OVERHEAD if device.type == "cpu" else math.inf  # infinite: a single bucket
    batches = [sorted(widths)] if math.isinf(overhead) else buckets(widths, examples, overhead)
    for batch in batches:
        # One hidden layer of the batch holds a column of networks for each weight decay and width.
        columns = [(decay, width) for decay in decays for width in batch]
        nets = Networks(columns, seeds, d, k, w1_std, w2_scale, dtype, device)
        fit, held_out = Examples(*train, k, dtype, device), Examples(*test, k, dtype, device)
        optimizer = AdamW(nets, fit)
        for t in range(steps + 1):
            if t in at:
                measured = [*nets.evaluate(fit, loss), *nets.evaluate(held_out, loss)]  # 4 × (S, C)
                for c, (decay, width) in enumerate(columns):
                    cell = (decays.index(decay), widths.index(width), slice(None), at.index(t))
                    for table, values in zip(tables, measured, strict=True):
                        table[cell] = values[:, c]
            if t < steps:
                decayed = (
                    lr * 0.5 * (1 + math.cos(math.pi * t / steps)) if schedule == "cosine" else lr
                )
                optimizer.step(decayed, loss)
        for (decay, width, seed), value in nets.unpacked():
            learned[(decay, width, seed) if many_decays else (width, seed)] = value

    if eval_steps is None:
        tables = tables[..., 0]
    if not many_decays:
        tables = tables[:, 0]
    dims = (
        ("weight_decay",) * many_decays + ("width", "seed") + ("step",) * (eval_steps is not None)
    )
    counts = np.array([n_parameters(width, d, k) for width in widths])
    fixed = (dims, tuple(widths), tuple(seeds), tuple(decays), tuple(at), counts)
    return Sweep(*fixed, *tables, learned)


def _listed(name, values):
    require(
        isinstance(values, Sequence | np.ndarray) and len(values) > 0,
        name,
        "a non-empty list",
        values,
    )
    return list(values)


def _distinct(name: str, values: list) -> list:
    require(len(values) == len(set(values)) > 0, name, "a list of distinct values", values)
    return values


def _data(part: str, X, y, n_seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Check one part of the data and give it a leading axis of one data set a seed."""
    X, y = (np.asarray(a.cpu() if isinstance(a, torch.Tensor) else a) for a in (X, y))
    x_name, y_name = f"X_{part}", f"y_{part}"
    require(X.ndim in (2, 3) and X.size > 0, x_name, "an array (n, d) or (n_seeds, n, d)", X)
    require(
        X.ndim == 2 or len(X) == n_seeds, x_name, f"an array of {n_seeds} data sets, one a seed", X
    )
    require(X.dtype.kind in "fiu", x_name, "an array of real numbers", X.dtype)
    finite = np.isfinite(X)
    require(
        bool(finite.all()), x_name, "finite everywhere", None if finite.all() else X[~finite][0]
    )
    n = X.shape[-2]
    require(y.dtype.kind in "iu", y_name, "an array of whole class labels", y.dtype)
    require(
        y.shape in ((n,), (n_seeds, n)),
        y_name,
        f"of shape ({n},) or ({n_seeds}, {n}), as {x_name} is",
        y,
    )
    require(int(y.min()) >= 0, y_name, "at least 0 everywhere", int(y.min()))
    X = np.broadcast_to(X, (n_seeds, *X.shape[-2:]))
    return X, np.broadcast_to(y, (n_seeds, y.shape[-1])).astype(np.int64)
