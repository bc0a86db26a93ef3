"""utils.sampling.penalties: equal to transformers where it has the rule, else to the formula."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from transformers.generation import logits_process as hf

from tests.sampling.cases import INF, cases, check_against_transformers, log_probs
from utils.runtime import generator
from utils.sampling import penalties as S

pytestmark = pytest.mark.usefixtures("one_thread")


# What transformers has: (transform, processor), on logits, ids and a number r for the setting.
PAIRS = {
    "repetition_penalty": (
        lambda z, ids, r: S.repetition_penalty(z, ids, 0.5 + 2 * r),
        lambda z, ids, r: hf.RepetitionPenaltyLogitsProcessor(0.5 + 2 * r)(ids, z),
    ),
    "no_repeat_ngram": (
        lambda z, ids, r: S.no_repeat_ngram(z, ids, 1 + int(4 * r)),
        lambda z, ids, r: hf.NoRepeatNGramLogitsProcessor(1 + int(4 * r))(ids, z),
    ),
    "ban": (
        lambda z, ids, r: S.ban(z, [0, 1 + int(3 * r)]),
        lambda z, ids, r: hf.NoBadWordsLogitsProcessor([[0], [1 + int(3 * r)]])(ids, z),
    ),
    "logit_bias": (
        lambda z, ids, r: S.logit_bias(z, {2: 5 * r, 4: -3.0}),
        lambda z, ids, r: hf.SequenceBiasLogitsProcessor([[[2], 5 * r], [[4], -3.0]])(ids, z),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_equals_transformers_on_a_thousand_cases(name):
    ours, theirs = PAIRS[name]
    check_against_transformers(name, ours, theirs)


def test_frequency_and_presence_are_the_formula():
    for z, ids, r in cases(300, seed=2):
        c = torch.stack([torch.bincount(row, minlength=z.shape[1]) for row in ids])
        alpha = 4 * r - 2
        torch.testing.assert_close(S.frequency_penalty(z, ids, alpha), z - alpha * c)
        torch.testing.assert_close(S.presence_penalty(z, ids, alpha), z - alpha * (c > 0))


# The vectors of llama.cpp's own test, tests/test-sampling.cpp (facts: what its samplers return).
@pytest.mark.parametrize(
    ("vocab", "history", "expected", "multiplier", "allowed", "last_n", "breakers"),
    [
        (4, [0, 1], [0.25] * 4, 1.0, 2, 4, []),
        (4, [0, 1, 2, 0, 1], [0.296923, 0.296923, 0.109232, 0.296923], 1.0, 2, 5, []),
        (5, [0, 1, 3, 4, 0, 1], [0.2] * 5, 1.0, 2, 6, [3]),
        (5, [0, 1, 2, 0, 1], [0.241818, 0.241818, 0.032727, 0.241818, 0.241818], 2.0, 2, 5, []),
        (5, [0, 1, 2, 3, 4, 0, 1], [0.2] * 5, 1.0, 4, 7, []),
    ],
)
def test_dry_gives_llama_cpp_s_numbers(
    vocab, history, expected, multiplier, allowed, last_n, breakers
):
    got = S.dry(
        torch.full((vocab,), 1 / vocab).log(), history, multiplier, 1.1, allowed, last_n, breakers
    )
    torch.testing.assert_close(got.softmax(-1), torch.tensor(expected), rtol=0, atol=1e-5)


def test_other_vectors_of_llama_cpp():
    flat = log_probs(*[0.2] * 5)
    hard = S.repetition_penalty(flat, [0, 1, 2, 0, 0], 50.0).softmax(-1)
    torch.testing.assert_close(hard, torch.tensor([0, 0, 0, 0.5, 0.5]), rtol=0, atol=1e-5)
    both = S.presence_penalty(
        S.frequency_penalty(flat, [0, 1, 2, 0, 0], 5.0), [0, 1, 2, 0, 0], 5.0
    ).softmax(-1)
    expected = torch.tensor([0, 0.000023, 0.000023, 0.499977, 0.499977])
    torch.testing.assert_close(both, expected, rtol=0, atol=1e-5)


def test_dry_equals_a_search_by_slices():
    rng = generator(0)
    for _ in range(300):
        vocab, n = 6, int(rng.integers(1, 25))
        history = rng.integers(0, vocab, n).tolist()
        allowed, last_n, breakers = (
            int(rng.integers(1, 4)),
            int(rng.integers(-1, 20)),
            rng.choice(vocab, 1).tolist(),
        )
        past = history[-last_n:] if last_n > 0 else ([] if last_n == 0 else history)
        expected = np.zeros(vocab)
        for token in set(range(vocab)) - set(breakers):
            lengths = [0]
            for end in range(1, len(past)):  # past[:end] is followed by past[end]
                if past[end] == token:
                    lengths += [
                        k
                        for k in range(1, end + 1)
                        if past[end - k : end] == past[-k:] and not set(past[-k:]) & set(breakers)
                    ]
            if max(lengths) >= allowed:
                expected[token] = 0.8 * 1.75 ** (max(lengths) - allowed)
        got = S.dry(
            torch.zeros(vocab, dtype=torch.float64), history, 0.8, 1.75, allowed, last_n, breakers
        )
        np.testing.assert_allclose(-got.numpy(), expected, atol=1e-12)


def test_edges():
    z = torch.tensor([[2.0, 2.0, 1.0, -INF], [0.0, 0.0, 0.0, 0.0]])
    for empty in ([], (), torch.empty(0, dtype=torch.int64), [[], []]):
        for f in (S.repetition_penalty, S.frequency_penalty, S.presence_penalty):
            assert torch.equal(f(z, empty, 1.5), z)
        assert torch.equal(S.no_repeat_ngram(z, empty, 2), z)
        assert torch.equal(S.dry(z, empty, 1.0), z)
    one = S.frequency_penalty(z[0], [2, 2], 0.5)  # a single row, a single history
    assert one.tolist() == [2, 2, 0, -INF]
    ragged = S.frequency_penalty(z, [[0], [1, 1, 2]], 1.0)
    assert ragged.tolist() == [[1, 2, 1, -INF], [0, -2, -1, 0]]


def test_removed_tokens_never_come_back_and_dtype_stays():
    z = torch.tensor([1.0, -INF, 0.5, 0.2], dtype=torch.float64)
    for f in (
        lambda x: S.repetition_penalty(x, [0, 1], 1.3),
        lambda x: S.presence_penalty(x, [1, 2], -2.0),
    ):
        out = f(z)
        assert out[1] == -INF
        assert out.dtype == z.dtype
        assert not out.isnan().any()


def test_an_extreme_penalty_leaves_other_tokens_alone_or_is_refused():
    logits = torch.tensor([1.0, 2.0, 3.0])
    for rule in (S.frequency_penalty, S.presence_penalty):
        assert rule(logits, [0], 1e300).tolist() == [-math.inf, 2.0, 3.0]
        with pytest.raises(ValueError, match="_penalty must be of a size"):
            rule(logits, [0], -1e300)
    with pytest.raises(ValueError, match="repetition_penalty must be of a size"):
        S.repetition_penalty(logits, [0], 1e-40)
    with pytest.raises(ValueError, match="logit_bias must be of a size"):
        S.logit_bias(logits, {0: 1e39})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_history_of_any_length_is_counted_in_every_format(dtype):
    logits = torch.tensor([1.0, 2.0], dtype=dtype)
    for alpha in (0.0, 1e-5, -1e-5):  # float16 ends at 65,504, and bfloat16 counts to 256
        got = S.frequency_penalty(logits, [0] * 70_001, alpha)
        expected = torch.tensor([1.0 - 70_001 * alpha, 2.0], dtype=torch.float64)
        assert got.dtype == dtype
        rtol = 2 * torch.finfo(dtype).eps
        torch.testing.assert_close(got.double(), expected, rtol=rtol, atol=0)


def test_dry_lets_gradients_through():
    logits = torch.zeros(4, requires_grad=True)
    S.dry(logits, [0, 1, 2, 0, 1], 1.0).sum().backward()
    assert logits.grad.tolist() == [1, 1, 1, 1]


def test_dry_removes_a_token_whose_penalty_no_format_holds():
    assert S.dry(torch.zeros(4), [0, 1, 0, 1, 0, 1], 1e300).softmax(-1)[0] == 0


def test_dry_on_a_text_that_says_one_token_only_takes_linear_time():
    """Every place matches up to the text's end: compared afresh each time, that is n²/2 steps."""

    class Counted(int):
        compared = 0

        def __eq__(self, other):
            Counted.compared += 1
            return int(self) == other

        __hash__ = int.__hash__

    n = 1000
    lengths = S._lengths_equal_to_start([Counted(7)] * n)
    assert lengths == [n - at for at in range(n)]
    assert Counted.compared < 3 * n


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("ban = [0, 1]", lambda z, ids: S.ban(z, [0, 1])),
        ("no_repeat_ngram = 1", lambda z, ids: S.no_repeat_ngram(z, ids, 1)),
        ("repetition_penalty = 1e+300", lambda z, ids: S.repetition_penalty(z - 1, ids, 1e300)),
        ("frequency_penalty = 1e+300", lambda z, ids: S.frequency_penalty(z, ids, 1e300)),
        ("presence_penalty = 1e+300", lambda z, ids: S.presence_penalty(z, ids, 1e300)),
        (
            "logit_bias = {0: -1e+39, 1: -1e+39}",
            lambda z, ids: S.logit_bias(z, {0: -1e39, 1: -1e39}),
        ),
        ("dry = 1e+39", lambda z, ids: S.dry(z - 3e38, ids, 1e39, allowed_length=1)),
    ],
)
def test_a_setting_that_takes_a_row_s_last_token_is_named(name, call):
    logits = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, -INF]])
    setting = name.split()[0]
    expected = f"{setting} must leave a token in row 1, got {name}"
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        call(logits, [0, 0, 1, 0])


Z = torch.zeros(2, 4)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: S.repetition_penalty(Z, [0], 0.0), ("repetition_penalty", "0.0")),
        (lambda: S.frequency_penalty(Z, [0], math.nan), ("frequency_penalty", "nan")),
        (lambda: S.no_repeat_ngram(Z, [0], -2), ("no_repeat_ngram", "-2")),
        (lambda: S.dry(Z, [0], -1.0), ("dry_multiplier", "-1.0")),
        (lambda: S.dry(Z, [0], 1.0, allowed_length=0), ("dry_allowed_length", "0")),
        (lambda: S.logit_bias(Z, {9: 1.0}), ("logit_bias id", "9")),
        (lambda: S.logit_bias(Z, {1: INF}), ("logit_bias value", "inf")),
        (lambda: S.logit_bias(Z, {1: 10**400}), ("logit_bias value", "1.8e308")),
    ],
)
def test_bad_input_is_refused_in_one_line(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the words below are the match
        call()
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message
