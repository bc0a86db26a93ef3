"""Train many two-layer networks at once: every width and every seed of a sweep, side by side.

A network this small keeps a processor waiting: most of a training step is spent starting
operations, not doing arithmetic. So all networks of a sweep share each operation, as one batched
matrix product, and end where a plain loop over them would have ended: in float64 the parameters
agree to a relative 1e-10 after 50 steps, which tests/training/test_ensembles.py checks against
``torch.nn`` and ``torch.optim``.

Narrow networks are padded to share a product with wider ones. Padding costs arithmetic; `buckets`
weighs that against the cost of starting one more set of operations. On a GPU starting is what
costs, so everything goes into one bucket.

It trains on all examples at every step (full batch) and with one hidden layer only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from utils.runtime import device as default_device
from utils.runtime import named_device
from utils.training.ensembles.batch import (
    MAX_WIDTH,
    AdamW,
    Column,
    Examples,
    Networks,
    Parameters,
    n_parameters,
)
from utils.validate import choice, integer, number, require

LOSSES = ("cross_entropy", "squared_error")
SCHEDULES = ("constant", "cosine")

# What starting one bucket's operations costs on a CPU, counted in (example x hidden unit) products.
# Measured on one core: about 50 µs per step, the time of some 20 hidden units on 200 examples and
# 3 seeds.
CPU_OVERHEAD = 12_000.0


@dataclass(frozen=True)
class Sweep:
    """What a sweep measured. There is an axis for each thing that was given as a list.

    ``dims`` names the axes of the four arrays: ``("weight_decay", "width", "seed", "step")``, less
    ``"weight_decay"`` if that was one number and less ``"step"`` if no ``eval_steps`` were given.

    Attributes
    ----------
    train_error, test_error : fraction of examples whose largest output is not the label, in [0, 1].
    train_loss, test_loss : the loss that was trained, in nats (cross-entropy) or squared output
        units.
    n_parameters : (n_widths,) weights and biases of a network of each width.
    parameters : the trained tensors ``W1`` (H, d), ``b1`` (H,), ``W2`` (k, H), ``b2`` (k,) under
        the key ``(width, seed)``, or ``(weight_decay, width, seed)`` where there is such an axis.
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


@dataclass(frozen=True)
class _Recipe:
    """How every network of a sweep is trained, and after which steps it is measured."""

    loss: str
    steps: int
    lr: float
    schedule: str
    eval_steps: list[int]

    def learning_rate(self, t: int) -> float:
        """The learning rate of step t = 0 … steps − 1."""
        if self.schedule == "constant":
            return self.lr
        return self.lr * 0.5 * (1 + math.cos(math.pi * t / self.steps))


