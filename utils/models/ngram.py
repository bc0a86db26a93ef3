"""What a language model must beat: an n-gram model with Kneser-Ney smoothing, and ``xz``.

Both are measured in the unit of the model itself. Not here: neural rivals, human judgement.
"""

from __future__ import annotations

import lzma
import math
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from utils.data.books import checked_tokens, end_id
from utils.validate import integer, number, require


@dataclass(frozen=True)
class Level:
    """What was counted for one length n of the n-grams.

    A gram's context is the gram without its last token. Grams and contexts are single numbers, the
    tokens being their digits in base vocab_size, and lie sorted so that they can be looked up.
    """

    grams: np.ndarray  # (n_grams,) every n-gram that occurs
    counts: np.ndarray  # (n_grams,) how often; below the highest order, after how many tokens
    contexts: np.ndarray  # (n_contexts,) every context that occurs
    totals: np.ndarray  # (n_contexts,) the summed counts of its grams
    followers: np.ndarray  # (n_contexts,) how many different tokens follow it
    discount: float  # taken from each count, to be shared among what has not been seen


class KneserNey:
    """Interpolated Kneser-Ney n-gram model with one absolute discount per order.

    Kneser & Ney 1995 in the interpolated form of Chen & Goodman 1998, section 3.2.6; the discount
    of an order is n1 / (n1 + 2 n2) of its counts (Ney, Essen & Kneser 1994), or a half where none
    is 1. Below the highest order a count is the number of different tokens seen before the gram.
    The unigram is interpolated with 1 / vocab_size, so every token keeps some probability;
    ``order=1`` is that alone, on plain counts.

    ``levels`` holds a `Level` for each length from 1 to ``order``. Raises ``ValueError`` for token
    ids outside [0, vocab_size - 1] and for an order whose grams do not fit an int64.

    A text "a b a b a c" over four letters, of which d never occurs. Its bigrams are ab and ba
    twice and ac once, so the discount is 1 / (1 + 2 · 2) = 0.2:

    >>> a, b, c, d = range(4)
    >>> model = KneserNey(np.array([a, b, a, b, a, c]), order=2, vocab_size=4)
    >>> model.levels[1].discount
    0.2

    Three bigrams begin with a, two of them ab. After a stand b and c, two different letters, so
    2 · 0.2 was taken away; it is shared as the unigrams say, which are all alike here, 1/4:

    >>> by_hand = (2 - 0.2) / 3 + 2 * 0.2 / 3 * (1 / 4)
    >>> nats = model.nats(np.array([a, b]))
    >>> round(math.exp(-nats[1]), 4), round(by_hand, 4)
    (0.6333, 0.6333)
    """

    def __init__(self, tokens: np.ndarray, order: int, vocab_size: int) -> None:
        self.order = integer("order", order, 1)
        self.vocab_size = integer("vocab_size", vocab_size, 2, 2**32)
        most = _highest_order(self.vocab_size)
        require(order <= most, "order", f"at most {most} for this vocabulary", order)
        tokens = checked_tokens("tokens", tokens, self.vocab_size)
        require(len(tokens) > order, "tokens", f"longer than order = {order}", len(tokens))

        # The highest order counts how often each gram occurs.
        grams, counts = np.unique(self._grams(tokens, order), return_counts=True)
        self.levels = [self._level(grams, counts)]

        # Each lower one counts, for what is left of a gram without its first token, in how many
        # grams that is left: one for every different token before it.
        for n in range(order - 1, 0, -1):
            without_first = grams % self.vocab_size**n
            grams, counts = np.unique(without_first, return_counts=True)
            self.levels.insert(0, self._level(grams, counts))

    def _grams(self, tokens: np.ndarray, n: int) -> np.ndarray:
        """The n-gram that ends at each position from n - 1 on, as a number: (n_tokens - n + 1,)."""
        n_grams = len(tokens) - n + 1
        grams = np.zeros(n_grams, dtype=np.int64)
        for i in range(n):
            digit = tokens[i : i + n_grams].astype(np.int64)  # each gram's token i
            grams = grams * self.vocab_size + digit
        return grams

    def _level(self, grams: np.ndarray, counts: np.ndarray) -> Level:
        """Totals, followers and discount of the sorted ``grams`` with their ``counts``."""
        contexts, context_of_gram, followers = np.unique(
            grams // self.vocab_size,
            return_inverse=True,
            return_counts=True,
        )
        totals = np.bincount(context_of_gram, weights=counts)
        return Level(grams, counts, contexts, totals, followers, _discount(counts))

    def nats(self, tokens: np.ndarray) -> np.ndarray:
        """-log probability of each token given those before it: (n_tokens,)."""
        tokens = checked_tokens("tokens", tokens, self.vocab_size)
        p = np.full(len(tokens), 1 / self.vocab_size)  # (n_tokens,) before anything is known

        # From short histories to long ones, each mixing in what the shorter one says.
        for n, level in enumerate(self.levels, 1):
            if len(tokens) < n:
                break
            grams = self._grams(tokens, n)  # (n_tokens - n + 1,) those that end at p[n - 1 :]
            contexts = grams // self.vocab_size
            count = _look_up(level.grams, level.counts, grams)
            total = _look_up(level.contexts, level.totals, contexts)
            followers = _look_up(level.contexts, level.followers, contexts)

            # What the discount took from each follower goes to the shorter history's opinion.
            lower = p[n - 1 :]
            kept = np.maximum(count - level.discount, 0)
            shared = level.discount * followers * lower
            seen = total > 0
            higher = (kept + shared) / np.where(seen, total, 1)

            # A history that never occurred has no opinion of its own.
            p[n - 1 :] = np.where(seen, higher, lower)
        return -np.log(p)


