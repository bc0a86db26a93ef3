"""One power law: exact without noise, the least squares it claims with noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from utils.runtime import generator
from utils.scaling.power import fit_power_law

SIZES = np.geomspace(1e3, 1e7, 15)


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5, 1.5])
@pytest.mark.parametrize("floor", [0.0, 2.0])
def test_losses_without_noise_give_the_law_back(alpha, floor):
    fit = fit_power_law(SIZES, floor + 40.0 * SIZES**-alpha)
    assert fit.converged
    assert fit.alpha == pytest.approx(alpha, rel=1e-3)
    assert pytest.approx(floor, abs=1e-2) == fit.E
    assert pytest.approx(40.0, rel=1e-2) == fit.A


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_least_squares_of_relative_errors(seed):
    loss = (2.0 + 40.0 * SIZES**-0.4) * np.exp(generator(seed).normal(0, 0.01, len(SIZES)))
    fit = fit_power_law(SIZES, loss)

    def errors(theta):
        return (theta[0] + np.exp(theta[1] - theta[2] * np.log(SIZES))) / loss - 1

    other = least_squares(errors, [2.0, np.log(40.0), 0.4], x_scale="jac", xtol=1e-14)
    assert fit.objective == pytest.approx(2 * other.cost, rel=1e-6)
    assert fit.objective == pytest.approx(np.sum((fit.loss(SIZES) / loss - 1) ** 2), rel=1e-9)


def test_losses_that_tell_no_exponent_are_not_converged():
    assert not fit_power_law(SIZES, np.full(len(SIZES), 3.0) + 1e-9 * SIZES).converged
