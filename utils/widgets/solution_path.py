"""The solution-path explorer in a notebook; on the book's pages the same ``.mjs`` runs alone."""

from __future__ import annotations

import json
from typing import Any

import traitlets as t

from utils.solution_path import METHODS, MODELS
from utils.widgets.base import HERE, CourseWidget

RECORD = "implicit_regularization/sample_orders.json"


class SolutionPath(CourseWidget):
    """Drag a start, pick an optimizer, and see which of the zero-loss solutions it reaches.

    ``SolutionPath(method="adam", eta=0.3)`` starts from a setting; ``None`` means the explorer's own.
    The steps are those of `utils.solution_path.run`; SGD follows one of three stored orders of the samples.
    Raises a ``TraitError`` for a setting of the wrong type or name.
    """

    module = "solution_path"
    label = "Solution-path explorer"
    record = RECORD

    model = t.Enum(MODELS, None, allow_none=True).tag(sync=True, page=True)
    method = t.Enum(METHODS, None, allow_none=True).tag(sync=True, page=True)
    eta, scale, start1, start2 = (t.Float(None, allow_none=True).tag(sync=True, page=True) for _ in range(4))
    order = t.Int(None, allow_none=True).tag(sync=True, page=True)
    orders = t.List(t.Unicode()).tag(sync=True)

    def __init__(self, **settings: Any) -> None:
        stored = json.loads((HERE.parents[1] / "records" / RECORD).read_text(encoding="utf-8"))
        super().__init__(orders=stored["data"]["orders"], **settings)
