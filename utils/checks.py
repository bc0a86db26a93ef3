"""State a conclusion so that it can fail, and hand a measured number to the prose.

``check`` and its relatives print one line that holds the claim and its bound, never the measured
value: the line is the same on every machine, so nbval can compare it strictly, and the measured
value appears only in the error when the claim no longer holds.

``glue`` stores a number in the notebook for a page to paste. It writes the same metadata as
``myst_nb.glue``, which cannot be installed on Colab (it asks for Sphinx < 8).
"""

from __future__ import annotations

import json
import os
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from utils.validate import number, require

PREFIX = "application/papermill.record/"
EMPTY = np.empty(0)


class ClaimError(AssertionError):
    """A stated conclusion does not hold for the value that was measured."""


# ---- conclusions ----------------------------------------------------------------------------


def check(name: str, value: Any, expected: Any, *, rtol: float = 0.0, atol: float = 0.0) -> None:
    """State that every entry of ``value`` equals ``expected`` within ``atol + rtol·|expected|``.

    value: a number, or an array, tensor or list of numbers.
    expected: one finite number, or as many as ``value`` has, in the same shape.
    Raises ``ClaimError`` with the measured value if the claim does not hold, and ``ValueError`` in
    one line for what cannot be compared.

    >>> check("sides of a die", len("123456"), 6)
    ✓ sides of a die: = 6
    >>> check("22/7 over pi", 22 / 7 / np.pi, 1, rtol=0.001)
    ✓ 22/7 over pi: = 1, within a relative 0.001
    >>> check("squares", [1, 4, 9], [1, 4, 10])
    Traceback (most recent call last):
    utils.checks.ClaimError: squares: claimed = the 3 expected values, measured [1. 4. 9.]
    """
    rtol = number("rtol", rtol, 0.0)
    atol = number("atol", atol, 0.0)
    measured = _values(f"value of {name!r}", value)
    what = f"expected value of {name!r}"
    target = _values(what, expected)
    require(bool(np.all(np.isfinite(target))), what, "finite", expected)
    # Broadcasting would compare each entry with several, and pass or fail for the wrong reason.
    fits = target.size == 1 or target.shape == measured.shape
    require(fits, what, f"one number or of shape {measured.shape}", target)

    claim = f"= the {target.size} expected values"
    if target.size == 1:
        claim = f"= {target.item():.12g}"
    if atol:
        claim += f", within {atol:g}"
    if rtol:
        claim += f", within a relative {rtol:g}"
    holds = np.abs(measured - target) <= atol + rtol * np.abs(target)
    _settle(name, holds, claim, measured)


def check_at_least(name: str, value: Any, bound: float) -> None:
    """State that every entry of ``value`` is at least ``bound``."""
    measured = _values(f"value of {name!r}", value)
    bound = number("bound", bound)
    _settle(name, measured >= bound, f"≥ {bound:g}", measured)


def check_at_most(name: str, value: Any, bound: float) -> None:
    """State that every entry of ``value`` is at most ``bound``."""
    measured = _values(f"value of {name!r}", value)
    bound = number("bound", bound)
    _settle(name, measured <= bound, f"≤ {bound:g}", measured)


def check_between(name: str, value: Any, low: float, high: float) -> None:
    """State that every entry of ``value`` lies in [low, high]."""
    low = number("low", low)
    high = number("high", high)
    require(low <= high, "low", f"at most high = {high:g}", low)
    measured = _values(f"value of {name!r}", value)
    inside = (measured >= low) & (measured <= high)
    _settle(name, inside, f"between {low:g} and {high:g}", measured)


