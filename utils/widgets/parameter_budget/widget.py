"""The parameter-budget explorer in a notebook; on the book's pages the same ``.mjs`` runs alone."""

from __future__ import annotations

from typing import Any, ClassVar

import traitlets as t

from utils.models.budget import GPUS, PRECISIONS, PRESETS, Shape
from utils.validate import choice
from utils.widgets.shared.base import CourseWidget

SIZES = ("n_layer", "d_model", "n_head", "n_kv_head", "d_ff", "vocab_size", "context_length")


def _setting(trait: type[t.TraitType]) -> t.TraitType:
    return trait(None, allow_none=True).tag(sync=True, page=True)


class ParameterBudget(CourseWidget):
    """Where a model's parameters sit, what they weigh and what training them costs.

    ``ParameterBudget("llama3-8b", context_length=32768)`` starts from a model of `utils.models.budget.PRESETS`
    and changes what is given; ``None`` means "as in the preset". Moving a slider changes the traits here.
    Raises ``ValueError`` for an unknown preset or a number that the sliders do not reach, and a
    ``TraitError`` for a setting of the wrong type.
    """

    module = "parameter_budget"
    label = "Parameter-budget explorer"
    limits: ClassVar = {
        **{"n_layer": (1, 128), "d_model": (64, 16384), "n_head": (1, 256), "n_kv_head": (1, 256)},
        **{"d_ff": (64, 65536), "vocab_size": (256, 262144), "context_length": (64, 131072)},
        **{
            "batch_size": (1, 1024),
            "tokens": (10**6, 10**14),
            "n_gpu": (1, 32768),
            "utilisation": (0.05, 0.7),
        },
    }

    preset = t.Enum(tuple(PRESETS), "gpt2").tag(sync=True, page=True)
    style = t.Enum(("gpt2", "llama"), None, allow_none=True).tag(sync=True, page=True)
    n_layer, d_model, n_head, n_kv_head = (_setting(t.Int) for _ in range(4))
    d_ff, vocab_size, context_length, batch_size, tokens, n_gpu = (
        _setting(t.Int) for _ in range(6)
    )
    tie_embeddings = _setting(t.Bool)
    utilisation = _setting(t.Float)
    precision = t.Enum(tuple(PRECISIONS), None, allow_none=True).tag(sync=True, page=True)
    gpu = t.Enum(tuple(GPUS), None, allow_none=True).tag(sync=True, page=True)

    def __init__(self, preset: str = "gpt2", **settings: Any) -> None:
        super().__init__(preset=choice("preset", preset, tuple(PRESETS)), **settings)

    def shape(self) -> Shape:
        """The architecture that the settings ask for. Raises ``ValueError`` if its heads do not divide."""
        base = PRESETS[self.preset]["shape"]
        given = {name: getattr(self, name) for name in (*SIZES, "style", "tie_embeddings")}
        known = {name: getattr(base, name) for name in given}
        if given["n_head"] is not None and base.n_kv_head == base.n_head:
            known["n_kv_head"] = None  # as many as heads, whatever their number
        return Shape(
            **{name: known[name] if value is None else value for name, value in given.items()}
        )
