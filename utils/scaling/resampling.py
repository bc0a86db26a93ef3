"""Intervals by the bootstrap: fit again to runs drawn with replacement, and see what moves.

What is drawn are whole runs, or whole seeds, and never the points along one run: the losses at
steps 900 and 1000 of the same training share its luck, and counting them as two independent
measurements gives intervals that are too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from utils.runtime import generator
from utils.validate import integer, number, require


@dataclass(frozen=True)
class Bootstrap:
    """The fit to all runs and the fits to resampled ones.

    fit: the fit to all runs as they are. fits: one for each resample that could be fitted.
    n_failed: the resamples of which the fit did not converge, or which held too few different runs
        for one. They are not dropped: see `interval`.
    """

    fit: Any
    fits: list[Any]
    n_failed: int

    @property
    def n(self) -> int:
        """How many resamples were drawn."""
        return len(self.fits) + self.n_failed

    def values(self, quantity: str | Callable[[Any], float]) -> np.ndarray:
        """The ``quantity`` of each of ``fits``: the name of an attribute, or a function of a fit.

        ``boot.values("alpha")``, or ``boot.values(lambda law: law.loss(7e10, 1.4e12))``.
        """
        if isinstance(quantity, str):
            return np.array([float(getattr(fit, quantity)) for fit in self.fits])
        return np.array([float(quantity(fit)) for fit in self.fits])

    def interval(
        self, quantity: str | Callable[[Any], float], level: float = 0.95
    ) -> tuple[float, float]:
        """The percentile interval: the middle ``level`` of the resamples' values (Efron 1979).

        A resample that failed could have had any value. It counts as one below the lower end *and*
        as one above the upper end, so failures only ever widen the interval. Where more than half
        of 1 − ``level`` failed, an end is infinite: these runs do not give an interval.

        Raises ``ValueError`` for a level outside (0, 1) or fewer resamples than 2/(1 − level), of
        which the outermost would not be an end.
        """
        level = number("level", level, 0.0, 1.0, open_low=True, open_high=True)
        tail = (1 - level) / 2
        least = int(np.ceil(1 / tail - 1e-9))
        require(self.n >= least, "n", f"at least {least} for a level of {level:g}", self.n)
        values = self.values(quantity)
        unknown = np.full(self.n_failed, np.inf)
        low = np.quantile(np.concatenate([values, -unknown]), tail, method="lower")
        high = np.quantile(np.concatenate([values, unknown]), 1 - tail, method="higher")
        return float(low), float(high)


def bootstrap(
    fit: Callable[..., Any],
    *columns: ArrayLike,
    groups: Sequence[Any] | np.ndarray,
    strata: Sequence[Any] | np.ndarray | None = None,
    n: int = 1000,
    seed: int = 0,
) -> Bootstrap:
    """Fit to ``n`` resamples of the runs in ``columns``.

    fit: called as ``fit(*columns)``, then as ``fit(*resampled, start=that_fit)``, such as
        `fit_chinchilla` or ``functools.partial(fit_law, form="coupled")``. Its result says in
        ``converged`` whether it may be used.
    columns: what the fit takes, such as N, D and loss, all (n_points,).
    groups: for each point the label of what was drawn by chance as a whole (n_points,): the run it
        belongs to, or the seed. As many labels are drawn as there are different ones, with
        replacement, and each brings all of its points.
    strata: for each point the label of what was fixed by the experimenter, such as its budget
        (n_points,). Each stratum then keeps its number of groups. None: there is one stratum.
    n: how many resamples. seed: of the drawing.

    Raises ``ValueError`` for fewer than two groups, labels that do not fit the columns, or whatever
    ``fit`` raises on all runs.

    >>> from utils.scaling.power import fit_power_law
    >>> size = np.geomspace(1e3, 1e6, 12)
    >>> noise = generator(0).normal(0, 0.01, 12)
    >>> loss = (2.0 + 30.0 * size**-0.4) * np.exp(noise)
    >>> boot = bootstrap(fit_power_law, size, loss, groups=range(12), n=200)
    >>> low, high = boot.interval("alpha")
    >>> low < 0.4 < high, boot.n_failed
    (True, 0)
    """
    n = integer("n", n, 1)
    arrays = [np.asarray(column) for column in columns]
    whole = fit(*arrays)  # it checks the columns, and is where each resample starts

    n_points = len(arrays[0])
    points_of = _points_by_label("groups", groups, n_points)
    require(len(points_of) >= 2, "groups", "labels of at least two runs or seeds", groups)
    layers = [points_of]
    if strata is not None:
        layers = []
        for members in _points_by_label("strata", strata, n_points):
            inside = [points for points in points_of if np.isin(points, members).all()]
            layers.append(inside)
        n_inside = sum(len(inside) for inside in layers)
        allowed = "labels that are the same for all points of a group"
        require(n_inside == len(points_of), "strata", allowed, strata)

    rng = generator(seed)
    fits = []
    for _ in range(n):
        chosen = []
        for inside in layers:
            drawn = rng.integers(len(inside), size=len(inside))
            chosen += [inside[i] for i in drawn]
        points = np.concatenate(chosen)
        try:
            again = fit(*(array[points] for array in arrays), start=whole)
        except ValueError:
            continue  # all columns are sound, so this resample has too few different runs
        if again.converged:
            fits.append(again)
    return Bootstrap(fit=whole, fits=fits, n_failed=n - len(fits))


def _points_by_label(name: str, labels: Sequence[Any] | np.ndarray, n_points: int) -> list:
    """For each different label the places of its points."""
    listed = np.asarray(labels)
    require(listed.shape == (n_points,), name, f"{n_points} labels, one per point", labels)
    names, place = np.unique(listed, return_inverse=True)
    return [np.flatnonzero(place == i) for i in range(len(names))]
