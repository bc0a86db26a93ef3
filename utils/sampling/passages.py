"""Stored passages of books that no model of ours saw, and ways to look at a text's words and repetition."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from utils import records
from utils.validate import integer, require

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")  # letters of any script, with inner apostrophes


def held_out_ids(tokenizer: Any, length: int = 257) -> Tensor:
    """Token ids (40, length) of the stored passages, five from each of eight books that no model of ours saw.

    Row i is of book i // 5. Raises ``ValueError`` unless ``length`` is at least 1 and this tokenizer
    makes as many tokens of each.
    """
    length, rows = integer("length", length, 1), []
    for passage in records.load("sampling/passages").data["passages"]:
        encoded = tokenizer.encode(passage["text"])
        ids = getattr(encoded, "ids", encoded)
        require(len(ids) >= length, "length", f"at most {len(ids)} for this tokenizer", length)
        rows.append(ids[:length])
    return torch.tensor(rows)


@cache
def _word_list() -> frozenset[str]:
    return frozenset(records.load("sampling/words").data["words"].split())


def listed_word_rate(text: str) -> float:
    """The share of a text's words ([a-z]+, without the first and last, which may be cut) on the word list.

    The list holds 20,000 words of the training books; it knows 97 % of the words of unseen books. NaN without
    any words.
    """
    words = re.findall("[a-z]+", text.lower())[1:-1]
    return sum(word in _word_list() for word in words) / len(words) if words else float("nan")


def words(text: str) -> list[str]:
    """The words of a text in lower case; numbers, underscores and punctuation separate them."""
    return WORD.findall(text.lower())


def vocabulary(texts: Iterable[str], at_least: int = 2) -> set[str]:
    """Words that occur ``at_least`` times in ``texts``."""
    integer("at_least", at_least, 1)
    seen: Counter[str] = Counter()
    for text in texts:
        seen.update(words(text))
    return {word for word, n in seen.items() if n >= at_least}


def real_word_rate(texts: Iterable[str], known: set[str]) -> float:
    """Share of the words that are in ``known``."""
    found = [word in known for text in texts for word in words(text)]
    require(bool(found), "texts", "texts with at least one word", 0)
    return sum(found) / len(found)


def repeated_ngram_rate(sequences: Iterable[Sequence[int]], n: int = 4) -> float:
    """Share of n-grams that already occurred earlier in their own sequence, over all sequences."""
    integer("n", n, 1)
    total = repeated = 0
    for tokens in sequences:
        grams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
        total += len(grams)
        repeated += len(grams) - len(set(grams))
    require(total > 0, "sequences", f"some with at least n = {n} tokens", total)
    return repeated / total
