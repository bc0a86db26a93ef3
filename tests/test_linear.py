"""Tests of utils.linear: fits against definitions and scikit-learn, closed forms against simulation."""

import numpy as np
import pytest

from utils import linear


def _problem(n, p, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, p)), rng.standard_normal(n)


@pytest.mark.parametrize("p", [10, 40, 90])
def test_min_norm_least_squares_is_the_pseudo_inverse(p):
    X, y = _problem(40, p)
    np.testing.assert_allclose(linear.min_norm_least_squares(X, y), np.linalg.pinv(X) @ y, rtol=1e-6)
    fit = linear.svd_fit(X, y[:, None])
    np.testing.assert_allclose(fit.coefficients()[:, 0], np.linalg.pinv(X) @ y, rtol=1e-6)


@pytest.mark.parametrize("p", [10, 90])
def test_ridge_in_both_conventions(p):
    from sklearn.linear_model import Ridge

    X, y = _problem(40, p)
    expected = Ridge(alpha=3.0, fit_intercept=False).fit(X, y).coef_
    np.testing.assert_allclose(linear.ridge(X, y, 3.0), expected, rtol=1e-8)
    np.testing.assert_allclose(linear.ridge(X, y, 3.0 / 40, per_sample=True), expected, rtol=1e-8)
    np.testing.assert_allclose(linear.svd_fit(X, y[:, None]).coefficients(3.0)[:, 0], expected, rtol=1e-8)


def test_rounding_is_not_inverted_and_degrees_of_freedom_fall_with_the_penalty():
    X, y = _problem(40, 5)
    X = np.hstack([X, X[:, :1]])  # rank 5 of 6 columns
    fit = linear.svd_fit(X, y[:, None])
    assert np.abs(fit.coefficients()).max() < 10
    assert fit.degrees_of_freedom() == pytest.approx(5)
    assert 0 < fit.degrees_of_freedom(100.0) < fit.degrees_of_freedom(1.0) < 5


@pytest.mark.parametrize(("n", "p"), [(40, 20), (40, 30), (40, 50), (40, 120)])
def test_finite_risk_matches_simulation(n, p):
    signal, noise, risks = 5.0, 1.0, []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        X, beta = rng.standard_normal((n, p)), rng.standard_normal(p)
        beta *= np.sqrt(signal) / np.linalg.norm(beta)
        y = X @ beta + np.sqrt(noise) * rng.standard_normal(n)
        risks.append(((linear.min_norm_least_squares(X, y) - beta) ** 2).sum())
    error = np.std(risks, ddof=1) / np.sqrt(len(risks))
    assert abs(np.mean(risks) - linear.ridgeless_risk(n, p, signal, noise)) < 4 * error


def test_finite_risk_at_the_threshold():
    assert linear.ridgeless_risk(50, 50, 5, 1) == np.inf
    assert linear.ridgeless_risk(50, 49, 5, 1) == linear.ridgeless_risk(50, 51, 5, 1) == np.inf
    assert np.isfinite([linear.ridgeless_risk(50, 48, 5, 1), linear.ridgeless_risk(50, 52, 5, 1)]).all()
    assert linear.ridgeless_risk(50, 49, 5, 0) == linear.ridgeless_risk(50, 50, 5, 0) == 0
    assert linear.ridgeless_risk(50, 51, 5, 0) == pytest.approx(5 / 51)


def test_the_limit_is_the_limit():
    gamma = np.array([0.2, 0.9, 1.1, 3.0])
    finite = [linear.ridgeless_risk(100_000, round(100_000 * g), 5, 1) for g in gamma]
    np.testing.assert_allclose(linear.ridgeless_risk_limit(gamma, 5, 1), finite, rtol=1e-3)
    assert linear.ridgeless_risk_limit(1.0, 5, 1) == np.inf


def test_overparameterized_minimum():
    gamma, risk = linear.overparameterized_minimum(5, 1)
    assert gamma == pytest.approx(np.sqrt(5) / (np.sqrt(5) - 1))
    grid = np.linspace(1.01, 10, 5000)
    values = linear.ridgeless_risk_limit(grid, 5, 1)
    assert grid[values.argmin()] == pytest.approx(gamma, abs=2e-3)
    assert values.min() == pytest.approx(risk, rel=1e-5)
    with pytest.raises(ValueError, match=r"signal must be a number in \(1, inf\), got 1"):
        linear.overparameterized_minimum(1, 1)