def buckets(widths: Sequence[int], products: float, overhead: float) -> list[list[int]]:
    """Group sorted widths so that padding plus the cost of each group is least.

    A group of c widths costs ``overhead + products·c·max(width)``. Only neighbours share a group,
    which loses nothing: the cost of a group depends on its widest member and its size alone.
    Dynamic programming over the position of the last cut, O(len(widths)²).

    >>> buckets([2, 4, 256], products=1, overhead=10)  # 4 pads 2 for less than it costs to start
    [[2, 4], [256]]
    >>> buckets([2, 4, 256], products=1, overhead=0)
    [[2], [4], [256]]
    """
    widths = sorted(widths)

    # Of the best grouping of the first j widths: its cost, and where its last group starts.
    best_cost = [0.0]
    last_start = [0]
    for j in range(1, len(widths) + 1):
        widest = widths[j - 1]
        costs = [best_cost[i] + overhead + products * (j - i) * widest for i in range(j)]
        cheapest = min(costs)
        best_cost.append(cheapest)
        last_start.append(costs.index(cheapest))

    # Walk back from the last group to the first.
    groups = []
    end = len(widths)
    while end > 0:
        start = last_start[end]
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
    loss : ``"cross_entropy"``, or ``"squared_error"``: the squared distance to the one-hot label,
        summed over the k outputs. Both are averaged over examples.
    lr, schedule : the step size; ``"cosine"`` takes it to zero as lr·(1 + cos(π·t/steps))/2.
    weight_decay : 0 is Adam (Kingma & Ba 2015, arXiv:1412.6980); above 0 is AdamW, decoupled from
        the gradient (Loshchilov & Hutter 2019, arXiv:1711.05101), on weights and biases alike. A
        list trains the sweep for each.
    w1_std, w2_scale : scale of the initial weights, see `initial_parameters`.
    eval_steps : evaluate after these numbers of steps (0 is before training) rather than only at
        the end.
    device : as ``torch.device``; ``None`` means ``utils.runtime.device()``.

    Raises ``ValueError``, in one line, for anything out of range, misshapen or not finite.
    """
    # The axes of the sweep.
    widths = [integer("widths", width, 1, MAX_WIDTH) for width in _list("widths", widths)]
    seeds = [integer("seeds", seed, 0) for seed in _list("seeds", seeds)]
    has_decay_axis = isinstance(weight_decay, Sequence | np.ndarray)
    decays = list(weight_decay) if has_decay_axis else [weight_decay]
    decays = [number("weight_decay", decay, 0.0) for decay in decays]
    _require_distinct("widths", widths)
    _require_distinct("seeds", seeds)
    _require_distinct("weight_decay", decays)

    # How to train, and where.
    recipe = _recipe(loss, steps, lr, schedule, eval_steps)
    is_float = dtype in (torch.float32, torch.float64)
    require(is_float, "dtype", "torch.float32 or torch.float64", dtype)
    device = default_device() if device is None else named_device("device", device)

    # The data, one set per seed.
    inputs, labels = _data("train", X_train, y_train, len(seeds))  # (S, n, d), (S, n)
    test_inputs, test_labels = _data("test", X_test, y_test, len(seeds))
    d = inputs.shape[-1]
    same_d = test_inputs.shape[-1] == d
    require(same_d, "X_test", f"an array of {d} features, as X_train is", X_test)
    n_labels = int(max(labels.max(), test_labels.max())) + 1
    k = integer("n_classes", n_labels if n_classes is None else n_classes, max(2, n_labels))
    train = Examples(inputs, labels, k, dtype, device)
    test = Examples(test_inputs, test_labels, k, dtype, device)

    # Error and loss on the training and on the test set, with every axis that a sweep can have.
    tables = np.empty((4, len(decays), len(widths), len(seeds), len(recipe.eval_steps)))
    parameters: dict[tuple, Parameters] = {}

    # On a GPU nothing costs more than starting an operation: an infinite cost makes one bucket.
    overhead = CPU_OVERHEAD if device.type == "cpu" else math.inf
    products = train.n * len(seeds) * len(decays)  # what one more hidden unit costs per step
    for bucket in buckets(widths, products, overhead):
        # One column of networks for each weight decay and width of the bucket.
        columns = [Column(decay, width) for decay in decays for width in bucket]
        nets = Networks(columns, seeds, d, k, w1_std, w2_scale, dtype, device)
        measured = _train_together(nets, train, test, recipe)  # (4, C, S, n_evals)

        # What was measured goes to each column's place in the sweep, in the order of the arguments.
        for c, column in enumerate(columns):
            i = decays.index(column.weight_decay)
            j = widths.index(column.width)
            tables[:, i, j] = measured[:, c]  # (4, S, n_evals)

        # The trained parameters, copied out of the padded batch.
        for column, seed, own in nets.each():
            key = (*column, seed) if has_decay_axis else (column.width, seed)
            parameters[key] = {name: value.detach().cpu().clone() for name, value in own.items()}

    # Keep an axis only for what was given as a list.
    dims = ["weight_decay", "width", "seed", "step"]
    if eval_steps is None:
        tables = tables[..., 0]
        dims.remove("step")
    if not has_decay_axis:
        tables = tables[:, 0]
        dims.remove("weight_decay")
    train_error, train_loss, test_error, test_loss = tables
    return Sweep(
        dims=tuple(dims),
        widths=tuple(widths),
        seeds=tuple(seeds),
        weight_decays=tuple(decays),
        steps=tuple(recipe.eval_steps),
        n_parameters=np.array([n_parameters(width, d, k) for width in widths]),
        train_error=train_error,
        train_loss=train_loss,
        test_error=test_error,
        test_loss=test_loss,
        parameters=parameters,
    )


def _train_together(nets: Networks, train: Examples, test: Examples, recipe: _Recipe) -> np.ndarray:
    """Train the networks of one bucket in place.

    Returns training error and loss, then test error and loss, (4, C, S, n_evals).
    """
    optimizer = AdamW(nets, train)
    measured = []
    for t in range(recipe.steps + 1):  # t steps are done
        if t in recipe.eval_steps:
            train_error, train_loss = nets.evaluate(train, recipe.loss)  # (S, C) each
            test_error, test_loss = nets.evaluate(test, recipe.loss)
            measured.append([train_error, train_loss, test_error, test_loss])
        if t < recipe.steps:
            optimizer.step(recipe.learning_rate(t), recipe.loss)
    return np.array(measured).transpose(1, 3, 2, 0)  # from (n_evals, 4, S, C)


# ---- checks --------------------------------------------------------------------------------------


def _list(name: str, values: Any) -> list:
    is_list = isinstance(values, Sequence | np.ndarray) and len(values) > 0
    require(is_list, name, "a non-empty list", values)
    return list(values)


def _require_distinct(name: str, values: list) -> None:
    are_distinct = len(values) == len(set(values)) > 0
    require(are_distinct, name, "a list of distinct values", values)


def _recipe(loss: str, steps: int, lr: float, schedule: str, eval_steps: Any) -> _Recipe:
    """Check how to train. Without ``eval_steps`` the networks are measured at the end."""
    choice("loss", loss, LOSSES)
    choice("schedule", schedule, SCHEDULES)
    steps = integer("steps", steps, 1)
    lr = number("lr", lr, 0.0, open_low=True)
    if eval_steps is None:
        return _Recipe(loss, steps, lr, schedule, [steps])

    is_list = isinstance(eval_steps, Iterable)
    require(is_list, "eval_steps", "None or at least one step, in a list", eval_steps)
    chosen = sorted({integer("eval_steps", t, 0, steps) for t in eval_steps})
    require(len(chosen) > 0, "eval_steps", "None or at least one step", eval_steps)
    return _Recipe(loss, steps, lr, schedule, chosen)


def _data(part: str, X: Any, y: Any, n_seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Check one part of the data and give it a leading axis: one data set per seed.

    Returns X (n_seeds, n, d) and y (n_seeds, n).
    """
    X = _on_cpu(X)
    y = _on_cpu(y)

    name = f"X_{part}"
    is_data = X.ndim in (2, 3) and X.size > 0
    require(is_data, name, "an array (n, d) or (n_seeds, n, d)", X)
    per_seed = X.ndim == 2 or len(X) == n_seeds
    require(per_seed, name, f"an array of {n_seeds} data sets, one a seed", X)
    require(X.dtype.kind in "fiu", name, "an array of real numbers", X.dtype)
    finite = np.isfinite(X)
    if not finite.all():
        require(False, name, "finite everywhere", X[~finite][0])

    name = f"y_{part}"
    n = X.shape[-2]
    require(y.dtype.kind in "iu", name, "an array of whole class labels", y.dtype)
    fits = y.shape in ((n,), (n_seeds, n))
    require(fits, name, f"of shape ({n},) or ({n_seeds}, {n}), as X_{part} is", y)
    require(int(y.min()) >= 0, name, "at least 0 everywhere", int(y.min()))

    X = np.broadcast_to(X, (n_seeds, *X.shape[-2:]))
    y = np.broadcast_to(y, (n_seeds, n))
    return X, y.astype(np.int64)


def _on_cpu(values: Any) -> np.ndarray:
    """A NumPy array of ``values``, which may be a tensor on any device."""
    if isinstance(values, torch.Tensor):
        values = values.cpu()
    return np.asarray(values)
