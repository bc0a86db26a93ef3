"""Arrays that are checked, labels that are wrong on purpose, and scikit-learn's digits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from utils.validate import integer, number, require


def checked_array(
    name: str, value: Any, shape: tuple[int | str, ...], dtype: Any = np.float64
) -> np.ndarray:
    """Return ``value`` as an array of ``dtype``, or raise one line that names the argument.

    ``shape`` gives each axis as a number that must match, or as a name (any length from 1), as in
    ``("n_samples", 10)``. Raises ``ValueError`` for another shape, for entries that are not
    numbers, for NaN or infinity, and, where ``dtype`` is a whole type, for what it cannot hold.
    """
    try:
        raw = np.asarray(value)
        if raw.dtype.kind not in "biufO":  # "1" would become 1, and a complex number lose a part
            raise TypeError
        whole = np.issubdtype(dtype, np.integer)
        kind = (
            np.float64 if raw.dtype.kind in "fO" else raw.dtype
        )  # what shows a fraction, cast below
        array = np.asarray(raw, dtype=kind if whole else dtype)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise ValueError(
            f"{name} must be an array of numbers, got {type(value).__name__}"
        ) from None
    wanted = (
        "an array of shape (" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
    )
    fits = array.ndim == len(shape) and all(
        size >= 1 if isinstance(axis, str) else size == axis
        for size, axis in zip(array.shape, shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{name} must be {wanted}, got an array of shape {array.shape}")
    bad = array.size - int(np.isfinite(array).sum())
    if bad:
        raise ValueError(
            f"{name} must be finite, got {bad} NaN or infinite of {array.size} entries"
        )
    if whole and array.size:  # a cast would cut 1.7 to 1, and wrap what does not fit
        info, broken = np.iinfo(dtype), array[array != np.floor(array)]
        for entry in (*broken[:1].tolist(), array.min().item(), array.max().item()):
            good = entry == int(entry) and info.min <= entry <= info.max
            require(good, name, f"an array of whole numbers that fit {np.dtype(dtype)}", entry)
    return array.astype(dtype, copy=False)


def one_hot(labels: np.ndarray, n_classes: int = 10, dtype: Any = np.float64) -> np.ndarray:
    """Centred one-hot targets, (n,) → (n, n_classes): 1 − 1/k for the class and −1/k elsewhere.

    Centring makes each row sum to 0, so that a model without a bias has nothing constant to learn.
    """
    labels = checked_array("labels", labels, ("n_samples",), np.int64)
    n_classes = integer("n_classes", n_classes, 2)
    require(
        labels.min() >= 0 and labels.max() < n_classes, "labels", f"in [0, {n_classes - 1}]", labels
    )
    return (np.eye(n_classes)[labels] - 1.0 / n_classes).astype(dtype)


def flip_labels(
    labels: np.ndarray, label_noise: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Move each label (n,) of ten classes, with probability ``label_noise``, to a wrong class.

    The wrong class is uniform over the other nine. Returns the new labels and a mask of those moved.
    The mask is drawn first, so one ``rng`` state flips a superset when ``label_noise`` grows.
    Raises ``ValueError`` for labels outside 0 to 9.
    """
    label_noise = number("label_noise", label_noise, 0.0, 1.0)
    labels = checked_array("labels", labels, ("n_samples",), np.int64)
    require(labels.min() >= 0 and labels.max() <= 9, "labels", "in [0, 9]", labels)
    require(isinstance(rng, np.random.Generator), "rng", "a numpy.random.Generator", rng)
    flipped = rng.random(len(labels)) < label_noise
    labels = labels.copy()
    labels[flipped] = (
        labels[flipped] + rng.integers(1, 10, flipped.sum())
    ) % 10  # 1..9: never its own
    return labels, flipped


@dataclass(frozen=True)
class Split:
    """A training and a test set of ten classes. Test labels are always clean.

    ``x_*`` are inputs, ``y_*`` int64 labels (n,), ``flipped`` (n_train,) marks the training labels
    that are wrong on purpose. ``source`` says where the data came from, with its SHA-256, for a
    record to store.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    flipped: np.ndarray
    source: dict[str, str]


def digits(
    n_train: int,
    label_noise: float = 0.0,
    seed: int = 0,
    n_test: int | None = None,
    dtype: Any = np.float32,
) -> Split:
    """scikit-learn's 1797 handwritten digits (8×8, embedded in the package), split at random.

    Inputs are (n, 64): centred on the training mean, then divided by one number so that the mean
    squared norm of a training image is 1. ``label_noise`` in [0, 1] is the probability that a
    training label is replaced by a *wrong* class, drawn uniformly from the other nine. Everything
    follows from ``seed``; a larger ``label_noise`` keeps the same images. ``n_test`` defaults to
    all that is left. ``dtype`` is float32 or float64. Raises ``ValueError`` outside these ranges.
    """
    n_train = integer("n_train", n_train, 1, 1796)
    label_noise = number("label_noise", label_noise, 0.0, 1.0)
    seed = integer("seed", seed, 0)
    n_test = 1797 - n_train if n_test is None else integer("n_test", n_test, 1, 1797 - n_train)
    require(dtype in (np.float32, np.float64), "dtype", "np.float32 or np.float64", str(dtype))
    images, labels = _all_digits()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))
    images, labels = images[order], labels[order]
    images = images - images[:n_train].mean(0)
    images /= (
        np.sqrt((images[:n_train] ** 2).sum(1).mean()) if n_train > 1 else 1.0
    )  # one image: all 0
    y_train, flipped = flip_labels(labels[:n_train], label_noise, rng)
    test = slice(n_train, n_train + n_test)
    x_train, x_test = images[:n_train].astype(dtype), images[test].astype(dtype)
    return Split(x_train, y_train, x_test, labels[test], flipped, {"name": "scikit-learn digits"})


@cache  # parsing the file takes longer than most fits in a sweep
def _all_digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return images / 16.0, labels.astype(np.int64)
