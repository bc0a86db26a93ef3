"""What every fit asks of its numbers: lists of equal length, finite and above zero, and enough."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from utils.validate import require


def checked_runs(at_least: int, **columns: ArrayLike) -> list[np.ndarray]:
    """The columns as float64 arrays (n_runs,), in the order given.

    at_least: how many *different* runs the fit needs, one per parameter. The same run listed twice
    says nothing new, so it counts once.

    Raises ``ValueError`` for a column that is no list of numbers, differs in length from the first
    or holds NaN, infinity, zero or a negative number, and for too few runs.

    >>> n_params, loss = checked_runs(2, n_params=[1e6, 2e6], loss=[3.1, 2.9])
    >>> n_params
    array([1000000., 2000000.])
    >>> checked_runs(2, n_params=[1e6, 2e6], loss=[3.1, -2.9])
    Traceback (most recent call last):
        ...
    ValueError: loss must be finite numbers above 0, got -2.9 at place 1
    """
    arrays: list[np.ndarray] = []
    for name, column in columns.items():
        array = _as_floats(name, column)
        if arrays:
            n_runs = len(arrays[0])
            allowed = f"as long as {next(iter(columns))}, which has {n_runs} numbers"
            require(len(array) == n_runs, name, allowed, f"{len(array)} numbers")
        usable = np.isfinite(array) & (array > 0)
        if not usable.all():
            place = int(np.argmin(usable))
            raise ValueError(
                f"{name} must be finite numbers above 0, got {array[place]:g} at place {place}"
            )
        arrays.append(array)

    n_different = len(np.unique(np.column_stack(arrays), axis=0))
    if n_different < at_least:
        raise ValueError(
            f"{' and '.join(columns)} must hold at least {at_least} different runs, one per "
            f"parameter of the law, got {n_different}"
        )
    return arrays


def _as_floats(name: str, column: ArrayLike) -> np.ndarray:
    """One column as a float64 array of one dimension."""
    try:
        array = np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty((0, 0))
    require(array.ndim == 1, name, "a list of numbers", column)
    return array