def test_optimal_ridge_is_optimal_has_no_peak_and_matches_simulation():
    gamma = np.linspace(0.05, 10, 400)
    best = linear.optimal_ridge_risk(gamma, 5, 1)
    assert (np.diff(best) > 0).all()  # rises smoothly to r²: no peak anywhere
    penalty = linear.optimal_ridge_penalty(gamma, 5, 1)
    for factor in (0.7, 1.4):
        assert (linear.ridge_risk_limit(gamma, factor * penalty, 5, 1) > best).all()
    # σ²γ·m(λ*), the short form of Hastie et al.
    b = 1 - gamma + penalty
    m = (np.sqrt(b**2 + 4 * gamma * penalty) - b) / (2 * gamma * penalty)
    np.testing.assert_allclose(best, gamma * m, rtol=1e-9)
    n, p, risks = 200, 300, []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        X, beta = rng.standard_normal((n, p)), rng.standard_normal(p)
        beta *= np.sqrt(5) / np.linalg.norm(beta)
        y = X @ beta + rng.standard_normal(n)
        risks.append(((linear.ridge(X, y, 1.5 / 5, per_sample=True) - beta) ** 2).sum())
    assert np.mean(risks) == pytest.approx(float(linear.optimal_ridge_risk(1.5, 5, 1)), rel=0.03)


def test_a_vanishing_penalty_gives_the_ridgeless_limit():
    gamma = np.array([0.3, 0.8, 1.5, 6.0])
    limit = linear.ridgeless_risk_limit(gamma, 5, 1)
    np.testing.assert_allclose(linear.ridge_risk_limit(gamma, 1e-7, 5, 1), limit, rtol=1e-4)


@pytest.mark.parametrize("penalty", [1e-10, 1e-12, 1e-16, 1e-300])
def test_no_digit_is_lost_at_a_tiny_penalty(penalty):
    gamma = np.array([0.3, 0.8, 1.5, 2.0, 6.0])
    limit = linear.ridgeless_risk_limit(gamma, 1, 1)
    np.testing.assert_allclose(
        linear.ridge_risk_limit(gamma, penalty, 1, 1), limit, rtol=100 * penalty + 1e-14
    )


@pytest.mark.parametrize("gamma", [0.1, 0.999, 1.0, 1.001, 40.0])
def test_the_risk_is_that_of_its_definition(gamma):
    """r²λ²m′ + σ²γ(m − λm′), with m and m′ as integrals over the Marchenko–Pastur law."""
    angle = np.pi * (np.arange(200_000) + 0.5) / 200_000
    s = 1 + gamma - 2 * np.sqrt(gamma) * np.cos(angle)  # the law's support
    weight = 2 * np.sin(angle) ** 2 / s / 200_000  # and its density there; γ > 1 has zeros besides
    rest = max(0.0, 1 - 1 / gamma)
    for penalty in (0.01, 1.0, 1e6):
        m, m_prime = ((weight / (s + penalty) ** k).sum() + rest / penalty**k for k in (1, 2))
        for signal, noise in ((1.0, 0.0), (0.0, 1.0)):
            risk = signal * penalty**2 * m_prime + noise * gamma * (m - penalty * m_prime)
            assert linear.ridge_risk_limit(gamma, penalty, signal, noise) == pytest.approx(risk, rel=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: linear.min_norm_least_squares(np.zeros(3), np.zeros(3)), r"X must be an array of shape"),
        (lambda: linear.min_norm_least_squares(np.zeros((3, 2)), np.zeros(4)), r"y must be .* \(3,\), got"),
        (lambda: linear.ridge(np.full((3, 2), np.nan), np.zeros(3), 1.0), "X must be finite, got 6 NaN"),
        (lambda: linear.ridge(np.zeros((3, 2)), np.zeros(3), 0.0), r"penalty must be .*\(0, inf\), got 0.0"),
        (lambda: linear.svd_fit(np.ones((3, 2)), np.ones(3)), r"Y must be .* \(3, n_targets\)"),
        (lambda: linear.svd_fit(np.ones((3, 2)), np.ones((3, 1))).coefficients(-1), "penalty must be"),
        (
            lambda: linear.ridgeless_risk(10, 0, 5, 1),
            "n_features must be a whole number of at least 1, got 0",
        ),
        (lambda: linear.ridgeless_risk_limit(0.0, 5, 1), "gamma must be finite and > 0, got 0.0"),
        (lambda: linear.ridge_risk_limit(1.0, -1.0, 5, 1), "penalty must be finite and > 0, got -1.0"),
        (lambda: linear.optimal_ridge_penalty(1.0, 0.0, 1), r"signal must be a number in \(0, inf\), got 0"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
