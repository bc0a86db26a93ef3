"""The solution-path explorer in a notebook; on the book's pages ``widget.mjs`` runs alone."""

from __future__ import annotations

import json
from typing import Any

import traitlets as t

from utils.landscape.solution_path import METHODS, MODELS
from utils.runtime import repo_root
from utils.widgets.shared.base import CourseWidget, choice_setting, setting
from utils.widgets.solution_path.settings import RANGES

RECORD = "implicit_regularization/sample_orders.json"


class SolutionPath(CourseWidget):
    """Drag a start, pick an optimizer, and see which of the zero-loss solutions it reaches.

    ``SolutionPath(method="adam", eta=0.3)`` starts from a setting; ``None`` means the explorer's
    own. The steps are those of `utils.landscape.solution_path.run`; SGD follows one of three stored
    orders of the samples.
    Raises ``ValueError`` for a number that the sliders do not reach, and a ``TraitError`` for one
    of the wrong type or name.
    """

    module = "solution_path"
    label = "Solution-path explorer"
    record = RECORD
    limits = RANGES

    model = choice_setting(MODELS)
    method = choice_setting(METHODS)
    eta = setting(t.Float)
    scale = setting(t.Float)
    start1 = setting(t.Float)
    start2 = setting(t.Float)
    order = setting(t.Int)
    orders = t.List(t.Unicode()).tag(sync=True)

    def __init__(self, **settings: Any) -> None:
        record = repo_root() / "records" / RECORD
        stored = json.loads(record.read_text(encoding="utf-8"))
        super().__init__(orders=stored["data"]["orders"], **settings)