def _highest_order(vocab_size: int) -> int:
    """The longest gram whose number, at most vocab_size ** n - 1, fits an int64."""
    n = 1
    while vocab_size ** (n + 1) < 2**63:
        n += 1
    return n


def _discount(counts: np.ndarray) -> float:
    """What Ney, Essen & Kneser 1994 take from every count."""
    ones = int((counts == 1).sum())
    twos = int((counts == 2).sum())
    if ones == 0:
        return 0.5
    return ones / (ones + 2 * twos)


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The value of each wanted key, 0 where it is not among the sorted ``keys``.

    >>> _look_up(np.array([2, 5]), np.array([20, 50]), np.array([5, 3, 9]))
    array([50,  0,  0])
    """
    place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)


def token_bytes(tokenizer: Tokenizer) -> np.ndarray:
    """UTF-8 bytes that each token of a byte-level tokenizer stands for: (vocab_size,).

    0 for ``END``. Raises ``ValueError`` for a tokenizer that does not know ``END``.
    """
    end = end_id(tokenizer)
    sizes = np.zeros(tokenizer.get_vocab_size(), dtype=np.int64)
    for i in range(len(sizes)):
        token = tokenizer.id_to_token(i)
        assert token is not None, f"the tokenizer has no token {i}"
        sizes[i] = len(token)  # byte-level BPE writes every byte as one character
    sizes[end] = 0
    return sizes


def bits_per_byte(nats: float, n_bytes: int) -> float:
    """Summed nats as bits per byte of text: comparable between tokenizers.

    >>> round(bits_per_byte(math.log(2) * 24, n_bytes=8), 9)  # 24 bits for 8 bytes
    3.0
    """
    nats = number("nats", nats, 0.0)
    return nats / math.log(2) / integer("n_bytes", n_bytes, 1)


def xz_bits_per_byte(text: str) -> float:
    """What ``xz -9e`` needs for ``text`` on its own, in bits per byte.

    Raises ``ValueError`` for an empty text.

    >>> xz_bits_per_byte("to be or not to be " * 1000) < 0.1
    True
    """
    data = text.encode("utf-8")
    require(len(data) > 0, "text", "a text with at least one character", text)
    packed = lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)
    return 8 * len(packed) / len(data)
