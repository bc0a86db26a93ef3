"""The command that records our laws and runs for the compute explorer."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.scaling import explorer_data as ed
from utils import records
from utils.scaling.laws import Law
from utils.scaling.runs import RunRecord, load_runs
from utils.scaling.spec import RunSpec
from utils.widgets.compute_explorer.settings import RECORD

TRUTH = Law(E=2.0, A=300.0, B=600.0, alpha=0.5, beta=0.45)


def run(budget: float, d_model: int, seed: int) -> RunRecord:
    """A run whose loss is the law's, a little more or less by its seed."""
    spec = RunSpec(d_model=d_model, n_layer=3, tokens=1, learning_rate=0.01, seed=seed)
    tokens = round(budget / 6 / spec.n_params)
    loss = float(TRUTH.loss(spec.n_params, tokens)) + (0.001, -0.001)[seed]
    result = {
        "n_params": spec.n_params,
        "tokens": tokens,
        "flops": 6.0 * spec.n_params * tokens,
        "val_loss": loss,
    }
    return RunRecord(spec, result, {})


def test_laws_are_fitted_and_seeds_averaged() -> None:
    runs = [run(c, d, s) for c in (3e13, 1e14, 3e14) for d in (32, 64, 96, 128) for s in (0, 1)]
    ours = ed.explorer_data(runs)["ours"]
    assert ours["fitted_to"]["budgets"] == [3e13, 3e14]
    assert len(ours["runs"]) == 12
    assert {row["seeds"] for row in ours["runs"]} == {2}
    for row in ours["runs"]:
        expected = TRUTH.loss(row["n_params"], row["budget"] / 6 / row["n_params"])
        assert row["loss"] == pytest.approx(float(expected), abs=2e-4)
    assert ours["laws"]["additive"]["E"] == pytest.approx(TRUTH.E, abs=0.1)


def test_the_record_is_what_the_command_makes_of_the_runs() -> None:
    stored = records.load(RECORD).data["ours"]
    again = ed.explorer_data(load_runs(ed.RUNS))["ours"]
    assert again["runs"] == stored["runs"]
    assert again["fitted_to"] == stored["fitted_to"]
    N = np.geomspace(2e5, 2e7, 5)
    for form, law in stored["laws"].items():
        said = Law(**law).loss(N, 1e14 / 6 / N)
        assert Law(**again["laws"][form]).loss(N, 1e14 / 6 / N) == pytest.approx(said, rel=1e-4)


def test_the_command_writes_the_record(tmp_path, monkeypatch, capsys) -> None:
    path = tmp_path / "explorer.json"
    monkeypatch.setattr(ed, "RECORD", path)
    ed.main([])
    assert records.load(path).data["ours"]["runs"]
    assert "coupled: E = " in capsys.readouterr().out
