"""utils.sampling.transforms: equal to transformers where it has the transform, to the written formula elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from transformers.generation import logits_process as hf

from utils.sampling import transforms as S

INF = math.inf


def cases(n: int, seed: int):
    """Random logits (B, V) with histories (B, t): smooth, tied (rounded), or with removed tokens."""
    g = torch.Generator().manual_seed(seed)
    for i in range(n):
        rows, vocab, length = (
            int(torch.randint(lo, hi, (1,), generator=g)) for lo, hi in ((1, 4), (5, 200), (1, 30))
        )
        z = torch.randn(rows, vocab, generator=g) * (0.5 + 4 * torch.rand(1, generator=g))
        if i % 3 == 1:
            z = z.round()  # ties
        if i % 3 == 2:
            z[:, : vocab // 3] = -INF
        ids = torch.randint(0, min(vocab, 12), (rows, length), generator=g)
        yield z, ids, torch.rand(1, generator=g).item()


def same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """The same tokens kept, and probabilities within 1e-6."""
    assert torch.equal(ours == -INF, theirs == -INF)
    torch.testing.assert_close(ours.softmax(-1), theirs.softmax(-1), rtol=0, atol=1e-6)


# What transformers has: (transform, processor), on logits, ids and a uniform number r that picks the setting.
PAIRS = {
    "temperature": (
        lambda z, ids, r: S.temperature(z, 0.05 + 3 * r),
        lambda z, ids, r: hf.TemperatureLogitsWarper(0.05 + 3 * r)(ids, z),
    ),
    "top_k": (
        lambda z, ids, r: S.top_k(z, 1 + int(r * 250)),
        lambda z, ids, r: hf.TopKLogitsWarper(1 + int(r * 250))(ids, z),
    ),
    "top_p": (lambda z, ids, r: S.top_p(z, r), lambda z, ids, r: hf.TopPLogitsWarper(r)(ids, z)),
    "min_p": (lambda z, ids, r: S.min_p(z, r), lambda z, ids, r: hf.MinPLogitsWarper(r)(ids, z)),
    "typical_p": (
        lambda z, ids, r: S.typical_p(z, 0.01 + 0.98 * r),
        lambda z, ids, r: hf.TypicalLogitsWarper(0.01 + 0.98 * r)(ids, z),
    ),
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
    done = 0
    for z, ids, r in cases(1100, seed=sum(map(ord, name))):
        expected = theirs(z.clone(), ids, r)
        if not expected.isfinite().any(-1).all():
            continue  # everything banned: theirs returns a row of −inf
        before, got = z.clone(), ours(z, ids, r)
        if name == "top_p":  # which of several tied tokens stay is left to an unstable sort there
            untied = torch.tensor([len(set(row.tolist())) == len(row) for row in z])
            same(got[untied], expected[untied])
            got, expected = got.sort(-1).values, expected.sort(-1).values
        same(got, expected)
        assert torch.equal(z, before), "the input was changed"
        done += 1
    assert done >= 1000


def test_top_p_is_the_smallest_prefix_that_reaches_p():
    for z, _, p in cases(300, seed=1):
        probs, kept = z.double().softmax(-1), S.top_p(z.double(), p) > -INF
        for row, keep in zip(probs, kept, strict=True):
            mass, least = row[keep].sum(), row[keep].min()
            assert mass >= p - 1e-12
            assert (
                keep.sum() == 1 or mass - least < p + 1e-12
            )  # without its least likely member it falls short
            assert keep.all() or row[~keep].max() <= least


def test_frequency_and_presence_are_the_formula():
    for z, ids, r in cases(300, seed=2):
        c = torch.stack([torch.bincount(row, minlength=z.shape[1]) for row in ids])
        alpha = 4 * r - 2
        torch.testing.assert_close(S.frequency_penalty(z, ids, alpha), z - alpha * c)
        torch.testing.assert_close(S.presence_penalty(z, ids, alpha), z - alpha * (c > 0))


def test_top_n_sigma_is_the_formula():
    for z, _, r in cases(300, seed=3):
        inside = z.masked_fill(z == -INF, math.nan).numpy().astype(float)
        cut = np.nanmax(inside, -1) - 3 * r * np.nanstd(inside, -1)
        near = np.abs(inside - cut[:, None]) < 1e-4
        kept = (S.top_n_sigma(z, 3 * r) > -INF).numpy()
        assert (kept | near == (inside >= cut[:, None]) | near).all()
        if r > 0.01:  # temperature before it changes nothing
            warm = (S.top_n_sigma(S.temperature(z, 2.0), 3 * r) > -INF).numpy()
            assert (warm | near == kept | near).all()


def log_probs(*probs: float) -> torch.Tensor:
    return torch.tensor(probs).log()


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (0.09, (0, 0, 0, 1)),
        (0.19, (0, 0, 0.2, 0.1)),
        (0.29, (0, 0.3, 0.2, 0.1)),
        (0.39, (0.4, 0.3, 0.2, 0.1)),
    ],
)
def test_xtc_removes_all_top_choices_but_the_last(threshold, expected):
    z, target = log_probs(0.4, 0.3, 0.2, 0.1), torch.tensor(expected, dtype=torch.float32)
    torch.testing.assert_close(S.xtc(z, 0.99, threshold, 0.5).softmax(-1), target / target.sum())
    assert torch.equal(S.xtc(z, 0.4, threshold, 0.5), z)  # the draw decided against it
    assert torch.equal(S.xtc(z, 1.0, 0.51, 0.0), z)  # two tokens cannot both exceed one half
    two = S.xtc(torch.stack((z, z)), 0.5, 0.09, torch.tensor([0.2, 0.9]))
    assert (two > -INF).sum(-1).tolist() == [1, 4]


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
    z = log_probs(0.1, 0.2, 0.3, 0.4)
    cut = S.top_n_sigma(z, 1.0).softmax(-1)
    torch.testing.assert_close(cut, torch.tensor([0, 0, 0.428571, 0.571429]), rtol=0, atol=1e-5)
    assert torch.equal(S.top_n_sigma(z, 0.0), z)
    assert torch.equal(S.top_n_sigma(z, 3.0), z)
    kept = S.typical_p(log_probs(0.4, 0.2, 0.2, 0.2), 0.5) > -INF
    assert kept.tolist() == [False, True, True, True]
    flat = log_probs(*[0.2] * 5)
    hard = S.repetition_penalty(flat, [0, 1, 2, 0, 0], 50.0).softmax(-1)
    torch.testing.assert_close(hard, torch.tensor([0, 0, 0, 0.5, 0.5]), rtol=0, atol=1e-5)
    both = S.presence_penalty(
        S.frequency_penalty(flat, [0, 1, 2, 0, 0], 5.0), [0, 1, 2, 0, 0], 5.0
    ).softmax(-1)
    expected = torch.tensor([0, 0.000023, 0.000023, 0.499977, 0.499977])
    torch.testing.assert_close(both, expected, rtol=0, atol=1e-5)


def test_dry_equals_a_search_by_slices():
    rng = np.random.default_rng(0)
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
    kept = lambda x: (x > -INF).sum(-1).tolist()  # noqa: E731
    assert S.temperature(z, 0).argmax(-1).tolist() == [0, 0]
    assert kept(S.temperature(z, 0)) == [1, 1]
    for t in (1e-3, 1e-6):  # T → 0 approaches the greedy point mass where the maximum is unique
        cold = S.temperature(torch.tensor([1.0, 3.0, 2.0]), t).softmax(-1)
        torch.testing.assert_close(cold, torch.tensor([0.0, 1.0, 0.0]))
    assert torch.equal(S.temperature(z, 1), z)
    for off in (
        S.top_k(z, 0),
        S.top_k(z, 4),
        S.top_k(z, 99),
        S.top_p(z, 1),
        S.min_p(z, 0),
        S.typical_p(z, 1),
    ):
        assert torch.equal(off, z)
    assert kept(S.top_k(z, 1)) == [2, 4]  # ties stay
    assert kept(S.top_k(z, 1, ties="exact")) == [1, 1]
    assert S.top_k(z, 1, ties="exact").argmax(-1).tolist() == [0, 0]  # the lower id
    assert kept(S.top_p(z, 0)) == [1, 1]
    assert S.top_p(z, 0).argmax(-1).tolist() == [0, 0]
    assert (S.top_p(z, 0.7) > -INF).tolist()[1] == [
        True,
        True,
        True,
        False,
    ]  # of ties the lower ids stay
    assert kept(S.min_p(z, 1)) == [2, 4]
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
        lambda x: S.temperature(x, 0.7),
        lambda x: S.typical_p(x, 0.9),
        lambda x: S.top_n_sigma(x, 2.0),
        lambda x: S.repetition_penalty(x, [0, 1], 1.3),
        lambda x: S.presence_penalty(x, [1, 2], -2.0),
        lambda x: S.xtc(x, 1.0, 0.1, 0.0),
    ):
        out = f(z)
        assert out[1] == -INF
        assert out.dtype == z.dtype
        assert not out.isnan().any()


def test_sample_is_the_inverse_of_the_cumulative_distribution():
    probs = torch.tensor([0.0, 0.25, 0.0, 0.5, 0.25, 0.0])
    for u, token in ((0.0, 1), (0.2499, 1), (0.25, 3), (0.7499, 3), (0.75, 4), (1 - 2**-53, 4)):
        assert S.sample(probs, u).item() == token
    assert S.sample(4 * probs, 0.5).item() == 3  # need not be normalised
    batch = S.sample(probs.expand(2, 3, 6), torch.tensor([[0.1, 0.3, 0.9], [0.9, 0.3, 0.1]]))
    assert batch.tolist() == [[1, 3, 4], [4, 3, 1]]


def test_chi_square_tells_the_right_sampler_from_a_two_percent_temperature_error():
    g = torch.Generator().manual_seed(0)
    z = torch.randn(512, generator=g, dtype=torch.float64) * 2
    u = torch.from_numpy(np.random.default_rng(0).random(200_000))
    probs = z.softmax(-1)

    def p_value(drawn_from: torch.Tensor) -> float:
        rows = [S.sample(drawn_from.expand(1000, -1), part) for part in u.split(1000)]
        observed = torch.bincount(torch.cat(rows), minlength=512).numpy()
        expected = probs.numpy() * len(u)
        rare = expected < 5  # the test wants at least five expected draws a bin
        pool = lambda x: np.append(x[~rare], x[rare].sum()) if rare.any() else x  # noqa: E731
        return chisquare(pool(observed), pool(expected)).pvalue

    assert p_value(probs) > 0.001
    assert p_value((z / 1.02).softmax(-1)) < 1e-6


Z = torch.zeros(2, 4)
NAN, ALL_OUT = torch.tensor([0.0, math.nan]), torch.full((3,), -INF)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: S.temperature(Z, -0.1), ("temperature", "-0.1")),
        (lambda: S.temperature(Z, math.nan), ("temperature", "nan")),
        (lambda: S.temperature(Z, INF), ("temperature", "inf")),
        (lambda: S.top_k(Z, -1), ("top_k", "-1")),
        (lambda: S.top_k(Z, 2.5), ("top_k", "2.5")),
        (lambda: S.top_k(Z, 2, ties="some"), ("ties", "'keep'", "'some'")),
        (lambda: S.top_p(Z, 1.01), ("top_p", "[0, 1]", "1.01")),
        (lambda: S.top_p(Z, -0.1), ("top_p", "-0.1")),
        (lambda: S.min_p(Z, 1.5), ("min_p", "[0, 1]", "1.5")),
        (lambda: S.typical_p(Z, 0.0), ("typical_p", "0.0")),
        (lambda: S.top_n_sigma(Z, -1.0), ("top_n_sigma", "-1.0")),
        (lambda: S.repetition_penalty(Z, [0], 0.0), ("repetition_penalty", "0.0")),
        (lambda: S.frequency_penalty(Z, [0], math.nan), ("frequency_penalty", "nan")),
        (lambda: S.no_repeat_ngram(Z, [0], -2), ("no_repeat_ngram", "-2")),
        (lambda: S.xtc(Z, 1.1, 0.1, 0.5), ("xtc_probability", "1.1")),
        (lambda: S.xtc(Z, 0.5, 0.1, 1.0), ("u must be in [0, 1)", "1.")),
        (lambda: S.dry(Z, [0], -1.0), ("dry_multiplier", "-1.0")),
        (lambda: S.dry(Z, [0], 1.0, allowed_length=0), ("dry_allowed_length", "0")),
        (lambda: S.presence_penalty(Z, [4], 1.0), ("ids", "[0, 3]", "4")),
        (lambda: S.presence_penalty(Z, [-1], 1.0), ("ids", "[0, 3]", "-1")),
        (lambda: S.presence_penalty(Z, [[0], [1], [2]], 1.0), ("ids", "2 rows", "3")),
        (lambda: S.presence_penalty(Z, torch.tensor([0.5]), 1.0), ("ids", "whole numbers")),
        (lambda: S.logit_bias(Z, {9: 1.0}), ("logit_bias id", "9")),
        (lambda: S.logit_bias(Z, {1: INF}), ("logit_bias value", "inf")),
        (lambda: S.top_k(NAN, 1), ("logits", "NaN")),
        (lambda: S.min_p(ALL_OUT, 0.1), ("logits", "finite value in every row")),
        (lambda: S.temperature(torch.tensor([INF, 0.0]), 1.0), ("logits", "+inf")),
        (lambda: S.temperature(torch.zeros(2, 0), 1.0), ("logits", "vocab_size")),
        (lambda: S.temperature([1.0, 2.0], 1.0), ("logits", "tensor")),
        (lambda: S.sample(torch.zeros(4), 0.5), ("probs", "positive sum")),
        (lambda: S.sample(torch.tensor([0.5, math.nan]), 0.5), ("probs", "finite")),
        (lambda: S.sample(torch.ones(4), 1.0), ("u must be in [0, 1)",)),
        (lambda: S.sample(torch.ones(2, 4), torch.tensor([0.1, 0.2, 0.3])), ("u", "(2,)")),
    ],
)
def test_bad_input_is_refused_in_one_line(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the words below are the match
        call()
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message
