"""Books to tokens: read the corpus, split it by author, train a tokenizer, keep tokens on disk.

A corpus is a JSON-lines file (plain, ``.gz`` or ``.xz``), one book per line, with ``split``
("train" or "validation"), ``author``, ``title``, ``year`` and ``text``. Tokens lie in safetensors
files that are memory-mapped, so a corpus larger than memory trains as well.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from utils.tensors import read_header, write_tensors
from utils.validate import choice, integer, require

END = "<|endoftext|>"  # id 0: stands between two books, and is where a sample may begin

TOKENS = "tokens"  # the name of the one tensor in a token file
# The types that ids may lie in, as safetensors names them.
TOKEN_TYPES = {
    "U8": np.dtype("<u1"),
    "U16": np.dtype("<u2"),
    "U32": np.dtype("<u4"),
    "I8": np.dtype("<i1"),
    "I16": np.dtype("<i2"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
}

# What the readers of compressed files and of UTF-8 raise for damaged bytes.
DAMAGED = (lzma.LZMAError, gzip.BadGzipFile, zlib.error, EOFError, UnicodeDecodeError)


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
            value = getattr(self, name)
            require(isinstance(value, str), name, "a text", value)
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
            for i, line in enumerate(file, start=1):
                books.append(_book(line, f"line {i} of {path.name}"))
    except DAMAGED as error:
        raise ValueError(f"{path.name} is not a readable corpus: {error}") from None
    require(len(books) > 0, "path", "a corpus with at least one book", path.name)
    return books


def _book(line: str, where: str) -> Book:
    """The book of one line. Raises ``ValueError`` that says ``where`` the line stands."""
    try:
        row = json.loads(line)
        book = Book(row["split"], row["author"], row["title"], row.get("year"), row["text"])
        book.text.encode()  # JSON can spell half a character, which no tokenizer takes
    except KeyError as error:
        raise ValueError(f"{where} is not a book: it lacks {error}") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{where} is not a book: {error}") from None
    return book


def halves(books: Iterable[Book]) -> tuple[list[Book], list[Book]]:
    """Split the training books in two halves of about equal size that share no author.

    By author rather than by book, because a collection repeats stories that also stand alone.
    The largest author comes first, each goes to the half that is smaller so far: nothing is left
    to chance.

    >>> lengths = {"Austen": 5, "Poe": 4, "Shelley": 3}
    >>> books = [Book("train", author, "", None, "x" * n) for author, n in lengths.items()]
    >>> first, second = halves(books)
    >>> [book.author for book in first], [book.author for book in second]
    (['Austen'], ['Poe', 'Shelley'])
    """
    by_author: dict[str, list[Book]] = {}
    for book in books:
        if book.split == "train":
            by_author.setdefault(book.author, []).append(book)
    size = {}  # characters of each author
    for author, works in by_author.items():
        size[author] = sum(len(book.text) for book in works)
    largest_first = sorted(by_author, key=lambda author: (-size[author], author))

    first: list[Book] = []
    second: list[Book] = []
    size_first = 0
    size_second = 0
    for author in largest_first:
        if size_first <= size_second:
            first.extend(by_author[author])
            size_first += size[author]
        else:
            second.extend(by_author[author])
            size_second += size[author]
    return first, second


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Train byte-level BPE (Sennrich et al. 2016; Radford et al. 2019) on ``texts``.

    The vocabulary is ``END`` and the 256 bytes, then merges. Every string can be encoded, and
    decoding returns it exactly. Raises ``ValueError`` for a ``vocab_size`` below 257.

    >>> tokenizer = train_tokenizer(["to be or not to be"], vocab_size=260)  # room for 3 merges
    >>> tokenizer.encode("to be").tokens  # Ġ stands for a space
    ['to', 'Ġbe']
    """
    integer("vocab_size", vocab_size, 257)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()  # one character for each of the 256 bytes
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def end_id(tokenizer: Tokenizer) -> int:
    """The id of ``END``. Raises ``ValueError`` for a tokenizer that does not know it."""
    found = tokenizer.token_to_id(END)
    if found is None:
        known = f"{tokenizer.get_vocab_size()} tokens"
        raise ValueError(f"tokenizer must be one that knows {END}, got {known!r}")
    return found


