"""cnn_sweep at toy size on the CPU: the path that a GPU takes at full scale."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiments.double_descent import cnn_sweep
from experiments.double_descent.cnn_sweep import (
    Settings,
    build_cnn,
    coarse_first,
    main,
    sweep,
    training_flops,
)
from utils import records
from utils.data.fetch import file_sha256

TOY = Settings(
    widths=(1, 2, 3), seeds=(0,), label_noise=0.2, steps=6, batch_size=8, n_evaluations=3, lr=0.01
)


def without_clock(path) -> dict:
    record = records.load(path)
    return record.data | {
        key: record.provenance[key] for key in ("source", "flipped", "cut", "flops", "complete")
    }


def test_the_network_is_the_papers():
    size = sum(parameter.numel() for parameter in build_cnn(64).parameters())
    assert size == 1_558_026  # counted by hand from the layers named in the docstring
    assert training_flops(64, 1) == pytest.approx(6 * 228.3e6, rel=0.01)


def test_the_command_writes_a_record(archive, tmp_path, capsys):
    out = tmp_path / "cnn.json"
    options = ["--widths", "1", "2", "3", "--steps", "6", "--batch-size", "8"]
    options += ["--n-evaluations", "3", "--lr", "0.01"]
    main([*options, "--time-budget", "60", "--archive", str(archive), "--out", str(out)])
    record = records.load(out)
    assert f"wrote {out}" in capsys.readouterr().out
    assert record.provenance["source"]["sha256"] == file_sha256(archive)
    assert record.provenance["complete"]
    assert record.provenance["flops"] == sum(training_flops(width, 48) for width in (1, 2, 3))
    assert record.data["settings"]["n_train"] == 50
    assert [run["width"] for run in record.data["runs"]] == [1, 2, 3]
    for run in record.data["runs"]:
        assert run["finished"]
        assert run["steps"] == [1, 2, 6]
        assert run["epochs"] == [0.167, 0.333, 1.0]
        assert all(0 <= value <= 1 for value in run["train_error"] + run["test_error"])
    assert str(tmp_path) not in out.read_text()


def test_an_interrupted_sweep_continues_to_the_same_result(archive, tmp_path, monkeypatch, capsys):
    whole = sweep(TOY, tmp_path / "whole.json", archive=archive)
    part = tmp_path / "part.json"
    clock = iter(range(10_000))
    with monkeypatch.context() as patch:
        patch.setattr(cnn_sweep.time, "monotonic", lambda: float(next(clock)))
        sweep(
            TOY, part, time_budget=13.0, archive=archive
        )  # a second a step: one network and a piece
    runs = records.load(part).data["runs"]
    assert sorted(run["finished"] for run in runs) == [False, True]
    assert not records.load(part).provenance["complete"]
    assert "time is up at width 3" in capsys.readouterr().out
    spent = records.load(part).provenance["wall_seconds"]
    assert without_clock(sweep(TOY, part, archive=archive)) == without_clock(whole)
    assert records.load(part).provenance["wall_seconds"] >= spent
    before = part.read_text()
    sweep(TOY, part, archive=archive)
    assert part.read_text() == before  # complete: nothing is trained or rewritten


def test_no_time_at_all_is_no_crash(archive, tmp_path):
    out = sweep(TOY, tmp_path / "none.json", time_budget=0.0, archive=archive)
    assert [run["steps"] for run in records.load(out).data["runs"]] == [[]]
    assert records.load(out).provenance["flops"] == 0


def test_another_sweep_is_not_overwritten(archive, tmp_path):
    out = sweep(replace(TOY, widths=(1,)), tmp_path / "cnn.json", archive=archive)
    with pytest.raises(
        ValueError, match=r"^out must be a new file, or a record of the same settings"
    ) as caught:
        sweep(replace(TOY, widths=(1,), steps=5), out, archive=archive)
    assert "\n" not in str(caught.value)


def test_it_learns(archive, tmp_path):
    longer = replace(TOY, widths=(4,), steps=60, label_noise=0.0, batch_size=25)
    run = records.load(sweep(longer, tmp_path / "cnn.json", archive=archive)).data["runs"][0]
    assert run["train_error"][-1] < 0.5 * run["train_error"][0]


def test_the_record_holds_what_the_notebook_draws(archive, tmp_path):
    """Errors at the end against width, and along the epochs: one curve per width and seed."""
    settings = replace(TOY, seeds=(0, 1), n_evaluations=2, steps=12)
    record = records.load(sweep(settings, tmp_path / "cnn.json", archive=archive))
    runs = record.data["runs"]
    assert sorted({run["width"] for run in runs}) == [1, 2, 3]
    assert sorted({run["seed"] for run in runs}) == [0, 1]
    for run in runs:
        assert run["finished"]
        assert all(len(run[curve]) == 2 for curve in ("epochs", "train_error", "test_error"))
    assert f"seeds {[0, 1]}" in record.line()


@pytest.mark.parametrize("n", [1, 2, 3, 7, 14])
def test_coarse_first_visits_everything_once(n):
    order = coarse_first(range(n))
    assert sorted(order) == list(range(n))
    assert set(order[:2]) == {0, n - 1}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"widths": (0,)}, r"^widths must be a whole number of at least 1, got 0$"),
        ({"widths": (1, 1)}, r"^widths must be numbers that all differ, got \(1, 1\)$"),
        ({"widths": 3}, r"^widths must be at least one number, got 3$"),
        ({"seeds": (0, 0)}, r"^seeds must be numbers that all differ, got \(0, 0\)$"),
        ({"n_train": 0}, r"^n_train must be a whole number of at least 1, got 0$"),
        ({"n_train": True}, r"^n_train must be a whole number of at least 1, got True$"),
        ({"n_test": -1}, r"^n_test must be a whole number of at least 1, got -1$"),
        ({"widths": ()}, r"^widths must be at least one number, got \(\)$"),
        ({"label_noise": 1.5}, r"^label_noise must be a number in \[0, 1\], got 1\.5$"),
        ({"steps": 0}, r"^steps must be a whole number of at least 1, got 0$"),
        ({"lr": -1.0}, r"^lr must be a number in \(0, inf\), got -1\.0$"),
    ],
)
def test_a_bad_setting_is_one_clear_line(changed, message):
    with pytest.raises(ValueError, match=message):
        Settings(**changed)


def test_what_would_fail_at_the_end_is_told_before_the_first_network(
    archive, tmp_path, monkeypatch
):
    monkeypatch.setattr(cnn_sweep, "train_network", lambda *_: pytest.fail("trained"))
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="^out must be a file that can be written"):
        sweep(TOY, tmp_path / "file" / "cnn.json", archive=archive)
    monkeypatch.setenv("COURSE_SCALE", "huge")
    with pytest.raises(ValueError, match="^COURSE_SCALE must be one of"):
        sweep(TOY, tmp_path / "cnn.json", archive=archive)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--widths", "0"], "widths must be a whole number of at least 1, got 0"),
        (["--time-budget", "nan"], "time_budget must be a number in [0, inf), got nan"),
        (
            ["--archive", "none.zip"],
            "archive (or COURSE_CIFAR) must be an existing file, got none.zip",
        ),
    ],
)
def test_the_command_refuses_in_one_line(options, line, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([*options, "--out", str(tmp_path / "a.json")])
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"error: {line}")
