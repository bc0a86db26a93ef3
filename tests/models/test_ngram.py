"""What the baselines refuse: ids outside the vocabulary, and measures of nothing."""

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from utils.models import ngram
from utils.sampling import passages

IDS = np.random.default_rng(0).integers(0, 6, 400)


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
            lambda: passages.repeated_ngram_rate([[1, 2]], n=0),
            "n must be a whole number of at least 1, got 0",
        ),
        (
            lambda: passages.vocabulary(["a"], 0),
            "at_least must be a whole number of at least 1, got 0",
        ),
        (lambda: ngram.xz_bits_per_byte(""), "text must be a text with at least one character"),
        (lambda: ngram.token_bytes(Tokenizer(models.BPE())), "tokenizer must be one that knows"),
    ],
)
def test_measures_of_nothing_are_refused(call, line):
    with pytest.raises(ValueError, match=line):
        call()
