"""A mean in place of a sum: the same minimum, and a search that says it is there and is not."""

from __future__ import annotations

import numpy as np
import pytest

from utils.runtime import generator
from utils.scaling.early_stop import PUBLISHED_GRID, fit_with_default_stop
from utils.scaling.isoflop import isoflop_grid
from utils.scaling.joint import fit_chinchilla
from utils.scaling.published import HOFFMANN_UNROUNDED

BUDGETS = np.geomspace(6e18, 3e21, 9)
_, N, D = isoflop_grid(HOFFMANN_UNROUNDED, BUDGETS, n_sizes=27)


def simulated(seed: int) -> np.ndarray:
    luck = generator(seed).normal(0, 0.01, len(N))
    return HOFFMANN_UNROUNDED.loss(N, D) * np.exp(luck)


@pytest.mark.parametrize("seed", range(3))
def test_the_mean_stops_early_and_calls_it_success(seed):
    loss = simulated(seed)
    best = fit_chinchilla(N, D, loss)
    by_sum = fit_with_default_stop(N, D, loss, average=False, n_starts=100)
    by_mean = fit_with_default_stop(N, D, loss, average=True, n_starts=100)
    assert by_sum.objective == pytest.approx(best.objective, rel=0.01)
    assert by_mean.objective > 1.2 * best.objective
    assert by_mean.success == 1.0
    assert abs(by_mean.a - best.a) > 5 * abs(by_sum.a - best.a)


def test_a_mean_with_limits_as_much_smaller_ends_where_the_sum_does():
    loss = simulated(3)
    by_sum = fit_with_default_stop(N, D, loss, average=False, n_starts=50)
    by_mean = fit_with_default_stop(N, D, loss, average=True, stop=1 / len(N), n_starts=50)
    assert by_mean.objective == pytest.approx(by_sum.objective, rel=1e-3)
    with pytest.raises(ValueError, match=r"^stop must be"):
        fit_with_default_stop(N, D, loss, average=True, stop=0)


def test_the_grid_is_the_published_one():
    assert np.prod([len(values) for values in PUBLISHED_GRID]) == 4500
    with pytest.raises(ValueError, match=r"^n_starts must be a whole number in \[1, 4500\]"):
        fit_with_default_stop(N, D, simulated(0), average=True, n_starts=4501)
