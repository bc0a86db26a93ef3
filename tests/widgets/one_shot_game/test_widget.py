"""The one-shot game without a browser: JavaScript = Python, the record, and the class."""

from __future__ import annotations

import json
import re

import pytest
import traitlets as t

from tests.node import node
from utils import records
from utils.scaling.runs import load_runs
from utils.widgets.one_shot_game.settings import (
    BUDGET,
    HEROES,
    LENGTHS,
    RANGES,
    RATE,
    RATES,
    RECORD,
    WIDTHS,
)
from utils.widgets.one_shot_game.widget import OneShotGame


@pytest.fixture(scope="module")
def game() -> dict:
    return records.load(RECORD).data["game"]


def interval_score(low: float, high: float, outcome: float) -> float:
    """Gneiting and Raftery 2007, equation 43, for an interval of 90 %."""
    penalty = 0.0
    if outcome < low:
        penalty = low - outcome
    if outcome > high:
        penalty = outcome - high
    return (high - low) + 2 / 0.1 * penalty


def test_javascript_plays_by_pythons_rules(game, tmp_path) -> None:
    def size(width: int, length: int) -> int:
        return game["n_params"][width] * LENGTHS[length]

    runs = [
        {
            "width": i,
            "length": j,
            "price": game["seconds_per_step"][i] * LENGTHS[j] / 512,
            "large": [size(i, j) >= size(*hero) for hero in HEROES],
        }
        for i in range(len(WIDTHS))
        for j in range(len(LENGTHS))
    ]
    scores = [
        {
            "forecast": {"loss": loss, "low": loss - spread, "high": loss + spread},
            "outcome": outcome,
            "miss": loss / outcome - 1,
            "held": loss - spread <= outcome <= loss + spread,
            "score": interval_score(loss - spread, loss + spread, outcome),
        }
        for loss, spread, outcome in [(3.2, 0.2, 3.091), (3.2, 0.05, 3.091), (3.0, 0.05, 3.091)]
    ]
    fixture = {"game": game, "runs": runs, "scores": scores}
    node("one_shot_game/one_shot_game.test.mjs", json.loads(json.dumps(fixture)), tmp_path)


def test_the_record_holds_the_recorded_runs(game) -> None:
    runs = load_runs("scaling/game")
    assert len(runs) == len(WIDTHS) * len(LENGTHS) * len(RATES)
    for run in runs:
        i, j = WIDTHS.index(run.spec.d_model), LENGTHS.index(run.spec.tokens)
        k = RATES.index(run.spec.learning_rate * run.spec.d_model)
        assert game["losses"][i][j][k] == pytest.approx(run.loss, abs=6e-4)
        assert game["n_params"][i] == run.n_params


def test_both_designs_can_be_paid_and_cost_about_the_same(game) -> None:
    cost = {}
    for name, cells in game["designs"].items():
        cost[name] = sum(game["seconds_per_step"][i] * LENGTHS[j] / 512 for i, j in cells)
        assert cost[name] <= BUDGET
        assert not {tuple(cell) for cell in cells} & set(HEROES)
    assert 0.6 < cost["L"] / cost["grid"] < 1.7
    prices = game["seconds_per_step"]
    assert prices[-1] > prices[0] > 0


def test_the_grid_forecasts_every_hero_better_than_the_l(game) -> None:
    place = RATES.index(RATE)
    for (i, j), rivals in zip(HEROES, game["rivals"], strict=True):
        outcome = game["losses"][i][j][place]
        miss = {name: abs(rival["loss"] / outcome - 1) for name, rival in rivals.items()}
        assert miss["grid"] < 0.03
        assert miss["L"] > 0.1
        assert all(rival["converged"] for rival in rivals.values())
        grid, edges = rivals["grid"], rivals["L"]
        assert interval_score(grid["low"], grid["high"], outcome) < interval_score(
            edges["low"], edges["high"], outcome
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hero": 4}, "hero must be a whole number in [1, 3], got 4"),
        ({"forecast": 9.0}, "forecast must be a number in [2.5, 5.5], got 9"),
        ({"loss": 1}, "setting must be one of bought, committed, forecast, hero, rate, spread"),
    ],
)
def test_the_class_refuses_in_one_line(settings, message) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        OneShotGame(**settings)
    assert "\n" not in str(error.value)


def test_the_class_refuses_another_rate() -> None:
    with pytest.raises(t.TraitError):
        OneShotGame(rate=3.0)


def test_the_class_has_the_settings_of_the_page_and_the_runs(game) -> None:
    widget = OneShotGame(hero=2)
    assert set(widget.trait_names(page=True)) == {*RANGES, "rate", "bought", "committed"}
    assert widget.game == game
    assert widget.page_state() == {"hero": 2}
