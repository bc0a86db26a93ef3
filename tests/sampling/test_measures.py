"""utils.sampling.measures: shares of real words, of repeated and of shared n-grams, by hand."""

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


def test_shared_ngrams_are_counted_between_sequences():
    same = [[1, 2, 3], [1, 2, 3], [1, 2, 3]]
    assert measures.shared_ngram_rate(same) == 1
    assert measures.shared_ngram_rate([[1, 2, 3], [3, 2, 1]]) == 0
    assert measures.shared_ngram_rate([[1, 2, 3], [3, 2, 1]], n=1) == 1
    # The first has one pair, which the second has too; the second has two.
    assert measures.shared_ngram_rate([[1, 2], [1, 2, 3]]) == (1 + 1 / 2) / 2


def test_a_loop_shares_no_more_than_it_would_without_its_repetition():
    looping, once = [1, 2, 1, 2, 1, 2], [1, 2, 1]
    other = [5, 1, 2, 6]
    rate = measures.shared_ngram_rate([looping, other])
    assert rate == measures.shared_ngram_rate([once, other])


def test_shared_ngrams_need_two_sequences_that_are_long_enough():
    with pytest.raises(ValueError, match="sequences must be at least two, each of at least n = 2"):
        measures.shared_ngram_rate([[1, 2, 3]])
    with pytest.raises(ValueError, match="sequences must be at least two, each of at least n = 4"):
        measures.shared_ngram_rate([[1, 2, 3], [1, 2, 3, 4]], n=4)
