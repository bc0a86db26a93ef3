"""The compute explorer in a notebook; on the book's pages ``widget.mjs`` runs alone."""

from __future__ import annotations

import json
from typing import Any

import traitlets as t

from utils.models.budget import GPUS
from utils.runtime import repo_root
from utils.widgets.compute_explorer.settings import LAW_NAMES, RANGES, RECORD
from utils.widgets.shared.base import CourseWidget, choice_setting, setting


class ComputeExplorer(CourseWidget):
    """A training budget, a law of the loss, and a model's size as a ball in the valley of the loss.

    ``ComputeExplorer(budget=1e14, law="coupled", tokens_per_parameter=20)`` starts from a setting;
    ``None`` means the explorer's own. ``budget`` is C = 6ND in FLOPs, so the D/N that
    ``tokens_per_parameter`` states fixes both. ``law`` is one of "besiroglu", "hoffmann", "kaplan",
    "coupled" and "additive", ``unique`` the number of different tokens that there are (0: as many
    as needed), ``gpu`` the one whose days are counted.
    Raises ``ValueError`` for a number that the sliders do not reach, and a ``TraitError`` for
    another law or GPU.
    """

    module = "compute_explorer"
    label = "Compute explorer"
    record = f"{RECORD}.json"
    limits = RANGES

    budget = setting(t.Float)
    law = choice_setting(tuple(LAW_NAMES))
    tokens_per_parameter = setting(t.Float)
    unique = setting(t.Float)
    gpu = choice_setting(tuple(GPUS))
    ours = t.Dict().tag(sync=True)

    def __init__(self, **settings: Any) -> None:
        path = repo_root() / "records" / self.record
        data = json.loads(path.read_text(encoding="utf-8"))["data"]
        super().__init__(**data, **settings)
