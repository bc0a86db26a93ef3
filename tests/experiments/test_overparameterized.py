"""Models larger than their text: the texts, one run, the command at toy size, and the record."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from experiments.myths import overparameterized
from experiments.myths.overparameterized import (
    PASSAGE,
    Settings,
    decay_embedding_too,
    main,
    measure,
    texts_of,
    train_one,
    wanted,
)
from tests.toy_corpus import write_corpus
from utils import records
from utils.data.books import Book
from utils.models.gpt import GPT
from utils.training.config import TrainConfig, optimizer_for

TOY = Settings(
    widths=(4, 8),
    decays=(0.1, 1.0),
    small_decays=(0.3,),
    large_decays=(2.0,),
    fine_decays=(4.0,),
    fresh_decays=(0.1,),
    block_decays=(1.0,),
    long_decays=(1.0,),
    rates=(0.25,),
    joint_rates=(0.25,),
    joint_decays=(1.0,),
    seeds=(0,),
    unique_tokens=512,
    epochs=2,
    long_epochs=3,
    batch_tokens=256,
    stopping_tokens=256,
    scoring_tokens=256,
)
GROUPS = ("repeated", "fresh", "rates", "blocks", "longer", "joint")
N_RUNS = 14  # 7 repeated, 2 fresh, 2 joint, and one of each other kind


@pytest.fixture
def corpus(tmp_path):
    """Two books to train on and one that is held out, each of some ten thousand characters."""
    books = []
    for i, split in enumerate(("train", "train", "validation")):
        lines = [f"Line {n} of book {i} says {n * n} and no more.\n" for n in range(300)]
        books.append(Book(split, f"Author {i}", "", None, "".join(lines)))
    return write_corpus(tmp_path / "books.jsonl.xz", books)


def test_a_seed_draws_texts_of_its_own(corpus):
    texts = texts_of(corpus, Settings(seeds=(0, 1), unique_tokens=512, epochs=2))
    assert [len(texts[seed].train) for seed in (0, 1)] == [1024 + PASSAGE] * 2
    assert len(texts[0].stopping) == 4096 + PASSAGE
    assert len(texts[0].scoring) == 16_384 + PASSAGE
    assert not np.array_equal(texts[0].train, texts[1].train)
    assert not np.array_equal(texts[0].stopping, texts[0].scoring[: len(texts[0].stopping)])
    again = texts_of(corpus, Settings(seeds=(1,), unique_tokens=512, epochs=2))
    assert np.array_equal(texts[1].train, again[1].train)


def test_a_repeated_run_sees_the_front_of_what_a_fresh_one_sees():
    repeated = TOY.spec("repeated", 8, 0.1, 0.5, 0)
    fresh = TOY.spec("fresh", 8, 0.1, 0.5, 0)
    assert repeated.unique_tokens == 513  # the last token is a target only
    assert fresh.unique_tokens is None
    assert repeated.steps == fresh.steps == 4
    assert TOY.spec("longer", 8, 0.1, 0.5, 0).steps == 6


def test_every_matrix_decays_and_no_gain_does():
    model = GPT(TOY.spec("repeated", 8, 0.1, 0.5, 0).gpt())
    optimizer = optimizer_for(model, TrainConfig(steps=1, weight_decay=3.0))
    decay_embedding_too(optimizer)
    decayed, kept = optimizer.param_groups
    assert decayed["weight_decay"] == 3.0
    assert kept["weight_decay"] == 0.0
    assert all(p.dim() == 2 for p in decayed["params"])
    assert all(p.dim() == 1 for p in kept["params"])
    assert any(p is model.tok.weight for p in decayed["params"])
    n_parameters = sum(p.numel() for p in decayed["params"] + kept["params"])
    assert n_parameters == model.num_parameters()


@pytest.mark.parametrize("blocks_only", [False, True])
def test_without_gradients_a_weight_shrinks_by_rate_times_strength(corpus, blocks_only):
    """AdamW's decay alone: the product of 1 - rate · strength over the steps."""
    spec = TOY.spec("repeated", 8, 2.0, 0.5, 0)
    texts = texts_of(corpus, TOY)[0]
    norms = {}

    class Watched(overparameterized.Training):
        def _step(self):
            embedding = self.model.tok.weight
            norms.setdefault("start", float(embedding.detach().norm()))
            self.rate.copy_(self.rates[self.done])
            for p in self.model.parameters():
                p.grad = torch.zeros_like(p)
            self.optimizer.step()
            norms["end"] = float(embedding.detach().norm())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overparameterized, "Training", Watched)
        train_one(spec, texts, TOY.epochs, blocks_only, deadline=float("inf"))
    expected = 1.0 if blocks_only else float(np.prod(1 - 2.0 * spec.learning_rates()))
    assert norms["end"] / norms["start"] == pytest.approx(expected, rel=1e-4)


