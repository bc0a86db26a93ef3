"""Training on at a longer length: the command at toy size, stopped and continued, what is asked."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from experiments.applications import long_context
from experiments.applications.long_context import (
    ARMS,
    FOREIGN,
    Settings,
    far_recurrences,
    keys,
    losses,
    main,
    measure,
    starting_model,
    texts_of,
)
from utils import records
from utils.models.config import GPTConfig
from utils.models.course import load
from utils.models.gpt import GPT
from utils.runtime import generator

TOY = Settings(seeds=(0,), length=512, other_rates=(3.0,), steps=2, tokens_per_step=512, texts=1)


@pytest.fixture
def tiny(monkeypatch):
    """A model of one narrow layer in the place of the course's model."""
    _, tokenizer = load("course_gpt")
    generator(0, "global")
    config = GPTConfig(n_layer=1, n_head=1, d_model=8)
    weights = GPT(config).state_dict()

    def load_tiny(name):
        model = GPT(config)
        model.load_state_dict(weights)
        return model, tokenizer

    monkeypatch.setattr(long_context, "load", load_tiny)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Two held-out books of a thousand tokens and more, and two authors to train on."""
    path = tmp_path_factory.mktemp("corpus") / "books.jsonl"
    rows = []
    for name, split in (
        ("Ann", "train"),
        ("Bob", "train"),
        ("C", "validation"),
        ("D", "validation"),
    ):
        text = f"{name} said that the old house stood at the end of the lane. " * 120
        rows.append({"split": split, "author": name, "title": name, "text": text})
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_the_command_writes_a_record(tmp_path, capsys, corpus, tiny):
    out = tmp_path / "long.json"
    options = "--arms short interpolated --seeds 0 --length 512 --other-rates 3 --steps 2 --texts 1"
    options += " --tokens-per-step 512"
    main([*options.split(), "--corpus", str(corpus), "--out", str(out)])
    record = records.load(out)
    assert f"wrote {out}" in capsys.readouterr().out
    assert record.provenance["complete"]
    assert record.provenance["books"] == ["C, C", "D, D"]
    assert [run["arm"] for run in record.data["start"]] == ["interpolated", "short"]
    for run in record.data["runs"]:
        windows = ["64", "128", "256"]
        if run["arm"] == "interpolated":
            windows += ["512", FOREIGN]
        assert list(run["loss"]) == windows
        assert run["tokens"] == 1024
    assert str(tmp_path) not in out.read_text()


def test_a_stopped_one_continues_to_the_same_result(tmp_path, corpus, tiny):
    whole = records.load(measure(TOY, tmp_path / "whole.json", corpus=corpus)).data
    part = tmp_path / "part.json"
    trained = []

    def stop(*arguments):
        if len(trained) == 1:
            raise KeyboardInterrupt
        trained.append(arguments)
        return train(*arguments)

    train = long_context.train
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_context, "train", stop)
        with pytest.raises(KeyboardInterrupt):
            measure(TOY, part, corpus=corpus)
    assert len(records.load(part).data["runs"]) == 1
    again = records.load(measure(TOY, part, corpus=corpus)).data
    for run in [*whole["runs"], *again["runs"]]:
        del run["seconds"]
    assert again == whole


def test_a_run_that_comes_too_late_is_not_made(tmp_path, corpus, tiny):
    settings = Settings(arms=("short",), length=512, tokens_per_step=512, texts=1)
    path = measure(settings, tmp_path / "late.json", time_budget=0, corpus=corpus)
    assert [run["finished"] for run in records.load(path).data["runs"]] == [False]


def test_the_command_asks_for_a_corpus(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path / "long.json")])
    assert "corpus must be a file of books" in capsys.readouterr().err


def test_both_long_arms_begin_as_the_stored_model():
    """Plain positions go on as before; every fourth of the interpolated ones is an old one."""
    model, _ = load("course_gpt")
    plain = starting_model("plain", 1024)
    ids = torch.arange(100, 200)[None]
    assert torch.equal(plain(ids), model(ids))
    interpolated = starting_model("interpolated", 1024)
    assert torch.allclose(interpolated.cos[::4], model.cos, atol=1e-6)
    assert starting_model("short", 1024).config.context_length == 256


def test_a_target_is_far_if_it_has_occurred_far_back_only():
    length = 512
    text = torch.arange(2 * length + 1)  # no token occurs twice
    text[length + 1] = text[length - 299]  # 300 back
    text[length + 2] = text[length - 97]  # 99 back
    text[length + 3] = text[0]  # out of the window's reach
    text[length + 4] = text[length - 399]  # 403 back, and then again near
    text[length - 50] = text[length + 4]
    found = far_recurrences(text[None], length)
    assert found.shape == (1, length)
    assert found[0].nonzero().flatten().tolist() == [0]


def test_every_window_predicts_the_same_targets():
    """A window of the whole model: each block's losses are those of one pass that ends with it."""
    model, _ = load("course_gpt")
    length = 512
    texts = torch.from_numpy(texts_of(np.arange(3000) % 4096, 2, length))  # (2, 1025)
    nats = losses(model, texts, 128)
    assert nats.shape == (2, length)
    rows = texts[:, -129:]  # (2, 129)
    with torch.no_grad():
        logits = model(rows[:, :-1])[:, -64:]  # (2, 64, V)
    wanted = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), rows[:, -64:], reduction="none"
    )
    assert torch.allclose(nats[:, -64:], wanted, atol=1e-4)


def test_a_foreign_past_stands_only_far_back():
    """Where the other text is the same text, nothing changes; elsewhere, something does."""
    model = starting_model("interpolated", 512)
    texts = torch.from_numpy(texts_of(np.arange(3000) * 7 % 4096, 2, 512))
    real = losses(model, texts, 512)
    assert torch.allclose(losses(model, texts, 512, texts), real, atol=1e-4)
    assert not torch.allclose(losses(model, texts, 512, texts.roll(1, 0)), real, atol=1e-2)


def test_no_run_is_planned_twice():
    planned = [tuple(key.values()) for key in keys(Settings())]
    assert len(set(planned)) == len(planned) == len(ARMS) * (3 + 2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"arms": ("longer",)}, "arms must be one of .*, got 'longer'"),
        ({"length": 700}, "length must be a multiple of 256, got 700"),
        (
            {"tokens_per_step": 1500},
            "tokens_per_step must be a multiple of length = 1024, got 1500",
        ),
        ({"rate": 0.0}, r"rate must be a number in \(0, inf\), got 0.0"),
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
    ],
)
def test_a_bad_setting_is_one_clear_line(changed, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Settings(**changed)
