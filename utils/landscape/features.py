"""Random ReLU features: a network of one hidden layer whose first layer is drawn and never trained.

The width N is then a dial that changes nothing else. Features of a smaller width are the first
columns of a larger one's, so a width sweep adds features and never swaps them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils.data.labelled import checked_array, one_hot
from utils.validate import integer, number, require


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
        squares = (
            self.singular_values[self.singular_values > self.rcond * self.singular_values[0]] ** 2
        )
        return float((squares / (squares + penalty)).sum())


def svd_fit(X: np.ndarray, Y: np.ndarray, rcond: float = 1e-10) -> SVDFit:
    """Decompose ``X`` (n, p) once for ``Y`` (n, m), float64. See ``SVDFit``.

    Raises ``ValueError`` for arrays that do not fit together or that hold NaN.
    """
    X = checked_array("X", X, ("n_samples", "n_features"))
    Y = checked_array("Y", Y, (X.shape[0], "n_targets"))
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    return SVDFit(s, Vt, U.T @ Y, number("rcond", rcond, 0.0, 1.0))


class RandomReLU:
    """φ_N(x) = √(2/N)·max(0, xW), with W's entries drawn from N(0, 1) and kept.

    √(2/N) keeps ‖φ_N(x)‖² near ‖x‖² at every width (half of the units are off), so one ridge
    penalty means the same thing along a sweep. Rahimi and Recht 2007 is the origin of random
    features; this map is that of Belkin, Hsu, Ma and Mandal 2018 (arXiv:1812.11118) without bias.
    """

    def __init__(self, n_inputs: int, n_features: int, seed: int = 0):
        """Draw W (n_inputs, n_features); ``n_features`` ≥ 1 is the largest width there will be."""
        n_inputs, self.n_features = (
            integer("n_inputs", n_inputs, 1),
            integer("n_features", n_features, 1),
        )
        rng = np.random.default_rng(integer("seed", seed, 0))
        # Drawn feature by feature: a larger n_features then keeps the earlier columns.
        self.weights = rng.standard_normal((self.n_features, n_inputs)).T  # (n_inputs, N)

    def __call__(self, inputs: np.ndarray, n_features: int | None = None) -> np.ndarray:
        """Features (n, N), float64, of ``inputs`` (n, n_inputs); N is ``n_features``, by default all.

        Raises ``ValueError`` for a width outside [1, the width drawn], another shape, or NaN.
        """
        width = self.n_features if n_features is None else n_features
        width = integer("n_features", width, 1, self.n_features)
        inputs = checked_array("inputs", inputs, ("n_samples", self.weights.shape[0]))
        return np.maximum(inputs @ self.weights[:, :width], 0.0) * np.sqrt(2.0 / width)


def fit_classifier(features: np.ndarray, labels: np.ndarray, n_classes: int = 10) -> SVDFit:
    """Least squares on centred one-hot labels: one SVD that serves ridgeless and every ridge.

    ``features`` (n, N), ``labels`` (n,) of classes 0 to n_classes − 1. Take the coefficients with
    ``.coefficients(penalty)``: penalty λ in (FᵀF + λI), 0 for the minimum norm.
    """
    features = checked_array("features", features, ("n_samples", "n_features"))
    labels = checked_array("labels", labels, (len(features),), np.int64)
    return svd_fit(features, one_hot(labels, n_classes))


def classification_error(scores: np.ndarray, labels: np.ndarray) -> float:
    """Share of rows of ``scores`` (n, n_classes) whose largest entry is not at ``labels`` (n,)."""
    scores = checked_array("scores", scores, ("n_samples", "n_classes"))
    labels = checked_array("labels", labels, (len(scores),), np.int64)
    inside = labels.min() >= 0 and labels.max() < scores.shape[1]
    require(inside, "labels", f"in [0, {scores.shape[1] - 1}]", labels)
    return float((scores.argmax(1) != labels).mean())


def squared_error(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean over rows of ‖scores − centred one-hot‖²; 0.9 is what predicting zero scores for 10 classes."""
    scores = checked_array("scores", scores, ("n_samples", "n_classes"))
    labels = checked_array("labels", labels, (len(scores),), np.int64)
    return float(((scores - one_hot(labels, scores.shape[1])) ** 2).sum(1).mean())
