"""Noisy points of a curve, drawn many times: the data of the double-descent explorer.

Plain Python without NumPy, as building the book reads this file and puts its numbers into the page.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

POINTS = 15  # of a data set
DATA_SETS = 40
LARGEST = 301  # number of features

# The curve that is to be learned, on 0 ≤ x < 1: amplitudes of 1, sin 2πx, cos 2πx, sin 4πx and
# cos 4πx. Five features can express it exactly.
TARGET = (0.0, 1.0, 0.0, 0.0, 0.5)


@dataclass(frozen=True)
class Points:
    """One data set: ``inputs`` (POINTS) in [0, 1), rising, and ``noise`` (POINTS).

    The noise has the standard deviation 1. The target at an input is the curve there plus the noise
    times its present size.
    """

    inputs: list[float]
    noise: list[float]


def data_sets(n_sets: int = DATA_SETS) -> list[Points]:
    """The first ``n_sets`` data sets.

    Their inputs stand at equal steps, each then moved at random by up to one step to either side;
    what leaves [0, 1) comes in again at its other end. Without the move there is almost no peak.
    Inputs have four digits and noise three, so that the page holds the same numbers.

    >>> first = data_sets(1)[0]
    >>> first.inputs[:3]
    [0.0793, 0.1344, 0.1561]
    >>> first.noise[:3]
    [-0.007, 2.193, 1.812]
    """
    sets = []
    for seed in range(n_sets):
        # Python's own generator, which draws the same in every version.
        rng = random.Random(seed)
        inputs = []
        for i in range(POINTS):
            moved = i + 0.5 + rng.uniform(-1, 1)
            inputs.append(round(moved / POINTS % 1, 4))
        noise = [round(rng.gauss(0, 1), 3) for _ in range(POINTS)]
        sets.append(Points(sorted(inputs), noise))
    return sets
