"""State a conclusion so that it can fail, and hand a measured number to the prose.

``check`` and its relatives print one line with the claim, its bound and, in parentheses, what was
measured. nbval compares the line without the parentheses (``notebooks/nbval.cfg``), because the
digits of a trained network differ between machines; a claim that no longer holds raises.

``if_false`` is the other half of a claim: the value that would have been measured if the claim were
false, such as the same ratio in a run from which the cause was removed, or 1 for the ratio of two
errors that do not differ. A check that this value would pass as well cannot fail, so it raises.
``check_identity`` is for what follows from definitions: it shows that the code is right, not that
the world is so, and it is tested with an input that breaks it.

``glue`` stores a number in the notebook for a page to paste. It writes the same metadata as
``myst_nb.glue``, which cannot be installed on Colab (it asks for Sphinx < 8).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from utils.validate import number, require

PREFIX = "application/papermill.record/"
EMPTY = np.empty(0)


class ClaimError(AssertionError):
    """A stated conclusion does not hold for what was measured, or it could not have failed."""


# ---- conclusions ----------------------------------------------------------------------------


def check(
    name: str,
    value: Any,
    expected: Any,
    *,
    rtol: float = 0.0,
    atol: float = 0.0,
    if_false: Any = None,
) -> None:
    """State that every entry of ``value`` equals ``expected`` within ``atol + rtol·|expected|``.

    value: a number, or an array, tensor or list of numbers.
    expected: one finite number, or as many as ``value`` has, in the same shape.
    if_false: what ``value`` would be if the claim were false: one number, or several. None of them
        may satisfy the claim.
    Raises ``ClaimError`` with the measured value if the claim does not hold or ``if_false`` would
    satisfy it, and ``ValueError`` in one line for what cannot be compared.

    >>> check("sides of a die", len("123456"), 6)
    ✓ sides of a die: = 6 (measured 6)
    >>> check("22/7 over pi", 22 / 7 / np.pi, 1, rtol=0.001, if_false=3 / np.pi)
    ✓ 22/7 over pi: = 1, within a relative 0.001 (measured 1.0004; if false: 0.95493)
    >>> check("squares", [1, 4, 9], [1, 4, 10])
    Traceback (most recent call last):
    utils.checks.ClaimError: squares: claimed = the 3 expected values, measured [1. 4. 9.]
    >>> check("22/7 over pi", 22 / 7 / np.pi, 1, rtol=0.1, if_false=3 / np.pi)
    Traceback (most recent call last):
    utils.checks.ClaimError: 22/7 over pi: = 1, within a relative 0.1 cannot fail: 0.95493 passes
    """
    measured, target, claim, holds = _equality(name, value, expected, rtol, atol)
    one_target = target.size == 1
    shown = _shown(measured) if one_target else _off_by(measured, target)
    if if_false is not None and not one_target:
        alternative = _values(f"if_false of {name!r}", if_false)
        fits = alternative.size == 1 or alternative.shape == target.shape
        what = f"one number or of shape {target.shape}"
        require(fits, f"if_false of {name!r}", what, alternative)
    _settle(name, claim, measured, shown, holds, if_false, as_a_whole=not one_target)


def check_identity(
    name: str,
    value: Any,
    expected: Any,
    *,
    broken: Any,
    rtol: float = 0.0,
    atol: float = 0.0,
) -> None:
    """State that ``value`` equals ``expected`` because both are the same thing by definition.

    broken: the same ``value`` computed from an input that breaks the identity, such as a matrix
        with one entry changed. It must not satisfy the claim.
    The rest is as in ``check``.

    >>> angle = 0.3
    >>> on_circle = np.cos(angle) ** 2 + np.sin(angle) ** 2
    >>> elsewhere = np.cos(angle) ** 2 + np.sin(2 * angle) ** 2
    >>> check_identity("cos² + sin²", on_circle, 1, atol=1e-12, broken=elsewhere)
    ✓ cos² + sin²: = 1, within 1e-12, an identity (measured 1; broken: 1.2315)
    """
    measured, target, claim, holds = _equality(name, value, expected, rtol, atol)
    # A broken input may change the shape too; then it is compared with one number, or fails.
    altered = _values(f"broken of {name!r}", broken)
    accepts_broken = False
    if target.size == 1 or altered.shape == target.shape:
        accepts_broken = bool(np.all(holds(altered)))
    claim += ", an identity"
    shown = f"{_shown(measured)}; broken: {_shown(altered)}"
    if target.size > 1:
        shown = _off_by(measured, target)
    failure = _failure(name, claim, measured, bool(np.all(holds(measured))))
    if accepts_broken:
        failure = f"{name}: {claim} cannot fail: the broken input passes"
    _conclude(name, f"✓ {name}: {claim} (measured {shown})", failure, "identity")


def check_at_least(name: str, value: Any, bound: float, *, if_false: Any = None) -> None:
    """State that every entry of ``value`` is at least ``bound``; ``if_false`` as in ``check``.

    >>> check_at_least("gain of each seed", [0.08, 0.11, 0.09], 0.05, if_false=0)
    ✓ gain of each seed: ≥ 0.05 (measured 0.08 to 0.11; if false: 0)
    """
    measured = _values(f"value of {name!r}", value)
    low = number("bound", bound)
    _settle(name, f"≥ {low:g}", measured, _shown(measured), lambda x: x >= low, if_false)


def check_at_most(name: str, value: Any, bound: float, *, if_false: Any = None) -> None:
    """State that every entry of ``value`` is at most ``bound``; ``if_false`` as in ``check``."""
    measured = _values(f"value of {name!r}", value)
    high = number("bound", bound)
    _settle(name, f"≤ {high:g}", measured, _shown(measured), lambda x: x <= high, if_false)


def check_between(name: str, value: Any, low: float, high: float, *, if_false: Any = None) -> None:
    """State that every entry of ``value`` lies in [low, high]; ``if_false`` as in ``check``."""
    low = number("low", low)
    high = number("high", high)
    require(low <= high, "low", f"at most high = {high:g}", low)
    measured = _values(f"value of {name!r}", value)

    def holds(x: np.ndarray) -> np.ndarray:
        return (x >= low) & (x <= high)

    claim = f"between {low:g} and {high:g}"
    _settle(name, claim, measured, _shown(measured), holds, if_false)


def check_true(name: str, condition: Any, *, if_false: Any = None) -> None:
    """State that ``condition`` holds; the ``name`` says all of it.

    condition: one bool, or an array, tensor or list of bools, of which every entry must be true.
    if_false: the same condition for a case in which the claim is false; an entry of it must be
        false.
    Raises ``ClaimError`` if an entry is false, and ``ValueError`` in one line for anything but
    bools: a count or a text would pass as true without having been compared with anything.

    >>> text = "".join(["a", "b"])
    >>> check_true("the text comes back", text == "ab", if_false=text[1:] == "ab")
    ✓ the text comes back
    >>> check_true("each step falls", np.diff([3, 2, 2]) < 0)
    Traceback (most recent call last):
    utils.checks.ClaimError: each step falls: claimed true, measured false in 1 of 2
    """
    holds = _bools(f"condition of {name!r}", condition)
    n_false = int(np.count_nonzero(~holds))
    failure = f"{name}: claimed true, measured false in {n_false} of {holds.size}"
    if not n_false:
        failure = None
    if if_false is not None and np.all(_bools(f"if_false of {name!r}", if_false)):
        failure = f"{name} cannot fail: the case in which it is false passes"
    _conclude(name, f"✓ {name}", failure, "plain" if if_false is None else "with false case")


def _equality(
    name: str, value: Any, expected: Any, rtol: float, atol: float
) -> tuple[np.ndarray, np.ndarray, str, Callable[[np.ndarray], np.ndarray]]:
    """The measured and the expected values, the claim in words, and which values satisfy it."""
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

    def holds(x: np.ndarray) -> np.ndarray:
        return np.abs(x - target) <= atol + rtol * np.abs(target)

    return measured, target, claim, holds


def _settle(
    name: str,
    claim: str,
    measured: np.ndarray,
    shown: str,
    holds: Callable[[np.ndarray], np.ndarray],
    if_false: Any,
    *,
    as_a_whole: bool = False,
) -> None:
    """Print the claim and what was measured, or raise. NaN compares false, so it always fails.

    as_a_whole: ``if_false`` is one array to be refused, rather than several values, each of them.
    """
    failure = _failure(name, claim, measured, bool(np.all(holds(measured))))
    kind = "plain"
    if if_false is not None:
        kind = "with false case"
        refuting = _values(f"if_false of {name!r}", if_false)
        passes = holds(refuting)
        if np.all(passes) if as_a_whole else np.any(passes):
            failure = f"{name}: {claim} cannot fail: {_shown(refuting)} passes"
        shown += f"; if false: {_shown(refuting)}"
    _conclude(name, f"✓ {name}: {claim} (measured {shown})", failure, kind)


def _failure(name: str, claim: str, measured: np.ndarray, holds: bool) -> str | None:
    """What is told of a claim that does not hold."""
    if holds:
        return None
    values = np.array2string(measured, precision=6, threshold=20).replace("\n", "")
    return f"{name}: claimed {claim}, measured {values}"


def _shown(values: np.ndarray) -> str:
    """Numbers as a reader wants them: one, or the smallest and the largest of several."""
    low, high = _five_digits(values.min()), _five_digits(values.max())
    return low if low == high else f"{low} to {high}"


def _off_by(measured: np.ndarray, target: np.ndarray) -> str:
    """The largest of many differences: a list of all values would say less."""
    return f"off by at most {_five_digits(np.abs(measured - target).max())}"


def _five_digits(value: float) -> str:
    """Counts in full, as 124439808; anything else with five digits."""
    is_count = float(value).is_integer() and abs(value) < 1e12
    return f"{value:.0f}" if is_count else f"{value:.5g}"


def _bools(what: str, condition: Any) -> np.ndarray:
    """``condition`` as an array of bools, or one line that calls it ``what``."""
    array = _numpy(condition)
    are_bools = [isinstance(entry, bool | np.bool_) for entry in array.ravel()]
    allowed = "true or false, or an array of these"
    require(any(are_bools) and all(are_bools), what, allowed, condition)
    return array.astype(bool)


def _conclude(name: str, line: str, failure: str | None, kind: str) -> None:
    """Print the line of a claim that holds, or raise ``ClaimError`` with the ``failure``.

    kind: "with false case", "identity" or "plain", told in the log.
    While ``COURSE_CHECK_LOG`` names a file, the outcome is appended to it as a line of JSON, and a
    claim that fails is printed: the notebook goes on, so that all of its claims are counted.
    """
    log = os.environ.get("COURSE_CHECK_LOG")
    if log:
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"name": name, "failure": failure, "kind": kind}) + "\n")
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
