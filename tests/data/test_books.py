"""Damaged corpora and token files have one clear line, and a failed write keeps the old file."""

import gzip
import json
import lzma
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models

from utils.data import books
from utils.tensors import write_tensors

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
    path = books.write_tokens(tmp_path / "a.safetensors", np.arange(1000, dtype=np.uint16))
    whole = path.read_bytes()
    line = "^a.safetensors is not a readable token file: "
    for data in (b"", b"junk" * 99, whole[:-1], whole[:60], whole[:90], b"PK\x03\x04" + whole):
        with pytest.raises(ValueError, match=line) as error:
            books.open_tokens(write(path, data))
        assert "\n" not in str(error.value)
    allowed = "^a.safetensors must be a token file, with whole numbers in one dimension, got "
    for tensors in (
        {"tokens": torch.ones(3)},
        {"tokens": torch.ones(2, 2, dtype=torch.int64)},
        {"weights": torch.ones(2, dtype=torch.int64)},
    ):
        write_tensors(path, tensors, {})
        with pytest.raises(ValueError, match=allowed):
            books.open_tokens(path)
    with pytest.raises(FileNotFoundError, match="none.safetensors"):
        books.open_tokens(tmp_path / "none.safetensors")


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i1", "i2", "i4", "i8", ">i2", ">u4"])
def test_tokens_of_every_type_come_back_also_from_an_array_that_is_read_only(tmp_path, dtype):
    tokens = np.arange(100, dtype=dtype)
    tokens.flags.writeable = False
    back = books.open_tokens(books.write_tokens(tmp_path / "a.safetensors", tokens))
    assert back.dtype == tokens.dtype.newbyteorder("<")
    np.testing.assert_array_equal(back, tokens)
    back = books.open_tokens(books.write_tokens(tmp_path / "a.safetensors", tokens[::-2]))
    np.testing.assert_array_equal(back, tokens[::-2])


def test_tokens_that_no_file_could_hold_are_refused_before_one_is_written(tmp_path):
    for tokens, line in (
        (np.arange(3, dtype="u8"), "tokens must be of one of the types uint8, .*, got 'uint64'"),
        ([], "tokens must be at least one id, got 0"),
    ):
        with pytest.raises(ValueError, match=line):
            books.write_tokens(tmp_path / "a.safetensors", tokens)
    assert list(tmp_path.iterdir()) == []


def test_a_changed_token_is_found(tmp_path):
    path = books.write_tokens(tmp_path / "a.safetensors", np.arange(1000, dtype=np.uint16))
    good = bytearray(path.read_bytes())
    for place in range(0, len(good), 7):
        flipped = bytearray(good)
        flipped[place] ^= 1 << place % 8
        with pytest.raises(ValueError, match="^a.safetensors is not a readable token file: "):
            books.open_tokens(write(path, flipped))


@pytest.mark.parametrize(
    "tokens", [np.array([1.5]), [0.5, 1], np.ones((1, 1), dtype=int), np.array(3), ["a"]]
)
def test_only_whole_numbers_are_tokens(tmp_path, tokens):
    with pytest.raises(ValueError, match="^tokens must be whole numbers in one dimension, got"):
        books.write_tokens(tmp_path / "a.safetensors", tokens)
    assert list(tmp_path.iterdir()) == []


def test_tokens_outside_the_vocabulary_are_named():
    for tokens, wrong in (([0, 9], 9), ([-1, 9], -1)):
        with pytest.raises(ValueError, match=rf"^text must be in \[0, 8\], got {wrong}$"):
            books.checked_tokens("text", tokens, 9)
    assert books.checked_tokens("text", [], 9).size == 0


def test_a_full_disk_leaves_the_old_tokens(tmp_path, request):
    path = books.write_tokens(tmp_path / "a.safetensors", np.arange(10))
    good = path.read_bytes()
    request.getfixturevalue("full_disk")
    with pytest.raises(
        OSError,
        match=r"could not write a.safetensors \(the previous file is untouched\): .*No space left",
    ):
        books.write_tokens(path, np.arange(20))
    assert path.read_bytes() == good
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


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
