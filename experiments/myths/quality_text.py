"""The text for "quality against bytes": passages of many books to train on, and held-out books.

The vocabulary is that of the scaling chapter, 1,024 pieces: with a large one, nearly all bytes of
so small a model would lie in its embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from utils.data.books import Book, end_id, read_books
from utils.models.course import load_tokenizer
from utils.models.ngram import token_bytes
from utils.runtime import generator, repo_root
from utils.validate import require

PASSAGE = 4_000  # characters of a training text that stay together
LEAST = 20_000  # characters of a held-out book; shorter ones are left out
TOKENIZER = Path("records") / "scaling" / "tokenizer.json"


@dataclass(frozen=True)
class HeldOut:
    """Windows of one held-out book.

    rows: (n_windows, T + 1) ids; each is predicted from those before it in its row.
    n_bytes: UTF-8 bytes of the predicted tokens, n_windows · T of them.
    """

    author: str
    title: str
    rows: np.ndarray
    n_bytes: int


class Texts:
    """What the models read: ``training(seed, n)`` and ``held_out``, both as ids.

    Raises ``ValueError`` for a damaged corpus, one without held-out books of ``LEAST`` characters,
    or a held-out book that is too short for its windows.
    """

    def __init__(self, corpus: Path, *, n_windows: int, context_length: int) -> None:
        books = read_books(corpus)
        self.tokenizer = load_tokenizer(repo_root() / TOKENIZER)
        self.train = [book.text for book in books if book.split == "train"]
        require(len(self.train) > 0, "corpus", "one with books to train on", corpus.name)
        chosen = one_per_author([book for book in books if book.split == "validation"])
        require(len(chosen) > 1, "corpus", "one with two held-out authors", corpus.name)
        self.held_out = []
        for book in chosen:
            self.held_out.append(held_out(self.tokenizer, book, n_windows, context_length))

    def training(self, seed: int, n_tokens: int) -> np.ndarray:
        """``n_tokens`` ids of passages drawn from all training books by ``seed``: (n_tokens,).

        Raises ``ValueError`` if the books together are shorter.
        """
        passages = []
        for text in self.train:
            for start in range(0, len(text), PASSAGE):
                passages.append(text[start : start + PASSAGE])
        end = [end_id(self.tokenizer)]
        ids: list[int] = []
        for i in generator(seed).permutation(len(passages)):
            ids += end + self.tokenizer.encode(passages[i]).ids
            if len(ids) >= n_tokens:
                return np.array(ids[:n_tokens], dtype=np.uint16)
        require(False, "tokens", f"at most the corpus's {len(ids)}", n_tokens)
        raise AssertionError  # never reached: the line above has raised


def one_per_author(books: Sequence[Book]) -> list[Book]:
    """The first book of each author that has ``LEAST`` characters, so that books are independent.

    >>> books = [Book("validation", "Poe", title, 1845, "x" * LEAST) for title in ("A", "B")]
    >>> [book.title for book in one_per_author(books)]
    ['A']
    """
    chosen: dict[str, Book] = {}
    for book in books:
        if len(book.text) >= LEAST:
            chosen.setdefault(book.author, book)
    return list(chosen.values())


def held_out(tokenizer: Tokenizer, book: Book, n_windows: int, context_length: int) -> HeldOut:
    """The windows of ``book`` that follow its first tenth, which may hold a title or a preface."""
    text = book.text[len(book.text) // 10 :]
    ids = np.array(tokenizer.encode(text).ids, dtype=np.int64)
    needed = n_windows * context_length + 1
    require(len(ids) >= needed, book.title, f"at least {needed} tokens long", len(ids))

    # Windows that overlap by one token: the last of one is the first of the next.
    starts = np.arange(n_windows) * context_length  # (n_windows,)
    places = starts[:, None] + np.arange(context_length + 1)  # (n_windows, T + 1)
    rows = ids[places]
    n_bytes = int(token_bytes(tokenizer)[rows[:, 1:]].sum())
    return HeldOut(book.author, book.title, rows, n_bytes)