def encode_books(tokenizer: Tokenizer, books: Iterable[Book]) -> np.ndarray:
    """``END`` and the tokens of each book, one after the other: (n_tokens,).

    The ids are uint16 where they fit, otherwise uint32. Raises ``ValueError`` without a book.
    """
    dtype = np.uint16 if tokenizer.get_vocab_size() <= 2**16 else np.uint32
    end = end_id(tokenizer)
    parts = []
    for book in books:
        ids = [end, *tokenizer.encode(book.text).ids]
        parts.append(np.array(ids, dtype=dtype))
    require(len(parts) > 0, "books", "at least one book", 0)
    return np.concatenate(parts)


def checked_tokens(name: str, tokens: Any, vocab_size: int | None = None) -> np.ndarray:
    """``tokens`` as an array (n_tokens,) of whole numbers below ``vocab_size``, without a copy.

    Raises ``ValueError`` for anything else, so that no fraction is cut off on the way to an id.

    >>> checked_tokens("tokens", [2, 0, 7], vocab_size=8)
    array([2, 0, 7])
    >>> checked_tokens("tokens", [2, 0, 8], vocab_size=8)
    Traceback (most recent call last):
        ...
    ValueError: tokens must be in [0, 7], got 8
    """
    found = np.asarray(tokens)
    is_whole = found.dtype.kind in "ui" or found.size == 0  # an empty list is an array of floats
    kind = f"an array of {found.dtype} in {found.ndim} dimensions"
    require(is_whole and found.ndim == 1, name, "whole numbers in one dimension", kind)
    if vocab_size is not None and found.size:
        allowed = f"in [0, {vocab_size - 1}]"
        smallest = int(found.min())
        largest = int(found.max())
        require(smallest >= 0, name, allowed, smallest)
        require(largest < vocab_size, name, allowed, largest)
    return found


def tokens_digest(tokens: np.ndarray) -> str:
    """A digest of the ids, whatever their type.

    A checkpoint keeps it, so that no other text continues the run.
    """
    digest = hashlib.sha256()
    part_length = 2**22  # in parts, for a file that is larger than memory
    for start in range(0, len(tokens), part_length):
        part = np.ascontiguousarray(tokens[start : start + part_length], dtype="<u4")
        digest.update(part.data)
    return digest.hexdigest()


def windows_in(name: str, tokens: np.ndarray, context_length: int) -> int:
    """How many windows of ``context_length`` tokens have a token after each.

    Raises ``ValueError`` if there is none.

    >>> windows_in("tokens", np.arange(10), context_length=3)
    3
    """
    context_length = integer("context_length", context_length, 1)
    windows = (len(tokens) - 1) // context_length
    needed = f"at least context_length + 1 = {context_length + 1} tokens"
    require(windows > 0, name, needed, len(tokens))
    return windows


def write_tokens(path: str | Path, tokens: np.ndarray) -> Path:
    """Write tokens so that `open_tokens` can map them; the file appears whole or not at all.

    Raises ``OSError`` in one line when it cannot be written; a file that stood there before stays.
    """
    path = Path(path)
    tokens = checked_tokens("tokens", tokens)
    require(tokens.size > 0, "tokens", "at least one id", 0)
    dtype = tokens.dtype.newbyteorder("<")
    allowed = f"of one of the types {', '.join(known.name for known in TOKEN_TYPES.values())}"
    require(dtype in TOKEN_TYPES.values(), "tokens", allowed, tokens.dtype.name)

    # Copied only where torch could not take them as they are.
    usable = np.ascontiguousarray(tokens, dtype)
    if not usable.flags.writeable:
        usable = usable.copy()
    write_tensors(path, {TOKENS: torch.from_numpy(usable)}, {})
    return path


def open_tokens(path: str | Path) -> np.ndarray:
    """Map a token file: (n_tokens,) read-only, which takes no memory until it is looked at.

    Every byte is read once, to prove by the file's hash that none has changed. Raises
    ``FileNotFoundError``, or ``ValueError`` in one line for a file that is damaged or of another
    kind.
    """
    path = Path(path)
    header = read_header(path, "token file")
    layout = header.layouts.get(TOKENS)
    known = layout is not None and layout.dtype in TOKEN_TYPES and len(layout.shape) == 1
    require(known, path.name, "a token file, with whole numbers in one dimension", layout)
    assert layout is not None
    dtype = TOKEN_TYPES[layout.dtype]
    return np.memmap(path, dtype, mode="r", offset=header.starts[TOKENS], shape=layout.shape)
