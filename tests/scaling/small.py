"""A run of a fraction of a second and a text for it, for the tests of this room."""

from __future__ import annotations

from typing import Any

import numpy as np

from utils.runtime import generator
from utils.scaling.spec import RunSpec


def small_spec(**other: Any) -> RunSpec:
    """A model of one layer, 12 steps of two windows of eight tokens."""
    settings: dict[str, Any] = {
        "d_model": 16,
        "n_layer": 1,
        "n_head": 2,
        "vocab_size": 32,
        "context_length": 8,
        "tokens": 12 * 16,
        "batch_tokens": 16,
        "learning_rate": 0.02,
    }
    return RunSpec(**(settings | other))


def small_text(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Training and held-out ids, (401,) and (101,): a walk of small steps, so that it can learn."""
    steps = generator(seed).integers(1, 3, size=502)
    ids = (np.cumsum(steps) % 32).astype(np.uint16)
    return ids[:401], ids[401:]
