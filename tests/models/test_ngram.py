"""utils.models.ngram: a distribution, equal to one worked out on paper, that refuses nonsense."""

import itertools

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from utils.models import ngram
from utils.runtime import generator
from utils.sampling import measures

IDS = generator(0).integers(0, 6, 400)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_kneser_ney_is_a_distribution_for_every_history(order):
    tokens = generator(0).integers(0, 6, 400)
    model = ngram.KneserNey(tokens, order, 8)  # ids 6 and 7 never occur
    for history in itertools.product((0, 3, 7), repeat=2):
        p = [np.exp(-model.nats(np.array([*history, w])))[-1] for w in range(8)]
        assert sum(p) == pytest.approx(1.0)
        assert min(p) > 0


def test_kneser_ney_by_hand():
    """a b a b a c over {a, b, c, d}: one bigram level above the continuation unigram."""
    model = ngram.KneserNey(np.array([0, 1, 0, 1, 0, 2]), 2, 4)
    # Bigrams ab 2, ba 2, ac 1: n1 = 1, n2 = 2, so the discount is 1/5.
    # Continuations a 1, b 1, c 1: the discount is 1, and all of the mass is shared among the four.
    unigram = 3 / 3 / 4
    expected = (2 - 0.2) / 3 + 0.2 * 2 / 3 * unigram
    assert np.exp(-model.nats(np.array([0, 1])))[1] == pytest.approx(expected)
    unseen = 0.2 * 2 / 3 * unigram
    assert np.exp(-model.nats(np.array([0, 3])))[1] == pytest.approx(unseen)


def test_a_longer_history_helps_on_a_text_with_structure():
    tokens = np.tile([0, 1, 2, 0, 2, 1], 200)
    losses = [ngram.KneserNey(tokens, n, 4).nats(tokens).mean() for n in (1, 2, 3)]
    assert losses[0] > losses[1] > losses[2]


def test_bits_per_byte_by_hand():
    assert ngram.bits_per_byte(np.log(2) * 24, 8) == pytest.approx(3.0)


@pytest.mark.parametrize(
    "ids", [np.array([0, 1, 6]), np.array([0, -1, 2]), np.array([0.0, 1.5, 2.0])]
)
def test_ids_outside_the_vocabulary_are_refused(ids):
    model = ngram.KneserNey(IDS, 2, 6)
    for call in (lambda: ngram.KneserNey(ids, 2, 6), lambda: model.nats(ids)):
        with pytest.raises(ValueError, match=r"^tokens must be (in \[0, 5\]|whole numbers)"):
            call()


def test_the_highest_order_is_the_one_that_fits():
    for vocab_size, most in ((2, 62), (6, 24), (2**16, 3), (2**32, 1)):
        line = rf"order must be at most {most} for this vocabulary, got {most + 1}"
        with pytest.raises(ValueError, match=line):
            ngram.KneserNey(IDS % 2, most + 1, vocab_size)
        assert np.isfinite(ngram.KneserNey(IDS % 2, most, vocab_size).nats(IDS % 2)).all()
    with pytest.raises(ValueError, match="order must be at most 24"):
        ngram.KneserNey(IDS, 10**9, 6)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (
            lambda: ngram.bits_per_byte(1.0, -1),
            "n_bytes must be a whole number of at least 1, got -1",
        ),
        (
            lambda: ngram.bits_per_byte(1.0, 0),
            "n_bytes must be a whole number of at least 1, got 0",
        ),
        (lambda: ngram.bits_per_byte(float("nan"), 1), "nats must be a number in .*, got nan"),
        (
            lambda: measures.repeated_ngram_rate([[1, 2]], n=0),
            "n must be a whole number of at least 1, got 0",
        ),
        (
            lambda: measures.vocabulary(["a"], 0),
            "at_least must be a whole number of at least 1, got 0",
        ),
        (lambda: ngram.xz_bits_per_byte(""), "text must be a text with at least one character"),
        (lambda: ngram.token_bytes(Tokenizer(models.BPE())), "tokenizer must be one that knows"),
    ],
)
def test_measures_of_nothing_are_refused(call, line):
    with pytest.raises(ValueError, match=line):
        call()
