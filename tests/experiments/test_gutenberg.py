"""Books from the hub: which rows become books, and what is written when the network fails."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from experiments.course_gpt import gutenberg
from utils.data.books import halves, read_books

TEXT = "It was a dark and stormy night. " * 700  # 22,400 characters
HEADER = "The Project Gutenberg eBook of X\n\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\n"
FOOTER = "\n\n*** END OF THE PROJECT GUTENBERG EBOOK X ***\nThis file should be named 1.txt"


def row(author, title, text=TEXT):
    return {"etextno": 1, "author": author, "book_title": title, "issued": "", "context": text}


def pretend_hub(monkeypatch, rows):
    """A library `datasets` whose only set is ``rows``; an exception among them is raised."""

    def load_dataset(name, split, streaming):
        assert (name, split, streaming) == (gutenberg.DATASET, "train", True)
        for each in rows:
            if isinstance(each, Exception):
                raise each
            yield each

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))


def test_a_corpus_that_the_courses_reader_takes(tmp_path, monkeypatch):
    pretend_hub(monkeypatch, [row(f"author {i}", "a tale") for i in range(60)])
    path = gutenberg.fetch(tmp_path / "books.jsonl.gz", characters=50 * len(TEXT))
    books = read_books(path)
    assert len(books) == 51  # a little more than 50, as the space at each end is left out
    held_out = {book.author for book in books if book.split == "validation"}
    assert held_out == {"author 19", "author 39"}
    first, second = halves(books)
    assert len(first) + len(second) == 49


def test_what_is_there_is_not_fetched_again(tmp_path, monkeypatch):
    path = tmp_path / "books.jsonl.gz"
    path.write_bytes(b"some")
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert gutenberg.fetch(path).read_bytes() == b"some"


def test_a_book_is_what_stands_between_header_and_footer():
    [book] = gutenberg.select([row("A", "B", HEADER + TEXT + FOOTER)], 1)
    assert book.text == TEXT.strip()


@pytest.mark.parametrize(
    "bad",
    [row(None, "B"), row("A", None), row("", "B"), row("A", "B", TEXT[:100]), row("A", "B", None)],
)
def test_rows_without_author_title_or_text_are_left_out(bad):
    [book] = gutenberg.select([bad, row("A", "good")], 10**6)
    assert book.title == "good"


def test_all_books_of_one_author_are_on_one_side():
    rows = [row(f"author {i % 20}", f"tale {i}") for i in range(60)]
    held_out = [b.author for b in gutenberg.select(rows, 10**9) if b.split == "validation"]
    assert held_out == ["author 19"] * 3


def test_a_network_that_fails_leaves_no_file(tmp_path, monkeypatch):
    pretend_hub(monkeypatch, [row("A", "B"), RuntimeError("connection reset\nby peer")])
    path = tmp_path / "books.jsonl.gz"
    with pytest.raises(OSError, match=r"^cannot stream .*: connection reset$"):
        gutenberg.fetch(path)
    assert not path.exists()


def test_a_name_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^path must be a file that ends in .jsonl.gz, got"):
        gutenberg.fetch(tmp_path / "books.txt")
