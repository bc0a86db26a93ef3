"""The compression explorer in a notebook; on the book's pages ``widget.mjs`` runs alone."""

from __future__ import annotations

import json
from typing import Any

import traitlets as t

from utils.runtime import repo_root
from utils.widgets.compression_explorer.settings import (
    GRANULARITIES,
    RANGES,
    RECORD,
    TEXTS,
    VIEWS,
)
from utils.widgets.shared.base import CourseWidget, choice_setting, setting


class CompressionExplorer(CourseWidget):
    """A model's size against its quality, and what each token of a text costs in bits.

    ``CompressionExplorer(bits=4, sparsity=0.5)`` starts from a setting; ``None`` means the
    explorer's own. ``view`` is "map" or "text". On the map, ``bits`` (2, 3, 4, 8 or 16) and
    ``sparsity`` (0, 0.3, 0.5, 0.7 or 0.9; the nearest is taken) say how the course model is stored,
    ``granularity`` ("tensor", "channel" or "group") how many weights share a scale. ``text`` is the
    recorded one that is read, and ``token`` (from 1) how far.
    Raises ``ValueError`` for a setting out of its range, and a ``TraitError`` for another word.
    """

    module = "compression_explorer"
    label = "Compression explorer"
    record = f"{RECORD}.json"
    limits = RANGES

    view = choice_setting(VIEWS)
    bits = setting(t.Int)
    sparsity = setting(t.Float)
    granularity = choice_setting(GRANULARITIES)
    text = choice_setting(TEXTS)
    token = setting(t.Int)
    points = t.List().tag(sync=True)
    texts = t.List().tag(sync=True)
    unigram = t.List().tag(sync=True)

    def __init__(self, **settings: Any) -> None:
        path = repo_root() / "records" / self.record
        data = json.loads(path.read_text(encoding="utf-8"))["data"]
        shown = {name: data[name] for name in ("points", "texts", "unigram")}
        super().__init__(**shown, **settings)
