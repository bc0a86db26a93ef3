"""The command that records what the one-shot game is played with, on made-up losses and whole."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.scaling import one_shot_data as od
from utils import records
from utils.runtime import generator
from utils.scaling.laws import Law
from utils.scaling.runs import load_runs
from utils.widgets.one_shot_game.settings import HEROES, LENGTHS, RECORD, WIDTHS

pytestmark = pytest.mark.usefixtures("one_thread")
TRUTH = Law(E=1.5, A=3e3, B=4e4, alpha=0.6, beta=0.6, k=0.5)


def test_losses_stand_in_the_order_of_the_settings() -> None:
    runs = load_runs(od.RUNS)
    table, sizes = od.losses(runs)
    assert table.shape == (6, 6, 5)
    assert np.all(np.diff(sizes) > 0)
    assert np.all(np.diff(table[:, :, 2], axis=0) < 0)  # larger models are better
    assert np.all(np.diff(table[:, :, 2], axis=1) < 0)  # so is more text
    with pytest.raises(KeyError):
        od.losses(runs[1:])


@pytest.mark.parametrize("name", ["L", "grid"])
def test_a_design_forecasts_a_law_that_is_true(name, monkeypatch) -> None:
    monkeypatch.setattr(od, "RESAMPLES", 20)
    sizes = np.array([28784, 45480, 72928, 132432, 225728, 430752])
    noise = generator(0).normal(0, 1e-4, (6, 6, 1))
    table = TRUTH.loss(sizes[:, None, None], np.array(LENGTHS)[None, :, None]) * np.exp(noise)
    table = np.repeat(table, 5, axis=2)
    found = od.law_forecast(table, sizes, od.DESIGNS[name], HEROES[0])
    assert found["loss"] == pytest.approx(table[5, 5, 2], rel=0.05)
    assert found["low"] <= found["loss"] <= found["high"]


def test_a_step_takes_time(monkeypatch) -> None:
    monkeypatch.setattr(od, "TIMED_STEPS", 1)
    assert od.seconds_per_step(16) > 0


def test_the_record_is_what_the_command_makes_of_the_runs(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr(od, "RESAMPLES", 3)
    monkeypatch.setattr(od, "seconds_per_step", lambda width: width / 1000)
    monkeypatch.setattr(od, "RECORD", tmp_path / "one_shot.json")
    od.main([])
    again = records.load(tmp_path / "one_shot.json").data["game"]
    stored = records.load(RECORD).data["game"]
    for name in ("losses", "n_params", "designs"):
        assert again[name] == stored[name]
    for mine, theirs in zip(again["rivals"], stored["rivals"], strict=True):
        for design in mine:
            assert mine[design]["loss"] == pytest.approx(theirs[design]["loss"], abs=0.01)
    assert again["seconds_per_step"] == [width / 1000 for width in WIDTHS]
    assert "grid" in capsys.readouterr().out
