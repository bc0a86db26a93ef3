"""A corpus of books of a few kilobytes, for the tests of the tokenizer and the course's models."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

from utils.data.books import Book

TEXT = (
    "It was a dark night; the rain fell in torrents. "
    "The rain, it was said, never stopped. £5 naïve ☂\n"
)


def some_books() -> list[Book]:
    """Five training books of four authors, A by far the largest, and a held-out one."""
    authors = [("A", 900), ("B", 500), ("C", 300), ("A", 200), ("D", 100)]
    books = []
    for i, (author, length) in enumerate(authors):
        books.append(Book("train", author, f"{author}{i}", 1900, TEXT * (length // 20)))
    books.append(Book("validation", "E", "Held", 1901, TEXT * 30))
    return books


def write_corpus(path: Path, books: list[Book]) -> Path:
    """Write ``books`` as JSON lines, compressed with xz."""
    with lzma.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(vars(book)) + "\n" for book in books)
    return path
