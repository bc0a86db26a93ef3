"""Compare a student's values with the right ones, in the grader, and take nothing for granted.

The values have come through JSON, so they are numbers, texts, lists and dicts. None of these
functions raises for a wrong type or shape: the answer is then simply not the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["between", "equal", "numbers", "same"]


def numbers(value: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """A value as an array of finite numbers of exactly this shape; None if it is no such thing."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of unequal length
        return None
    # A truth value is no number here, and a text like "3" is none either.
    if array.dtype.kind not in "iuf" or array.shape != shape:
        return None
    array = array.astype(float)
    return array if np.isfinite(array).all() else None


def same(value: Any, expected: Any, *, rtol: float = 1e-5, atol: float = 1e-6) -> bool:
    """Whether a value has the shape and, within the tolerance, the numbers that are expected.

    >>> same([1.0, 2.0], np.array([1.0, 2.0])), same([], np.zeros(2)), same(1.0, np.ones(2))
    (True, False, False)
    """
    right = np.asarray(expected, dtype=float)
    array = numbers(value, right.shape)
    return array is not None and bool(np.allclose(array, right, rtol=rtol, atol=atol))


def between(value: Any, low: float, high: float) -> bool:
    """Whether a value is one finite number from ``low`` to ``high``.

    >>> between(0.5, 0, 1), between("0.5", 0, 1), between(float("nan"), 0, 1)
    (True, False, False)
    """
    array = numbers(value, ())
    return array is not None and low <= float(array) <= high


def equal(value: Any, expected: Any) -> bool:
    """Whether a value is exactly what is expected, in type too: for texts, truth and whole numbers.

    >>> equal([1, "a"], [1, "a"]), equal(True, 1), equal("a", "b")
    (True, False, False)
    """
    if isinstance(expected, (list, tuple)):
        if not isinstance(value, list) or len(value) != len(expected):
            return False
        return all(equal(one, other) for one, other in zip(value, expected, strict=True))
    return type(value) is type(expected) and value == expected
