"""The attention explorer in a notebook; on the book's pages ``widget.mjs`` runs alone."""

from __future__ import annotations

import json
from typing import Any

import traitlets as t

from utils.runtime import repo_root
from utils.validate import choice
from utils.widgets.attention_explorer.settings import CASES, MODELS, RANGES, RECORD
from utils.widgets.shared.base import CourseWidget, choice_setting, setting


class AttentionExplorer(CourseWidget):
    """Where each head of a model looks, and how the next word changes when a word is removed.

    ``AttentionExplorer(model="course", layer=2)`` starts from a setting; ``None`` means the
    explorer's own. ``model`` is "copy", the small model that copies, or "course"; ``text`` is
    "twice", "shuffled" or "others" for the first and the key of a recorded prompt for the second;
    ``words`` numbers the draw of words; ``place`` (from 1) is the word that looks, ``removed`` the
    one that is left out (0: none), and ``compare`` shows what removing each word would do.
    Raises ``ValueError`` for a setting that the explorer does not reach.
    """

    module = "attention_explorer"
    label = "Attention explorer"
    record = f"{RECORD}.json"
    limits = RANGES

    model = choice_setting(tuple(MODELS))
    text = setting(t.Unicode)
    words = setting(t.Int)
    layer = setting(t.Int)
    place = setting(t.Int)
    removed = setting(t.Int)
    compare = setting(t.Bool)
    course = t.Dict().tag(sync=True)
    copy = t.Dict().tag(sync=True)

    def __init__(self, **settings: Any) -> None:
        path = repo_root() / "records" / self.record
        data = json.loads(path.read_text(encoding="utf-8"))["data"]
        if settings.get("text") is not None:
            keys = [prompt["key"] for prompt in data["course"]["prompts"]]
            choice("text", settings["text"], (*CASES, *keys))
        super().__init__(**data, **settings)
