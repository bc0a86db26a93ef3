"""The parameter-budget explorer in a notebook; on the book's pages ``widget.mjs`` runs alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import traitlets as t

from utils.models.budget import GPUS, PRECISIONS
from utils.models.presets import PRESETS, Shape
from utils.validate import choice
from utils.widgets.parameter_budget.settings import RANGES, SHAPE
from utils.widgets.shared.base import CourseWidget, choice_setting, setting


class ParameterBudget(CourseWidget):
    """Where a model's parameters sit, what they weigh and what training them costs.

    ``ParameterBudget("llama3-8b", context_length=32768)`` starts from a model of
    `utils.models.presets.PRESETS` and changes what is given; ``None`` means "as in the preset".
    Moving a slider changes the traits here.
    Raises ``ValueError`` for an unknown preset or a number that the sliders do not reach, and a
    ``TraitError`` for a setting of the wrong type.
    """

    module = "parameter_budget"
    label = "Parameter-budget explorer"
    limits = RANGES

    preset = t.Enum(tuple(PRESETS), "gpt2").tag(sync=True, page=True)
    style = choice_setting(("gpt2", "llama"))
    n_layer = setting(t.Int)
    d_model = setting(t.Int)
    n_head = setting(t.Int)
    n_kv_head = setting(t.Int)
    d_ff = setting(t.Int)
    vocab_size = setting(t.Int)
    context_length = setting(t.Int)
    tie_embeddings = setting(t.Bool)
    batch_size = setting(t.Int)
    precision = choice_setting(tuple(PRECISIONS))
    tokens = setting(t.Int)
    gpu = choice_setting(tuple(GPUS))
    n_gpu = setting(t.Int)
    utilisation = setting(t.Float)

    def __init__(self, preset: str = "gpt2", **settings: Any) -> None:
        choice("preset", preset, tuple(PRESETS))
        super().__init__(preset=preset, **settings)

    def shape(self) -> Shape:
        """The architecture that the settings ask for.

        Raises ``ValueError`` if its heads do not divide.
        """
        base = PRESETS[str(self.preset)]["shape"]
        given = {name: getattr(self, name) for name in SHAPE}
        changes = {name: value for name, value in given.items() if value is not None}
        if self.n_head is not None and base.n_kv_head == base.n_head:
            # As many key-value heads as heads, whatever their number.
            changes.setdefault("n_kv_head", None)
        return dataclasses.replace(base, **changes)
