"""The text of the scaling runs: books as tokens of a small vocabulary, in a shuffled order.

A vocabulary of 1,024 leaves most parameters to the blocks even in a model of 200,000, and makes
more tokens of a text than a large one would. The books are shuffled as whole books before any part
of them is taken, so that the front of the text is like the rest of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from utils.data.books import (
    Book,
    end_id,
    open_tokens,
    read_books,
    train_tokenizer,
    write_tokens,
)
from utils.data.text import python_docs
from utils.files import write_whole
from utils.runtime import generator
from utils.validate import require

VOCAB_SIZE = 1024
TOKENIZER_CHARACTERS = 20_000_000  # more text changes none of the common pieces
TOGETHER = 64  # books that are encoded at once, on as many cores as there are


def prepare_books(corpus: Path, work: Path) -> tuple[np.ndarray, np.ndarray]:
    """Training and held-out tokens of a corpus of books, (n_tokens,) and (n_validation,).

    They are kept in ``work``, and a second call reads them there. Held-out books are those whose
    authors are in no training book, as the corpus says. Raises ``ValueError`` for a damaged corpus
    or one without held-out books.
    """
    files = [work / "books-train.safetensors", work / "books-validation.safetensors"]
    if not all(file.exists() for file in files):
        books = read_books(corpus)
        order = generator(0).permutation(len(books))
        shuffled = [books[i] for i in order]
        train = [book for book in shuffled if book.split == "train"]
        validation = [book for book in shuffled if book.split == "validation"]
        require(bool(train and validation), "corpus", "one with both splits", corpus.name)
        tokenizer = _tokenizer(train, work)
        write_tokens(files[0], encode(tokenizer, [book.text for book in train]))
        write_tokens(files[1], encode(tokenizer, [book.text for book in validation]))
    return open_tokens(files[0]), open_tokens(files[1])


def prepare_sources(work: Path) -> tuple[np.ndarray, np.ndarray]:
    """The same of the standard library's own code, which every Python brings along."""
    files = [work / "sources-train.safetensors", work / "sources-validation.safetensors"]
    if not all(file.exists() for file in files):
        train, validation = python_docs(("sources",)).split(0.05, seed=0)
        texts = [text for _, text in train]
        tokenizer = train_tokenizer(texts, VOCAB_SIZE)
        order = generator(0).permutation(len(texts))
        write_tokens(files[0], encode(tokenizer, [texts[i] for i in order]))
        write_tokens(files[1], encode(tokenizer, [text for _, text in validation]))
    return open_tokens(files[0]), open_tokens(files[1])


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> np.ndarray:
    """The end token and the tokens of each text, one after the other: (n_tokens,) uint16."""
    end = np.array([end_id(tokenizer)], dtype=np.uint16)
    parts = []
    for start in range(0, len(texts), TOGETHER):
        for encoded in tokenizer.encode_batch(list(texts[start : start + TOGETHER])):
            parts += [end, np.array(encoded.ids, dtype=np.uint16)]
    return np.concatenate(parts)


def _tokenizer(train: Sequence[Book], work: Path) -> Tokenizer:
    """The tokenizer of ``work``, trained on the first books where there is none yet."""
    file = work / "tokenizer.json"
    if file.exists():
        return Tokenizer.from_file(str(file))
    texts = []
    characters = 0
    for book in train:
        if characters > TOKENIZER_CHARACTERS:
            break
        texts.append(book.text)
        characters += len(book.text)
    tokenizer = train_tokenizer(texts, VOCAB_SIZE)
    write_whole(file, tokenizer.to_str(pretty=True).encode())
    return tokenizer
