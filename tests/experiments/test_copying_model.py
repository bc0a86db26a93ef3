"""The command that trains the copying model, at toy size: stopped, continued, and its card."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import torch

from experiments.parameters import copying_model as cm
from utils.models.gpt import GPT, GPTConfig
from utils.models.interop import load_pretrained
from utils.tensors import read_header

pytestmark = pytest.mark.usefixtures("one_thread")
TOY = cm.Settings(steps=3, batch_size=2, seeds=(0,), rows=2)


@pytest.fixture
def model() -> GPT:
    """A small model whose blocks do something."""
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=64, context_length=40, n_layer=2, n_head=4, d_model=16)
    model = GPT(config).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return model


# ---- texts ---------------------------------------------------------------------------------------


def test_a_training_row_says_different_words_again_and_again() -> None:
    rows = cm.training_rows(50, seed=3)
    assert rows.shape == (50, cm.CONTEXT)
    lengths = []
    for row in rows:
        length = int(np.flatnonzero(row == row[0])[1])  # where the first word comes back
        assert len(set(row[:length].tolist())) == length
        assert (row[length:] == row[:-length]).all()
        lengths.append(length)
    assert min(lengths) >= cm.SHORTEST
    assert max(lengths) <= cm.LONGEST
    assert len(set(lengths)) > 5
    assert (rows == cm.training_rows(50, seed=3)).all()
    assert (rows != cm.training_rows(50, seed=4)).any()


@pytest.mark.parametrize("seed", range(20))
def test_a_passage_says_the_same_words_after_each_beginning(seed) -> None:
    said = {case: cm.passage(seed, case) for case in cm.CASES}
    first = {case: ids[: cm.SEGMENT] for case, ids in said.items()}
    again = {tuple(ids[cm.SEGMENT :]) for ids in said.values()}
    assert len(again) == 1
    (segment,) = again
    assert first["twice"] == list(segment)
    assert sorted(first["shuffled"]) == sorted(segment)
    assert set(first["others"]).isdisjoint(segment)
    assert set(pairwise(segment)).isdisjoint(pairwise(first["shuffled"]))


# ---- measures ------------------------------------------------------------------------------------


def test_silencing_a_head_is_undone(model) -> None:
    ids = torch.tensor([cm.passage(0, "twice")])
    with torch.no_grad():
        before = model(ids)
        with cm.silenced(model, 0, 1):
            assert not torch.equal(model(ids), before)
        assert torch.equal(model(ids), before)
        with pytest.raises(RuntimeError), cm.silenced(model, 1, 3):
            raise RuntimeError
        assert torch.equal(model(ids), before)


def test_the_probability_of_the_right_words_by_hand(model) -> None:
    total = 0.0
    for row in range(3):
        ids = cm.passage(row, "shuffled")
        for end in range(cm.SEGMENT + 1, 2 * cm.SEGMENT):  # what is read before each right word
            with torch.no_grad():
                p = model(torch.tensor([ids[:end]]))[0, -1].softmax(-1)
            total += float(p[ids[end]])
    expected = total / 3 / (cm.SEGMENT - 1)
    assert cm.right_words(model, "shuffled", 3) == pytest.approx(expected, rel=1e-4)


def test_what_heads_look_at_is_a_share(model) -> None:
    found = cm.looks(model, 2)
    for name in ("previous", "followers"):
        shares = np.array(found[name])
        assert shares.shape == (2, 4)
        assert (shares > 0).all()
        assert (shares < 1).all()


# ---- the command ---------------------------------------------------------------------------------


def test_a_run_that_is_stopped_goes_on(tmp_path, monkeypatch) -> None:
    whole = cm.make(TOY, tmp_path / "whole", tmp_path / "a")

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cm, "measured", stop)
        with pytest.raises(KeyboardInterrupt):
            cm.make(TOY, tmp_path / "twice", tmp_path / "b")
    assert [path.name for path in (tmp_path / "b").glob("*.safetensors")] == [
        "copying-2-0.safetensors"
    ]
    assert cm.make(TOY, tmp_path / "twice", tmp_path / "b") == whole


def test_the_command_stores_a_model_and_its_card(tmp_path, capsys) -> None:
    out = tmp_path / "copy"
    asked = ["--steps", "2", "--batch-size", "2", "--seeds", "1", "--rows", "2"]
    cm.main([*asked, "--out", str(out), "--work", str(tmp_path / "work")])
    assert "1 layers, seed 1: twice 0." in capsys.readouterr().out
    card = json.loads((out / "card.json").read_text())
    assert card["sha256"] == read_header(out / "model.safetensors").sha256
    assert [(model["layers"], model["seed"]) for model in card["models"]] == [(2, 1), (1, 1)]
    model = load_pretrained(out).eval()
    assert card["parameters"] == model.num_parameters()
    right = cm.right_words(model, "twice", 2)
    assert card["models"][0]["right"]["twice"] == pytest.approx(right)
    readme = (out / "README.md").read_text()
    assert card["sha256"] in readme
    assert f"| 2 | 1 | {right:.3f} |" in readme
    assert json.loads((out / "words.json").read_text()) == list(cm.WORDS)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--seeds", "0", "0"], "seeds must be numbers that all differ"),
        (["--rows", "0"], "rows must be a whole number of at least 1, got 0"),
        (["--steps", "0"], "steps must be a whole number of at least 1, got 0"),
    ],
)
def test_it_refuses_in_one_line(tmp_path, capsys, asked, message) -> None:
    with pytest.raises(SystemExit):
        cm.main([*asked, "--out", str(tmp_path), "--work", str(tmp_path)])
    assert message in capsys.readouterr().err
    assert not (tmp_path / "model.safetensors").exists()
