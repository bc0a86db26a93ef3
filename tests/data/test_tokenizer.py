"""From books to tokens: what is read, how it is split, and that no character is lost."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.toy_corpus import TEXT, some_books, write_corpus
from utils.data import books as corpus
from utils.models import ngram


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
    line = "vocab_size must be a whole number of at least 257, got 256"
    with pytest.raises(ValueError, match=line):
        corpus.train_tokenizer([TEXT], 256)


def test_tokens_on_disk_are_mapped_and_end_marks_each_book(tmp_path):
    tokenizer = corpus.train_tokenizer([TEXT * 20], 300)
    tokens = corpus.encode_books(tokenizer, some_books())
    assert (tokens == 0).sum() == len(some_books())
    mapped = corpus.open_tokens(corpus.write_tokens(tmp_path / "a" / "books.safetensors", tokens))
    assert isinstance(mapped, np.memmap)
    assert mapped.dtype == np.uint16
    np.testing.assert_array_equal(mapped, tokens)
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["books.safetensors"]
