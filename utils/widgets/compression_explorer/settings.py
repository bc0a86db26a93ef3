"""What the compression explorer can be set to, for Python and for the page.

Building the book reads this file, so it needs neither torch nor NumPy.
"""

from __future__ import annotations

from typing import Any

RECORD = "myths/compression_explorer"

VIEWS = ("map", "text")
BITS = (2, 3, 4, 8, 16)
SPARSITIES = (0.0, 0.3, 0.5, 0.7, 0.9)
GRANULARITIES = ("tensor", "channel", "group")
TEXTS = ("willows", "shuffled", "twice", "moll", "code")  # the recorded ones
PROMPT = "He opened the door and went"  # which every model of the map continues
MOST_TOKENS = 255  # of a text: the model's context, without the end token before it

RANGES: dict[str, tuple[float, float]] = {
    "bits": (BITS[0], BITS[-1]),
    "sparsity": (SPARSITIES[0], SPARSITIES[-1]),
    "token": (1, MOST_TOKENS),
}
USUAL = {"view": "map", "bits": 16, "sparsity": 0.0, "granularity": "channel", "text": "willows"}


def page_data() -> dict[str, Any]:
    """What the explorer's JavaScript needs, as plain data that JSON can hold."""
    return {
        "VIEWS": list(VIEWS),
        "BITS": list(BITS),
        "SPARSITIES": list(SPARSITIES),
        "GRANULARITIES": list(GRANULARITIES),
        "PROMPT": PROMPT,
        "MOST_TOKENS": MOST_TOKENS,
        "RANGES": RANGES,
        "USUAL": USUAL,
    }
