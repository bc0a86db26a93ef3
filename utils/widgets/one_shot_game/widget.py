"""The one-shot game in a notebook; on the book's pages ``widget.mjs`` runs alone."""

from __future__ import annotations

import json
from typing import Any

import traitlets as t

from utils.runtime import repo_root
from utils.widgets.one_shot_game.settings import RANGES, RATES, RECORD
from utils.widgets.shared.base import CourseWidget, setting


class OneShotGame(CourseWidget):
    """Buy recorded runs with 300 CPU seconds, forecast a larger one, commit, and be scored.

    ``OneShotGame(hero=2)`` starts a game for the second hero; ``None`` means the game's own.
    ``rate`` is the c of the runs on the board (learning rate c/width), ``bought`` the runs that are
    bought already, as the page's address writes them, ``forecast`` and ``spread`` the forecast
    and half the width of its interval in nats, and ``committed`` whether it is given.
    Raises ``ValueError`` for what the game does not offer.
    """

    module = "one_shot_game"
    label = "One-shot game"
    record = f"{RECORD}.json"
    limits = RANGES

    hero = setting(t.Int)
    rate = t.Enum(RATES, None, allow_none=True).tag(sync=True, page=True)
    bought = setting(t.Unicode)
    forecast = setting(t.Float)
    spread = setting(t.Float)
    committed = setting(t.Bool)
    game = t.Dict().tag(sync=True)

    def __init__(self, **settings: Any) -> None:
        path = repo_root() / "records" / self.record
        data = json.loads(path.read_text(encoding="utf-8"))["data"]
        super().__init__(**data, **settings)
