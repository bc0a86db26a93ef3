"""A grid of runs: one record per run, resumed, refused for another text, read again."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.scaling.small import small_spec, small_text
from utils.files import locked
from utils.scaling import runs as module
from utils.scaling.runs import arrays, load_runs, run_grid

CPU = torch.device("cpu")
SPECS = [small_spec(seed=seed) for seed in (0, 1, 2)]


def make(folder, specs=SPECS, seed=0, **how):
    tokens, validation = small_text(seed)
    return run_grid(
        specs, folder, tokens, validation, text="a walk", device=CPU, tell=False, at_once=1, **how
    )


def test_each_run_has_a_record_of_its_own(tmp_path):
    assert make(tmp_path) == []
    assert sorted(p.stem for p in tmp_path.glob("*.json")) == sorted(s.name for s in SPECS)
    for run in load_runs(tmp_path):
        assert run.spec in SPECS
        assert run.result["text"] == "a walk"
        assert run.provenance["seeds"] == [run.spec.seed]
        assert run.provenance["flops"] == run.spec.flops
        assert run.loss == run.result["val_loss"]
        assert (run.n_params, run.tokens) == (run.spec.n_params, 192)


def test_a_stopped_grid_goes_on_with_those_that_lack_a_record(tmp_path, monkeypatch):
    assert make(tmp_path, SPECS[:1]) == []
    kept = (tmp_path / f"{SPECS[0].name}.json").read_bytes()
    trained = []
    plain = module.train_together

    def spied(specs, *arguments, **how):
        trained.extend(specs)
        return plain(specs, *arguments, **how)

    monkeypatch.setattr(module, "train_together", spied)
    assert make(tmp_path) == []
    assert trained == SPECS[1:]
    assert (tmp_path / f"{SPECS[0].name}.json").read_bytes() == kept
    make(tmp_path)
    assert trained == SPECS[1:]  # all are there: nothing is trained again


def test_it_says_which_runs_are_left_when_time_is_up(tmp_path):
    assert make(tmp_path, deadline=0.0) == SPECS
    assert load_runs(tmp_path) == []


def test_a_resumed_grid_ends_as_an_uninterrupted_one(tmp_path):
    make(tmp_path / "whole")
    make(tmp_path / "parts", SPECS[:2])
    make(tmp_path / "parts")
    whole, parts = (
        [(run.spec, run.loss, run.result["train_curve"]) for run in load_runs(tmp_path / name)]
        for name in ("whole", "parts")
    )
    assert whole == parts


def test_notes_stand_in_the_provenance(tmp_path):
    make(tmp_path, SPECS[:1], notes=lambda spec: {"answer": spec.seed + 42})
    assert load_runs(tmp_path)[0].provenance["answer"] == 42


def test_runs_of_another_text_are_refused(tmp_path):
    make(tmp_path, SPECS[:1])
    with pytest.raises(ValueError, match="^folder must be one with runs of the same text") as error:
        make(tmp_path, seed=1)
    assert "\n" not in str(error.value)
    assert len(load_runs(tmp_path)) == 1


def test_two_equal_specs_are_refused(tmp_path):
    with pytest.raises(ValueError, match="^specs must be runs that all differ"):
        make(tmp_path, [SPECS[0], SPECS[1], SPECS[0]])


def test_a_second_process_is_kept_out(tmp_path):
    tmp_path.mkdir(exist_ok=True)
    with locked(tmp_path / "runs"), pytest.raises(OSError, match="runs"):
        make(tmp_path)
    assert load_runs(tmp_path) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data["data"].pop("result"),
        lambda data: data["data"]["result"].pop("val_loss"),
        lambda data: data["data"]["spec"].update(d_model=-1),
        lambda data: data["data"]["spec"].update(unknown=1),
    ],
)
def test_a_damaged_record_is_named_in_one_line(tmp_path, spoil):
    make(tmp_path, SPECS[:1])
    file = tmp_path / f"{SPECS[0].name}.json"
    content = json.loads(file.read_text())
    spoil(content)
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"^{file.name} is not the record of a run: ") as caught:
        load_runs(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=rf"^{file.name}"):
        make(tmp_path, SPECS[:1])


def test_half_a_record_is_refused(tmp_path):
    make(tmp_path, SPECS[:1])
    file = tmp_path / f"{SPECS[0].name}.json"
    file.write_text(file.read_text()[:100])
    with pytest.raises(ValueError, match=file.name):
        load_runs(tmp_path)


def test_no_folder_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="there are no runs yet"):
        load_runs(tmp_path / "none")


def test_the_columns(tmp_path):
    make(tmp_path)
    columns = arrays(load_runs(tmp_path))
    assert set(columns) == {"n_params", "n_tokens", "loss", "flops", "seed"}
    assert sorted(columns["seed"]) == [0, 1, 2]
    assert (columns["n_tokens"] == 192).all()
    np.testing.assert_allclose(columns["flops"], 6 * columns["n_params"] * columns["n_tokens"])


@pytest.mark.parametrize(
    ("stage", "n_runs"),
    [("isoflop", 63), ("rate", 15), ("ladder", 22), ("repeat", 6), ("cooldown", 12), ("game", 180)],
)
def test_the_stored_runs(stage, n_runs):
    """All stages of the record are complete, of one text each, and no run stands in two names."""
    runs = load_runs(f"scaling/{stage}")
    assert len(runs) == n_runs
    assert len({run.spec for run in runs}) == n_runs
    assert len({run.provenance["tokens_sha256"] for run in runs}) == 1
    assert all(len(run.result["train_curve"]) == 64 for run in runs)
