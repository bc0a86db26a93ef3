"""The course's models: training and storing them, and that their cards say what the files are."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from experiments.course_gpt import train as training
from experiments.course_gpt.card import SUBSET
from experiments.course_gpt.readme import readme
from tests.toy_corpus import some_books, write_corpus
from utils.data import books as corpus
from utils.data.fetch import file_sha256
from utils.models import course, ngram
from utils.models.budget import matmul_flops_per_token
from utils.models.gpt import GPT, GPTConfig
from utils.runtime import repo_root
from utils.tensors import read_header
from utils.training.loop import evaluate

NAMES = tuple(training.RECIPES)


def card(name: str) -> dict:
    path = repo_root() / "records" / name / "card.json"
    if not path.exists():
        pytest.skip(f"records/{name} has not been made yet")
    return json.loads(path.read_text(encoding="utf-8"))


# ---- the command, on a corpus of a few kilobytes ------------------------------------------------


@pytest.fixture
def tiny(monkeypatch):
    """Both recipes as small as they get."""
    from experiments.course_gpt import card as course_card

    config = GPTConfig(vocab_size=300, context_length=40, n_layer=1, n_head=2, d_model=16)
    recipes = {name: training.Recipe(config, half) for half, name in enumerate(NAMES)}
    for module in (training, course_card):
        monkeypatch.setattr(module, "RECIPES", recipes)
    monkeypatch.setenv("COURSE_QUIET", "1")
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    return course_card


def options(books: Path, work: Path) -> list[str]:
    return ["--corpus", str(books), "--work", str(work), "--name", "course_gpt"]


def refused(capsys, main, arguments, line):
    """The command ends with argparse's own exit, and the last line says why."""
    with pytest.raises(SystemExit):
        main(arguments)
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert line in last


def test_training_and_storing_from_the_command_line(tmp_path, tiny, capsys):
    books = write_corpus(tmp_path / "books.jsonl.xz", some_books())
    common = options(books, tmp_path / "work")
    training.main([*common, "--steps", "6", "--batch-size", "2"])
    training.main([*common, "--steps", "6", "--batch-size", "2"])  # done: nothing left to do
    tiny.main([*common, "--out", str(tmp_path / "records")])
    folder = tmp_path / "records" / "course_gpt"
    stored = json.loads((folder / "card.json").read_text())
    assert stored["training"]["tokens"] == 6 * 2 * 40
    assert stored["data"]["sha256"] == file_sha256(books)
    assert stored["data"]["train_titles"] == ["A: A0", "A: A3"]
    assert "tokens" not in stored["training"]["settings"]
    assert f"{stored['evaluation']['nats_per_token']:.4f} nats" in capsys.readouterr().out
    model, tokenizer = course.load("course_gpt", folder)
    assert isinstance(model, GPT)
    assert tokenizer.get_vocab_size() == model.config.vocab_size
    refused(capsys, training.main, [*common, "--until", "25:00"], "until must be a time of day as")

    # Another corpus: neither training nor the card takes this work folder for its own.
    other = write_corpus(tmp_path / "other.jsonl.xz", some_books()[::-1])
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(files) == {
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "README.md",
        "card.json",
    }
    line = f"corpus must be the one that {tmp_path / 'work'} was prepared from"
    card_of = [*options(other, tmp_path / "work"), "--out", str(tmp_path / "records")]
    refused(capsys, training.main, [*card_of[:-2], "--steps", "6"], line)
    refused(capsys, tiny.main, card_of, line)
    # A failure half-way leaves the stored model as it was, and no rest.
    card_of = [*common, "--out", str(tmp_path / "records")]
    work = tmp_path / "work"
    other_tokens = (work / "judge_gpt-tokens.safetensors").read_bytes()
    for name, data, line in [
        ("course_gpt-baselines.json", b"{", None),  # only kept for speed: computed again
        ("tokenizer.json", b"{", "tokenizer.json is not a readable tokenizer"),
        ("validation-tokens.safetensors", None, "work must be a folder prepared by"),
        ("course_gpt-tokens.safetensors", other_tokens, "on the tokens of"),
        ("course_gpt.safetensors", None, "No such file"),
        ("corpus.json", None, "work must be a folder prepared by experiments.course_gpt.train"),
    ]:
        good = (work / name).read_bytes()
        (work / name).unlink() if data is None else (work / name).write_bytes(data)
        if line is None:
            tiny.main(card_of)
            files["card.json"] = (folder / "card.json").read_bytes()
        else:
            refused(capsys, tiny.main, card_of, line)
        (work / name).write_bytes(good)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
        assert [path.name for path in folder.parent.iterdir()] == ["course_gpt"]
    # Without the stamp everything is prepared anew, and nothing of another corpus is kept.
    (work / "corpus.json").unlink()
    training.prepare(other, work)
    assert not (work / "words.json").exists()
    assert json.loads((work / "corpus.json").read_text()) == {"sha256": file_sha256(other)}


