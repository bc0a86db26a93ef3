"""The double-descent explorer's data and what its sliders reach, for Python and for the page.

Building the book reads this file, so it needs neither torch nor anywidget.
"""

from __future__ import annotations

from typing import Any

from utils.landscape.fourier_data import DATA_SETS, LARGEST, POINTS, TARGET, data_sets

# (low, high) of each setting; whole numbers are ints. ``data`` is the number of the data set that
# is drawn; ``traced`` is the number of features up to which the error is shown, and 0 hides it.
RANGES: dict[str, tuple[float, float]] = {
    "features": (1, LARGEST),
    "ridge": (0.0, 1.0),
    "noise": (0.0, 1.0),
    "data": (1, DATA_SETS),
    "traced": (0, LARGEST),
}


def page_data() -> dict[str, Any]:
    """What the explorer's JavaScript needs, as plain data that JSON can hold.

    POINTS, TARGET and what DATA lists are those of `utils.landscape.fourier_data`, which says what
    they mean.
    """
    data = [{"inputs": points.inputs, "noise": points.noise} for points in data_sets()]
    return {
        "POINTS": POINTS,
        "TARGET": list(TARGET),
        "DATA": data,
        "RANGES": {name: list(ends) for name, ends in RANGES.items()},
    }
