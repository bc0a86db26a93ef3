"""GPTQ against a direct reference, and what must follow from its definition."""

from __future__ import annotations

import pytest
import torch

from utils.compression.calibrated import gptq, gptq_model, hessian
from utils.compression.quantized_model import quantize_model
from utils.compression.rounding import GRANULARITIES, quantize
from utils.models.config import GPTConfig
from utils.models.gpt import GPT
from utils.runtime import generator


def problem(seed=0, n=60, columns=24, out=10):
    """A matrix and correlated inputs, float64."""
    rng = generator(seed, "torch")
    mixing = torch.randn(columns, columns, generator=rng, dtype=torch.float64)
    X = torch.randn(n, columns, generator=rng, dtype=torch.float64) @ mixing
    W = torch.randn(out, columns, generator=rng, dtype=torch.float64)
    return W, X


def output_error(W, X, quantized):
    return ((W - quantized.dequantize().double()) @ X.T).square().sum().item()


def direct(W, H, bits, damping):
    """Column by column; after each, least squares anew for all that is left: (out, in)."""
    columns = W.shape[1]
    q = 2 ** (bits - 1) - 1
    scale = (W.abs().amax(1) / q).half().double()
    H = H + damping * H.diagonal().mean() * torch.eye(columns, dtype=torch.float64)
    Q = torch.zeros_like(W)
    current = W.clone()
    for j in range(columns):
        Q[:, j] = (current[:, j] / scale).round().clamp(-q, q) * scale
        rest = slice(j + 1, columns)
        done = slice(0, j + 1)
        # Which columns R minimize the damped ||(W − [Q, R]) X||²? Its slope in R is zero.
        error = Q[:, done] - W[:, done]
        move = torch.linalg.solve(H[rest, rest], H[rest, done] @ error.T).T
        current[:, rest] = W[:, rest] - move
    return Q


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_equals_least_squares_column_by_column(bits):
    for seed in range(3):
        W, X = problem(seed)
        H = hessian(X)
        expected = direct(W, H, bits, damping=0.01)
        ours = gptq(W, H, bits, damping=0.01).dequantize().double()
        torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("bits", [3, 4, 8])
@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_the_outputs_are_closer_than_with_rounding_to_nearest(bits, granularity):
    for seed in range(5):
        W, X = problem(seed)
        nearest = quantize(W, bits, granularity, 8)
        calibrated = gptq(W, hessian(X), bits, granularity, 8)
        assert calibrated.n_bytes == nearest.n_bytes
        assert output_error(W, X, calibrated) < output_error(W, X, nearest)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_uncorrelated_inputs_leave_rounding_to_nearest(bits, granularity):
    W, _ = problem()
    nearest = quantize(W, bits, granularity, 7)
    calibrated = gptq(W, 3 * torch.eye(W.shape[1]), bits, granularity, 7)
    assert torch.equal(calibrated.packed, nearest.packed)
    assert torch.equal(calibrated.scales, nearest.scales)


def test_an_input_that_never_occurs_does_no_harm():
    W, X = problem()
    X[:, 3] = 0
    small = gptq(W, hessian(X), 4)
    assert torch.isfinite(small.dequantize()).all()


def test_the_weights_themselves_are_not_changed():
    W, X = problem()
    before = W.clone()
    gptq(W, hessian(X), 3, "group", 8)
    assert torch.equal(W, before)


def test_bad_hessians_are_told_in_one_line():
    W, X = problem()
    H = hessian(X)
    with pytest.raises(ValueError, match=r"^H must be a finite matrix of shape \(24, 24\)"):
        gptq(W, H[:-1], 4)
    with pytest.raises(ValueError, match="^H must be with a diagonal above zero"):
        gptq(W, 0 * H, 4)
    with pytest.raises(ValueError, match="^H must be symmetric and positive definite"):
        gptq(W, H + 2 * H.diagonal().mean() * (1 - torch.eye(24)), 4)
    with pytest.raises(ValueError, match="^damping must be"):
        gptq(W, H, 4, damping=0)
    with pytest.raises(ValueError, match="^inputs must be a matrix"):
        hessian(X[0])


# ---- a whole model -------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["llama", "gpt2"])
def test_a_block_is_calibrated_on_what_the_quantized_ones_before_it_put_out(style):
    generator(0, "global")
    config = GPTConfig(style, vocab_size=30, context_length=16, n_layer=2, n_head=2, d_model=32)
    model = GPT(config).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    ids = torch.randint(0, 30, (6, 16), generator=generator(1, "torch"))
    matrices = gptq_model(model, ids, 3, "group", 8)
    small = quantize_model(model, 3, "group", 8, weights=matrices)

    # With the first block quantized and the second not yet, what does the second one's MLP read?
    seen = []
    halfway = quantize_model(model, 16, weights={n: m for n, m in matrices.items() if ".0." in n})
    up = halfway.get_submodule("blocks.1.mlp.up")
    up.register_forward_pre_hook(lambda _, args: seen.append(args[0].flatten(0, 1)))
    with torch.no_grad():
        halfway(ids)
    again = gptq(up.weight, hessian(seen[0]), 3, "group", 8)
    assert torch.equal(again.packed, matrices["blocks.1.mlp.up"].packed)
    assert torch.isfinite(small(ids)).all()


def test_too_long_texts_are_refused():
    model = GPT(GPTConfig("llama", vocab_size=30, context_length=8, n_layer=1, d_model=32))
    with pytest.raises(ValueError, match=r"^ids must be an array \(B, T\)"):
        gptq_model(model, torch.zeros(1, 9, dtype=torch.long), 4)
