"""State a conclusion so that it can fail, and hand a measured number to the prose.

``check`` and its one-sided forms print one line that holds the claim and its bound, never the
measured value: the line is the same on every machine, so nbval can compare it strictly, and
the measured value appears only in the error when the claim no longer holds.

``glue`` stores a number in the notebook for a page to paste. It writes the same metadata as
``myst_nb.glue``, which cannot be installed on Colab (it asks for Sphinx < 8).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from utils.validate import number, require

PREFIX = "application/papermill.record/"


class ClaimError(AssertionError):
    """A stated conclusion does not hold for the value that was measured."""


def _values(name: str, value: Any) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    array = np.asarray(value, dtype=float)
    require(array.size > 0, f"value of {name!r}", "at least one number", value)
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
    measured, target = _values(name, value), _values(name, expected)
    margin = "".join(f", {k} {v:g}" for k, v in (("within", atol), ("within a relative", rtol)) if v)
    shown = f"{target.item():.12g}" if target.size == 1 else f"the {target.size} expected values"
    _settle(name, np.abs(measured - target) <= atol + rtol * np.abs(target), f"= {shown}{margin}", measured)


def check_at_least(name: str, value: Any, bound: float) -> None:
    """State that every entry of ``value`` is at least ``bound``."""
    measured = _values(name, value)
    _settle(name, measured >= bound, f"≥ {bound:g}", measured)


def check_at_most(name: str, value: Any, bound: float) -> None:
    """State that every entry of ``value`` is at most ``bound``."""
    measured = _values(name, value)
    _settle(name, measured <= bound, f"≤ {bound:g}", measured)


def check_between(name: str, value: Any, low: float, high: float) -> None:
    """State that every entry of ``value`` lies in [low, high]."""
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

    value = float(f"{number(f'value of {name!r}', float(value)):.12g}")
    stored = {"value": value, "rtol": number("rtol", rtol, 0.0), "atol": number("atol", atol, 0.0)}
    if log := os.environ.get("COURSE_GLUE_LOG"):
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"name": name, **stored}) + "\n")
    display(
        {PREFIX + "text/plain": repr(value)},
        raw=True,
        metadata={"scrapbook": {"name": name, "mime_prefix": PREFIX, **stored}},
    )
