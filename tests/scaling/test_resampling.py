"""The bootstrap draws whole groups, counts its failures, and its intervals show them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from utils.runtime import generator
from utils.scaling.isoflop import fit_isoflop, isoflop_grid
from utils.scaling.joint import fit_chinchilla
from utils.scaling.published import BESIROGLU
from utils.scaling.resampling import Bootstrap, bootstrap


@dataclass(frozen=True)
class Mean:
    """The simplest fit there is."""

    mean: float
    converged: bool = True


def fit_mean(values, start=None) -> Mean:
    return Mean(float(np.mean(values)))


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_of_a_mean_is_that_of_theory(seed):
    values = generator(seed).normal(0, 1, 400)
    low, high = bootstrap(fit_mean, values, groups=range(400), n=2000, seed=seed).interval("mean")
    half = 1.96 * values.std() / 20
    assert high - low == pytest.approx(2 * half, rel=0.1)
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.1 * half)


def test_points_of_one_run_are_no_independent_measurements():
    """Ten runs of 20 points that share their run's luck: by points, the interval is too narrow."""
    luck = generator(0).normal(0, 1, 10)
    values = np.repeat(luck, 20) + generator(1).normal(0, 0.1, 200)
    run = np.repeat(np.arange(10), 20)
    by_run = bootstrap(fit_mean, values, groups=run).interval("mean")
    by_point = bootstrap(fit_mean, values, groups=range(200)).interval("mean")
    assert np.ptp(by_run) > 3 * np.ptp(by_point)
    assert np.ptp(by_run) == pytest.approx(2 * 1.96 * luck.std() / np.sqrt(10), rel=0.25)


def test_a_group_comes_whole_and_strata_keep_their_size():
    seen = []

    def fit(values, start=None):
        seen.append(np.sort(values))
        return Mean(0.0)

    bootstrap(fit, [0, 0.1, 1, 1.1, 2, 2.1], groups=list("aabbcc"), n=20)
    for values in seen:
        wholes, tenths = values[values % 1 == 0], values[values % 1 > 0]
        np.testing.assert_allclose(wholes + 0.1, tenths)

    seen.clear()
    bootstrap(fit, [0, 1, 2, 10, 11], groups=range(5), strata=[0, 0, 0, 1, 1], n=20)
    assert {int((values >= 10).sum()) for values in seen} == {2}
    assert len({tuple(values) for values in seen}) > 5


def test_the_seed_fixes_the_draws():
    values = generator(0).normal(0, 1, 30)
    first, same, other = (
        bootstrap(fit_mean, values, groups=range(30), n=50, seed=seed).values("mean").tolist()
        for seed in (1, 1, 2)
    )
    assert first == same != other


def test_a_quantity_may_be_a_function_of_the_fit():
    boot = bootstrap(fit_mean, [1.0, 2.0, 3.0], groups=range(3), n=100)
    np.testing.assert_allclose(boot.values(lambda fit: 2 * fit.mean), 2 * boot.values("mean"))


# ---- failures ------------------------------------------------------------------------------------


def test_failures_are_counted_and_only_widen_the_interval():
    fits = [Mean(float(value)) for value in range(1000)]
    sound = Bootstrap(fits[500], fits, n_failed=0)
    assert sound.interval("mean") == (24.0, 975.0)
    some = Bootstrap(fits[500], fits, n_failed=10)
    low, high = some.interval("mean")
    assert some.n == 1010
    assert low < 24.0
    assert high > 975.0
    many = Bootstrap(fits[500], fits, n_failed=60)
    assert many.interval("mean") == (-np.inf, np.inf)
    assert np.isfinite(many.interval("mean", 0.8)).all()


@pytest.mark.parametrize("how", ["raises", "does not converge"])
def test_a_resample_that_cannot_be_fitted_is_a_failure(how):
    def fit(values, start=None):
        too_few = len(np.unique(values)) < 4
        if too_few and how == "raises":
            raise ValueError("too few different runs")
        return Mean(0.0, converged=not too_few)

    boot = bootstrap(fit, np.arange(6.0), groups=range(6), n=200)
    assert 0 < boot.n_failed < 100
    assert len(boot.fits) == 200 - boot.n_failed
    assert boot.interval("mean") == (-np.inf, np.inf)


def test_too_small_a_design_fails_in_the_open():
    """Six runs for five parameters: most resamples hold fewer than five different ones."""
    _, n, d = isoflop_grid(BESIROGLU, [1e19, 1e21], n_sizes=3)
    boot = bootstrap(fit_chinchilla, n, d, BESIROGLU.loss(n, d), groups=range(6), n=50)
    assert boot.n_failed > 25
    assert boot.interval("alpha") == (-np.inf, np.inf)


def test_an_interval_needs_enough_resamples():
    boot = bootstrap(fit_mean, [1.0, 2.0], groups=range(2), n=39)
    with pytest.raises(ValueError, match=r"^n must be at least 40 for a level of 0\.95, got 39$"):
        boot.interval("mean")
    assert boot.interval("mean", 0.9)
    with pytest.raises(ValueError, match=r"^level must be a number in \(0, 1\), got 1$"):
        boot.interval("mean", 1)


# ---- with the real fits --------------------------------------------------------------------------


def test_intervals_shrink_with_more_runs():
    widths = []
    for n_sizes in (5, 20):
        _, n, d = isoflop_grid(BESIROGLU, np.geomspace(1e19, 1e21, 5), n_sizes=n_sizes)
        loss = BESIROGLU.loss(n, d) * np.exp(generator(0).normal(0, 0.01, len(n)))
        boot = bootstrap(fit_chinchilla, n, d, loss, groups=range(len(n)), n=100)
        assert boot.n_failed == 0
        widths.append(np.ptp(boot.interval("a")))
    assert widths[1] < 0.8 * widths[0]


def test_isoflop_curves_are_resampled_within_their_budget():
    budgets, n, d = isoflop_grid(BESIROGLU, [1e19, 1e20, 1e21], n_sizes=9)
    loss = BESIROGLU.loss(n, d) * np.exp(generator(0).normal(0, 0.003, len(n)))
    boot = bootstrap(fit_isoflop, budgets, n, loss, groups=range(27), strata=budgets, n=200)
    low, high = boot.interval("exponent")
    assert low < BESIROGLU.a < high
