"""One way to refuse a bad argument: a single line with its name, what is allowed, and what came."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any


def require(ok: bool, name: str, allowed: str, value: Any) -> None:
    """Raise ``ValueError("{name} must be {allowed}, got {value}")`` unless ``ok``.

    >>> d_model, n_head = 100, 8
    >>> require(d_model % n_head == 0, "d_model", f"a multiple of n_head = {n_head}", d_model)
    Traceback (most recent call last):
        ...
    ValueError: d_model must be a multiple of n_head = 8, got 100
    """
    if not ok:
        raise ValueError(f"{name} must be {allowed}, got {shown(value)}")


def integer(name: str, value: Any, low: int | None = None, high: int | None = None) -> int:
    """Return ``value`` as an int. ``None`` leaves the range open on that side.

    Raises ``ValueError`` if ``value`` is not a whole number in [low, high]. NumPy's integers are
    whole numbers; ``True`` and ``3.0`` are not.

    >>> integer("n_layer", 12, 1)
    12
    >>> integer("n_layer", 0, 1)
    Traceback (most recent call last):
        ...
    ValueError: n_layer must be a whole number of at least 1, got 0
    """
    # How a message tells the range.
    if low is not None and high is not None:
        allowed = f"a whole number in [{low}, {high}]"
    elif low is not None:
        allowed = f"a whole number of at least {low}"
    elif high is not None:
        allowed = f"a whole number of at most {high}"
    else:
        allowed = "a whole number"

    # Python counts True as the number 1; as an argument it is a slip.
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    require(is_whole, name, allowed, value)
    whole = int(value)
    require(low is None or whole >= low, name, allowed, value)
    require(high is None or whole <= high, name, allowed, value)
    return whole


def number(
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """Return ``value`` as a float.

    Raises ``ValueError`` if ``value`` is not a finite number from ``low`` to ``high``.
    ``open_low`` and ``open_high`` exclude the end points.

    >>> number("top_p", 0.9, 0, 1, open_low=True)
    0.9
    >>> number("top_p", 0, 0, 1, open_low=True)
    Traceback (most recent call last):
        ...
    ValueError: top_p must be a number in (0, 1], got 0
    """
    # How a message tells the range: a round bracket excludes the end point.
    left = "(" if open_low or low == -math.inf else "["
    right = ")" if open_high or high == math.inf else "]"
    allowed = f"a number in {left}{low:g}, {high:g}{right}"

    require(_is_finite(value), name, allowed, value)
    above = value > low if open_low else value >= low
    below = value < high if open_high else value <= high
    require(above and below, name, allowed, value)
    require(_fits_a_float(value), name, f"{allowed} and within ±1.8e308", value)
    return float(value)


def choice(name: str, value: Any, options: tuple[str, ...]) -> str:
    """Return ``value``. Raises ``ValueError`` if it is not one of ``options``.

    >>> choice("schedule", "linear", ("cosine", "constant"))
    Traceback (most recent call last):
        ...
    ValueError: schedule must be one of 'cosine', 'constant', got 'linear'
    """
    listed = ", ".join(repr(option) for option in options)
    known = isinstance(value, str) and value in options
    require(known, name, f"one of {listed}", value)
    return value


def encodable(name: str, value: str) -> str:
    """Return ``value``. Raises ``ValueError`` if it holds half a character, a lone surrogate.

    A Python string can hold one, such as ``"\\ud800"``; no file and no tokenizer can.

    >>> encodable("prompt", "Once upon a time")
    'Once upon a time'
    """
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        require(False, name, "text without half a character (a lone surrogate)", value)
    return value


def _is_finite(value: Any) -> bool:
    """Whether ``value`` is a finite real number. ``True``, ``"1"`` and nan are none."""
    is_real = isinstance(value, Real) and not isinstance(value, bool)
    return is_real and (not _fits_a_float(value) or math.isfinite(value))


def _fits_a_float(value: Any) -> bool:
    """Whether a real number has a float; whole numbers and fractions may be too large for one."""
    try:
        float(value)
    except OverflowError:
        return False
    return True


def shown(value: Any) -> str:
    """A short picture of ``value`` in one line: an array's shape rather than its entries.

    >>> shown(list(range(100)))
    '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21...'
    """
    shape = getattr(value, "shape", None)
    # A class such as np.int32 has a shape that is no tuple; a single number has an empty one.
    if isinstance(shape, tuple) and shape:
        return f"an array of shape {tuple(shape)}"
    try:
        picture = repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return f"a value of type {type(value).__name__} that is too long to show"
    picture = picture.replace("\n", " ")
    if len(picture) > 80:
        picture = picture[:77] + "..."
    return picture
