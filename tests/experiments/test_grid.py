"""The grid of scaling runs: its stages, and the command at toy size, stopped and continued."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.scaling import corpus as corpus_module
from experiments.scaling import grid
from experiments.scaling.grid import STAGES, best_constant, main, specs_of
from tests.toy_corpus import some_books, write_corpus
from utils import records
from utils.scaling.runs import load_runs

VOCABULARY = 300
SIZES = {3e13: 0, 1e14: 1, 3e14: 2, 1e15: 4}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A corpus of six books, a small vocabulary, and runs of a few steps."""
    plain = grid.book_run

    def small(shape, tokens, constant, **other):
        settings = {"vocab_size": VOCABULARY, "context_length": 16, "batch_tokens": 32} | other
        settings["batch_tokens"] = min(settings["batch_tokens"], 32)
        if settings.get("unique_tokens"):
            settings["unique_tokens"] = 64
        return plain((32, 1), 320, constant, **settings)

    monkeypatch.setattr(corpus_module, "VOCAB_SIZE", VOCABULARY)
    monkeypatch.setattr(grid, "book_run", small)
    monkeypatch.setattr(grid, "RATE_SHAPES", ((32, 1),))
    monkeypatch.setattr(grid, "UNIQUE_TOKENS", (None, 64))
    path = write_corpus(tmp_path / "books.jsonl.xz", some_books())
    return ["--corpus", str(path), "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]


def test_the_command_makes_a_record_per_run(toy, tmp_path, capsys):
    main([*toy, "--stages", "rate", "repeat"])
    assert "rate: 5 of 5 runs" in capsys.readouterr().out
    rate = load_runs(tmp_path / "out" / "rate")
    assert [run.result["text"] for run in rate] == ["books.jsonl.xz"] * 5
    assert len(load_runs(tmp_path / "out" / "repeat")[0].result["val_curve"]) == 10  # of 10 steps
    assert str(tmp_path) not in next((tmp_path / "out" / "rate").glob("*.json")).read_text()
    text = records.load(tmp_path / "out" / "text.json")
    assert text.data["books"] == 5  # the sixth is held out
    assert text.data["books_in_the_first"]["64"] == 1
    assert text.provenance["tokens_sha256"] == rate[0].provenance["tokens_sha256"]


def test_a_stopped_command_goes_on_where_it_was(toy, tmp_path, capsys):
    main([*toy, "--stages", "rate", "--time-budget", "0"])
    assert "rate: 0 of 5 runs" in capsys.readouterr().out
    main([*toy, "--stages", "rate"])
    files = {p.name: p.read_bytes() for p in (tmp_path / "out" / "rate").glob("*.json")}
    assert len(files) == 5
    main([*toy, "--stages", "rate"])
    assert files == {p.name: p.read_bytes() for p in (tmp_path / "out" / "rate").glob("*.json")}


def test_another_corpus_is_refused_in_one_line(toy, tmp_path, capsys):
    main([*toy, "--stages", "rate"])
    other = write_corpus(tmp_path / "other.jsonl.xz", some_books()[1:])
    options = ["--corpus", str(other), "--work", str(tmp_path / "work2"), *toy[4:]]
    with pytest.raises(SystemExit):
        main([*options, "--stages", "rate"])
    last = capsys.readouterr().err.splitlines()[-1]
    assert "error: folder must be one with runs of the same text" in last


def test_the_other_stages_ask_for_the_rate_first(toy, capsys):
    with pytest.raises(SystemExit):
        main([*toy, "--stages", "cooldown"])
    assert "there are no runs yet: no folder rate" in capsys.readouterr().err.splitlines()[-1]


# ---- which runs there are ------------------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
def test_the_runs_of_a_stage_differ(stage):
    specs = specs_of(stage, 1.0)
    assert len({spec.name for spec in specs}) == len(specs)


@pytest.mark.parametrize("stage", STAGES)
def test_the_record_has_these_runs(stage):
    """The constant was chosen by the stage "rate", so that this holds for its choice alone."""
    constant = best_constant(records.path_of("scaling/rate").with_suffix(""))
    found = {run.spec.name for run in load_runs(f"scaling/{stage}")}
    planned = {spec.name: spec for spec in specs_of(stage, constant)}
    assert found <= set(planned)
    # Of the IsoFLOP runs seven were not made: the third seed at the two middle budgets.
    missing = [spec for name, spec in planned.items() if name not in found]
    assert len(missing) == (7 if stage == "isoflop" else 0)
    assert {spec.seed for spec in missing} <= {2}


def test_isoflop_runs_share_their_budget():
    counts: dict[float, int] = {}
    for spec in specs_of("isoflop", 1.0):
        budget = min(SIZES, key=lambda c: abs(np.log(c / spec.flops)))
        counts[budget] = counts.get(budget, 0) + 1
        # Whole steps round the budget a little.
        assert spec.flops == pytest.approx(budget, rel=0.01)
    assert counts == {3e13: 21, 1e14: 21, 3e14: 21, 1e15: 7}


def test_the_rate_falls_with_the_width():
    for spec in specs_of("isoflop", 0.7):
        assert spec.learning_rate == pytest.approx(0.7 / spec.d_model)


def test_the_steps_stage_changes_the_batch_alone():
    specs = specs_of("steps", 1.0)
    assert {(spec.n_params, spec.tokens, spec.learning_rate) for spec in specs} == {
        (specs[0].n_params, 1_000_000, 1 / 96)
    }
    assert [spec.steps for spec in specs] == [1953, 977, 488, 244, 122]


def test_the_best_constant_is_the_best_on_average(tmp_path, toy):
    main([*toy, "--stages", "rate"])
    folder = tmp_path / "out" / "rate"
    runs = load_runs(folder)
    best = min(runs, key=lambda run: run.loss)
    assert best_constant(folder) == pytest.approx(best.spec.learning_rate * 32)


def test_scattered_text_is_the_same_text_in_another_order():
    text = np.arange(5 * grid.PIECE + 7, dtype=np.uint16)
    pieces = grid.scatter(text).reshape(-1, grid.PIECE)
    assert len(pieces) == 5  # what is left over is dropped
    assert sorted(pieces[:, 0]) == [i * grid.PIECE for i in range(5)]
    assert (np.diff(pieces, axis=1) == 1).all()
    assert (grid.scatter(text) == pieces.ravel()).all()


def test_scattered_runs_have_a_text_of_their_own(toy, tmp_path, monkeypatch):
    main([*toy, "--stages", "rate"])
    monkeypatch.setattr(grid, "PIECE", 16)
    main([*toy, "--stages", "narrow", "scattered"])
    narrow, scattered = (load_runs(tmp_path / "out" / name) for name in ("narrow", "scattered"))
    assert {run.spec.name for run in scattered} < {run.spec.name for run in narrow}
    assert scattered[0].provenance["tokens_sha256"] != narrow[0].provenance["tokens_sha256"]
    assert scattered[0].result["text"].endswith(", in scattered pieces")
