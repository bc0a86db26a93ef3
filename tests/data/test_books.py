"""Damaged corpora and token files have one clear line, and a failed write keeps the old file."""

import gzip
import json
import lzma
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from utils.data import books

ROW = {"split": "train", "author": "A", "title": "T", "year": 1900, "text": "text"}


def good_line(**change) -> str:
    return json.dumps(ROW | change) + "\n"


ONE_LINE = good_line().encode()
MANY_LINES = ONE_LINE * 50


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("a.xz", b"junk", id="no xz"),
        pytest.param("a.xz", lzma.compress(MANY_LINES)[:-20], id="xz cut off"),
        pytest.param("a.gz", b"junk", id="no gzip"),
        pytest.param("a.gz", gzip.compress(MANY_LINES, mtime=0)[:-12], id="gzip cut off"),
        pytest.param("a.gz", gzip.compress(ONE_LINE, mtime=0)[:10] + b"\xff" * 40, id="bad gzip"),
        pytest.param("a.jsonl", b"\xff\xfe" + ONE_LINE, id="no UTF-8"),
    ],
)
def test_a_damaged_corpus_is_named_in_one_line(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=f"^{name} is not a readable corpus: ") as error:
        books.read_books(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"text": None}, "text must be a text, got None"),
        ({"text": 3}, "text must be a text, got 3"),
        ({"split": "foo"}, "split must be one of 'train', 'validation', got 'foo'"),
        ({"split": []}, "split must be one of"),
        ({"author": 1}, "author must be a text, got 1"),
        ({"year": "1900"}, "year must be a whole number, got '1900'"),
        ({"text": "\ud800"}, "surrogates not allowed"),
    ],
)
def test_a_field_that_is_no_books_is_named(tmp_path, change, reason):
    (tmp_path / "a.jsonl").write_text(good_line() + good_line(**change))
    with pytest.raises(ValueError, match=f"^line 2 of a.jsonl is not a book: .*{reason}"):
        books.read_books(tmp_path / "a.jsonl")
    with pytest.raises(ValueError, match="line 1 of b.jsonl is not a book: it lacks 'split'"):
        books.read_books(write(tmp_path / "b.jsonl", b"{}"))


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_token_files_that_are_none_are_named(tmp_path):
    path = books.write_tokens(tmp_path / "a.npy", np.arange(1000, dtype=np.uint16))
    whole = path.read_bytes()
    np.testing.assert_array_equal(np.load(path), np.arange(1000))
    for data in (b"", b"junk" * 99, whole[:-1], whole[:60], whole[:90], b"PK\x03\x04" + whole):
        with pytest.raises(ValueError, match="^a.npy is not a readable token file") as error:
            books.open_tokens(write(path, data))
        assert "pickle" not in str(error.value)
    for array in (np.ones(3), np.ones((2, 2), dtype=int)):
        np.save(path, array)
        with pytest.raises(
            ValueError, match=r"a.npy must be whole numbers in one dimension, got 'an array of"
        ):
            books.open_tokens(path)
    with pytest.raises(FileNotFoundError, match="none.npy"):
        books.open_tokens(tmp_path / "none.npy")


@pytest.mark.parametrize(
    "tokens", [np.array([1.5]), [0.5, 1], np.ones((1, 1), dtype=int), np.array(3), ["a"]]
)
def test_only_whole_numbers_are_tokens(tmp_path, tokens):
    with pytest.raises(ValueError, match="^tokens must be whole numbers in one dimension, got"):
        books.write_tokens(tmp_path / "a.npy", tokens)
    assert list(tmp_path.iterdir()) == []


def test_tokens_outside_the_vocabulary_are_named():
    for tokens, wrong in (([0, 9], 9), ([-1, 9], -1)):
        with pytest.raises(ValueError, match=rf"^text must be in \[0, 8\], got {wrong}$"):
            books.checked_tokens("text", tokens, 9)
    assert books.checked_tokens("text", [], 9).size == 0


def test_a_full_disk_leaves_the_old_tokens(tmp_path, request):
    path = books.write_tokens(tmp_path / "a.npy", np.arange(10))
    good = path.read_bytes()
    request.getfixturevalue("full_disk")
    with pytest.raises(
        OSError, match=r"could not write a.npy \(the previous file is untouched\): .*No space left"
    ):
        books.write_tokens(path, np.arange(20))
    assert path.read_bytes() == good
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]


def test_encoding_needs_a_book_and_an_end_mark():
    tokenizer = books.train_tokenizer(["text"], 257)
    with pytest.raises(ValueError, match="books must be at least one book, got 0"):
        books.encode_books(tokenizer, [])
    with pytest.raises(ValueError, match="tokenizer must be one that knows <|endoftext|>"):
        books.encode_books(Tokenizer(models.BPE()), [books.Book(**ROW)])


def test_the_digest_is_of_the_ids_alone():
    ids = np.arange(70_000) % 1000
    digest = books.tokens_digest(ids)
    assert digest == books.tokens_digest(ids.astype(np.uint16)) != books.tokens_digest(ids[::-1])
