"""Fourier features and their least squares: the reference of the double-descent explorer.

The explorer (``utils/widgets/double_descent``) fits by another method, in JavaScript; a test holds
the two results equal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from utils.landscape.features import svd_fit
from utils.landscape.fourier_data import LARGEST, TARGET
from utils.validate import integer, number


def waves(inputs: ArrayLike, n_features: int) -> np.ndarray:
    """1, sin 2πx, cos 2πx, sin 4πx, …: (n, N) at inputs (n,), with N = ``n_features`` ≤ 301.

    >>> waves([0.25], 5).round(6).tolist()
    [[1.0, 1.0, 0.0, 0.0, -1.0]]
    """
    x = np.asarray(inputs, dtype=np.float64)  # (n,)
    frequency = _frequencies(n_features)  # (N,)
    angle = 2 * np.pi * np.outer(x, frequency)  # (n, N)
    is_sine = np.arange(len(frequency)) % 2 == 1
    return np.where(is_sine, np.sin(angle), np.cos(angle))


def _frequencies(n_features: int) -> np.ndarray:
    """0, 1, 1, 2, 2, …: (N,)."""
    n_features = integer("n_features", n_features, 1, LARGEST)
    return (np.arange(n_features) + 1) // 2


def target(inputs: ArrayLike) -> np.ndarray:
    """The curve that is to be learned, (n,) at inputs (n,).

    >>> target([0.0, 0.25]).round(6).tolist()
    [0.5, 0.5]
    """
    return waves(inputs, len(TARGET)) @ np.asarray(TARGET)


def fit(inputs: ArrayLike, targets: ArrayLike, n_features: int, penalty: float = 0.0) -> np.ndarray:
    """Amplitudes (N,) of the waves in the least-squares fit to targets (n,) at inputs (n,).

    A feature is a wave divided by its frequency k (the constant by 1), so that short waves cost
    more. Of the coefficients that minimize ‖residual‖² + ``penalty``·‖coefficients‖² the shortest
    are taken; an amplitude is a coefficient divided by k.
    Raises ``ValueError`` for a number of features outside [1, 301] or a penalty below 0.
    """
    divisor = np.maximum(1, _frequencies(n_features))  # (N,)
    features = waves(inputs, n_features) / divisor  # (n, N)
    column = np.asarray(targets, dtype=np.float64)[:, None]  # (n, 1)
    coefficients = svd_fit(features, column).coefficients(number("penalty", penalty, 0.0))
    return coefficients[:, 0] / divisor


def distance_from_target(amplitudes: ArrayLike) -> float:
    """The test error of a fitted curve: its mean squared distance from the target, over all x.

    amplitudes: (N,). The waves are orthogonal, and the mean square of each but the constant is ½;
    so the mean is a sum over amplitudes (Parseval's theorem).

    >>> distance_from_target([0.0])  # the mean square of the target itself
    0.625
    >>> distance_from_target(TARGET)
    0.0
    """
    fitted = np.asarray(amplitudes, dtype=np.float64)
    difference = np.zeros(max(len(fitted), len(TARGET)))
    difference[: len(fitted)] = fitted
    difference[: len(TARGET)] -= TARGET
    squares = difference**2
    return float(squares[0] + 0.5 * squares[1:].sum())
