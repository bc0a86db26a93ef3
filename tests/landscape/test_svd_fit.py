"""Fits by singular value decomposition, against definitions and scikit-learn."""

import numpy as np
import pytest

from utils.landscape.features import svd_fit
from utils.runtime import generator


def _problem(n, p, seed=0):
    rng = generator(seed)
    return rng.standard_normal((n, p)), rng.standard_normal(n)


@pytest.mark.parametrize("p", [10, 40, 90])
def test_without_a_penalty_it_is_the_pseudo_inverse(p):
    X, y = _problem(40, p)
    fit = svd_fit(X, y[:, None])
    np.testing.assert_allclose(fit.coefficients()[:, 0], np.linalg.pinv(X) @ y, rtol=1e-6)


@pytest.mark.parametrize("p", [10, 90])
def test_with_a_penalty_it_is_ridge(p):
    from sklearn.linear_model import Ridge

    X, y = _problem(40, p)
    expected = Ridge(alpha=3.0, fit_intercept=False).fit(X, y).coef_
    np.testing.assert_allclose(svd_fit(X, y[:, None]).coefficients(3.0)[:, 0], expected, rtol=1e-8)


def test_rounding_is_not_inverted_and_degrees_of_freedom_fall_with_the_penalty():
    X, y = _problem(40, 5)
    X = np.hstack([X, X[:, :1]])  # rank 5 of 6 columns
    fit = svd_fit(X, y[:, None])
    assert np.abs(fit.coefficients()).max() < 10
    assert fit.degrees_of_freedom() == pytest.approx(5)
    assert 0 < fit.degrees_of_freedom(100.0) < fit.degrees_of_freedom(1.0) < 5


def test_what_does_not_fit_is_one_line():
    with pytest.raises(ValueError, match=r"Y must be .* \(3, n_targets\)"):
        svd_fit(np.ones((3, 2)), np.ones(3))
    with pytest.raises(ValueError, match="penalty must be"):
        svd_fit(np.ones((3, 2)), np.ones((3, 1))).coefficients(-1)
