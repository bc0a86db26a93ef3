"""Least squares and ridge regression, and what theory says their risk is.

The model of the closed forms: n rows x ~ N(0, I_p), y = x·β + ε with ε ~ N(0, σ²) and ‖β‖² = r².
*Risk* is the excess risk E‖β̂ − β‖² = E[(x·β̂ − x·β)²] at a fresh x: the noise of a fresh y,
σ², is not counted. γ = p/n.

Sources: Hastie, Montanari, Rosset, Tibshirani 2019, arXiv:1903.08560 (asymptotics, ridge);
Belkin, Hsu, Xu 2019, arXiv:1903.07571 (exact at finite n).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils.data import checked_array
from utils.validate import integer, number, require

# ---------------------------------------------------------------------------------------------
# Fitting


@dataclass(frozen=True)
class SVDFit:
    """One singular value decomposition of a design matrix, from which every ridge follows.

    X = U diag(s) Vᵀ with ``left`` U (n, k), ``singular_values`` s (k,) in falling order, ``right``
    Vᵀ (k, p), k = min(n, p). ``targets`` holds UᵀY, (k, m). Build it with ``svd_fit``.
    """

    singular_values: np.ndarray
    right: np.ndarray
    targets: np.ndarray
    rcond: float

    def coefficients(self, penalty: float = 0.0) -> np.ndarray:
        """Coefficients (p, m) that minimize ‖XB − Y‖² + ``penalty``·‖B‖².

        Penalty 0 gives the minimum-norm least-squares solution. Singular values below ``rcond``
        times the largest count as zero there: they are rounding, not data.
        """
        penalty = number("penalty", penalty, 0.0)
        s = self.singular_values
        if penalty > 0:
            shrink = s / (s**2 + penalty)
        else:
            kept = s > self.rcond * s[0]
            shrink = np.divide(1.0, s, out=np.zeros_like(s), where=kept)
        return self.right.T @ (shrink[:, None] * self.targets)

    def degrees_of_freedom(self, penalty: float = 0.0) -> float:
        """Trace of the matrix that maps the training targets to the fitted values: Σ s²/(s² + penalty)."""
        penalty = number("penalty", penalty, 0.0)
        squares = self.singular_values[self.singular_values > self.rcond * self.singular_values[0]] ** 2
        return float((squares / (squares + penalty)).sum())


def svd_fit(X: np.ndarray, Y: np.ndarray, rcond: float = 1e-10) -> SVDFit:
    """Decompose ``X`` (n, p) once for ``Y`` (n, m), float64. See ``SVDFit``.

    Raises ``ValueError`` for arrays that do not fit together or that hold NaN.
    """
    X = checked_array("X", X, ("n_samples", "n_features"))
    Y = checked_array("Y", Y, (X.shape[0], "n_targets"))
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    return SVDFit(s, Vt, U.T @ Y, number("rcond", rcond, 0.0, 1.0))


def min_norm_least_squares(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The least-squares coefficients (p,) of smallest norm: X⁺y, for X (n, p) and y (n,).

    With p ≤ n and full rank this is ordinary least squares. With p > n infinitely many vectors fit
    exactly, and this is the one that gradient descent from zero finds. Raises ``ValueError`` for
    arrays that do not fit together or that hold NaN.
    """
    X = checked_array("X", X, ("n_samples", "n_features"))
    y = checked_array("y", y, (X.shape[0],))
    return np.linalg.lstsq(X, y, rcond=None)[0]


def ridge(X: np.ndarray, y: np.ndarray, penalty: float, *, per_sample: bool = False) -> np.ndarray:
    """Ridge coefficients (p,) for X (n, p) and y (n,).

    Two conventions are in use, and a λ means nothing without naming one:

    - ``per_sample=False``: minimize ‖Xb − y‖² + λ‖b‖², so b = (XᵀX + λI)⁻¹Xᵀy (scikit-learn);
    - ``per_sample=True``: minimize ‖Xb − y‖²/n + λ‖b‖², so b = (XᵀX/n + λI)⁻¹Xᵀy/n (Hastie et
      al. 2019). Its λ equals the other's divided by n, and stays of order one as n grows.

    ``penalty`` is λ > 0; for λ = 0 use ``min_norm_least_squares``. Raises ``ValueError``.
    """
    X = checked_array("X", X, ("n_samples", "n_features"))
    n, p = X.shape
    y = checked_array("y", y, (n,))
    penalty = number("penalty", penalty, 0.0, open_low=True) * (n if per_sample else 1)
    if p <= n:
        return np.linalg.solve(X.T @ X + penalty * np.eye(p), X.T @ y)
    return X.T @ np.linalg.solve(X @ X.T + penalty * np.eye(n), y)  # the same vector, n×n instead of p×p


# ---------------------------------------------------------------------------------------------
# Closed forms


