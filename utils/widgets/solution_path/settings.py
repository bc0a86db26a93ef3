"""The solution-path explorer's problem and what its sliders reach, for Python and for the page.

Building the book reads this file, so it needs neither torch nor anywidget.
"""

from __future__ import annotations

from typing import Any

import utils.landscape.solution_path as problem

START = (-1.5, 2.5)  # of either coordinate
# (low, high) of each setting that is a number; whole numbers are ints.
RANGES: dict[str, tuple[float, float]] = {
    "eta": (0.01, 3.0),
    "scale": (0.02, 2.0),
    "start1": START,
    "start2": START,
    "order": (0, 2),
}


def page_data() -> dict[str, Any]:
    """What the explorer's JavaScript needs, as plain data that JSON can hold.

    PROBLEM and CONSTANTS are those of `utils.landscape.solution_path`, which says what they mean.
    """
    return {
        "PROBLEM": {
            "direction": list(problem.DIRECTION),
            "target": problem.TARGET,
            "lengths": list(problem.LENGTHS),
        },
        "CONSTANTS": {
            "steps": problem.STEPS,
            "limit": problem.LIMIT,
            "shrink": problem.SHRINK,
            "beta1": problem.BETA1,
            "beta2": problem.BETA2,
            "epsilon": problem.EPSILON,
        },
        "RANGES": {name: list(ends) for name, ends in RANGES.items()},
    }
