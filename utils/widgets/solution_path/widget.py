"""The solution-path explorer in a notebook; on the book's pages the same ``.mjs`` runs alone."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import traitlets as t

from utils.landscape.solution_path import METHODS, MODELS
from utils.runtime import repo_root
from utils.widgets.shared.base import CourseWidget

RECORD = "implicit_regularization/sample_orders.json"
START = (-1.5, 2.5)  # of either coordinate


class SolutionPath(CourseWidget):
    """Drag a start, pick an optimizer, and see which of the zero-loss solutions it reaches.

    ``SolutionPath(method="adam", eta=0.3)`` starts from a setting; ``None`` means the explorer's own.
    The steps are those of `utils.landscape.solution_path.run`; SGD follows one of three stored orders of the samples.
    Raises ``ValueError`` for a number that the sliders do not reach, and a ``TraitError`` for one of the
    wrong type or name.
    """

    module = "solution_path"
    label = "Solution-path explorer"
    record = RECORD
    limits: ClassVar = {
        "eta": (0.01, 3.0),
        "scale": (0.02, 2.0),
        "start1": START,
        "start2": START,
        "order": (0, 2),
    }

    model = t.Enum(MODELS, None, allow_none=True).tag(sync=True, page=True)
    method = t.Enum(METHODS, None, allow_none=True).tag(sync=True, page=True)
    eta, scale, start1, start2 = (
        t.Float(None, allow_none=True).tag(sync=True, page=True) for _ in range(4)
    )
    order = t.Int(None, allow_none=True).tag(sync=True, page=True)
    orders = t.List(t.Unicode()).tag(sync=True)

    def __init__(self, **settings: Any) -> None:
        stored = json.loads((repo_root() / "records" / RECORD).read_text(encoding="utf-8"))
        super().__init__(orders=stored["data"]["orders"], **settings)