def ridgeless_risk(n_samples: int, n_features: int, signal: float, noise: float) -> float:
    """Exact expected risk of minimum-norm least squares at finite n and p (isotropic Gaussian rows).

    σ²p/(n−p−1) for p ≤ n−2; infinite for n−1 ≤ p ≤ n+1; r²(1−n/p) + σ²n/(p−n−1) for p ≥ n+2.
    ``signal`` is r² = ‖β‖², ``noise`` is σ². This is theorem 1 of Belkin, Hsu and Xu 2019
    (arXiv:1903.07571) with every feature in the model, less the noise σ² of a fresh y.
    """
    n, p = integer("n_samples", n_samples, 1), integer("n_features", n_features, 1)
    signal, noise = number("signal", signal, 0.0), number("noise", noise, 0.0)
    if abs(p - n) <= 1:
        # The mean of an inverse Wishart matrix does not exist here. Without noise there is
        # nothing to amplify on the left side, and only the missing directions on the right.
        if noise > 0:
            return float("inf")
        return signal * max(0.0, 1 - n / p)
    if p < n:
        return noise * p / (n - p - 1)
    return signal * (1 - n / p) + noise * n / (p - n - 1)


def ridgeless_risk_limit(gamma, signal: float, noise: float) -> np.ndarray:
    """Risk of minimum-norm least squares as n, p → ∞ with p/n → γ; ``gamma`` is a number or an array.

    σ²γ/(1−γ) for γ < 1, infinite at 1, r²(1−1/γ) + σ²/(γ−1) for γ > 1: theorem 1 of Hastie,
    Montanari, Rosset and Tibshirani 2019 (arXiv:1903.08560).
    """
    gamma = _positive(gamma)
    signal, noise = number("signal", signal, 0.0), number("noise", noise, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = noise * gamma / (1 - gamma)
        above = signal * (1 - 1 / gamma) + noise / (gamma - 1)
    risk = np.where(gamma < 1, below, above)
    return np.where(gamma == 1, np.inf if noise > 0 else 0.0, risk)


def overparameterized_minimum(signal: float, noise: float) -> tuple[float, float]:
    """(γ, risk) at the lowest point of ``ridgeless_risk_limit`` on γ > 1.

    With s = √(r²/σ²): γ = s/(s−1) and risk σ²(2s−1), where s > 1. For s ≤ 1 the risk falls
    towards r² for ever and there is no minimum: ``ValueError``. (Set the derivative to zero:
    r²/γ² = σ²/(γ−1)².)
    """
    noise = number("noise", noise, 0.0, open_low=True)
    signal = number("signal", signal, noise, open_low=True)
    s = float(np.sqrt(signal / noise))
    return s / (s - 1), noise * (2 * s - 1)


def optimal_ridge_penalty(gamma, signal: float, noise: float) -> np.ndarray:
    """The λ of least risk in the limit, σ²γ/r², in the per-sample convention of ``ridge``.

    Dobriban and Wager 2018 (arXiv:1507.03003); Hastie et al. 2019, section on ridge.
    """
    return number("noise", noise, 0.0) * _positive(gamma) / number("signal", signal, 0.0, open_low=True)


def ridge_risk_limit(gamma, penalty, signal: float, noise: float) -> np.ndarray:
    """Risk of ridge as n, p → ∞ with p/n → γ, for λ > 0 in the per-sample convention.

    r²λ²m′ + σ²γ(m − λm′), where m is the mean of 1/(s + λ) over the eigenvalues s of XᵀX/n
    (the Marchenko–Pastur law) and m′ that of 1/(s + λ)². ``gamma`` and ``penalty`` broadcast.
    """
    gamma, penalty = np.broadcast_arrays(_positive(gamma), _positive(penalty, "penalty"))
    signal, noise = number("signal", signal, 0.0), number("noise", noise, 0.0)
    # m solves γλm² + (1 − γ + λ)m − 1 = 0, and grows like 1/λ for γ > 1. So write all in a = λm, between 0
    # and 1: γa² + ba − λ = 0 with b = 1 − γ + λ, and 1 − a = c: γc² − (1 + γ + λ)c + 1 = 0. The roots are
    # written so that nothing cancels. Differentiated by λ: m − λm′ = da/dλ = c/root, and λ²m′ = a − λc/root.
    b = 1 - gamma + penalty
    root = np.hypot(b, 2 * np.sqrt(gamma) * np.sqrt(penalty))
    with np.errstate(invalid="ignore", divide="ignore"):  # of the branch that is not taken
        a = np.where(b > 0, 2 * penalty / (b + root), (root - b) / (2 * gamma))
    c = 2 / (1 + gamma + penalty + root)
    return signal * a * (gamma * a + penalty) / root + noise * gamma * c / root


def optimal_ridge_risk(gamma, signal: float, noise: float) -> np.ndarray:
    """Risk of ridge at its best λ as n, p → ∞: σ²γ·m(λ*), which has no peak at γ = 1."""
    noise = number("noise", noise, 0.0, open_low=True)
    return ridge_risk_limit(gamma, optimal_ridge_penalty(gamma, signal, noise), signal, noise)


def _positive(value, name: str = "gamma") -> np.ndarray:
    array = np.asarray(value, dtype=float)
    require(array.size > 0 and bool(np.all(np.isfinite(array) & (array > 0))), name, "finite and > 0", value)
    return array
