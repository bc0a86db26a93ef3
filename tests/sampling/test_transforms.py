"""utils.sampling.transforms: equal to transformers where it has the rule, else to the formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from transformers.generation import logits_process as hf

from tests.sampling.cases import INF, cases, check_against_transformers, log_probs
from utils.runtime import generator
from utils.sampling import transforms as S

pytestmark = pytest.mark.usefixtures("one_thread")


# What transformers has: (transform, processor), on logits, ids and a number r for the setting.
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
}


@pytest.mark.parametrize("name", PAIRS)
def test_equals_transformers_on_a_thousand_cases(name):
    ours, theirs = PAIRS[name]
    check_against_transformers(name, ours, theirs)


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


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        (torch.float16, 1),  # the sums over a vocabulary leave the format's range
        (torch.float16, 8000),
        (torch.bfloat16, 1e37),
        (torch.float32, 1e-38),
        (torch.float32, 1e20),  # as do the squares
        (torch.float64, 1e-200),
        (torch.float64, 1e-160),  # some of the squares
        (torch.float64, 1e200),
        (torch.float64, 1e307),  # and the sums of float64 itself
    ],
)
def test_top_n_sigma_is_the_formula_in_every_format_and_at_every_scale(dtype, scale):
    z = torch.randn(2, 50_257, generator=generator(0, "torch"), dtype=torch.float64) + 3
    z = (z * scale).to(dtype)
    z[1, ::3] = -INF
    inside = (z.double() / scale).masked_fill(z == -INF, math.nan).numpy()
    bar = np.nanmax(inside, -1) - 2.0 * np.nanstd(inside, -1)
    kept = (S.top_n_sigma(z, 2.0) > -INF).numpy()
    assert (kept == (inside >= bar[:, None])).all()
    assert (kept.sum(-1) < 5_000).all()  # float16 and float32 once kept all


def test_top_n_sigma_keeps_a_token_that_lies_just_on_the_bar():
    z = torch.tensor([[3, 1], [3e200, 1e200], [3 * 2**-700, 2**-700]], dtype=torch.float64)
    assert torch.equal(S.top_n_sigma(z, 2.0), z)


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


@pytest.mark.parametrize("ties", ["exact", "keep"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("threshold", [0.0, 1e-320, 1e-50])  # the last two round to 0 in float32
def test_a_removed_token_is_no_top_choice(threshold, dtype, ties):
    z = torch.tensor([[-INF, 3, 2, 1, -INF, -INF], [1, 2, -INF, -INF, -INF, 0.5]], dtype=dtype)
    kept = S.xtc(z, 1.0, threshold, 0.5, ties) > -INF
    assert kept.nonzero().tolist() == [[0, 3], [1, 5]]  # the least likely that was still in


def test_xtc_without_a_threshold_leaves_one_token_in_every_format():
    z = torch.tensor([0.0, -20.0, -1000.0])  # of p = 0 in float32, and the second too in float16
    for dtype in (torch.float16, torch.float32, torch.float64):
        assert S.xtc(z.to(dtype), 1.0, 0.0, 0.5).tolist() == [-INF, -INF, -1000]


def test_vectors_of_llama_cpp():
    z = log_probs(0.1, 0.2, 0.3, 0.4)
    cut = S.top_n_sigma(z, 1.0).softmax(-1)
    torch.testing.assert_close(cut, torch.tensor([0, 0, 0.428571, 0.571429]), rtol=0, atol=1e-5)
    assert torch.equal(S.top_n_sigma(z, 0.0), z)
    assert torch.equal(S.top_n_sigma(z, 3.0), z)
    kept = S.typical_p(log_probs(0.4, 0.2, 0.2, 0.2), 0.5) > -INF
    assert kept.tolist() == [False, True, True, True]


def mlx_xtc(logits, threshold):
    """mlx-lm's `apply_xtc` when it fires, written out for one row."""
    probs = logits.softmax(-1)
    above = probs[probs > threshold]
    return logits if len(above) == 0 else logits.masked_fill(probs > above.min(), -math.inf)


def test_xtc_of_mlx_keeps_ties_and_asks_for_more_than_the_threshold():
    g = generator(0, "torch")
    for case in range(200):
        tied = torch.randint(0, 4, (8,), generator=g).double()
        smooth = torch.randn(8, generator=g).double()
        logits = tied if case % 2 else smooth
        for threshold in (0.0, 0.05, 0.125, 0.3):
            ours = S.xtc(logits, 1.0, threshold, 0.0, ties="keep")
            assert torch.equal(ours, mlx_xtc(logits, threshold))


