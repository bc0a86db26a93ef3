"""What the sliders of the parameter-budget explorer reach, for Python and for the page.

Building the book reads this file, so it needs neither torch nor anywidget.
"""

from __future__ import annotations

from typing import Any

# The settings that make an architecture, in the order in which an address lists them.
SHAPE = (
    "style",
    "n_layer",
    "d_model",
    "n_head",
    "n_kv_head",
    "d_ff",
    "vocab_size",
    "context_length",
    "tie_embeddings",
)
# (low, high) of each setting that is a number; whole numbers are ints.
RANGES: dict[str, tuple[float, float]] = {
    "n_layer": (1, 128),
    "d_model": (64, 16384),
    "n_head": (1, 256),
    "n_kv_head": (1, 256),
    "d_ff": (64, 65536),
    "vocab_size": (256, 262144),
    "context_length": (64, 131072),
    "batch_size": (1, 1024),
    "tokens": (10**6, 10**14),
    "n_gpu": (1, 32768),
    "utilisation": (0.05, 0.7),
}


def page_data() -> dict[str, Any]:
    """The tables of this file as plain data that JSON can hold, for the explorer's JavaScript."""
    return {
        "SHAPE": list(SHAPE),
        "RANGES": {name: list(ends) for name, ends in RANGES.items()},
    }
