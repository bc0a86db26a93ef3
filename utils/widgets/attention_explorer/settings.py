"""What the attention explorer can be set to, for Python and for the page, and its small model.

Building the book reads this file, so it needs neither torch nor NumPy.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from utils.runtime import repo_root

RECORD = "parameters/attention"  # what the course model did, and the copying model's sentences

# The models, and the layer that is shown first: the last of two, and the one in which a head of the
# course model looks at one place alone.
MODELS = {"copy": 2, "course": 5}
CASES = ("twice", "shuffled", "others")  # what the copying model reads first
SENTENCES = 12  # draws of its words
LAYERS = 6  # of the larger model
PLACES = 16  # tokens of the longest text

RANGES: dict[str, tuple[float, float]] = {
    "words": (1, SENTENCES),
    "layer": (1, LAYERS),
    "place": (1, PLACES),
    "removed": (0, PLACES),
}
USUAL = {"model": "copy", "words": 4, "removed": 0, "compare": False}


def copying_model() -> dict[str, Any]:
    """The small model as the page runs it: its configuration, words and float16 weights (base64).

    Raises ``FileNotFoundError`` where ``records/copy_gpt`` lacks one of them.
    """
    folder = repo_root() / "records" / "copy_gpt"
    weights = (folder / "model.safetensors").read_bytes()
    return {
        "config": json.loads((folder / "config.json").read_text(encoding="utf-8")),
        "words": json.loads((folder / "words.json").read_text(encoding="utf-8")),
        "weights": base64.b64encode(weights).decode(),
    }


def page_data() -> dict[str, Any]:
    """What the explorer's JavaScript needs, as plain data that JSON can hold."""
    return {
        "MODELS": MODELS,
        "CASES": list(CASES),
        "RANGES": RANGES,
        "USUAL": USUAL,
        "COPYING_MODEL": copying_model(),
    }
