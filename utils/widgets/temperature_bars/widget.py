"""The title page's bars in a notebook; on the book's pages ``widget.mjs`` runs alone."""

from __future__ import annotations

import json
from typing import Any

import traitlets as t

from utils.runtime import repo_root
from utils.widgets.shared.base import CourseWidget, setting
from utils.widgets.temperature_bars.settings import RANGES

RECORD = "sampling/title.json"


class TemperatureBars(CourseWidget):
    """The likeliest next words after one recorded prompt, and a slider for the temperature.

    ``TemperatureBars(temperature=0.5)`` starts from a setting; ``None`` means 1.
    Raises ``ValueError`` for a temperature that the slider does not reach.
    """

    module = "temperature_bars"
    label = "Temperature and the next word"
    record = RECORD
    limits = RANGES

    temperature = setting(t.Float)
    prompt = t.Unicode().tag(sync=True)
    logits = t.List(t.Float()).tag(sync=True)
    likeliest = t.List(t.Dict()).tag(sync=True)

    def __init__(self, **settings: Any) -> None:
        record = repo_root() / "records" / RECORD
        stored = json.loads(record.read_text(encoding="utf-8"))
        super().__init__(**stored["data"], **settings)
