"""The one-shot game's runs, heroes and ranges, for Python and for the page.

Building the book reads this file, so it needs neither torch nor NumPy.
"""

from __future__ import annotations

from typing import Any

RECORD = "scaling/one_shot"  # losses, prices and rivals, by `experiments.scaling.one_shot_data`
BUDGET = 300.0  # CPU seconds

# The recorded runs: three layers, 512 tokens per step, learning rate c/width.
WIDTHS = (16, 24, 32, 48, 64, 96)
LENGTHS = tuple(64_000 * 2**k for k in range(6))  # training tokens
RATES = (0.125, 0.25, 0.5, 1.0, 2.0)  # c
RATE = 0.5  # the heroes' c
TOKENS_PER_STEP = 512

# Places of the heroes: (width, length).
HEROES = ((5, 5), (5, 4), (4, 5))

# (low, high) of each setting that is a number; whole numbers are ints. ``spread`` is half the
# width of the interval; both are in nats.
RANGES: dict[str, tuple[float, float]] = {
    "hero": (1, len(HEROES)),
    "forecast": (2.5, 5.5),
    "spread": (0.005, 1.0),
}


def page_data() -> dict[str, Any]:
    """The tables of this file as plain data that JSON can hold, for the game's JavaScript."""
    return {
        "BUDGET": BUDGET,
        "WIDTHS": list(WIDTHS),
        "LENGTHS": list(LENGTHS),
        "RATES": list(RATES),
        "RATE": RATE,
        "TOKENS_PER_STEP": TOKENS_PER_STEP,
        "HEROES": [list(hero) for hero in HEROES],
        "RANGES": {name: list(ends) for name, ends in RANGES.items()},
    }
