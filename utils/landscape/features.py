"""Random ReLU features: a network of one hidden layer whose first layer is drawn and never trained.

The width N is then a dial that changes nothing else. Features of a smaller width are the first
columns of a larger one's, so a width sweep adds features and never swaps them. The last layer is a
least-squares fit, and one singular value decomposition serves every ridge penalty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from utils.data.labelled import checked_array, one_hot
from utils.runtime import generator
from utils.validate import integer, number, require

# ---- features ------------------------------------------------------------------------------------


class RandomReLU:
    """φ_N(x) = √(2/N)·max(0, xW), with W's entries drawn from N(0, 1) and kept.

    √(2/N) keeps ‖φ_N(x)‖² near ‖x‖² at every width (half of the units are off), so one ridge
    penalty means the same thing along a sweep. Rahimi and Recht 2007 is the origin of random
    features; this map is that of Belkin, Hsu, Ma and Mandal 2018 (arXiv:1812.11118) without bias.

    >>> features = RandomReLU(n_inputs=64, n_features=1000)
    >>> features(np.ones((5, 64))).shape
    (5, 1000)
    >>> features(np.ones((5, 64)), n_features=30).shape  # the first 30 of them
    (5, 30)
    """

    def __init__(self, n_inputs: int, n_features: int, seed: int = 0):
        """Draw W (n_inputs, n_features); ``n_features`` ≥ 1 is the largest width there will be."""
        n_inputs = integer("n_inputs", n_inputs, 1)
        self.n_features = integer("n_features", n_features, 1)
        # Drawn feature by feature: a larger n_features then keeps the earlier columns.
        drawn = generator(seed).standard_normal((self.n_features, n_inputs))  # (N, n_inputs)
        self.weights = drawn.T  # (n_inputs, N)

    def __call__(self, inputs: ArrayLike, n_features: int | None = None) -> np.ndarray:
        """Features (n, N), float64, of inputs (n, n_inputs); N is ``n_features``, by default all.

        Raises ``ValueError`` for a width outside [1, the width drawn], another shape, or NaN.
        """
        width = self.n_features if n_features is None else n_features
        width = integer("n_features", width, 1, self.n_features)
        inputs = checked_array("inputs", inputs, ("n_samples", self.weights.shape[0]))
        hidden = np.maximum(inputs @ self.weights[:, :width], 0.0)  # (n, N)
        return hidden * np.sqrt(2.0 / width)


# ---- least squares -------------------------------------------------------------------------------


@dataclass(frozen=True)
class SVDFit:
    """One singular value decomposition of a design matrix, from which every ridge follows.

    X = U diag(s) Vᵀ with ``singular_values`` s (k,) in falling order and ``right`` Vᵀ (k, p), where
    k = min(n, p). ``targets`` holds UᵀY (k, m). Build it with ``svd_fit``.
    """

    singular_values: np.ndarray
    right: np.ndarray
    targets: np.ndarray
    rcond: float

    def coefficients(self, penalty: float = 0.0) -> np.ndarray:
        """Coefficients (p, m) that minimize ‖XB − Y‖² + ``penalty``·‖B‖².

        They are B = V diag(s/(s² + penalty)) UᵀY.
        Penalty 0 gives the minimum-norm least-squares solution. Singular values below ``rcond``
        times the largest count as zero there: they are rounding, not data. Raises ``ValueError``
        for a penalty below 0.
        """
        penalty = number("penalty", penalty, 0.0)
        s = self.singular_values  # (k,)
        if penalty > 0:
            factors = s / (s**2 + penalty)
        else:
            factors = np.divide(1.0, s, out=np.zeros_like(s), where=self._is_data())
        return self.right.T @ (factors[:, None] * self.targets)  # (p, k) @ (k, m)

    def degrees_of_freedom(self, penalty: float = 0.0) -> float:
        """Σ s²/(s² + penalty): the trace of the matrix from training targets to fitted values."""
        penalty = number("penalty", penalty, 0.0)
        squares = self.singular_values[self._is_data()] ** 2
        return float((squares / (squares + penalty)).sum())

    def _is_data(self) -> np.ndarray:
        """Which singular values (k,) are more than rounding."""
        return self.singular_values > self.rcond * self.singular_values[0]


def svd_fit(X: ArrayLike, Y: ArrayLike, rcond: float = 1e-10) -> SVDFit:
    """Decompose ``X`` (n, p) once for ``Y`` (n, m), float64. See ``SVDFit``.

    Raises ``ValueError`` for arrays that do not fit together or that hold NaN, or ``rcond`` outside
    [0, 1].

    One equation, b₁ + b₂ = 2, has many solutions; the one of smallest norm shares it out equally,
    and a penalty of 2 halves it:

    >>> fit = svd_fit([[1, 1]], [[2]])
    >>> fit.coefficients().round(6).tolist()
    [[1.0], [1.0]]
    >>> fit.coefficients(penalty=2).round(6).tolist()
    [[0.5], [0.5]]
    """
    X = checked_array("X", X, ("n_samples", "n_features"))
    Y = checked_array("Y", Y, (X.shape[0], "n_targets"))
    rcond = number("rcond", rcond, 0.0, 1.0)
    U, s, Vt = np.linalg.svd(X, full_matrices=False)  # (n, k), (k,), (k, p)
    return SVDFit(singular_values=s, right=Vt, targets=U.T @ Y, rcond=rcond)


def fit_classifier(features: ArrayLike, labels: ArrayLike, n_classes: int = 10) -> SVDFit:
    """Least squares on centred one-hot labels: one SVD that serves ridgeless and every ridge.

    ``features`` (n, N), ``labels`` (n,) of classes 0 to n_classes − 1. Take the coefficients (N,
    n_classes) with ``.coefficients(penalty)``: penalty λ in (FᵀF + λI), 0 for the minimum norm.
    Raises ``ValueError`` for arrays that do not fit together, or labels outside the classes.
    """
    features = checked_array("features", features, ("n_samples", "n_features"))
    labels = checked_array("labels", labels, (len(features),), np.int64)
    return svd_fit(features, one_hot(labels, n_classes))


# ---- errors --------------------------------------------------------------------------------------


def classification_error(scores: ArrayLike, labels: ArrayLike) -> float:
    """Share of rows of ``scores`` (n, n_classes) whose largest entry is not at ``labels`` (n,).

    >>> classification_error([[0.9, 0.1], [0.2, 0.8]], [0, 0])
    0.5
    """
    scores = checked_array("scores", scores, ("n_samples", "n_classes"))
    labels = checked_array("labels", labels, (len(scores),), np.int64)
    inside = labels.min() >= 0 and labels.max() < scores.shape[1]
    require(inside, "labels", f"in [0, {scores.shape[1] - 1}]", labels)
    predicted = scores.argmax(1)  # (n,)
    return float((predicted != labels).mean())


def squared_error(scores: ArrayLike, labels: ArrayLike) -> float:
    """Mean over rows of ‖scores − centred one-hot‖²: scores (n, n_classes), labels (n,).

    Predicting zero for each of 10 classes gives 0.9:

    >>> round(squared_error(np.zeros((3, 10)), [0, 1, 2]), 6)
    0.9
    """
    scores = checked_array("scores", scores, ("n_samples", "n_classes"))
    labels = checked_array("labels", labels, (len(scores),), np.int64)
    residual = scores - one_hot(labels, scores.shape[1])  # (n, n_classes)
    return float((residual**2).sum(1).mean())
