"""Times and losses of compressed models: the forms, and the command at toy size."""

from __future__ import annotations

import json

import pytest
import torch

from experiments.trade_offs import deployment
from experiments.trade_offs.deployment import Settings, main, measure, token_by_token
from experiments.trade_offs.forms import form_bytes, forms_of, half_of_units
from utils import records
from utils.models.config import GPTConfig
from utils.models.gpt import GPT
from utils.runtime import generator

pytestmark = pytest.mark.usefixtures("one_thread")

TOY = Settings(shapes=("course",), batches=(1, 2), past=3, repeats=2, seeds=(0,), steps=2)
CONFIG = GPTConfig(vocab_size=4096, context_length=16, n_layer=1, n_head=2, d_model=64, d_ff=64)
PASSAGE = 9  # tokens


@pytest.fixture(scope="module")
def model():
    generator(0, "global")
    found = GPT(CONFIG).eval()
    with torch.no_grad():
        for p in found.parameters():  # no output projection at zero
            p.add_(0.1 * torch.randn_like(p))
    return found


@pytest.fixture
def small(monkeypatch, model):
    """A small model, short passages, and no more forms than the tests look at."""
    ids, n_bytes = deployment.passages()
    made = {name: forms_of(model)[name] for name in ("float32", "half units gone")}
    if "int8, arithmetic" in forms_of(model):
        made["int8, arithmetic"] = forms_of(model)["int8, arithmetic"]
    monkeypatch.setattr(deployment, "passages", lambda: (ids[:, :PASSAGE], n_bytes))
    monkeypatch.setattr(deployment, "model_of", lambda shape: model)
    monkeypatch.setattr(deployment, "forms", lambda shape: made)
    monkeypatch.setattr(deployment, "MIX", 1)
    return made


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "books.jsonl"
    text = "The old house stood at the end of the lane, and nobody knew who had built it. " * 40
    rows = []
    for author in ("Ann", "Bob"):
        rows.append({"split": "train", "author": author, "title": author, "text": text})
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_the_command_writes_a_record(small, corpus, tmp_path, capsys):
    out = tmp_path / "deployment.json"
    options = ["--shapes", "course", "--batches", "1", "--past", "3", "--repeats", "2"]
    options += ["--seeds", "0", "--steps", "2", "--corpus", str(corpus), "--out", str(out)]
    main(options)
    record = records.load(out)
    assert f"wrote {out}" in capsys.readouterr().out
    assert record.provenance["complete"]
    assert str(tmp_path) not in out.read_text()

    (timed,) = record.data["latency"]
    assert timed["ms"].keys() == small.keys()
    assert all(timed["least_ms"][form] <= ms for form, ms in timed["ms"].items())
    by_form = {run["form"]: run for run in record.data["quality"]}
    assert by_form["half units gone"]["bytes"] < by_form["float32"]["bytes"]
    tuned = {run["kept"]: run for run in record.data["tuned"]}
    assert tuned["score"]["after"] != by_form["half units gone"]["bits_per_byte"]
    assert tuned["random"]["before"] != by_form["half units gone"]["bits_per_byte"]
    assert len(tuned["all"]["after"]) == 8


def test_a_stopped_one_continues(small, corpus, tmp_path):
    part = tmp_path / "part.json"
    measure(TOY, part, time_budget=0.0, corpus=corpus)
    assert not records.load(part).provenance["complete"]
    measure(TOY, part, corpus=corpus)
    record = records.load(part)
    assert record.provenance["complete"]
    whole = records.load(measure(TOY, tmp_path / "whole.json", corpus=corpus))
    for group in ("quality", "tuned"):
        assert record.data[group] == whole.data[group]


def test_without_a_corpus_nothing_is_tuned(small, tmp_path):
    record = records.load(measure(TOY, tmp_path / "none.json"))
    assert record.provenance["complete"]
    assert "tuned" not in record.data
    assert [run["batch"] for run in record.data["latency"]] == [1, 2]


def test_zeroed_and_removed_units_compute_the_same(model):
    forms = forms_of(model)
    ids = torch.arange(12).view(2, 6)
    zero, gone = forms["half units zero"](ids), forms["half units gone"](ids)
    torch.testing.assert_close(zero, gone, rtol=1e-4, atol=1e-4)
    assert all(len(units) == 32 for units in half_of_units(model))
    for form, made in forms.items():
        assert made(ids).shape == (2, 6, 4096), form


def test_bytes_by_hand(model):
    n = sum(p.numel() for p in model.parameters())
    in_layers = 64 * 192 + 64 * 64 + 64 * 128 + 64 * 64
    removed = 32 * 64 * 3
    assert form_bytes(model, "float32") == form_bytes(model, "half zeros") == 4 * n
    assert form_bytes(model, "bfloat16") == 2 * n
    assert form_bytes(model, "half units gone") == 4 * (n - removed)
    scales = 2 * in_layers // 64  # two bytes for each group of 64
    assert form_bytes(model, "int4, kernel") == in_layers // 2 + scales + 2 * (n - in_layers)
    rows = 192 + 64 + 128 + 64
    assert form_bytes(model, "int8, kernel") == in_layers + 2 * rows + 2 * (n - in_layers)
    head = 4096 * 64
    assert form_bytes(model, "int8, arithmetic") == in_layers + head + 2 * (n - in_layers)


def test_token_by_token_is_reading(model):
    ids = torch.arange(12).view(2, 6)
    torch.testing.assert_close(token_by_token(model)(ids), model(ids), rtol=1e-4, atol=1e-4)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="shapes must be"):
        Settings(shapes=("gpt5",))
    with pytest.raises(ValueError, match="batches"):
        Settings(batches=(1, 1))
    with pytest.raises(ValueError, match="rate must be"):
        Settings(rate=0.0)
