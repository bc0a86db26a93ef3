"""Arrays that are checked, labels that are wrong on purpose, and scikit-learn's digits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from utils.runtime import generator
from utils.validate import integer, number, require

N_DIGITS = 1797  # images in scikit-learn's set


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

    >>> split = digits(600, label_noise=0.2, seed=0)
    >>> split.x_train.shape, split.x_test.shape
    ((600, 64), (1197, 64))
    """
    n_train = integer("n_train", n_train, 1, N_DIGITS - 1)
    label_noise = number("label_noise", label_noise, 0.0, 1.0)
    seed = integer("seed", seed, 0)
    left = N_DIGITS - n_train
    n_test = left if n_test is None else integer("n_test", n_test, 1, left)
    require(dtype in (np.float32, np.float64), "dtype", "np.float32 or np.float64", str(dtype))

    # Shuffle, and take the training images from the front.
    images, labels = _all_digits()  # (1797, 64), (1797,)
    rng = generator(seed)
    order = rng.permutation(len(images))
    images = images[order]
    labels = labels[order]
    test = slice(n_train, n_train + n_test)

    # Centre and scale by what the training images say, so that nothing of the test set leaks in.
    images = images - images[:n_train].mean(0)
    if n_train > 1:  # a single image is its own mean: all zero
        squared_norms = (images[:n_train] ** 2).sum(1)  # (n_train,)
        images /= np.sqrt(squared_norms.mean())

    y_train, flipped = flip_labels(labels[:n_train], label_noise, rng)
    return Split(
        x_train=images[:n_train].astype(dtype),
        y_train=y_train,
        x_test=images[test].astype(dtype),
        y_test=labels[test],
        flipped=flipped,
        source={"name": "scikit-learn digits"},
    )


@cache  # parsing the file takes longer than most fits in a sweep
def _all_digits() -> tuple[np.ndarray, np.ndarray]:
    """Images (1797, 64) with pixels in [0, 1], and labels (1797,)."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return images / 16.0, labels.astype(np.int64)


def flip_labels(
    labels: np.ndarray, label_noise: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Move each label (n,) of ten classes, with probability ``label_noise``, to a wrong class.

    The wrong class is uniform over the other nine. Returns the new labels and a mask of those
    moved. The mask is drawn first, so one ``rng`` state flips a superset when ``label_noise``
    grows. Raises ``ValueError`` for labels outside 0 to 9.

    >>> noisy, flipped = flip_labels(np.array([3, 3, 3, 3, 3, 3]), 0.5, generator(0))
    >>> noisy.tolist()
    [3, 8, 9, 2, 3, 3]
    >>> flipped.tolist()
    [False, True, True, True, False, False]
    """
    label_noise = number("label_noise", label_noise, 0.0, 1.0)
    labels = checked_array("labels", labels, ("n_samples",), np.int64)
    require(labels.min() >= 0 and labels.max() <= 9, "labels", "in [0, 9]", labels)
    require(isinstance(rng, np.random.Generator), "rng", "a numpy.random.Generator", rng)

    flipped = rng.random(len(labels)) < label_noise  # (n,)
    # A step of 1 to 9 around the ring of ten classes never ends where it began.
    steps = rng.integers(1, 10, flipped.sum())  # (n_flipped,)
    noisy = labels.copy()
    noisy[flipped] = (labels[flipped] + steps) % 10
    return noisy, flipped


def one_hot(labels: np.ndarray, n_classes: int = 10, dtype: Any = np.float64) -> np.ndarray:
    """Centred one-hot targets, (n,) → (n, n_classes): 1 − 1/k for the class and −1/k elsewhere.

    Centring makes each row sum to 0, so that a model without a bias has nothing constant to learn.

    >>> one_hot(np.array([0, 3]), n_classes=4).tolist()
    [[0.75, -0.25, -0.25, -0.25], [-0.25, -0.25, -0.25, 0.75]]
    """
    labels = checked_array("labels", labels, ("n_samples",), np.int64)
    n_classes = integer("n_classes", n_classes, 2)
    in_range = labels.min() >= 0 and labels.max() < n_classes
    require(in_range, "labels", f"in [0, {n_classes - 1}]", labels)
    return (np.eye(n_classes)[labels] - 1.0 / n_classes).astype(dtype)


def checked_array(
    name: str, value: Any, shape: tuple[int | str, ...], dtype: Any = np.float64
) -> np.ndarray:
    """Return ``value`` as an array of ``dtype``, or raise one line that names the argument.

    ``shape`` gives each axis as a number that must match, or as a name (any length from 1), as in
    ``("n_samples", 10)``. Raises ``ValueError`` for another shape, for entries that are not
    numbers, for NaN or infinity, and, where ``dtype`` is a whole type, for what it cannot hold.

    >>> checked_array("labels", [3, 1, 4], ("n_samples",), np.int64)
    array([3, 1, 4])
    >>> checked_array("labels", [3, 1.5], ("n_samples",), np.int64)
    Traceback (most recent call last):
        ...
    ValueError: labels must be an array of whole numbers that fit int64, got 1.5
    """
    is_whole = np.issubdtype(dtype, np.integer)
    array = _numbers(name, value, dtype, is_whole)
    _require_shape(name, array, shape)
    n_bad = array.size - int(np.isfinite(array).sum())
    if n_bad:
        kinds = f"{n_bad} NaN or infinite of {array.size} entries"
        raise ValueError(f"{name} must be finite, got {kinds}")
    if is_whole and array.size:
        _require_whole(name, array, dtype)
    return array.astype(dtype, copy=False)


def _numbers(name: str, value: Any, dtype: Any, is_whole: bool) -> np.ndarray:
    """``value`` as an array of numbers that still shows what a cast to ``dtype`` would hide."""
    try:
        raw = np.asarray(value)
        if raw.dtype.kind not in "biufO":  # "1" would become 1, and a complex number lose a part
            raise TypeError
        if not is_whole:
            return np.asarray(raw, dtype=dtype)
        # A cast to a whole type would cut off a fraction, so floats and objects stay floats.
        return np.asarray(raw, dtype=np.float64 if raw.dtype.kind in "fO" else raw.dtype)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        kind = type(value).__name__
        raise ValueError(f"{name} must be an array of numbers, got {kind}") from None


def _require_shape(name: str, array: np.ndarray, shape: tuple[int | str, ...]) -> None:
    """Raise ``ValueError`` unless each axis has the length that ``shape`` asks for."""
    fits = array.ndim == len(shape)
    for asked, length in zip(shape, array.shape, strict=False):
        any_length = isinstance(asked, str)
        fits = fits and (length >= 1 if any_length else length == asked)
    if not fits:
        axes = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")  # as Python writes it
        wanted = f"an array of shape ({axes})"
        raise ValueError(f"{name} must be {wanted}, got an array of shape {array.shape}")


def _require_whole(name: str, array: np.ndarray, dtype: Any) -> None:
    """Raise ``ValueError`` for an entry that a cast to ``dtype`` would cut or wrap around."""
    limits = np.iinfo(dtype)
    allowed = f"an array of whole numbers that fit {np.dtype(dtype)}"
    fractions = array[array != np.floor(array)]
    for entry in (*fractions[:1].tolist(), array.min().item(), array.max().item()):
        fits = entry == int(entry) and limits.min <= entry <= limits.max
        require(fits, name, allowed, entry)
