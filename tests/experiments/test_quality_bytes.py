"""Quality against bytes: the command at toy size, stopped and continued, and its parts by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from experiments.myths import quality_bytes as qb
from experiments.myths.quality_bytes import Form, Settings, measure, stored_as
from experiments.myths.quality_models import rate_run
from experiments.myths.quality_text import LEAST, Texts, held_out, one_per_author
from utils import records
from utils.compression.calibrated import gptq_model
from utils.compression.quantized_model import model_bytes
from utils.data.books import Book
from utils.models.gpt import GPT
from utils.runtime import generator

pytestmark = pytest.mark.usefixtures("one_thread")
TOY = Settings(
    widths=(8, 16),
    tokens=1024,
    other_constants=(1.0,),
    rate_widths=(8,),
    rival=8,
    costs=(16,),
    windows=1,
    seeds=(0,),
)
FEW = [Form(16, 16), Form(3, 8, "group", "gptq")]


@pytest.fixture(autouse=True)
def few_forms(monkeypatch):
    """Each toy model is stored in two ways only."""
    monkeypatch.setattr(qb, "FORMS", FEW)
    monkeypatch.setattr(qb, "PLAIN", FEW[:1])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Two books to train on and two held-out ones, of invented words."""
    rng = generator(0)
    words = ["".join(rng.choice(list("aeinrst"), 4)) for _ in range(200)]
    path = tmp_path_factory.mktemp("corpus") / "books.jsonl"
    lines = []
    for i, split in enumerate(["train", "train", "validation", "validation"]):
        text = " ".join(rng.choice(words, 2 * LEAST // 5))
        book = {"split": split, "author": f"A{i}", "title": f"T{i}", "text": text}
        lines.append(json.dumps(book))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_stopped_command_continues_to_the_same_record(corpus, tmp_path, monkeypatch):
    whole = measure(TOY, tmp_path / "whole.json", corpus=corpus, work=tmp_path)
    part = tmp_path / "part.json"
    made = []

    def stop(small, form, texts):
        made.append(form)
        if len(made) > len(FEW):
            raise KeyboardInterrupt
        return real(small, form, texts)

    real = qb.measure_form
    monkeypatch.setattr(qb, "measure_form", stop)
    with pytest.raises(KeyboardInterrupt):
        measure(TOY, part, corpus=corpus)
    assert len(records.load(part).data["family"]) == 1
    monkeypatch.setattr(qb, "measure_form", real)
    assert records.load(measure(TOY, part, corpus=corpus)).data == records.load(whole).data

    # Every run is there, and nothing of this machine is.
    data = records.load(whole).data
    assert [len(data[group]) for group in ("family", "rates", "compute")] == [2, 1, 1]
    for run in data["family"]:
        assert len(run["forms"]) == len(FEW)
        assert all(len(form["bits_per_byte"]) == 2 for form in run["forms"])
    assert str(tmp_path) not in whole.read_text()
    assert records.load(whole).provenance["books"] == ["A2, T2", "A3, T3"]


def test_a_run_out_of_time_is_not_finished(corpus, tmp_path):
    path = measure(TOY, tmp_path / "none.json", time_budget=0.0, corpus=corpus)
    assert not records.load(path).data["family"][0]["finished"]


def test_the_command_line(corpus, tmp_path, capsys):
    options = "--widths 8 --rate-widths 8 --rival 8 --costs 8 --tokens 512 --windows 1 --seeds 0"
    out = tmp_path / "toy.json"
    qb.main([*options.split(), "--corpus", str(corpus), "--out", str(out)])
    assert f"wrote {out}" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        qb.main([*options.split(), "--out", str(out)])
    assert "corpus must be a file of books" in capsys.readouterr().err


def test_bytes_are_what_is_counted_by_hand():
    spec = rate_run(16, 512, 1.0, 0)
    model = GPT(spec.gpt()).eval()
    blocks = sum(p.numel() for name, p in model.named_parameters() if p.dim() == 2)
    blocks -= 1024 * 16
    rows = sum(len(p) for p in model.blocks.parameters() if p.dim() == 2)
    gains = sum(p.numel() for p in model.parameters() if p.dim() == 1)
    calibration = torch.arange(128).view(1, 128)
    expected = {
        Form(16, 16): 2 * (blocks + 1024 * 16 + gains),
        Form(16, 8): 2 * (blocks + gains) + 1024 * 16 + 2 * 1024,
        Form(4, 16): blocks // 2 + 2 * rows + 2 * (1024 * 16 + gains),
        Form(4, 8, method="gptq"): blocks // 2 + 2 * (rows + gains) + 1024 * 16 + 2 * 1024,
    }
    for form, n_bytes in expected.items():
        matrices = None
        if form.method == "gptq":
            matrices = gptq_model(model, calibration, form.bits)
        assert model_bytes(stored_as(model, form, matrices)) == n_bytes, form


def test_texts_differ_by_seed_and_held_out_windows_are_the_books(corpus):
    texts = Texts(corpus, n_windows=2, context_length=16)
    first, again, other = (texts.training(seed, 500) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    for book in texts.held_out:
        assert book.rows.shape == (2, 17)
        assert book.rows[0, -1] == book.rows[1, 0]
        text = texts.tokenizer.decode(book.rows[:, 1:].ravel().tolist())
        assert len(text.encode()) == book.n_bytes
    with pytest.raises(ValueError, match="^tokens must be at most the corpus's "):
        texts.training(0, 10**6)


def test_bad_input_is_one_line(corpus):
    with pytest.raises(ValueError, match="^widths must be multiples of 8, got 20$"):
        Settings(widths=(20,))
    with pytest.raises(ValueError, match="^seeds must be numbers that all differ"):
        Settings(seeds=(0, 0))
    short = Book("validation", "A", "Short", None, "x" * LEAST)
    assert one_per_author([short, short]) == [short]
    texts = Texts(corpus, n_windows=1, context_length=16)
    with pytest.raises(ValueError, match="^Short must be at least 1000001 tokens long"):
        held_out(texts.tokenizer, short, 10**6, 1)


# ---- what the record says


def bits_per_byte_of(runs, **form):
    """{(width, seed): (bytes, (n_books,) bits per byte)} of the models stored in this form."""
    found = {}
    for run in runs:
        for stored in run["forms"]:
            if all(stored[name] == value for name, value in form.items()):
                books = np.array(stored["bits_per_byte"])
                found[run["d_model"], run["seed"]] = (stored["n_bytes"], books)
    return found


def at_equal_bytes(hero, rivals):
    """By how many bits per byte the hero is above the rivals of its bytes: (seeds, books)."""
    found = []
    for (_, seed), (n_bytes, books) in sorted(hero.items()):
        family = sorted((width, rivals[width, s]) for width, s in rivals if s == seed)
        sizes = np.log([size for _, (size, _) in family])
        assert sizes[0] <= np.log(n_bytes) <= sizes[-1]  # nothing is extrapolated
        losses = np.array([loss for _, (_, loss) in family])  # (widths, books)
        rival = [np.interp(np.log(n_bytes), sizes, column) for column in losses.T]
        found.append(books - np.array(rival))
    return np.array(found)


@pytest.fixture(scope="module")
def record():
    return records.load("myths/quality_bytes")


def largest(family, **form):
    return {key: v for key, v in bits_per_byte_of(family, **form).items() if key[0] == 128}


def test_a_large_int4_model_beats_smaller_ones_of_its_bytes(record):
    family = record.data["family"]
    float16 = bits_per_byte_of(family, bits=16, embedding_bits=16)
    int8 = bits_per_byte_of(family, bits=8, embedding_bits=8)
    for method in ("nearest", "gptq"):
        form = {"bits": 4, "embedding_bits": 8, "method": method, "granularity": "channel"}
        hero = largest(family, **form)
        against = at_equal_bytes(hero, float16)
        assert against.mean(1).max() < -0.02  # every seed
        assert against.mean(0).max() < 0  # every book
        assert at_equal_bytes(hero, int8).mean(1).max() < -0.005

    # Counting all embeddings in float16 changes the bytes, not the verdict.
    hero = largest(family, bits=4, embedding_bits=16)
    assert at_equal_bytes(hero, float16).mean(1).max() < -0.015


@pytest.mark.parametrize("granularity", ["channel", "group"])
def test_at_two_bits_the_scales_decide(record, granularity):
    family = record.data["family"]
    float16 = bits_per_byte_of(family, bits=16, embedding_bits=16)
    int8 = bits_per_byte_of(family, bits=8, embedding_bits=8)
    form = {"bits": 2, "method": "gptq", "granularity": granularity}
    poor = largest(family, scales="largest", **form)
    assert at_equal_bytes(poor, float16).mean(1).min() > 0.04
    good = largest(family, scales="searched", **form)
    assert np.abs(at_equal_bytes(good, float16).mean(1)).max() < 0.03
    assert at_equal_bytes(good, int8).mean(1).min() > 0.01


def test_three_bits_with_searched_scales_are_level_with_four(record):
    family = record.data["family"]
    form = {"embedding_bits": 8, "method": "nearest", "granularity": "channel"}
    int4 = bits_per_byte_of(family, bits=4, scales="searched", **form)
    int3 = largest(family, bits=3, scales="searched", **form)
    assert np.abs(at_equal_bytes(int3, int4).mean(1)).max() < 0.01


def test_a_smaller_model_of_equal_training_cost_is_better_and_smaller(record):
    """The control: with as much training, the verdict goes the other way at these sizes."""
    hero = bits_per_byte_of(record.data["family"], bits=4, embedding_bits=8, granularity="channel")
    rivals = bits_per_byte_of(record.data["compute"], bits=8, embedding_bits=8)
    for (_, seed), (n_bytes, books) in rivals.items():
        hero_bytes, hero_books = hero[96, seed]
        assert n_bytes < hero_bytes
        assert hero_books.mean() - books.mean() > 0.02


def test_no_learning_rate_saves_the_smaller_model(record):
    """The float16 model of nearly the same bytes, at half and twice the rate, against the hero."""
    hero = largest(
        record.data["family"], bits=4, embedding_bits=8, method="gptq", granularity="channel"
    )
    hero_bytes, hero_books = hero[128, 0]
    rivals = [run for run in record.data["rates"] if run["d_model"] == 64]
    assert [run["constant"] for run in rivals] == [0.25, 1.0]
    for run in rivals:
        float16 = run["forms"][0]
        assert float16["n_bytes"] > hero_bytes
        assert np.mean(float16["bits_per_byte"]) - hero_books.mean() > 0.02


def test_the_record_is_of_the_present_settings(record):
    settings = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in vars(Settings()).items()
    }
    assert record.data["settings"] == settings
    assert record.provenance["complete"]
