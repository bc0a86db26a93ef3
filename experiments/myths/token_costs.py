"""What each token of a short text costs the course's model and its rivals, in bits.

The course model reads the text after its end token, which stands before every book it learned
from. Its rivals are n-grams of the same books, a four-gram that knows nothing but how common each
token is and learns from the text as it goes, and ``deflate``, the method inside zip and PNG.
"""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from utils import records
from utils.data.books import encode_books, end_id, halves, read_books
from utils.models.gpt import GPT
from utils.models.ngram import KneserNey, token_bytes
from utils.runtime import generator

ORDER = 4
WORDS = 110  # of a passage that is recorded
REPEATED = 55  # of them, said twice
CODE = """def quantize(weights, bits):
    largest = max(abs(w) for w in weights)
    scale = largest / (2 ** (bits - 1) - 1)
    codes = [round(w / scale) for w in weights]
    return codes, scale

for bits in range(2, 9):
    codes, scale = quantize([0.7, -0.2, 0.05, -0.1], bits)
    print(bits, codes, [scale * code for code in codes])
"""
# The passages of records/sampling/passages.json that are read, by their numbers.
CHOSEN = {"willows": 38, "moll": 33}


class BookCounts:
    """Unigram and four-gram of the books that the course model learned from.

    log2_unigram: (V,) of each token, with one count added so that none is impossible.
    """

    def __init__(self, corpus: Path, tokenizer: Tokenizer, order: int = ORDER) -> None:
        books = halves(read_books(corpus))[0]
        tokens = encode_books(tokenizer, books)
        vocab_size = tokenizer.get_vocab_size()
        counts = np.bincount(tokens, minlength=vocab_size) + 1.0  # (V,)
        self.log2_unigram = np.log2(counts / counts.sum())
        self.n_gram = KneserNey(tokens, order, vocab_size)
        self.n_tokens = len(tokens)

    def bits(self, ids: Sequence[int], end: int) -> np.ndarray:
        """The four-gram's bits for each of ``ids`` after the end token: (n,)."""
        nats = self.n_gram.nats(np.array([end, *ids]))
        return nats[1:] / math.log(2)


def model_bits(model: GPT, ids: Sequence[int], end: int) -> np.ndarray:
    """The model's bits for each of ``ids`` after the end token: (n,)."""
    row = torch.tensor([[end, *ids]])
    with torch.no_grad():
        log_p = model(row[:, :-1]).log_softmax(-1)  # (1, n, V)
    own = log_p[0].gather(1, row[0, 1:, None])[:, 0]  # (n,)
    return -own.double().numpy() / math.log(2)


def learning_bits(
    ids: Sequence[int], log2_unigram: Sequence[float] | np.ndarray, order: int = ORDER
) -> list[float]:
    """Bits of each token for an n-gram that learns from the text itself, token by token.

    Witten and Bell's interpolation (Bell, Cleary & Witten 1990; Chen & Goodman 1998, section 2.5):
    after a history h that was seen c times, with t different tokens after it,

        p(w | h) = (c(h w) + t p(w | shorter h)) / (c + t),

    and the unigram of the books where nothing was seen. Only tokens before w are counted.

    >>> [round(bits, 2) for bits in learning_bits([0, 1, 0, 1], [-1, -1], order=2)]
    [1.0, 1.0, 1.0, 0.42]
    """
    seen: dict[tuple[int, ...], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    found = []
    for i, token in enumerate(ids):
        p = 2.0 ** log2_unigram[token]
        histories = [tuple(ids[i - n : i]) for n in range(1, order) if i >= n]
        for history in histories:  # from the shortest to the longest
            followers = seen[history]
            total = sum(followers.values())
            if total > 0:
                different = len(followers)
                p = (followers[token] + different * p) / (total + different)
        found.append(-math.log2(p))
        for history in histories:
            seen[history][token] += 1
    return found


def deflate_bytes(text: str) -> int:
    """Bytes of ``text`` in UTF-8 after ``deflate``, without a header, at zlib's usual level.

    >>> deflate_bytes("to be or not to be " * 100)
    35
    """
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return len(packer.compress(text.encode()) + packer.flush())


def passages() -> dict[str, dict[str, str]]:
    """The recorded texts by their keys, each with its ``name`` and ``text``."""
    stored = records.load("sampling/passages").data["passages"]
    found = {}
    for key, number in CHOSEN.items():
        passage = stored[number]
        name = f"{passage['author']}, {passage['title']} ({passage['year']})"
        found[key] = {"name": name, "text": first_words(passage["text"], WORDS)}

    # The same words without their order, and a text that says everything twice.
    words = found["willows"]["text"].split()
    shuffled = [words[i] for i in generator(0).permutation(len(words))]
    found["shuffled"] = {"name": "the first text, words shuffled", "text": " ".join(shuffled)}
    half = first_words(found["willows"]["text"], REPEATED)
    found["twice"] = {"name": "its beginning, said twice", "text": f"{half} {half}"}
    found["code"] = {"name": "Python code", "text": CODE}
    return found


def first_words(text: str, count: int) -> str:
    """The first ``count`` words, with single spaces between them.

    >>> first_words("to  be or not", 2)
    'to be'
    """
    return " ".join(text.split()[:count])


def costs(
    text: dict[str, str], model: GPT, tokenizer: Tokenizer, books: BookCounts
) -> dict[str, Any]:
    """Tokens of a text, and what each of them costs the model and its rivals, in bits."""
    ids = tokenizer.encode(text["text"]).ids
    end = end_id(tokenizer)
    sizes = token_bytes(tokenizer)[ids]  # (n,)
    return text | {
        "ids": ids,
        "n_bytes": int(sizes.sum()),
        "model": rounded(model_bits(model, ids, end)),
        "books": rounded(books.bits(ids, end)),
        "learning": rounded(learning_bits(ids, books.log2_unigram)),
        "unigram": rounded(-books.log2_unigram[ids]),
        "deflate_bytes": deflate_bytes(text["text"]),
    }


def rounded(bits: Any) -> list[float]:
    """To a hundredth of a bit."""
    return [round(float(value), 2) for value in bits]
