"""A corpus of books for a machine that has none, streamed from the Hugging Face hub.

The course's own corpus is not published. ``incredible45/Gutenberg-BookCorpus-Cleaned-Data-English``
holds Project Gutenberg's English books, 21 GB, with the columns ``etextno``, ``book_title``,
``author``, ``issued`` and ``context`` (its dataset card). Streaming brings only as many of its
first books as are asked for. It needs the library ``datasets``, which Colab has; the course's tests
and the default scale do without both.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from utils.data.books import Book
from utils.files import locked, replacing
from utils.validate import integer, require

DATASET = "incredible45/Gutenberg-BookCorpus-Cleaned-Data-English"
CHARACTERS = 130_000_000  # as many as the course's own corpus has
SHORTEST = 20_000  # characters: leaves out single poems and speeches
EVERY = 20  # of so many authors one is held out

# What Project Gutenberg prints around a book, where it was left in.
_BEGINS = re.compile(r"\*\*\* ?START OF (?:THE|THIS) PROJECT GUTENBERG[^\n]*\n")
_ENDS = re.compile(r"\*\*\* ?END OF (?:THE|THIS) PROJECT GUTENBERG")


def fetch(path: Path, characters: int = CHARACTERS) -> Path:
    """Write a corpus of about ``characters`` to ``path`` (a ``.jsonl.gz``), unless it is there.

    Raises ``OSError`` in one line where the library, the network or the disk fails; nothing stands
    at ``path`` then.
    """
    require(path.name.endswith(".jsonl.gz"), "path", "a file that ends in .jsonl.gz", path.name)
    with locked(path, wait=True):
        if not path.exists():
            books = list(select(_rows(), characters))
            write_corpus(path, books)
    return path


def select(rows: Iterable[dict[str, Any]], characters: int) -> Iterator[Book]:
    """Books from the dataset's rows until they have ``characters``; each twentieth author held out.

    A row without author, title or enough text is left out. Each title counts once, as the
    collection has several editions of some.

    >>> text = "It was a dark and stormy night. " * 1000
    >>> rows = [{"author": "Lytton", "book_title": "Paul Clifford", "context": text}] * 2
    >>> [(book.split, book.title, len(book.text)) for book in select(rows, 100_000)]
    [('train', 'Paul Clifford', 31999)]
    """
    integer("characters", characters, 1)
    numbers: dict[str, int] = {}  # of each author, in the order in which they come
    titles = set()
    n_characters = 0
    for row in rows:
        author, title = row.get("author"), row.get("book_title")
        text = _body(row.get("context") or "")
        if not author or not title or (author, title) in titles or len(text) < SHORTEST:
            continue
        titles.add((author, title))
        number = numbers.setdefault(author, len(numbers))
        split = "validation" if number % EVERY == EVERY - 1 else "train"
        yield Book(split, author, title, None, text)
        n_characters += len(text)
        if n_characters >= characters:
            return


def write_corpus(path: Path, books: Iterable[Book]) -> None:
    """Write books, one JSON object per line, to a file that appears whole or not at all."""
    with replacing(path) as file, gzip.open(file, "wt", encoding="utf-8") as lines:
        for book in books:
            lines.write(json.dumps(asdict(book), ensure_ascii=False) + "\n")


def _body(text: str) -> str:
    """The book without what Project Gutenberg prints before and after it."""
    begins = _BEGINS.search(text)
    if begins:
        text = text[begins.end() :]
    ends = _ENDS.search(text)
    if ends:
        text = text[: ends.start()]
    return text.strip()


def _rows() -> Iterator[dict[str, Any]]:
    """The dataset's rows in order, as they arrive."""
    try:
        import datasets  # pyright: ignore[reportMissingImports]  # optional: only needed here
    except ImportError:
        raise OSError("the books need the library `datasets`: pip install datasets") from None
    try:
        yield from datasets.load_dataset(DATASET, split="train", streaming=True)
    except Exception as error:  # the library raises its own errors, and those of three others
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise OSError(f"cannot stream {DATASET}: {reason[:200]}") from None
