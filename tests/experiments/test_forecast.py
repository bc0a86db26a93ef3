"""Forecasts before their runs: the command at toy size, stopped, continued and cheated."""

from __future__ import annotations

import json

import numpy as np
import pytest

from experiments.scaling import corpus as corpus_module
from experiments.scaling import forecast, grid
from experiments.scaling.forecast import RUNS, main, predict
from tests.toy_corpus import some_books, write_corpus
from utils.scaling.laws import Law
from utils.scaling.ledger import read_forecast, read_ledger
from utils.scaling.runs import arrays
from utils.scaling.spec import RunSpec

LAW = Law(E=2.0, A=60.0, B=200.0, alpha=0.4, beta=0.45)


def pretended_grid(n_runs: int = 24) -> dict[str, np.ndarray]:
    """Runs whose losses come from a law, with half a percent of noise."""
    n, d = np.meshgrid(np.geomspace(1e5, 1e7, 6), np.geomspace(1e6, 1e8, n_runs // 6))
    noise = np.exp(0.005 * np.sin(np.arange(n.size) * 12.9898))
    return {
        "n_params": n.ravel(),
        "n_tokens": d.ravel(),
        "loss": LAW.loss(n, d).ravel() * noise,
    }


# ---- the interval --------------------------------------------------------------------------------


def test_an_interval_holds_its_forecast_and_the_law(monkeypatch):
    monkeypatch.setattr(forecast, "RESAMPLES", 60)
    specs = [RunSpec(64, 3, tokens=20_000_000, learning_rate=0.01)]
    (found,) = predict("additive", pretended_grid(), specs)
    assert found["low"] <= found["loss"] <= found["high"]
    truth = float(LAW.loss(specs[0].n_params, specs[0].steps * specs[0].batch_tokens))
    assert found["low"] < truth < found["high"]
    assert 0.001 < found["high"] / found["low"] - 1 < 0.05


# ---- the command ---------------------------------------------------------------------------------


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Two forecasts of models that train in a moment, from the stored runs and few resamples."""

    def small(shape, tokens, constant):
        settings = {"n_head": 2, "vocab_size": 300, "context_length": 16, "batch_tokens": 32}
        return RunSpec(32, 1, tokens=int(tokens), learning_rate=0.02, **settings)

    monkeypatch.setattr(corpus_module, "VOCAB_SIZE", 300)
    monkeypatch.setattr(forecast, "book_run", small)
    monkeypatch.setattr(forecast, "best_constant", lambda folder: 1.0)
    monkeypatch.setattr(forecast, "RUNS", (("a-1", (32, 1), 320), ("b-1", (32, 1), 480)))
    monkeypatch.setattr(forecast, "RESAMPLES", 40)
    corpus = write_corpus(tmp_path / "books.jsonl.xz", some_books())
    work = ["--corpus", str(corpus), "--work", str(tmp_path / "work")]
    return ["--out", str(tmp_path / "out")], work


def test_write_then_run(toy, tmp_path, capsys):
    out, work = toy
    main(["write", *out])
    assert sorted(p.stem for p in (tmp_path / "out").glob("*.json")) == ["a-1", "b-1"]
    written = {p.name: p.read_bytes() for p in (tmp_path / "out").glob("*.json")}
    found = read_forecast(tmp_path / "out" / "a-1.json")
    assert set(found.rivals) == {"additive", "kaplan"}
    assert found.level == 0.9

    main(["run", *out, *work])
    assert "2 of 2 runs" in capsys.readouterr().out
    entries = read_ledger(tmp_path / "out")
    assert all(entry.run is not None for entry in entries)
    assert [entry.run.spec.seed for entry in entries] == [e.forecast.spec.seed for e in entries]
    # Asked again, neither writes nor trains.
    main(["write", *out])
    main(["run", *out, *work])
    assert written == {p.name: p.read_bytes() for p in (tmp_path / "out").glob("*.json")}


def test_a_stopped_one_goes_on(toy, tmp_path, capsys):
    out, work = toy
    main(["write", *out])
    main(["run", *out, *work, "--time-budget", "0"])
    assert "0 of 2 runs" in capsys.readouterr().out
    main(["run", *out, *work, "--only", "b-1"])
    assert "1 of 1 runs" in capsys.readouterr().out
    main(["run", *out, *work])
    assert [entry.run is not None for entry in read_ledger(tmp_path / "out")] == [True, True]


def test_a_changed_forecast_asks_for_another_run_and_disowns_the_old_one(toy, tmp_path):
    out, work = toy
    main(["write", *out])
    main(["run", *out, *work])
    file = tmp_path / "out" / "a-1.json"
    before = read_forecast(file).spec
    content = json.loads(file.read_text())
    content["data"]["low"] -= 0.5
    file.write_text(json.dumps(content))
    assert read_forecast(file).spec != before
    with pytest.raises(ValueError, match="every run answers a forecast"):
        read_ledger(tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["run"], "corpus must be given, to run, got None"),
        (["run", "--only", "none"], "out must be a folder with these forecasts"),
        (["guess"], "argument what: invalid choice: 'guess'"),
    ],
)
def test_the_command_refuses_in_one_line(toy, capsys, options, line):
    out, work = toy
    given = work if "--only" in options else []
    main(["write", *out])
    with pytest.raises(SystemExit):
        main([*options, *out, *given])
    assert line in capsys.readouterr().err.splitlines()[-1]


# ---- the stored forecasts ------------------------------------------------------------------------


def test_the_stored_forecasts_are_those_of_the_table():
    entries = {entry.forecast.name: entry for entry in read_ledger(forecast_folder())}
    assert set(entries) == {name for name, _, _ in RUNS}
    constant = grid.best_constant(forecast_folder().parent / "scaling" / "rate")
    for name, shape, tokens in RUNS:
        spec = grid.book_run(shape, tokens, constant)
        assert entries[name].forecast.spec.n_params == spec.n_params
        assert entries[name].forecast.spec.tokens == spec.tokens
    assert len(arrays(e.run for e in entries.values() if e.run)["loss"]) == 24


def forecast_folder():
    from utils.runtime import repo_root

    return repo_root() / "records" / "forecasts"
