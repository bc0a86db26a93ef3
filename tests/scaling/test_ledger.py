"""The ledger in a scratch folder: what a forecast binds, and which changes are found out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.scaling.small import small_spec, small_text
from utils.data.fetch import file_sha256
from utils.scaling.ledger import RUNS, read_forecast, read_ledger, seed_of, write_forecast
from utils.scaling.runs import run_grid

EXPECTED = {"loss": 3.0, "low": 2.5, "high": 3.6, "level": 0.9}


def forecast(folder: Path, name: str = "one", **other):
    spec = other.pop("spec", small_spec())
    expected = EXPECTED | other
    return write_forecast(folder, name, spec, method="by eye", **expected)


def answer(folder: Path) -> None:
    """Train every forecast's run."""
    tokens, validation = small_text()
    forecasts = [read_forecast(path) for path in sorted(folder.glob("*.json"))]
    hash_of = {found.spec.name: found.sha256 for found in forecasts}
    run_grid(
        [found.spec for found in forecasts],
        folder / RUNS,
        tokens,
        validation,
        text="a walk",
        tell=False,
        device=torch.device("cpu"),
        notes=lambda spec: {"forecast_sha256": hash_of[spec.name]},
    )


def change(path: Path, **changed) -> None:
    content = json.loads(path.read_text())
    content["data"] |= changed
    path.write_text(json.dumps(content))


def test_the_seed_comes_from_the_file(tmp_path):
    path = forecast(tmp_path, spec=small_spec(seed=5))
    found = read_forecast(path)
    assert found.sha256 == file_sha256(path)
    assert found.spec == small_spec(seed=seed_of(found.sha256))
    assert "seed" not in json.loads(path.read_text())["data"]["run"]
    change(path, loss=3.1)
    assert read_forecast(path).spec.seed != found.spec.seed


def test_a_forecast_is_written_once(tmp_path):
    path = forecast(tmp_path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="^name must be one without a forecast yet, got 'one'$"):
        forecast(tmp_path, loss=3.1)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"loss": 3.7}, r"loss must be a number in \[2.5, 3.6\], got 3.7"),
        ({"low": -1.0}, r"low must be a number in \[0, inf\), got -1.0"),
        ({"high": 2.4}, r"high must be a number in \[2.5, inf\), got 2.4"),
        ({"level": 1.0}, r"level must be a number in \(0, 1\), got 1.0"),
        ({"loss": float("nan")}, r"loss must be a number in \[2.5, 3.6\], got nan"),
    ],
)
def test_an_interval_that_does_not_hold_its_forecast_is_refused(tmp_path, changed, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        forecast(tmp_path, **changed)
    assert list(tmp_path.glob("*.json")) == []


def test_a_ledger_before_and_after_its_runs(tmp_path):
    forecast(tmp_path, "one")
    forecast(tmp_path, "two", spec=small_spec(tokens=160), low=0.1, loss=0.2, high=0.3)
    before = read_ledger(tmp_path)
    assert [(entry.run, entry.miss, entry.inside) for entry in before] == [(None, None, None)] * 2
    answer(tmp_path)
    one, two = read_ledger(tmp_path)
    assert one.run is not None
    assert one.miss == 3.0 / one.run.loss - 1
    assert one.inside is (2.5 <= one.run.loss <= 3.6)
    assert two.inside is False
    assert one.run.spec == one.forecast.spec


@pytest.mark.parametrize("changed", [{"loss": 3.2}, {"low": 2.0}, {"method": "by luck"}])
def test_a_forecast_that_was_changed_after_its_run_is_found_out(tmp_path, changed):
    path = forecast(tmp_path)
    answer(tmp_path)
    assert read_ledger(tmp_path)[0].run is not None
    change(path, **changed)
    with pytest.raises(ValueError, match="^folder must be one in which every run answers a fore"):
        read_ledger(tmp_path)


def test_a_forecast_that_was_removed_after_its_run_is_found_out(tmp_path):
    forecast(tmp_path, "one")
    forecast(tmp_path, "two", spec=small_spec(tokens=160))
    answer(tmp_path)
    (tmp_path / "two.json").unlink()
    with pytest.raises(ValueError, match="^folder must be one in which every run answers a fore"):
        read_ledger(tmp_path)


def test_a_run_with_another_configuration_is_found_out(tmp_path):
    """Someone trains with another learning rate and writes the forecast's hash beside it."""
    forecast(tmp_path)
    answer(tmp_path)
    (file,) = (tmp_path / RUNS).glob("*.json")
    content = json.loads(file.read_text())
    content["data"]["spec"]["learning_rate"] = 0.01
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="^run of one must be the one that was forecast"):
        read_ledger(tmp_path)


def test_a_run_with_another_seed_is_found_out(tmp_path):
    forecast(tmp_path)
    answer(tmp_path)
    (file,) = (tmp_path / RUNS).glob("*.json")
    content = json.loads(file.read_text())
    content["data"]["spec"]["seed"] += 1
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="^run of one must be the one that was forecast"):
        read_ledger(tmp_path)


def test_a_damaged_forecast_is_named_in_one_line(tmp_path):
    path = forecast(tmp_path)
    content = json.loads(path.read_text())
    del content["data"]["low"]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="^one.json is not a forecast: 'low'$"):
        read_ledger(tmp_path)
