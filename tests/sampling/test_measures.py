"""utils.sampling.measures: shares of real words and of repeated n-grams, by hand."""

from __future__ import annotations

import math

import pytest

from utils.sampling import measures


def test_words_and_their_vocabulary():
    expected = ["don't", "stop", "me", "at", "o’clock", "naïve"]
    assert measures.words("Don't stop_ME at 3 o’clock, naïve!") == expected
    assert measures.vocabulary(["a b a", "b c"]) == {"a", "b"}
    assert measures.vocabulary(["a b a", "b c"], at_least=1) == {"a", "b", "c"}


def test_real_words():
    assert measures.real_word_rate(["a b", "x, A"], {"a", "b"}) == 0.75
    with pytest.raises(ValueError, match="texts must be texts with at least one word, got 0"):
        measures.real_word_rate(["1, 2"], {"a"})


def test_listed_words_leave_the_cut_ends_out():
    assert measures.listed_word_rate("cut the old man qqxz said cut") == 0.8
    assert math.isnan(measures.listed_word_rate("one two"))


def test_repeated_ngrams():
    assert measures.repeated_ngram_rate([[1, 2, 3, 1, 2, 3], [1, 2]], n=2) == 2 / 6
    assert measures.repeated_ngram_rate([[1, 2, 1, 2, 1]], n=2) == 0.5
    with pytest.raises(ValueError, match="some with at least n = 4 tokens, got 0"):
        measures.repeated_ngram_rate([[1, 2]])