def test_a_corpus_that_cannot_serve_leaves_nothing_behind(tmp_path, tiny, capsys):
    allowed = "one with training books of at least two authors and validation books"
    small = [corpus.Book(b.split, b.author, b.title, b.year, "a") for b in some_books()]
    for books, line in [
        (some_books()[:-1], f"corpus must be {allowed}, got 'a.xz'"),
        ([some_books()[0], some_books()[-1]], f"corpus must be {allowed}, got 'a.xz'"),
        (small, "corpus must be large enough for a vocabulary of 300, got 'a.xz with 257'"),
    ]:
        arguments = [*options(write_corpus(tmp_path / "a.xz", books), tmp_path / "work")]
        refused(capsys, training.main, arguments, line)
    (tmp_path / "a.xz").write_bytes(b"junk")
    refused(capsys, training.main, arguments, "a.xz is not a readable corpus")
    for change, line in [
        (["--steps", "0"], "steps must be"),
        (["--precision", "fp8"], "precision must be"),
    ]:
        refused(capsys, training.main, [*arguments, *change], line)  # said before the data is read
    (tmp_path / "a.xz").unlink()
    for main, those in ((training.main, arguments), (tiny.main, arguments)):
        refused(capsys, main, those, "No such file or directory")
    assert list(tmp_path.iterdir()) == []


# ---- the stored models --------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_card_describes_the_files(name):
    stored = card(name)
    model, tokenizer = course.load(name)
    weights = repo_root() / "records" / name / "model.safetensors"
    assert weights.stat().st_size == stored["bytes_of_weights"] <= 16e6
    assert read_header(weights).sha256 == stored["sha256_of_weights"]
    assert model.num_parameters() == stored["parameters"]
    assert vars(model.config) == stored["architecture"]
    assert tokenizer.get_vocab_size() == model.config.vocab_size
    t = stored["training"]
    assert t["tokens"] == t["steps"] * t["settings"]["batch_size"] * model.config.context_length
    assert t["flops"] == t["tokens"] * matmul_flops_per_token(model.config)
    folder = weights.parent
    assert (folder / "README.md").read_text(encoding="utf-8") == readme(stored)


@pytest.mark.parametrize("name", NAMES)
def test_the_model_beats_the_ngrams_and_writes_words(name):
    stored = card(name)
    if not stored["finished"]:
        pytest.skip(f"records/{name} is a snapshot of an unfinished run, as its card says")
    bits = stored["evaluation"]["bits_per_byte"]
    assert bits < min(b["bits_per_byte"] for b in stored["baselines"].values())
    human, cool = stored["samples"]["held-out text"], stored["samples"]["T = 0.8"]
    assert cool["real_word_rate"] > human["real_word_rate"] - 0.03
    assert cool["repeated_4gram_rate"] < human["repeated_4gram_rate"] + 0.05


def test_the_two_models_share_no_training_text_and_no_held_out_book():
    course, judge = (card(name)["data"] for name in NAMES)
    authors = [{t.split(":")[0] for t in data["train_titles"]} for data in (course, judge)]
    assert not authors[0] & authors[1]
    for data in (course, judge):
        assert not set(data["train_titles"]) & set(data["validation_titles"])
    assert course["sha256"] == judge["sha256"]


def test_transformers_reads_the_stored_model():
    transformers = pytest.importorskip("transformers")
    card("course_gpt")
    folder = repo_root() / "records" / "course_gpt"
    model, tokenizer = course.load("course_gpt")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = torch.tensor([tokenizer.encode("It was the best of times").ids])
    with torch.no_grad():
        torch.testing.assert_close(model(ids), theirs(ids).logits, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_bits_per_byte_on_the_held_out_books(name):
    """Recompute the loss on a sample of the held-out windows, the counts on all of them."""
    folder = os.environ.get("COURSE_BOOKS")
    if not folder:
        pytest.skip(
            "COURSE_BOOKS names no folder with the corpus of books, which is not part of the course"
        )
    stored = card(name)
    path = Path(folder) / stored["data"]["corpus"]
    assert file_sha256(path) == stored["data"]["sha256"]
    model, tokenizer = course.load(name)
    held_out = [b for b in corpus.read_books(path) if b.split == "validation"]
    assert [f"{b.author}: {b.title}" for b in held_out] == stored["data"]["validation_titles"]
    tokens, e = corpus.encode_books(tokenizer, held_out), stored["evaluation"]
    scored = tokens[1 : e["tokens"] + 1]
    assert ngram.token_bytes(tokenizer)[scored].sum() == e["bytes"]
    bits = ngram.bits_per_byte(e["nats_per_token"] * e["tokens"], e["bytes"])
    assert bits == pytest.approx(e["bits_per_byte"], rel=1e-12)
    again = evaluate(model, tokens, windows=SUBSET)
    assert again == pytest.approx(e["subset_nats_per_token"], rel=1e-4)
    assert again == pytest.approx(e["nats_per_token"], rel=0.05)  # a sample stands for the whole