def check_true(name: str, condition: Any) -> None:
    """State that ``condition`` holds; the ``name`` says all of it.

    condition: one bool, or an array, tensor or list of bools, of which every entry must be true.
    Raises ``ClaimError`` if an entry is false, and ``ValueError`` in one line for anything but
    bools: a count or a text would pass as true without having been compared with anything.

    >>> check_true("the text comes back", "".join(["a", "b"]) == "ab")
    ✓ the text comes back
    >>> check_true("each step falls", np.diff([3, 2, 2]) < 0)
    Traceback (most recent call last):
    utils.checks.ClaimError: each step falls: claimed true, measured false in 1 of 2
    """
    array = _numpy(condition)
    are_bools = [isinstance(entry, bool | np.bool_) for entry in array.ravel()]
    allowed = "true or false, or an array of these"
    require(any(are_bools) and all(are_bools), f"condition of {name!r}", allowed, condition)
    n_false = np.count_nonzero(~array.astype(bool))
    failure = f"{name}: claimed true, measured false in {n_false} of {array.size}"
    _conclude(name, f"✓ {name}", failure if n_false else None)


def _settle(name: str, holds: np.ndarray, claim: str, measured: np.ndarray) -> None:
    """Print the claim, or raise with what was measured. NaN compares false, so it always fails."""
    shown = np.array2string(measured, precision=6, threshold=20).replace("\n", "")
    failure = f"{name}: claimed {claim}, measured {shown}"
    _conclude(name, f"✓ {name}: {claim}", None if bool(np.all(holds)) else failure)


def _conclude(name: str, line: str, failure: str | None) -> None:
    """Print the line of a claim that holds, or raise ``ClaimError`` with the ``failure``.

    While ``COURSE_CHECK_LOG`` names a file, the outcome is appended to it as a line of JSON, and a
    claim that fails is printed: the notebook goes on, so that all of its claims are counted.
    """
    log = os.environ.get("COURSE_CHECK_LOG")
    if log:
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"name": name, "failure": failure}) + "\n")
    elif failure:
        raise ClaimError(failure)
    print(f"✗ {failure}" if failure else line)


def _values(what: str, value: Any) -> np.ndarray:
    """``value`` as float64: a number, an array, a tensor of any precision, or a list of such.

    Raises ``ValueError`` that calls it ``what`` if it is not made of real numbers, or is empty.
    """
    array = _numpy(value)
    # "1.5" would turn into a number, None into NaN, and a complex number would lose a part.
    kind_is_real = array.dtype.kind in "biuf"
    if not (kind_is_real or all(isinstance(entry, Real) for entry in array.ravel())):
        array = EMPTY
    try:
        array = array.astype(float)
    except (TypeError, ValueError, OverflowError):  # such as 10**400
        array = EMPTY
    require(array.size > 0, what, "at least one number", value)
    return array


def _numpy(value: Any) -> np.ndarray:
    """``value`` as an array of whatever it holds; an empty one for what numpy cannot take."""
    try:
        if hasattr(value, "detach"):  # a tensor: torch itself need not be imported to tell
            value = value.detach().cpu()
            if value.is_floating_point() and value.element_size() < 4:  # numpy has no bfloat16
                value = value.float()
            value = value.numpy()
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        return EMPTY


# ---- numbers for the prose ------------------------------------------------------------------


def glue(name: str, value: float, *, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Store a measured number under ``name`` for the pages of the book, with its tolerance.

    The tolerance says by how much a fresh run on another machine may differ; the tests compare
    the two. A number without a tolerance is exact, and twelve digits of it are kept. Names are
    unique in the whole course. While ``COURSE_GLUE_LOG`` names a file, the fresh value is appended
    to it as a line of JSON.
    """
    from IPython.display import display

    value = float(f"{number(f'value of {name!r}', _scalar(value)):.12g}")
    tolerance = {"rtol": number("rtol", rtol, 0.0), "atol": number("atol", atol, 0.0)}
    stored = {"value": value, **tolerance}

    log = os.environ.get("COURSE_GLUE_LOG")
    if log:
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"name": name, **stored}) + "\n")

    display(
        {PREFIX + "text/plain": repr(value)},
        raw=True,
        metadata={"scrapbook": {"name": name, "mime_prefix": PREFIX, **stored}},
    )


def _scalar(value: Any) -> Any:
    """A scalar of numpy or torch as a float; anything else as it is, for ``number`` to refuse."""
    if isinstance(value, str | bytes):  # float("1") is a number, the text "1" is none
        return value
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        return value
