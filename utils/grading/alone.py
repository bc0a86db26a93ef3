"""Run the hidden tests of one cell in the notebook itself, as nbgrader does.

`utils.grading.grade` never does this: code that shares a process with its tests can read them. It
is for a teacher who tries a source notebook out, and for who grades with nbgrader all the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from utils.grading import compare
from utils.grading.worker import plain
from utils.runtime import generator


def passes(
    ask: Callable[..., Any],
    call: Callable[..., Any],
    mark: Callable[..., Any],
    *,
    least: float = 1.0,
    seed: int = 0,
) -> bool:
    """Whether the answers to one draw of questions are worth this share of the points."""
    for name in compare.__all__:  # `mark` finds these by their names
        mark.__globals__.setdefault(name, getattr(compare, name))
    asked = json.loads(json.dumps(plain(ask(generator(seed)))))
    sent = {name: value for name, value in asked.items() if not name.startswith("_")}
    values = json.loads(json.dumps(plain(call(sent))))
    return float(mark(asked, values)) >= least
