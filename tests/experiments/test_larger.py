"""The larger GPT of a GPU section: its sizes, its rehearsal, and its path at toy size."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.course_gpt import gutenberg, larger
from experiments.course_gpt import train as training
from tests.devices import one_device
from tests.toy_corpus import some_books, write_corpus
from utils.models.budget import GPUS, training_days
from utils.models.gpt import GPT, GPTConfig
from utils.runtime import generator
from utils.training import processes
from utils.training.loop import optimizer_step
from utils.training.run import Run

META = torch.device("meta")


@pytest.fixture
def quiet_cpu(monkeypatch):
    monkeypatch.setenv("COURSE_QUIET", "1")
    monkeypatch.setenv("COURSE_DEVICE", "cpu")


def test_tens_of_millions_of_parameters_that_fit_a_t4():
    with torch.device("meta"):
        counts = {name: GPT(size.gpt).num_parameters() for name, size in larger.SIZES.items()}
    assert 25e6 < counts["colab"] < 30e6
    assert 80e6 < counts["full"] < 100e6
    colab = larger.SIZES["colab"]
    assert colab.gigabytes() < GPUS["T4"]["memory"] / 1e9 / 10  # the rest is for activations
    # At a fifth of the T4's 16-bit peak the run ends before its time is up.
    minutes = 24 * 60 * training_days(colab.flops, "T4", utilisation=0.2)
    assert minutes < colab.minutes


def test_a_rehearsal_is_three_steps_that_move_every_tensor(quiet_cpu):
    before = torch.get_rng_state()
    untrained = larger.fresh(larger.REDUCED)
    result = larger.rehearse()
    assert torch.equal(torch.get_rng_state(), before)
    assert result.state.step == len(result.state.history) == 3
    assert result.tokens == 3 * 4 * 32
    assert result.bits_per_byte is None
    pairs = zip(untrained.parameters(), result.model.parameters(), strict=True)
    assert all(not torch.equal(one, other) for one, other in pairs)


def test_the_real_path_on_a_corpus_of_a_few_kilobytes(tmp_path, monkeypatch, quiet_cpu):
    shape = GPTConfig(vocab_size=300, context_length=40, n_layer=1, n_head=2, d_model=16)
    recipes = {name: training.Recipe(shape, half) for half, name in enumerate(training.RECIPES)}
    monkeypatch.setattr(training, "RECIPES", recipes)
    corpus = write_corpus(tmp_path / "books.jsonl.xz", some_books())
    size = larger.Size(shape, replace(larger.REDUCED.training, steps=6), minutes=1.0)
    work = tmp_path / "work"
    result = larger.train_on_books(size, corpus, work)
    assert result.state.step == 6
    assert result.bits_per_byte is not None
    assert 0 < result.bits_per_byte < 8
    again = larger.train_on_books(size, corpus, work)  # nothing left to do
    assert again.bits_per_byte == result.bits_per_byte


def test_bits_per_byte_are_those_of_a_model_that_bets_evenly():
    model = GPT(larger.REDUCED.gpt)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    sizes = np.full(256, 2)
    tokens = generator(0).integers(0, 256, 200)
    assert larger.held_out_bits(model, tokens, sizes) == pytest.approx(8 / 2)


def test_the_courses_corpus_is_found_where_the_variable_says(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_BOOKS", str(tmp_path))
    missing = larger.find_corpus(fetch=True)
    assert missing.path is None
    assert missing.told == "COURSE_BOOKS holds no classic_books.jsonl.xz"
    file = write_corpus(tmp_path / "classic_books.jsonl.xz", some_books())
    found = larger.find_corpus(fetch=False)
    assert found.path == file
    assert found.is_ours


def test_other_books_are_fetched_only_where_that_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.delenv("COURSE_BOOKS", raising=False)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setattr(gutenberg, "fetch", lambda path: path)
    none = larger.find_corpus(fetch=False)
    assert none.path is None
    assert none.told == "there is no GPU, or the scale is cpu"
    other = larger.find_corpus(fetch=True)
    assert other.path == tmp_path / "gutenberg.jsonl.gz"
    assert not other.is_ours


def test_books_that_cannot_be_fetched_are_told_in_one_line(tmp_path, monkeypatch):
    monkeypatch.delenv("COURSE_BOOKS", raising=False)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setitem(sys.modules, "datasets", None)
    missing = larger.find_corpus(fetch=True)
    assert missing.path is None
    assert missing.told == "the books need the library `datasets`: pip install datasets"


@pytest.fixture
def on_meta(monkeypatch):
    """``meta`` is the device that was asked for; it has no fused AdamW."""
    monkeypatch.setattr(processes, "usable_device", lambda asked: META)
    plain = torch.optim.AdamW
    monkeypatch.setattr(torch.optim, "AdamW", lambda groups, fused, **how: plain(groups, **how))
    monkeypatch.setenv("COURSE_QUIET", "1")


def test_the_rehearsal_keeps_its_tensors_on_one_device(on_meta):
    with one_device():
        result = larger.rehearse()
        larger.held_out_bits(result.model, np.arange(200) % 256, np.full(256, 2))
    assert result.state.step == 3
    assert result.model.tok.weight.device == META


@pytest.mark.parametrize("size", larger.SIZES.values(), ids=larger.SIZES)
def test_a_step_of_the_real_sizes_keeps_its_tensors_on_one_device(size, on_meta):
    settings = replace(size.training, batch_size=2)
    tokens = generator(0).integers(0, size.gpt.vocab_size, 3000)
    with META:
        model = GPT(size.gpt)
    run = Run(model, tokens, settings, None, processes.Processes(None))
    with one_device():
        loss = optimizer_step(run)
    assert loss.device == META
