"""Cut the long excerpts on which the notebook on long contexts asks the course's model.

    python -m experiments.applications.long_excerpts --corpus classic_books.jsonl.xz

writes ``records/applications/long_excerpts.json``: one piece from the middle of each held-out book,
with its author and title. The course's models have read none of these books, and all of them are in
the public domain.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from experiments.settings import one_line_errors, parser
from utils import records
from utils.data.books import Book, read_books
from utils.data.fetch import file_sha256
from utils.validate import require

COMMAND = "experiments.applications.long_excerpts"
RECORD = "applications/long_excerpts"
LENGTH = 7_000  # characters of an excerpt: 1,700 to 2,200 tokens
SHORTEST = 3 * LENGTH  # characters of a book that is long enough to have a middle
LEFT_OUT = (
    "The Trial",  # the text of 1925 is free, but this translation is a late one
    "Leaves of Grass",  # verse
)


def excerpt(book: Book) -> dict[str, str]:
    """`LENGTH` characters from the first paragraph after the middle of the book on."""
    start = book.text.find("\n\n", len(book.text) // 2) + 2
    text = book.text[start : start + LENGTH]
    return {"author": book.author, "title": book.title, "text": text}


def held_out(books: list[Book]) -> list[Book]:
    """The books that no model of the course has read, except the short and the listed ones."""
    found = []
    for book in books:
        long_enough = len(book.text) >= SHORTEST
        if book.split == "validation" and long_enough and book.title not in LEFT_OUT:
            found.append(book)
    require(len(found) > 0, "corpus", "one with held-out books", len(found))
    return found


def record(corpus: Path, out: str | Path = RECORD) -> dict[str, Any]:
    """Write the record, and return its data."""
    started = time.time()
    data = {"excerpts": [excerpt(book) for book in held_out(read_books(corpus))]}
    records.save(
        out,
        data,
        started=started,
        source="held-out books of the course's corpus, in the public domain",
        corpus_sha256=file_sha256(corpus),
        how=f"python -m {COMMAND}",
    )
    return data


def main(arguments: list[str] | None = None) -> None:
    """Write the record, and say what it holds."""
    command = parser(COMMAND, __doc__)
    command.add_argument("--corpus", type=Path, required=True, help="books, one JSON line each")
    command.add_argument("--out", type=Path, help=f"file (default: records/{RECORD}.json)")
    options = command.parse_args(arguments)
    with one_line_errors(command):
        data = record(options.corpus, options.out or RECORD)
        for part in data["excerpts"]:
            print(f"{part['author']}, {part['title']}: {len(part['text']):,} characters")


if __name__ == "__main__":
    main()
