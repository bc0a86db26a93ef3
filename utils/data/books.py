"""Books to tokens: read the corpus, split it by author, train a tokenizer, keep tokens on disk.

A corpus is a JSON-lines file (plain, ``.gz`` or ``.xz``), one book a line, with ``split`` ("train" or
"validation"), ``author``, ``title``, ``year`` and ``text``. Tokens lie in ``.npy`` files that are
memory-mapped, so a corpus larger than memory trains as well.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from utils.files import write_whole
from utils.validate import choice, integer, require

END = "<|endoftext|>"  # id 0: stands between two books, and is where a sample may begin


@dataclass(frozen=True)
class Book:
    """One book: ``split`` ("train" or "validation") says whether it may be trained on."""

    split: str
    author: str
    title: str
    year: int | None
    text: str

    def __post_init__(self) -> None:
        choice("split", self.split, ("train", "validation"))
        for name in ("author", "title", "text"):
            require(isinstance(getattr(self, name), str), name, "a text", getattr(self, name))
        if self.year is not None:
            integer("year", self.year)


def read_books(path: str | Path) -> list[Book]:
    """Read every book of a corpus file, in order.

    Raises ``ValueError`` in one line for a damaged file, or naming the line that is not a book.
    """
    path = Path(path)
    opener = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix, open)
    books = []
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            for i, line in enumerate(file, 1):
                books.append(_book(line, f"line {i} of {path.name}"))
    except (lzma.LZMAError, gzip.BadGzipFile, zlib.error, EOFError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is not a readable corpus: {error}") from None
    require(len(books) > 0, "path", "a corpus with at least one book", path.name)
    return books


def _book(line: str, where: str) -> Book:
    try:
        row = json.loads(line)
        book = Book(row["split"], row["author"], row["title"], row.get("year"), row["text"])
        book.text.encode()  # JSON can spell half a character, which no tokenizer takes
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{where} is not a book: {reason}") from None
    return book


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


def end_id(tokenizer: Tokenizer) -> int:
    """The id of ``END``. Raises ``ValueError`` for a tokenizer that does not know it."""
    found = tokenizer.token_to_id(END)
    require(
        found is not None,
        "tokenizer",
        f"one that knows {END}",
        f"{tokenizer.get_vocab_size()} tokens",
    )
    return found


def encode_books(tokenizer: Tokenizer, books: Iterable[Book]) -> np.ndarray:
    """``END`` and the tokens of each book, one after the other: (n_tokens,), uint16 where the ids fit it."""
    dtype = np.uint16 if tokenizer.get_vocab_size() <= 2**16 else np.uint32
    end = end_id(tokenizer)
    parts = [np.array([end, *tokenizer.encode(book.text).ids], dtype=dtype) for book in books]
    require(len(parts) > 0, "books", "at least one book", 0)
    return np.concatenate(parts)


def checked_tokens(name: str, tokens: Any, vocab_size: int | None = None) -> np.ndarray:
    """``tokens`` as an array (n_tokens,) of whole numbers below ``vocab_size``, without a copy.

    Raises ``ValueError`` for anything else, so that no fraction is cut off on the way to an id.
    """
    found = np.asarray(tokens)
    whole = found.ndim == 1 and (found.dtype.kind in "ui" or found.size == 0)
    kind = f"an array of {found.dtype} in {found.ndim} dimensions"
    require(whole, name, "whole numbers in one dimension", kind)
    if vocab_size is not None and found.size:
        low, high = int(found.min()), int(found.max())
        require(
            low >= 0 and high < vocab_size,
            name,
            f"in [0, {vocab_size - 1}]",
            low if low < 0 else high,
        )
    return found


def tokens_digest(tokens: np.ndarray) -> str:
    """A digest of the ids, whatever their type: a checkpoint keeps it, so that no other text continues it."""
    digest = hashlib.sha256()
    for i in range(0, len(tokens), 2**22):  # in parts, for a file that is larger than memory
        digest.update(np.ascontiguousarray(tokens[i : i + 2**22], dtype="<u4"))
    return digest.hexdigest()


def windows_in(name: str, tokens: np.ndarray, context_length: int) -> int:
    """How many windows of ``context_length`` tokens have a token after each. Raises if there is none."""
    windows = (len(tokens) - 1) // integer("context_length", context_length, 1)
    require(
        windows > 0, name, f"at least context_length + 1 = {context_length + 1} tokens", len(tokens)
    )
    return windows


def write_tokens(path: str | Path, tokens: np.ndarray) -> Path:
    """Write tokens so that `open_tokens` can map them; the file appears whole or not at all.

    Raises ``OSError`` in one line when it cannot be written; a file that stood there before stays.
    """
    path, tokens = Path(path), np.ascontiguousarray(checked_tokens("tokens", tokens))
    header = io.BytesIO()  # np.save would lose the error of its last flush on a full disk
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(tokens))
    write_whole(path, header.getvalue(), memoryview(tokens))
    return path


def open_tokens(path: str | Path) -> np.ndarray:
    """Map a token file without reading it: (n_tokens,) read-only.

    Raises ``FileNotFoundError``, or ``ValueError`` in one line for a file that is damaged or of another kind.
    """
    path = Path(path)
    try:
        tokens = np.lib.format.open_memmap(path, mode="r")
    except OSError:
        raise
    except (
        Exception
    ):  # whatever NumPy's parser of headers raises; its words advise to unpickle the file
        raise ValueError(
            f"{path.name} is not a readable token file: it is cut off or of another kind"
        ) from None
    checked_tokens(path.name, tokens)
    return tokens
