"""IsoFLOP curves: at one compute, the loss of small models on much text and large ones on little.

Hoffmann et al. 2022, approach 2: a parabola through each curve gives the best size at that compute,
and a line through the best sizes gives how fast it grows. It needs no law of the loss, and has an
error of its own, even without noise (Czech et al. 2026, arXiv:2603.22339). A curve from an additive
law with alpha ≠ beta is no parabola: one side of the valley is steeper, so the parabola's lowest
point lies off the valley's. Sizes spread around the best one in the same way at every budget shift
all lowest points by the same factor: N_opt is wrong and the exponent right. Sizes that drift off
centre from budget to budget bend the exponent too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from utils.scaling.inputs import checked_runs
from utils.scaling.laws import FLOPS_PER_PARAM_AND_TOKEN, Law, Optimum
from utils.validate import integer, number, require

N_COEFFICIENTS = 3  # of a parabola


@dataclass(frozen=True)
class IsoFlopFit:
    """Parabolas through IsoFLOP curves, and the line through their lowest points.

    budgets: the compute of each curve in FLOPs, growing (n_budgets,).
    n_opt: the parameters at which each parabola is lowest (n_budgets,).
    coefficients: of each parabola in log N, highest power first (n_budgets, 3).
    exponent, scale: N_opt = scale · C^exponent.
    converged: always True. A curve without a lowest point raises an error instead.
    """

    budgets: np.ndarray
    n_opt: np.ndarray
    coefficients: np.ndarray
    exponent: float
    scale: float
    converged: bool = True

    def optimal(self, compute: float) -> Optimum:
        """The N on the line at ``compute`` FLOPs, and the D that 6ND leaves for it."""
        compute = number("compute", compute, 0.0, open_low=True)
        n_params = self.scale * compute**self.exponent
        return Optimum(n_params, compute / FLOPS_PER_PARAM_AND_TOKEN / n_params)

    def parabola(self, i: int, n_params: ArrayLike) -> Any:
        """The loss in nats that the parabola of ``budgets[i]`` gives to models of ``n_params``."""
        i = integer("i", i, 0, len(self.budgets) - 1)
        return np.polyval(self.coefficients[i], np.log(n_params))


def fit_isoflop(
    budgets: ArrayLike, n_params: ArrayLike, loss: ArrayLike, start: IsoFlopFit | None = None
) -> IsoFlopFit:
    """Fit a parabola in log N to the runs of each budget, and a power law to the lowest points.

    budgets, n_params, loss: the compute in FLOPs, N and the final loss in nats of each run, all
    (n_runs,); runs of equal ``budgets`` form a curve. ``start`` is not needed and is taken so that
    `bootstrap` can treat all fits alike, as in
    ``bootstrap(fit_isoflop, budgets, n_params, loss, groups=run, strata=budgets)``.

    Raises ``ValueError`` for fewer than two budgets, a budget with fewer than three sizes, a curve
    that does not turn upwards, and numbers that are not finite and above 0.

    >>> law = Law(E=1.8, A=400.0, B=400.0, alpha=0.3, beta=0.3)
    >>> C, N, D = isoflop_grid(law, [1e18, 1e19, 1e20])
    >>> fit = fit_isoflop(C, N, law.loss(N, D))
    >>> best = law.optimal(1e18).n_params
    >>> round(fit.exponent, 4), round(float(fit.n_opt[0] / best), 4)
    (0.5, 1.0)
    """
    budgets, n_params, loss = checked_runs(
        2 * N_COEFFICIENTS, budgets=budgets, n_params=n_params, loss=loss
    )
    different = np.unique(budgets)
    require(len(different) >= 2, "budgets", "at least two different ones", different.tolist())
    coefficients = np.array(
        [
            _parabola(budget, n_params[budgets == budget], loss[budgets == budget])
            for budget in different
        ]
    )  # (n_budgets, 3)
    log_n_opt = -coefficients[:, 1] / (2 * coefficients[:, 0])
    exponent, log_scale = np.polyfit(np.log(different), log_n_opt, 1)
    return IsoFlopFit(
        budgets=different,
        n_opt=np.exp(log_n_opt),
        coefficients=coefficients,
        exponent=float(exponent),
        scale=float(np.exp(log_scale)),
    )


def _parabola(budget: float, n_params: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """The coefficients (3,) of the parabola in log N through one curve."""
    n_sizes = len(np.unique(n_params))
    allowed = f"at least {N_COEFFICIENTS} different sizes at the budget {budget:g}"
    require(n_sizes >= N_COEFFICIENTS, "n_params", allowed, n_sizes)
    # Around the middle, where the three powers of log N are not nearly the same.
    middle = np.log(n_params).mean()
    square, slope, height = np.polyfit(np.log(n_params) - middle, loss, 2)
    allowed = f"a curve that turns upwards at the budget {budget:g}"
    require(square > 0, "loss", allowed, f"a curvature of {2 * square:.3g}")
    return np.array(
        [square, slope - 2 * square * middle, height - slope * middle + square * middle**2]
    )


def isoflop_grid(
    law: Law,
    budgets: ArrayLike,
    *,
    spread: float = 8.0,
    n_sizes: int = 9,
    off_centre: float = 1.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The runs of an IsoFLOP experiment around the optimum of ``law``: budgets, N and D.

    budgets: in FLOPs (n_budgets,). At each, ``n_sizes`` models from 1/``spread`` to ``spread``
    times the optimal size, evenly spaced in log N, and the tokens that 6ND leaves.
    off_centre: multiplies the sizes at the largest budget, and those at the others by less, down to
    not at all at the smallest: as when an experimenter expects another exponent.

    Gives three arrays of n_budgets · n_sizes numbers. Raises ``ValueError`` for a spread of at
    most 1, fewer than three sizes, or numbers that are not above 0.
    """
    spread = number("spread", spread, 1.0, open_low=True)
    n_sizes = integer("n_sizes", n_sizes, N_COEFFICIENTS)
    off_centre = number("off_centre", off_centre, 0.0, open_low=True)
    (budgets,) = checked_runs(1, budgets=budgets)
    order = np.linspace(0, 1, len(budgets)) if len(budgets) > 1 else np.ones(1)
    compute, sizes = [], []
    for budget, step in zip(np.sort(budgets), order, strict=True):
        centre = law.optimal(budget).n_params * off_centre**step
        sizes.append(centre * np.geomspace(1 / spread, spread, n_sizes))
        compute.append(np.full(n_sizes, budget))
    n_params = np.concatenate(sizes)
    flops = np.concatenate(compute)
    return flops, n_params, flops / FLOPS_PER_PARAM_AND_TOKEN / n_params
