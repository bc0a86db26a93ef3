"""Cut the excerpts that the notebook on specialists fine-tunes the course's model with.

    python -m experiments.myths.author_excerpts --corpus classic_books.jsonl.xz   # two minutes

writes ``records/myths/authors.json``: text by one author and by many to train on, and passages to
ask the model for, each with its author and title. They are cut from the books that
`experiments.myths.one_author` uses, which are in the public domain.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from experiments.myths.one_author import MIXED, choose_books
from experiments.settings import one_line_errors, parser
from utils import records
from utils.data.books import Book, read_books
from utils.data.fetch import file_sha256

COMMAND = "experiments.myths.author_excerpts"
RECORD = "myths/authors"
AUTHORS = ("Lucy Maud Montgomery", "Jane Austen")  # who is trained on, and whom that may help too
TRAIN_LENGTH = 48_000  # characters of each text to train on
PASSAGE = 1_200  # characters of a passage: at least 257 tokens, a context and one more
PASSAGES = 12  # of each kind


def excerpt(book: Book, share: float, length: int) -> dict[str, str]:
    """``length`` characters from the first paragraph after ``share`` of the book on."""
    start = round(share * (len(book.text) - 2 * length))
    start = book.text.find("\n\n", start) + 2
    text = book.text[start : start + length]
    return {"author": book.author, "title": book.title, "text": text}


def excerpts(books: list[Book], n: int, length: int) -> list[dict[str, str]]:
    """``n`` excerpts, from one book after another, and each from a later part of its book."""
    found = []
    shares = np.linspace(0.1, 0.9, n)
    for i, share in enumerate(shares):
        found.append(excerpt(books[i % len(books)], float(share), length))
    return found


def cut(books: list[Book]) -> dict[str, Any]:
    """The record's data: lists of excerpts by what they are for."""
    chosen = choose_books(books, AUTHORS)
    author, another = AUTHORS
    train = chosen["train"]
    asked = chosen["asked"]
    n_books = len(train[author])
    return {
        "train": excerpts(train[author], n_books, TRAIN_LENGTH // n_books),
        "mixed": excerpts(train[MIXED], len(train[MIXED]), TRAIN_LENGTH // len(train[MIXED])),
        "home": excerpts(asked[author], PASSAGES, PASSAGE),
        "another": excerpts(asked[another], PASSAGES, PASSAGE),
        "trained": excerpts(asked["trained"], PASSAGES, PASSAGE),
    }


def record(corpus: Path) -> dict[str, Any]:
    """Write the record, and return its data."""
    started = time.time()
    data = cut(read_books(corpus))
    records.save(
        RECORD,
        data,
        started=started,
        source="books of the course's corpus, in the public domain",
        corpus_sha256=file_sha256(corpus),
        how=f"python -m {COMMAND}",
    )
    return data


def main(arguments: list[str] | None = None) -> None:
    """Write the record, and say how long its texts are."""
    command = parser(COMMAND, __doc__)
    command.add_argument("--corpus", type=Path, required=True, help="books, one JSON line each")
    options = command.parse_args(arguments)
    with one_line_errors(command):
        data = record(options.corpus)
        for name, parts in data.items():
            length = sum(len(part["text"]) for part in parts)
            print(f"{name}: {len(parts)} excerpts, {length:,} characters")


if __name__ == "__main__":
    main()
