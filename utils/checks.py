"""State a conclusion so that it can fail, and hand a measured number to the prose.

``check`` and its one-sided forms print one line that holds the claim and its bound, never the
measured value: the line is the same on every machine, so nbval can compare it strictly, and
the measured value appears only in the error when the claim no longer holds.

``glue`` stores a number in the notebook for a page to paste. It writes the same metadata as
``myst_nb.glue``, which cannot be installed on Colab (it asks for Sphinx < 8).
"""

from __future__ import annotations

import contextlib
import json
import os
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from utils.validate import number, require

PREFIX = "application/papermill.record/"


class ClaimError(AssertionError):
    """A stated conclusion does not hold for the value that was measured."""


def _values(name: str, value: Any, what: str = "value") -> np.ndarray:
    """``value`` as float64: a number, an array, a tensor of any precision, or a list of such."""
    given = value
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            if value.is_floating_point() and value.element_size() < 4:  # numpy has no bfloat16
                value = value.float()
            value = value.numpy()
        raw = np.asarray(value)
        # "1.5" would turn into a number, None into NaN, and a complex number would lose a part.
        real = raw.dtype.kind in "biuf" or all(isinstance(entry, Real) for entry in raw.ravel())
        array = np.asarray(value, dtype=float) if real else np.empty(0)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        array = np.empty(0)
    require(array.size > 0, f"{what} of {name!r}", "at least one number", given)
    return array


def _settle(name: str, ok: np.ndarray, claim: str, measured: np.ndarray) -> None:
    """Print the claim, or raise with what was measured. NaN compares false, so it always fails."""
    if not bool(np.all(ok)):
        shown = np.array2string(measured, precision=6, threshold=20).replace("\n", "")
        raise ClaimError(f"{name}: claimed {claim}, measured {shown}")
    print(f"✓ {name}: {claim}")


def check(name: str, value: Any, expected: Any, *, rtol: float = 0.0, atol: float = 0.0) -> None:
    """State that every entry of ``value`` equals ``expected`` within ``atol + rtol·|expected|``.

    Raises ``ClaimError`` with the measured value otherwise.
    """
    rtol, atol = number("rtol", rtol, 0.0), number("atol", atol, 0.0)
    measured, target = _values(name, value), _values(name, expected, "expected value")
    require(bool(np.all(np.isfinite(target))), f"expected value of {name!r}", "finite", expected)
    # Broadcasting would compare each entry with several, and pass or fail for the wrong reason.
    fits = target.size == 1 or target.shape == measured.shape
    require(fits, f"expected value of {name!r}", f"one number or of shape {measured.shape}", target)
    margin = "".join(
        f", {k} {v:g}" for k, v in (("within", atol), ("within a relative", rtol)) if v
    )
    shown = f"{target.item():.12g}" if target.size == 1 else f"the {target.size} expected values"
    _settle(
        name,
        np.abs(measured - target) <= atol + rtol * np.abs(target),
        f"= {shown}{margin}",
        measured,
    )


def check_at_least(name: str, value: Any, bound: float) -> None:
    """State that every entry of ``value`` is at least ``bound``."""
    measured, bound = _values(name, value), number("bound", bound)
    _settle(name, measured >= bound, f"≥ {bound:g}", measured)


def check_at_most(name: str, value: Any, bound: float) -> None:
    """State that every entry of ``value`` is at most ``bound``."""
    measured, bound = _values(name, value), number("bound", bound)
    _settle(name, measured <= bound, f"≤ {bound:g}", measured)


def check_between(name: str, value: Any, low: float, high: float) -> None:
    """State that every entry of ``value`` lies in [low, high]."""
    low, high = number("low", low), number("high", high)
    require(low <= high, "low", f"at most high = {high:g}", low)
    measured = _values(name, value)
    _settle(name, (measured >= low) & (measured <= high), f"between {low:g} and {high:g}", measured)


def glue(name: str, value: float, *, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Store a measured number under ``name`` for the pages of the book, with its tolerance.

    The tolerance says by how much a fresh run on another machine may differ; the tests compare
    the two. A number without a tolerance is exact, and twelve digits of it are kept. Names are
    unique in the whole course. While ``COURSE_GLUE_LOG`` names a file, the fresh value is appended
    to it as a line of JSON.
    """
    from IPython.display import display

    with contextlib.suppress(
        TypeError, ValueError, RuntimeError
    ):  # what is no number, `number` refuses
        value = value if isinstance(value, str | bytes) else float(value)
    value = float(f"{number(f'value of {name!r}', value):.12g}")
    stored = {"value": value, "rtol": number("rtol", rtol, 0.0), "atol": number("atol", atol, 0.0)}
    if log := os.environ.get("COURSE_GLUE_LOG"):
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"name": name, **stored}) + "\n")
    display(
        {PREFIX + "text/plain": repr(value)},
        raw=True,
        metadata={"scrapbook": {"name": name, "mime_prefix": PREFIX, **stored}},
    )
