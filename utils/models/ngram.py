"""What a language model must beat: an n-gram model with Kneser-Ney smoothing, and ``xz``.

Both are measured in the unit of the model itself. Not here: neural rivals, human judgement.
"""

from __future__ import annotations

import lzma
import math

import numpy as np
from tokenizers import Tokenizer

from utils.data.books import checked_tokens, end_id
from utils.validate import integer, number, require


class KneserNey:
    """Interpolated Kneser-Ney n-gram model with one absolute discount an order.

    Kneser & Ney 1995 in the interpolated form of Chen & Goodman 1998, section 3.2.6; the discount of an order
    is n1 / (n1 + 2 n2) of its counts (Ney, Essen & Kneser 1994), or a half where none is 1.
    Below the highest order a count is the number of different tokens seen before the gram. The unigram is
    interpolated with 1 / vocab_size, so every token keeps some probability; ``order=1`` is that alone, on
    plain counts. Raises ``ValueError`` for token ids outside [0, vocab_size - 1].
    """

    def __init__(self, tokens: np.ndarray, order: int, vocab_size: int) -> None:
        self.order = integer("order", order, 1)
        self.vocab_size = vocab_size = integer("vocab_size", vocab_size, 2, 2**32)
        most = max(n for n in range(1, 63) if vocab_size**n < 2**63)  # a gram is one int64
        require(order <= most, "order", f"at most {most} for this vocabulary", order)
        tokens = checked_tokens("tokens", tokens, vocab_size)
        require(len(tokens) > order, "tokens", f"longer than order = {order}", len(tokens))
        self.levels = []
        keys, counts = np.unique(self._grams(tokens, order), return_counts=True)
        for n in range(order, 0, -1):
            ones, twos = int((counts == 1).sum()), int((counts == 2).sum())
            discount = ones / (ones + 2 * twos) if ones else 0.5
            contexts, where, followers = np.unique(
                keys // vocab_size, return_inverse=True, return_counts=True
            )
            totals = np.bincount(where, weights=counts)
            self.levels.insert(0, (keys, counts, contexts, totals, followers, discount))
            if n > 1:  # what is left of each gram without its first token, once for each such token
                keys, counts = np.unique(keys % vocab_size ** (n - 1), return_counts=True)

    def _grams(self, tokens: np.ndarray, n: int) -> np.ndarray:
        """The n-gram that ends at each position from n - 1 on, as one number: (n_tokens - n + 1,)."""
        grams = np.zeros(len(tokens) - n + 1, dtype=np.int64)
        for i in range(n):
            grams = grams * self.vocab_size + tokens[i : len(tokens) - n + 1 + i].astype(np.int64)
        return grams

    def nats(self, tokens: np.ndarray) -> np.ndarray:
        """-log probability of each token given those before it: (n_tokens,)."""
        tokens = checked_tokens("tokens", tokens, self.vocab_size)
        p = np.full(len(tokens), 1 / self.vocab_size)
        for n, (keys, counts, contexts, totals, followers, discount) in enumerate(self.levels, 1):
            if len(tokens) < n:
                break
            grams = self._grams(tokens, n)
            count = _look_up(keys, counts, grams)
            total = _look_up(contexts, totals, grams // self.vocab_size)
            kinds = _look_up(contexts, followers, grams // self.vocab_size)
            lower, seen = p[n - 1 :], total > 0
            higher = (np.maximum(count - discount, 0) + discount * kinds * lower) / np.where(
                seen, total, 1
            )
            p[n - 1 :] = np.where(seen, higher, lower)
        return -np.log(p)


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The value of each wanted key, 0 where it is not among the sorted ``keys``."""
    place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)


def token_bytes(tokenizer: Tokenizer) -> np.ndarray:
    """UTF-8 bytes that each token of a byte-level tokenizer stands for, 0 for `END`: (vocab_size,)."""
    sizes = np.array([len(tokenizer.id_to_token(i)) for i in range(tokenizer.get_vocab_size())])
    sizes[end_id(tokenizer)] = 0  # byte-level BPE writes every byte as one character
    return sizes


def bits_per_byte(nats: float, n_bytes: int) -> float:
    """Summed nats as bits for each byte of text: comparable between tokenizers."""
    return number("nats", nats, 0.0) / math.log(2) / integer("n_bytes", n_bytes, 1)


def xz_bits_per_byte(text: str) -> float:
    """What ``xz -9e`` needs for ``text`` on its own, in bits a byte."""
    data = text.encode("utf-8")
    require(len(data) > 0, "text", "a text with at least one character", text)
    return 8 * len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)) / len(data)