def test_typical_p_of_llama_cpp_stops_at_a_count():
    """It keeps tokens up to the first whose sum exceeds p; transformers keeps tied ones too."""
    assert int(S.typical_p(torch.zeros(10), 0.55, "exact").isfinite().sum()) == 6
    assert int(S.typical_p(torch.zeros(10), 0.55).isfinite().sum()) == 10
    logits = torch.randn(5, 50, generator=generator(0, "torch")).double()
    apart = S.typical_p(logits, 0.6, "exact") == S.typical_p(logits, 0.6)
    assert bool(apart.all())  # without ties the two rules agree


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("t", [1e-5, 1e-40, 1e-320])
def test_a_tiny_temperature_is_nearly_greedy(dtype, t):
    logits = torch.tensor([[3.0, 5.0, -2.0, 5.0], [-7.0, -9.0, -8.0, -30.0]], dtype=dtype)
    probs = S.temperature(logits, t).softmax(-1)
    assert probs.tolist() == [[0, 0.5, 0, 0.5], [1, 0, 0, 0]]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_a_huge_temperature_is_nearly_uniform_and_removes_nothing(dtype):
    largest = torch.finfo(dtype).max
    logits = torch.tensor([-largest / 2, largest / 2, -INF, 0.0], dtype=dtype)
    probs = S.temperature(logits, 1.7e308).softmax(-1)
    if dtype == torch.float64:
        assert (probs > 0).tolist() == [True, True, False, True]
    else:
        third = torch.tensor(1 / 3, dtype=dtype).item()
        assert probs.tolist() == pytest.approx([third, third, 0, third], rel=1e-2)


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
    lower_ids = (S.top_p(z, 0.7) > -INF).tolist()[1]
    assert lower_ids == [True, True, True, False]  # of ties the lower ids stay
    assert kept(S.min_p(z, 1)) == [2, 4]


def test_removed_tokens_never_come_back_and_dtype_stays():
    z = torch.tensor([1.0, -INF, 0.5, 0.2], dtype=torch.float64)
    for f in (
        lambda x: S.temperature(x, 0.7),
        lambda x: S.typical_p(x, 0.9),
        lambda x: S.top_n_sigma(x, 2.0),
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


def test_a_sum_of_weights_out_of_range_draws_as_any_other():
    weights = torch.tensor([1.0, 1.0, 2.0], dtype=torch.float64)
    for scale in (1e308, 1e-300, 5e-324):
        for u, token in ((0.0, 0), (0.2, 0), (0.3, 1), (0.499, 1), (0.5, 2), (0.999, 2)):
            assert S.sample(weights * (scale / 2 if scale > 1 else scale), u).item() == token


def test_ordinary_draws_are_those_of_the_plain_sum_whatever_else_is_in_the_batch():
    """Bit for bit: a stored draw must give the same token for ever."""
    g = generator(5, "torch")
    for _ in range(100):
        scale = 10 ** (600 * torch.rand(1, generator=g, dtype=torch.float64) - 280)
        weights = torch.rand(3, 1000, generator=g, dtype=torch.float64) * scale.clamp(max=1e300)
        sums = weights.cumsum(-1)
        # Just at, below and above the ends of random intervals.
        ends = sums.gather(-1, torch.randint(999, (3, 1), generator=g)) / sums[:, -1:]
        for u in (ends, ends * (1 - 2**-53), ends * (1 + 2**-52)):
            plain = torch.searchsorted(sums, u * sums[:, -1:], right=True)[:, 0]
            assert torch.equal(S.sample(weights, u[:, 0]), plain)
            beside = torch.cat((weights, torch.full((1, 1000), 1e308, dtype=torch.float64)))
            assert torch.equal(S.sample(beside, torch.cat((u[:, 0], u.new_zeros(1))))[:3], plain)


def test_chi_square_tells_the_right_sampler_from_a_two_percent_temperature_error():
    g = generator(0, "torch")
    z = torch.randn(512, generator=g, dtype=torch.float64) * 2
    u = torch.from_numpy(generator(0).random(200_000))
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
        (lambda: S.xtc(Z, 1.1, 0.1, 0.5), ("xtc_probability", "1.1")),
        (lambda: S.temperature(Z, 10**400), ("temperature", "1.8e308")),
        (lambda: S.top_k(Z.to(torch.float8_e5m2), 2), ("logits", "float16", "float8_e5m2")),
        (lambda: S.sample(Z.to(torch.float8_e5m2), 0), ("probs", "float16", "float8_e5m2")),
        (lambda: S.sample(torch.zeros(4), 0.5), ("probs", "positive sum")),
        (lambda: S.sample(torch.tensor([0.5, INF]), 0.5), ("probs", "finite")),
        (lambda: S.sample(torch.tensor([0.5, math.nan]), 0.5), ("probs", "finite")),
    ],
)
def test_bad_input_is_refused_in_one_line(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the words below are the match
        call()
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message
