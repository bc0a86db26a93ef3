"""One power law with a floor, L = E + A/N^alpha, fitted by variable projection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar, nnls

from utils.scaling.inputs import checked_runs
from utils.scaling.laws import PowerLaw

N_PARAMETERS = 3
EXPONENTS = np.geomspace(0.01, 4.0, 60)  # where the search for alpha looks first


@dataclass(frozen=True)
class PowerLawFit(PowerLaw):
    """A fitted `PowerLaw`.

    objective: the sum of squared relative errors, Σ (L̂/L − 1)².
    converged: False where alpha ended at a border of [0.01, 4] or A at 0: the losses do not tell
        alpha then.
    """

    objective: float
    converged: bool


def fit_power_law(n: ArrayLike, loss: ArrayLike, start: PowerLawFit | None = None) -> PowerLawFit:
    """Fit L = E + A/n^alpha to the ``loss`` (n_runs,) of runs of size ``n`` (n_runs,).

    ``n`` is any one quantity that grows: parameters, tokens, FLOPs. Minimized is the sum of squared
    relative errors, with E and A of at least 0.

    For a given alpha the law is linear in E and A, and least squares gives them at once. What is
    left to search is a curve over alpha alone: its lowest place on a grid, then SciPy's bounded
    search between the two neighbours. This is variable projection (Golub and Pereyra 1973), and
    it needs no start; ``start`` is taken so that `bootstrap` can treat all fits alike.

    Raises ``ValueError`` for fewer than three different runs or numbers that are not above 0.

    >>> sizes = np.array([1e3, 1e4, 1e5, 1e6])
    >>> fit = fit_power_law(sizes, 2.0 + 30.0 * sizes**-0.4)
    >>> round(fit.E, 4), round(fit.A, 3), round(fit.alpha, 4), fit.converged
    (2.0, 30.0, 0.4, True)
    """
    n, loss = checked_runs(N_PARAMETERS, n=n, loss=loss)
    middle = np.exp(np.log(n).mean())  # sizes are counted in units of this one, near 1

    def project(alpha: float) -> tuple[np.ndarray, float]:
        """The best E and A/middle^alpha for this alpha, and the root of the squared errors."""
        shape = (n / middle) ** -alpha  # (n_runs,)
        design = np.column_stack([np.ones_like(shape), shape]) / loss[:, None]  # (n_runs, 2)
        coefficients, distance = nnls(design, np.ones_like(loss))
        return coefficients, distance

    on_grid = [project(alpha)[1] for alpha in EXPONENTS]
    best = int(np.argmin(on_grid))
    low = EXPONENTS[max(best - 1, 0)]
    high = EXPONENTS[min(best + 1, len(EXPONENTS) - 1)]
    search = minimize_scalar(
        lambda alpha: project(alpha)[1] ** 2,
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-10},
    )
    alpha = float(search.x)
    (floor, slope), distance = project(alpha)
    return PowerLawFit(
        E=float(floor),
        A=float(slope * middle**alpha),
        alpha=alpha,
        objective=float(distance**2),
        converged=bool(0 < best < len(EXPONENTS) - 1 and slope > 0),
    )
