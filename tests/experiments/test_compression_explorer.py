"""The explorer's record: the command at toy size, and its bytes and bits by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from experiments.myths import compression_explorer as ce
from experiments.myths import token_costs as tc
from experiments.myths.compression_explorer import Settings, measure, stored_bytes
from utils import records
from utils.compression.prune import magnitude_masks, masked
from utils.compression.quantized_model import quantize_model
from utils.models.course import load
from utils.models.gpt import GPT, GPTConfig
from utils.runtime import generator

pytestmark = pytest.mark.usefixtures("one_thread")
TOY = Settings(bits=(16, 3), sparsities=(0.5,), granularities=("channel",), per_book=1)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Two authors' books of invented words: one for the model's half, one for the judge's."""
    rng = generator(0)
    words = ["".join(rng.choice(list("aeinrst"), 4)) for _ in range(50)]
    path = tmp_path_factory.mktemp("corpus") / "books.jsonl"
    books = []
    for author in ("A", "B"):
        text = " ".join(rng.choice(words, 300))
        books.append({"split": "train", "author": author, "title": author, "text": text})
    path.write_text("\n".join(json.dumps(book) for book in books), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def small_model(monkeypatch):
    """An untrained model of one layer takes the place of the course's."""
    _, tokenizer = load()
    torch.manual_seed(0)
    model = GPT(GPTConfig("llama", vocab_size=4096, context_length=256, n_layer=1, d_model=32))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    monkeypatch.setattr(ce, "load", lambda: (model.eval(), tokenizer))
    return model, tokenizer


def test_a_stopped_command_continues_to_the_same_record(corpus, tmp_path, monkeypatch):
    whole = measure(TOY, tmp_path / "whole.json", corpus=corpus)
    part = tmp_path / "part.json"

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ce, "costs", stop)
        with pytest.raises(KeyboardInterrupt):
            measure(TOY, part, corpus=corpus)
    assert len(records.load(part).data["points"]) == 2
    data = records.load(measure(TOY, part, corpus=corpus)).data
    assert data == records.load(whole).data

    assert [point["granularity"] for point in data["points"]] == ["channel", "none"]
    assert all(len(point["bits_per_byte"]) == 8 for point in data["points"])
    for text in data["texts"]:
        assert "".join(text["tokens"]) == text["text"]
        for name in ("model", "books", "learning", "unigram"):
            assert len(text[name]) == len(text["ids"]) <= 255, (text["key"], name)
        assert text["n_bytes"] == len(text["text"].encode())
    assert len(data["unigram"][0]["tenths"]) == 4096
    assert str(tmp_path) not in whole.read_text()


def test_the_command_line(corpus, tmp_path, capsys):
    options = "--bits 16 --sparsities 0.9 --granularities tensor --per-book 1 --sample-tokens 2"
    out = tmp_path / "toy.json"
    ce.main([*options.split(), "--corpus", str(corpus), "--out", str(out)])
    assert f"wrote {out}" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        ce.main([*options.split(), "--out", str(out)])
    assert "corpus must be a file of books" in capsys.readouterr().err


def test_zeros_are_stored_in_the_smaller_of_two_ways():
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Linear(64, 32, bias=False))
    n = 64 * 32
    for share, bits in ((0.9, 16), (0.9, 4), (0.1, 4)):
        pruned = masked(layer, magnitude_masks(layer, share))
        small = quantize_model(pruned, bits)
        kept = n
        scales = 0
        if bits == 16:
            kept = n - round(share * n)
        else:
            kept = int((small[0].matrix.quantized.codes != 0).sum())
            scales = 2 * 32
        sparse = n // 8 + math.ceil(kept * bits / 8)
        assert stored_bytes(small) == min(sparse, n * bits // 8) + scales


def test_the_learning_four_gram_is_its_formula():
    ids = [0, 1, 0, 1, 2, 0, 1, 2]
    log2_unigram = np.log2([0.5, 0.3, 0.2])
    bits = tc.learning_bits(ids, log2_unigram)

    # The last token by hand: after "1" came 0 once and 2 once; after "0 1" too; after "2 0 1" none.
    p = 0.2
    p = (1 + 2 * p) / (2 + 2)  # one token of history
    p = (1 + 2 * p) / (2 + 2)  # two
    assert bits[-1] == pytest.approx(-math.log2(p))

    # Whatever has been read, the probabilities of all next tokens add up to one.
    for length in range(len(ids)):
        chances = [2 ** -tc.learning_bits([*ids[:length], w], log2_unigram)[-1] for w in range(3)]
        assert sum(chances) == pytest.approx(1)


def test_the_models_bits_are_its_loss(small_model):
    model, tokenizer = small_model
    ids = tokenizer.encode("He opened the door and went").ids
    row = torch.tensor([[0, *ids]])
    with torch.no_grad():
        loss = float(model(row[:, :-1], row[:, 1:]))
    bits = tc.model_bits(model, ids, 0)
    assert bits.mean() == pytest.approx(loss / math.log(2), rel=1e-5)


def test_bad_input_is_one_line():
    with pytest.raises(ValueError, match=r"^bits must be a whole number in \[2, 8\], got 9$"):
        Settings(bits=(9,))
    with pytest.raises(ValueError, match=r"^sparsities must be a number in \[0, 1\), got 1.0$"):
        Settings(sparsities=(1.0,))
    with pytest.raises(ValueError, match=r"^per_book must be a whole number in \[1, 5\], got 6$"):
        Settings(per_book=6)
