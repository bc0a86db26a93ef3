"""Specialists and generalists: the command at toy size, stopped and continued, equal compute."""

from __future__ import annotations

import pytest

from experiments.myths import specialists
from experiments.myths.specialists import DATA, Settings, keys, main, measure, read_texts
from utils import records
from utils.models.budget import matmul_flops_per_token

TOY = Settings(
    widths=(8, 16),
    rates=(0.01, 0.01),
    other_rates=(2.0,),
    seeds=(0,),
    documentation=("topics",),
    flops=2e7,
    domain_bytes=20_000,
    held_out_bytes=5_000,
    tokenizer_bytes=5_000,
    vocab_size=260,
    context_length=16,
    n_layer=1,
    n_head=1,
    batch_size=2,
    eval_windows=4,
)


@pytest.fixture(scope="module")
def texts():
    return read_texts(TOY)


@pytest.fixture
def quick(monkeypatch, texts):
    """The text is read once for all tests."""
    monkeypatch.setattr(specialists, "read_texts", lambda settings: texts)


def test_the_command_writes_a_record(tmp_path, capsys, quick):
    out = tmp_path / "specialists.json"
    options = "--widths 8 16 --rates .01 .01 --other-rates 2 --seeds 0 --flops 2e7 --n-layer 1"
    options += " --n-head 1 --context-length 16 --batch-size 2 --eval-windows 4 --vocab-size 260"
    main([*options.split(), "--out", str(out)])
    record = records.load(out)
    assert f"wrote {out}" in capsys.readouterr().out
    assert record.provenance["complete"]
    assert {run["data"] for run in record.data["runs"]} == set(DATA)
    assert str(tmp_path) not in out.read_text()


def test_a_stopped_one_continues_to_the_same_result(tmp_path, quick):
    whole = records.load(measure(TOY, tmp_path / "whole.json")).data
    part = tmp_path / "part.json"
    trained = []

    def stop(texts, settings, **key):
        if len(trained) == 3:
            raise KeyboardInterrupt
        trained.append(key)
        return train_model(texts, settings, **key)

    train_model = specialists.train_model
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(specialists, "train_model", stop)
        with pytest.raises(KeyboardInterrupt):
            measure(TOY, part)
    assert len(records.load(part).data["runs"]) == 3
    again = records.load(measure(TOY, part)).data
    for run in [*whole["runs"], *again["runs"]]:
        del run["cpu_seconds"]
    assert again == whole


def test_a_run_that_comes_too_late_is_not_made(tmp_path, quick):
    data = records.load(measure(TOY, tmp_path / "late.json", time_budget=0)).data
    assert [run["finished"] for run in data["runs"]] == [False]


def test_every_run_has_the_same_compute_but_for_those_that_are_longer(texts):
    """To within a step, which is at most 3 % of so short a run."""
    for width in TOY.widths:
        per_step = TOY.batch_size * TOY.context_length * matmul_flops_per_token(TOY.model(width))
        for times in (1, 2):
            assert TOY.steps(width, times) * per_step == pytest.approx(times * TOY.flops, rel=0.03)


def test_the_mixture_is_half_of_each(texts):
    parts = [texts.train["documentation"], texts.train["code"]]
    assert len(texts.train["mixture"]) == len(parts[0]) + len(parts[1])


def test_no_run_is_planned_twice():
    planned = [tuple(key.values()) for key in keys(Settings())]
    assert len(set(planned)) == len(planned)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"widths": (8, 8)}, r"widths must be numbers that all differ, got \(8, 8\)"),
        ({"widths": (8,)}, r"widths must be a small and a large one, got \(8,\)"),
        ({"rates": (0.1,)}, r"rates must be one for each of the widths, got \(0.1,\)"),
        ({"flops": 0.0}, r"flops must be a number in \(0, inf\), got 0.0"),
        ({"vocab_size": 256}, "vocab_size must be a whole number of at least 257, got 256"),
        (
            {"documentation": ("sources",)},
            r"documentation must be one of 'topics', 'docstrings', got 'sources'",
        ),
    ],
)
def test_a_bad_setting_is_one_clear_line(changed, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Settings(**changed)
