"""Corpus, tokenizer, baselines, and the stored models: what their cards say is what the files are."""

import itertools
import json
import lzma
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.course_gpt import train as training
from experiments.course_gpt.card import SUBSET
from experiments.course_gpt.readme import readme
from utils.data import books as corpus
from utils.data.fetch import file_sha256
from utils.models import course, ngram
from utils.models.budget import matmul_flops_per_token
from utils.models.gpt import GPT, GPTConfig
from utils.models.interop import save_pretrained
from utils.runtime import repo_root
from utils.sampling import passages
from utils.training.loop import evaluate

NAMES = tuple(training.RECIPES)
TEXT = "It was a dark night; the rain fell in torrents. The rain, it was said, never stopped. £5 naïve ☂\n"


def some_books() -> list[corpus.Book]:
    authors = [("A", 900), ("B", 500), ("C", 300), ("A", 200), ("D", 100)]
    books = [
        corpus.Book("train", a, f"{a}{i}", 1900, TEXT * (n // 20))
        for i, (a, n) in enumerate(authors)
    ]
    return [*books, corpus.Book("validation", "E", "Held", 1901, TEXT * 30)]


def write_corpus(path: Path, books: list[corpus.Book]) -> Path:
    with lzma.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(vars(b)) + "\n" for b in books)
    return path


def card(name: str) -> dict:
    path = repo_root() / "records" / name / "card.json"
    if not path.exists():
        pytest.skip(f"records/{name} has not been made yet")
    return json.loads(path.read_text(encoding="utf-8"))


# Corpus and tokenizer


def test_books_are_read_and_split_by_author(tmp_path):
    books = corpus.read_books(write_corpus(tmp_path / "books.jsonl.xz", some_books()))
    assert books == some_books()
    first, second = corpus.halves(books)
    assert {b.author for b in first} == {"A"}
    assert {b.author for b in second} == {"B", "C", "D"}
    assert corpus.halves(books[::-1])[0] == first[::-1]


def test_a_line_that_is_no_book_is_named(tmp_path):
    path = tmp_path / "books.jsonl"
    good = json.dumps(vars(some_books()[0]))
    for bad in ("{", '{"title": "no text"}', "3"):
        path.write_text(good + "\n" + bad + "\n")
        with pytest.raises(ValueError, match=r"line 2 of books.jsonl is not a book") as error:
            corpus.read_books(path)
        assert "\n" not in str(error.value)
    path.write_text("")
    with pytest.raises(ValueError, match="path must be a corpus with at least one book"):
        corpus.read_books(path)


def test_the_tokenizer_returns_every_string_and_counts_its_bytes():
    tokenizer = corpus.train_tokenizer([TEXT * 20], 300)
    assert tokenizer.get_vocab_size() == 300
    assert tokenizer.token_to_id(corpus.END) == 0
    sizes = ngram.token_bytes(tokenizer)
    for text in (TEXT, "日本語 and 🙂", "\x00\t  \r\n", "_never seen_ XYZ"):
        ids = tokenizer.encode(text).ids
        assert tokenizer.decode(ids) == text
        assert sizes[ids].sum() == len(text.encode())
    with pytest.raises(
        ValueError, match="vocab_size must be a whole number of at least 257, got 256"
    ):
        corpus.train_tokenizer([TEXT], 256)


def test_tokens_on_disk_are_mapped_and_end_marks_each_book(tmp_path):
    tokenizer = corpus.train_tokenizer([TEXT * 20], 300)
    tokens = corpus.encode_books(tokenizer, some_books())
    assert (tokens == 0).sum() == len(some_books())
    mapped = corpus.open_tokens(corpus.write_tokens(tmp_path / "a" / "books.npy", tokens))
    assert isinstance(mapped, np.memmap)
    assert mapped.dtype == np.uint16
    np.testing.assert_array_equal(mapped, tokens)
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["books.npy"]


# Baselines


@pytest.mark.parametrize("order", [1, 2, 3])
def test_kneser_ney_is_a_distribution_for_every_history(order):
    tokens = np.random.default_rng(0).integers(0, 6, 400)
    model = ngram.KneserNey(tokens, order, 8)  # ids 6 and 7 never occur
    for history in itertools.product((0, 3, 7), repeat=2):
        p = [np.exp(-model.nats(np.array([*history, w])))[-1] for w in range(8)]
        assert sum(p) == pytest.approx(1.0)
        assert min(p) > 0


def test_kneser_ney_by_hand():
    """a b a b a c over {a, b, c, d}: one bigram level above the continuation unigram, worked out on paper."""
    model = ngram.KneserNey(np.array([0, 1, 0, 1, 0, 2]), 2, 4)
    # Bigrams ab 2, ba 2, ac 1: n1 = 1, n2 = 2, discount 1/5. Continuations a 1, b 1, c 1: discount 1.
    unigram = 3 / 3 / 4  # all of the discounted mass is shared among the four
    expected = (2 - 0.2) / 3 + 0.2 * 2 / 3 * unigram
    assert np.exp(-model.nats(np.array([0, 1])))[1] == pytest.approx(expected)
    unseen = 0.2 * 2 / 3 * unigram
    assert np.exp(-model.nats(np.array([0, 3])))[1] == pytest.approx(unseen)


def test_a_longer_history_helps_on_a_text_with_structure():
    tokens = np.tile([0, 1, 2, 0, 2, 1], 200)
    losses = [ngram.KneserNey(tokens, n, 4).nats(tokens).mean() for n in (1, 2, 3)]
    assert losses[0] > losses[1] > losses[2]


def test_text_measures_by_hand():
    assert passages.words("Don't stop_ME at 3 o’clock, naïve!") == [
        "don't",
        "stop",
        "me",
        "at",
        "o’clock",
        "naïve",
    ]
    assert passages.vocabulary(["a b a", "b c"]) == {"a", "b"}
    assert passages.real_word_rate(["a b", "x, A"], {"a", "b"}) == 0.75
    assert passages.repeated_ngram_rate([[1, 2, 3, 1, 2, 3], [1, 2]], n=2) == 2 / 6
    assert passages.repeated_ngram_rate([[1, 2, 1, 2, 1]], n=2) == 0.5
    assert ngram.bits_per_byte(np.log(2) * 24, 8) == pytest.approx(3.0)
    with pytest.raises(
        ValueError, match="sequences must be some with at least n = 4 tokens, got 0"
    ):
        passages.repeated_ngram_rate([[1, 2]])


# The command, on a corpus of a few kilobytes


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
    for name, data, line in [
        ("course_gpt-baselines.json", b"{", None),  # only kept for speed: computed again
        ("tokenizer.json", b"{", "tokenizer.json is not a readable tokenizer"),
        ("validation.npy", None, "No such file"),
        ("course_gpt.npy", (work / "judge_gpt.npy").read_bytes(), "on the tokens of"),
        ("course_gpt.safetensors", None, "course_gpt.safetensors is not a readable checkpoint"),
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
    allowed = "corpus must be one with training books of at least two authors and validation books, got 'a.xz'"
    small = [corpus.Book(b.split, b.author, b.title, b.year, "a") for b in some_books()]
    for books, line in [
        (some_books()[:-1], allowed),
        ([some_books()[0], some_books()[-1]], allowed),
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


def test_a_missing_model_is_named(tmp_path, monkeypatch):
    for folder in (tmp_path, str(tmp_path)):
        with pytest.raises(
            FileNotFoundError, match=f"{tmp_path} holds no model.safetensors: train it"
        ):
            course.load("judge_gpt", folder)
    with monkeypatch.context() as patch:
        patch.setattr(course, "repo_root", lambda: tmp_path)
        with pytest.raises(
            FileNotFoundError, match="^records/judge_gpt holds no model.safetensors"
        ):
            course.load("judge_gpt")
    with pytest.raises(
        ValueError, match="name must be one of 'course_gpt', 'judge_gpt', got 'gpt5'"
    ):
        course.load("gpt5")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"", "tokenizer.json is not a readable tokenizer: "),
        (b"{", "tokenizer.json is not a readable tokenizer: "),
        (b"\xff", "tokenizer.json is not a readable tokenizer: "),
        (None, "tokenizer.json must be of the model's 300 tokens, got 267"),
    ],
)
def test_a_tokenizer_that_is_not_the_models_is_refused(tmp_path, text, line):
    save_pretrained(
        GPT(GPTConfig(vocab_size=300, context_length=8, n_layer=1, n_head=2, d_model=16)), tmp_path
    )
    with pytest.raises(FileNotFoundError, match="holds no tokenizer.json"):
        course.load("course_gpt", tmp_path)
    foreign = corpus.train_tokenizer([TEXT], 267).to_str().encode()
    (tmp_path / "tokenizer.json").write_bytes(foreign if text is None else text)
    with pytest.raises(ValueError, match=line) as error:
        course.load("course_gpt", tmp_path)
    assert "\n" not in str(error.value)


# The stored models


@pytest.mark.parametrize("name", NAMES)
def test_the_card_describes_the_files(name):
    stored = card(name)
    model, tokenizer = course.load(name)
    weights = repo_root() / "records" / name / "model.safetensors"
    assert weights.stat().st_size == stored["bytes_of_weights"] <= 16e6
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
    """Recompute the loss on a sample of the held-out windows; the byte and token counts on all of them."""
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
