"""cnn_dynamics at toy size on the CPU: the path that a GPU takes at full scale."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from experiments.implicit_regularization import cnn_dynamics
from experiments.implicit_regularization.cnn_dynamics import (
    RANDOM,
    Settings,
    build_network,
    forward_flops,
    main,
    measure,
    squared_error,
)
from utils import records
from utils.data.fetch import file_sha256
from utils.landscape.curvature import sharpness
from utils.runtime import generator

OPTIONS = ["--step-sizes", "0.02", "0.1", "--descent-steps", "10", "--measure-every", "5"]
OPTIONS += [
    "--epochs",
    "4",
    "--batch-size",
    "10",
    "--lr",
    "0.02",
    "--width",
    "2",
    "--n-train",
    "30",
]
TOY = Settings(
    step_sizes=(0.1,),
    descent_steps=10,
    measure_every=5,
    epochs=4,
    batch_size=10,
    width=2,
    n_train=30,
)


@pytest.fixture(autouse=True)
def _on_the_cpu(monkeypatch):
    monkeypatch.setenv("COURSE_DEVICE", "cpu")


def a_problem():
    """Twelve random images and a network of 688 weights, few enough to write the Hessian out."""
    x = torch.randn(12, 3, 32, 32, generator=generator(0, "torch")).double()
    return squared_error(build_network(1, 0).double(), x, torch.arange(12) % 10)


def test_sharpness_is_the_top_eigenvalue_of_the_explicit_hessian():
    parameters, loss = a_problem()
    shapes = [p.shape for p in parameters]

    def flat_loss(flat):
        parts = flat.split([shape.numel() for shape in shapes])
        return loss([part.view(shape) for part, shape in zip(parts, shapes, strict=True)])[0]

    flat = torch.cat([p.detach().flatten() for p in parameters])
    eigenvalues = torch.linalg.eigvalsh(torch.autograd.functional.hessian(flat_loss, flat))
    found, _ = sharpness(loss, parameters, iterations=300)
    assert found.item() == pytest.approx(eigenvalues[-1].item(), rel=1e-4)


def test_the_loss_is_the_networks():
    x = torch.randn(5, 3, 32, 32, generator=generator(1, "torch"))
    labels = torch.arange(5)
    net = build_network(3, 0)
    parameters, loss = squared_error(net, x, labels)
    by_hand = 0.5 * ((net(x) - torch.eye(10)[labels]) ** 2).sum() / 5
    assert loss(parameters).item() == pytest.approx(by_hand.item(), rel=1e-6)


def test_sizes_counted_by_hand():
    assert sum(p.numel() for p in build_network(32, 0).parameters()) == 896 + 9248 + 20490
    assert forward_flops(32) == 2 * (884_736 + 2_359_296 + 20_480)


def test_the_command_writes_a_record(archive, tmp_path, capsys):
    out = tmp_path / "dynamics.json"
    main([*OPTIONS, "--time-budget", "60", "--archive", str(archive), "--out", str(out)])
    record = records.load(out)
    told = capsys.readouterr().out
    assert f"wrote {out}" in told
    assert told.count("\n") == 6  # a line for each run, and the last
    assert record.provenance["complete"]
    assert record.provenance["source"]["sha256"] == file_sha256(archive)
    assert record.provenance["seeds"] == [0]
    assert "50,000" in record.provenance["cut"]
    runs = record.data["descents"]
    assert [run["lr"] for run in runs] == [0.02, 0.1]
    assert all(run["steps"] == [0, 5, 10] and run["end"] == "steps" for run in runs)
    assert runs[0]["sharpness"][0] == runs[1]["sharpness"][0] > 0
    assert all(run["loss"][-1] < run["loss"][0] for run in runs)
    runs = record.data["memorizations"]
    assert [run["label_noise"] for run in runs] == [0.0, 0.2, 0.9]
    assert 0 == runs[0]["n_wrong"] < runs[1]["n_wrong"] < runs[2]["n_wrong"] < 30
    for run in runs:
        assert run["steps"][-1] == 3 * 4  # three batches an epoch
        assert sorted(run["distance"]) == run["distance"]
        assert all(0 <= value <= 1 for value in run["train_error"] + run["test_error"])
    total = sum(run["flops"] for run in record.data["descents"] + runs)
    assert record.provenance["flops"] == pytest.approx(total)
    assert str(tmp_path) not in out.read_text()


def test_the_record_holds_what_the_notebooks_draw(archive, tmp_path):
    """Sharpness for each step size; the two errors and the distance for each set of labels."""
    record = records.load(measure(TOY, tmp_path / "a.json", archive=archive))
    for run in record.data["descents"]:
        assert run["lr"] == 0.1
        assert len(run["steps"]) == len(run["sharpness"]) == len(run["loss"]) == 3
    memorizations = record.data["memorizations"]
    assert {run["label_noise"] for run in memorizations} == {0.0, 0.2, RANDOM}
    for run in memorizations:
        for curve in ("train_error", "test_error", "distance"):
            assert len(run[curve]) == len(run["steps"]) > 0


def test_random_labels_are_fitted_to_zero_error(archive, tmp_path):
    settings = Settings(
        step_sizes=(0.1,),
        descent_steps=1,
        label_noises=(0.9,),
        epochs=400,
        batch_size=5,
        width=8,
        n_train=20,
    )
    run = records.load(measure(settings, tmp_path / "a.json", archive=archive)).data[
        "memorizations"
    ][0]
    assert run["end"] == "zero error"
    assert run["train_error"][-1] == 0
    assert run["steps"][-1] < 4 * 400


def test_a_step_far_too_large_is_told_and_stored(archive, tmp_path, capsys):
    settings = Settings(
        step_sizes=(1e4,), descent_steps=200, measure_every=500, epochs=1, width=2, n_train=30
    )
    path = measure(settings, tmp_path / "a.json", archive=archive)
    assert records.load(path).data["descents"][0]["end"] == "diverged"
    assert "diverged" in capsys.readouterr().out


def test_it_stops_at_the_budget_and_says_so(archive, tmp_path, monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr(cnn_dynamics.time, "monotonic", lambda: float(next(clock)))
    record = records.load(measure(TOY, tmp_path / "a.json", time_budget=32.0, archive=archive))
    assert not record.provenance["complete"]
    assert record.data["descents"][0]["end"] == "time"
    assert all(run["end"] == "time" for run in record.data["memorizations"])
    assert 0 < len(record.data["descents"][0]["steps"]) < 3


def test_runs_cut_short_are_made_again_and_the_others_kept(archive, tmp_path, monkeypatch, capsys):
    whole = records.load(measure(TOY, tmp_path / "whole.json", archive=archive))
    part = tmp_path / "part.json"
    clock = iter(range(10_000))
    with monkeypatch.context() as patch:
        patch.setattr(cnn_dynamics.time, "monotonic", lambda: float(next(clock)))
        measure(TOY, part, time_budget=48.0, archive=archive)  # a second per step
    first = records.load(part)
    ends = [run["end"] for run in first.data["descents"] + first.data["memorizations"]]
    assert "steps" in ends  # the descent had time enough
    assert "time" in ends
    assert not first.provenance["complete"]
    capsys.readouterr()

    # Only what was cut is made again.
    monkeypatch.setattr(cnn_dynamics, "descend", lambda *_: pytest.fail("made again"))
    again = records.load(measure(TOY, part, archive=archive))
    assert capsys.readouterr().out.count("label noise") == ends.count("time")
    assert again.data == whole.data
    assert again.provenance["complete"]
    assert again.provenance["flops"] == whole.provenance["flops"]
    assert again.provenance["wall_seconds"] >= first.provenance["wall_seconds"]

    before = part.read_text()
    measure(TOY, part, archive=archive)
    assert part.read_text() == before  # complete: nothing is made or rewritten


def test_no_time_at_all_is_no_crash(archive, tmp_path):
    record = records.load(measure(TOY, tmp_path / "a.json", time_budget=0.0, archive=archive))
    assert record.data["descents"][0]["steps"] == []
    assert [run["end"] for run in record.data["memorizations"]] == ["time"] * 3


def test_what_is_not_a_record_of_these_settings_is_not_overwritten(archive, tmp_path):
    out = tmp_path / "a.json"
    out.write_text("{}")
    with pytest.raises(ValueError, match=r"^record .*a\.json is not a readable record: KeyError"):
        measure(TOY, out, archive=archive)
    assert out.read_text() == "{}"
    other = measure(replace(TOY, epochs=1), tmp_path / "b.json", archive=archive)
    before = other.read_text()
    line = r"^out must be a new file, or a record of the same settings and archive, got 'b\.json'$"
    with pytest.raises(ValueError, match=line):
        measure(TOY, other, archive=archive)
    assert other.read_text() == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"step_sizes": (0.1, 0.1)},
            r"^step_sizes must be numbers that all differ, got \(0\.1, 0\.1\)$",
        ),
        ({"n_test": 0}, r"^n_test must be a whole number of at least 1, got 0$"),
        ({"n_train": True}, r"^n_train must be a whole number of at least 1, got True$"),
        ({"step_sizes": ()}, r"^step_sizes must be at least one number, got \(\)$"),
        ({"step_sizes": (0.1, 0.0)}, r"^step_sizes must be a number in \(0, inf\), got 0\.0$"),
        ({"label_noises": (1.5,)}, r"^label_noises must be a number in \[0, 1\], got 1\.5$"),
        ({"width": 0}, r"^width must be a whole number of at least 1, got 0$"),
        ({"lr": -1.0}, r"^lr must be a number in \(0, inf\), got -1\.0$"),
        ({"seeds": (-1,)}, r"^seeds must be a whole number of at least 0, got -1$"),
    ],
)
def test_a_bad_setting_is_one_clear_line(changed, message):
    with pytest.raises(ValueError, match=message):
        Settings(**changed)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--width", "0"], "width must be a whole number of at least 1, got 0"),
        (
            ["--archive", "none.zip"],
            "archive (or COURSE_CIFAR) must be an existing file, got none.zip",
        ),
        (
            ["--out", "/dev/null/a.json"],
            "out must be a file that can be written, got /dev/null/a.json: ",
        ),
    ],
)
def test_the_command_refuses_in_one_line(options, line, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path / "a.json"), *options])
    assert f"error: {line}" in capsys.readouterr().err.splitlines()[-1]
