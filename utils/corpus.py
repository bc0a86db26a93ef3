"""Books to tokens: read the corpus, split it by author, train a tokenizer, keep tokens on disk.

A corpus is a JSON-lines file (plain, ``.gz`` or ``.xz``), one book a line, with ``split`` ("train" or
"validation"), ``author``, ``title``, ``year`` and ``text``. Tokens lie in ``.npy`` files that are
memory-mapped, so a corpus larger than memory trains as well.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from utils.validate import integer, require

END = "<|endoftext|>"  # id 0: stands between two books, and is where a sample may begin


@dataclass(frozen=True)
class Book:
    """One book: ``split`` says whether it may be trained on."""

    split: str
    author: str
    title: str
    year: int | None
    text: str


def read_books(path: str | Path) -> list[Book]:
    """Read every book of a corpus file, in order. Raises ``ValueError`` naming the line that is not one."""
    path = Path(path)
    opener = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix, open)
    books = []
    with opener(path, "rt", encoding="utf-8") as file:
        for i, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                books.append(Book(row["split"], row["author"], row["title"], row.get("year"), row["text"]))
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise ValueError(f"line {i} of {path.name} is not a book: {error!r}") from None
    require(len(books) > 0, "path", "a corpus with at least one book", path.name)
    return books


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def halves(books: Iterable[Book]) -> tuple[list[Book], list[Book]]:
    """Split the training books in two halves of about equal size that share no author.

    By author rather than by book, because a collection repeats stories that also stand alone.
    The largest author comes first, each goes to the half that is smaller so far: nothing is left to chance.
    """
    by_author: dict[str, list[Book]] = {}
    for book in books:
        if book.split == "train":
            by_author.setdefault(book.author, []).append(book)
    size = {author: sum(len(b.text) for b in works) for author, works in by_author.items()}
    parts: tuple[list[Book], list[Book]] = ([], [])
    totals = [0, 0]
    for author in sorted(by_author, key=lambda a: (-size[a], a)):
        half = int(totals[1] < totals[0])
        parts[half].extend(by_author[author])
        totals[half] += size[author]
    return parts


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Byte-level BPE (Sennrich et al. 2016; Radford et al. 2019): 256 bytes and ``END``, then merges.

    Every string can be encoded, and decoding returns it exactly.
    """
    integer("vocab_size", vocab_size, 257)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode_books(tokenizer: Tokenizer, books: Iterable[Book]) -> np.ndarray:
    """``END`` and the tokens of each book, one after the other: (n_tokens,), uint16 where the ids fit it."""
    dtype = np.uint16 if tokenizer.get_vocab_size() <= 2**16 else np.uint32
    end = tokenizer.token_to_id(END)
    parts = []
    for book in books:
        parts.append(np.array([end, *tokenizer.encode(book.text).ids], dtype=dtype))
    return np.concatenate(parts)


def write_tokens(path: str | Path, tokens: np.ndarray) -> Path:
    """Write tokens so that `open_tokens` can map them; the file appears whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.save(file, tokens)
    os.replace(part, path)
    return path


def open_tokens(path: str | Path) -> np.ndarray:
    """Map a token file without reading it: (n_tokens,) read-only."""
    return np.load(path, mmap_mode="r", allow_pickle=False)
