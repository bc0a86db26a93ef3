"""IsoFLOP parabolas: exact where they are parabolas, and off by what the paper says elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from utils.scaling.isoflop import fit_isoflop, isoflop_grid
from utils.scaling.laws import Law
from utils.scaling.published import BESIROGLU

BUDGETS = np.geomspace(1e18, 1e22, 5)
SYMMETRIC = Law(E=1.8, A=400.0, B=400.0, alpha=0.3, beta=0.3)
ASYMMETRIC = Law(E=1.8, A=400.0, B=400.0, alpha=0.45, beta=0.3)


def factor(law: Law, **grid) -> np.ndarray:
    """What the parabolas make of the best sizes, over the true ones (n_budgets,)."""
    budgets, n, d = isoflop_grid(law, BUDGETS, **grid)
    fit = fit_isoflop(budgets, n, law.loss(n, d))
    return fit.n_opt / [law.optimal(budget).n_params for budget in BUDGETS]


def test_true_parabolas_are_found():
    budgets, n, _ = isoflop_grid(BESIROGLU, BUDGETS, n_sizes=5)
    lowest = 2e-3 * budgets**0.55
    fit = fit_isoflop(budgets, n, 2.0 + 0.1 * np.log(n / lowest) ** 2)
    assert fit.exponent == pytest.approx(0.55, rel=1e-6)
    assert fit.scale == pytest.approx(2e-3, rel=1e-4)
    np.testing.assert_allclose(fit.n_opt, 2e-3 * BUDGETS**0.55, rtol=1e-6)
    assert fit.parabola(2, fit.n_opt[2]) == pytest.approx(2.0)
    best = fit.optimal(1e20)
    assert best.n_params == pytest.approx(2e-3 * 1e20**0.55, rel=1e-4)
    assert 6 * best.n_params * best.n_tokens == pytest.approx(1e20)


def test_without_noise_a_lopsided_valley_is_missed_by_a_factor():
    """The bias of arXiv:2603.22339: none for alpha = beta, larger the wider the grid."""
    np.testing.assert_allclose(factor(SYMMETRIC), 1.0, rtol=1e-6)
    narrow = factor(ASYMMETRIC, spread=2)
    wide = factor(ASYMMETRIC, spread=16)
    assert (narrow > 1.005).all()
    assert (wide > 1.1).all()
    # The same factor at every budget, so that the exponent is right nevertheless.
    np.testing.assert_allclose(wide, wide[0], rtol=1e-6)


def test_a_grid_that_drifts_off_centre_bends_the_exponent():
    budgets, n, d = isoflop_grid(ASYMMETRIC, BUDGETS, off_centre=3.0)
    drifting = fit_isoflop(budgets, n, ASYMMETRIC.loss(n, d)).exponent
    budgets, n, d = isoflop_grid(ASYMMETRIC, BUDGETS)
    centred = fit_isoflop(budgets, n, ASYMMETRIC.loss(n, d)).exponent
    assert centred == pytest.approx(ASYMMETRIC.a, abs=1e-6)
    assert abs(drifting - ASYMMETRIC.a) > 0.003


def test_a_grid_is_centred_and_spends_its_budget():
    budgets, n, d = isoflop_grid(BESIROGLU, [1e20, 1e19], spread=4, n_sizes=3, off_centre=2.0)
    np.testing.assert_allclose(6 * n * d, budgets)
    assert budgets.tolist() == [1e19] * 3 + [1e20] * 3
    small, large = BESIROGLU.optimal(1e19).n_params, BESIROGLU.optimal(1e20).n_params
    np.testing.assert_allclose(n[:3] / small, [0.25, 1, 4])
    np.testing.assert_allclose(n[3:] / large, [0.5, 2, 8])
    one, _, _ = isoflop_grid(BESIROGLU, [1e19])
    assert len(one) == 9