def test_the_losses_are_those_of_the_scoring_text(corpus):
    spec = TOY.spec("repeated", 8, 0.1, 0.5, 0)
    texts = texts_of(corpus, TOY)[0]
    run = train_one(spec, texts, TOY.epochs, False, deadline=float("inf"))
    assert run["finished"]
    assert len(run["stopping_curve"]) == len(run["train_curve"]) == TOY.epochs
    assert run["stopped_after"] == int(np.argmin(run["stopping_curve"])) + 1
    if run["stopped_after"] == TOY.epochs:
        assert run["stopped"] == run["final"]
    assert 0 < run["final"] < np.log(1024)


def test_time_that_is_up_ends_a_run(corpus):
    spec = TOY.spec("repeated", 8, 0.1, 0.5, 0)
    run = train_one(spec, texts_of(corpus, TOY)[0], TOY.epochs, False, deadline=time.monotonic())
    assert run == {"finished": False, "flops": 0.0}


def test_the_runs_differ_and_the_usual_strength_comes_first():
    runs = [(group, *key.values()) for group, key in wanted(Settings())]
    assert len(set(runs)) == len(runs)
    assert [row[0] for row in wanted(TOY)].count("repeated") == 7
    assert len(wanted(TOY)) == N_RUNS


def test_the_command_writes_a_record_and_goes_on_with_it(corpus, tmp_path, capsys):
    whole = measure(TOY, tmp_path / "whole.json", corpus=corpus)
    record = records.load(whole)
    assert record.provenance["complete"]
    assert sum(len(record.data[group]) for group in record.data if group != "settings") == N_RUNS
    assert str(tmp_path) not in whole.read_text()

    # Stopped by hand after the third run; then called again.
    part = tmp_path / "part.json"
    plain = overparameterized.train_one
    calls = []

    def stop(*arguments):
        calls.append(arguments)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return plain(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overparameterized, "train_one", stop)
        with pytest.raises(KeyboardInterrupt):
            measure(TOY, part, corpus=corpus)
    assert len(records.load(part).data["repeated"]) == 3
    measure(TOY, part, corpus=corpus)

    def without_times(path):
        data = records.load(path).data
        for group in GROUPS:
            for run in data[group]:
                del run["cpu_seconds"]
        return data

    assert without_times(part) == without_times(whole)


def test_the_command_line_needs_a_corpus(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path / "record.json")])
    assert "corpus must be a file of books, got None" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"widths": ()}, "widths must be at least one number"),
        ({"seeds": (1, 1)}, "seeds must be numbers that all differ"),
        ({"small_decays": (0.1,)}, "small_decays must be numbers that all differ"),
        ({"rates": (0.0,)}, r"rates must be a number in \(0, inf\), got 0.0"),
        ({"unique_tokens": 1000}, "unique_tokens must be a multiple of 256, got 1000"),
        ({"batch_tokens": 768}, "batch_tokens must be a divisor of unique_tokens = 8192"),
    ],
)
def test_a_bad_setting_is_one_clear_line(changed, message):
    with pytest.raises(ValueError, match=message):
        Settings(**changed)


def test_the_record_is_of_the_present_settings():
    record = records.load("myths/overparameterized")
    assert record.provenance["complete"]
    settings = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in vars(Settings()).items()
    }
    assert record.data["settings"] == settings
    stored = [
        (group, run["width"], run["weight_decay"], run["rate"], run["seed"])
        for group in GROUPS
        for run in record.data[group]
    ]
    assert sorted(stored) == sorted((group, *key.values()) for group, key in wanted(Settings()))
