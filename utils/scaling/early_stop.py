"""A mean in place of a sum, and a search that ends too soon: how a published fit went wrong.

Hoffmann et al. 2022 write a sum over runs. Besiroglu et al. 2024 (arXiv:2404.10102) find that the
mean was minimized instead. The two have the same minimum. But a search stops when a step gains less
than some fixed amount, or the slope falls below one, and the mean of a few hundred Huber losses
with delta = 1e-3 is so small that SciPy's own limits call it flat far from the minimum.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from utils.runtime import generator
from utils.scaling.inputs import checked_runs
from utils.scaling.laws import Law
from utils.validate import integer, number, require

# Where the search of Hoffmann et al. 2022 starts (appendix D.2): log A, log B, log E, alpha, beta.
PUBLISHED_GRID = (
    (0.0, 5.0, 10.0, 15.0, 20.0, 25.0),
    (0.0, 5.0, 10.0, 15.0, 20.0, 25.0),
    (-1.0, -0.5, 0.0, 0.5, 1.0),
    (0.0, 0.5, 1.0, 1.5, 2.0),
    (0.0, 0.5, 1.0, 1.5, 2.0),
)
# Where SciPy's L-BFGS-B ends unless told otherwise: at a step that gains less than this share of
# the objective, or of 1 where the objective is below 1, or at a slope below that.
DEFAULT_GAIN = 1e7 * float(np.finfo(float).eps)
DEFAULT_SLOPE = 1e-5


@dataclass(frozen=True)
class StoppedFit(Law):
    """Where the best of the searches ended.

    objective: the *sum* of the Huber losses there, whichever of the two was minimized.
    success: the share of searches that SciPy reported as successful.
    """

    objective: float = 0.0
    success: float = 0.0


def fit_with_default_stop(
    n_params: ArrayLike,
    n_tokens: ArrayLike,
    loss: ArrayLike,
    *,
    average: bool,
    delta: float = 1e-3,
    stop: float = 1.0,
    n_starts: int = 300,
    seed: int = 0,
) -> StoppedFit:
    """Fit the additive law by L-BFGS-B as SciPy comes, on the mean (``average``) or on the sum.

    n_params, n_tokens, loss: N, D and the final loss in nats of each run, all (n_runs,).
    stop: multiplies both of SciPy's limits, the gain of a step and the slope, below which a search
        ends. A mean of n runs with ``stop=1/n`` ends where the sum does.
    n_starts: how many of the 4,500 starts of the published grid to use, drawn with ``seed``; the
        same ones for both.

    `fit_chinchilla` is the fit to trust. This one is here to be compared with it. Raises
    ``ValueError`` for fewer than five different runs and numbers that are not above 0.
    """
    n_params, n_tokens, loss = checked_runs(5, n_params=n_params, n_tokens=n_tokens, loss=loss)
    delta = number("delta", delta, 0.0, open_low=True)
    require(isinstance(average, bool), "average", "True or False", average)
    stop = number("stop", stop, 0.0, open_low=True)
    grid = list(itertools.product(*PUBLISHED_GRID))
    n_starts = integer("n_starts", n_starts, 1, len(grid))
    log_n, log_d, log_loss = np.log(n_params), np.log(n_tokens), np.log(loss)
    share = 1 / len(loss) if average else 1.0

    def objective(values: np.ndarray) -> tuple[float, np.ndarray]:
        """Equation 11 of Hoffmann et al. 2022, and its gradient (5,)."""
        a, b, e, alpha, beta = values
        terms = np.stack([a - alpha * log_n, b - beta * log_d, np.full_like(log_n, e)])
        log_law = np.logaddexp.reduce(terms, axis=0)  # (n_runs,)
        residual = log_law - log_loss
        size = np.abs(residual)
        huber = np.where(size < delta, 0.5 * residual**2, delta * (size - 0.5 * delta))
        # The slope of each run's Huber loss, shared among the terms by their part of the law.
        pull = np.clip(residual, -delta, delta) * np.exp(terms - log_law)  # (3, n_runs)
        slopes = [*pull.sum(axis=1), -pull[0] @ log_n, -pull[1] @ log_d]
        return share * float(huber.sum()), share * np.array(slopes)

    limits = {"ftol": stop * DEFAULT_GAIN, "gtol": stop * DEFAULT_SLOPE}
    chosen = generator(seed).choice(len(grid), n_starts, replace=False)
    found = []
    for i in chosen:
        result = minimize(objective, grid[i], jac=True, method="L-BFGS-B", options=limits)
        found.append(result)
    best = min(found, key=lambda result: result.fun)
    a, b, e, alpha, beta = (float(value) for value in best.x)
    return StoppedFit(
        E=float(np.exp(e)),
        A=float(np.exp(a)),
        B=float(np.exp(b)),
        alpha=alpha,
        beta=beta,
        objective=float(best.fun) / share,
        success=float(np.mean([result.success for result in found])),
    )
