"""One way to refuse a bad argument: a single line with its name, what is allowed, and what came."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any


def _shown(value: Any) -> str:
    """A short picture of ``value``: the shape of an array rather than its entries."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:  # a class such as np.int32 has a shape too, but no tuple
        return f"an array of shape {tuple(shape)}"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def require(ok: bool, name: str, allowed: str, value: Any) -> None:
    """Raise ``ValueError("{name} must be {allowed}, got {value}")`` unless ``ok``."""
    if not ok:
        raise ValueError(f"{name} must be {allowed}, got {_shown(value)}")


def integer(name: str, value: Any, low: int | None = None, high: int | None = None) -> int:
    """Return ``value`` as an int, or raise if it is not a whole number in [low, high]."""
    ok = isinstance(value, Integral) and not isinstance(value, bool)
    ok = ok and (low is None or value >= low) and (high is None or value <= high)
    require(ok, name, "a whole number" + _range(low, high), value)
    return int(value)


def number(
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """Return ``value`` as a float, or raise if it is not a finite number in the interval.

    ``open_low`` and ``open_high`` exclude the end points.
    """
    ok = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    ok = ok and (value > low if open_low else value >= low)
    ok = ok and (value < high if open_high else value <= high)
    left = "(" if open_low or low == -math.inf else "["
    right = ")" if open_high or high == math.inf else "]"
    require(ok, name, f"a number in {left}{low:g}, {high:g}{right}", value)
    return float(value)


def choice(name: str, value: Any, options: tuple[str, ...]) -> str:
    """Return ``value``, or raise if it is not one of ``options``."""
    require(value in options, name, "one of " + ", ".join(map(repr, options)), value)
    return value


def _range(low: int | None, high: int | None) -> str:
    if low is None and high is None:
        return ""
    if high is None:
        return f" of at least {low}"
    if low is None:
        return f" of at most {high}"
    return f" in [{low}, {high}]"
