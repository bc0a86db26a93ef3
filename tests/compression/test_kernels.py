"""PyTorch's kernels for packed weights compute what the dequantized weights say."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from utils.compression import kernels
from utils.compression.kernels import KernelLinear, has_kernel, kernel_model
from utils.compression.quantized_model import dequantize_model, quantize_model
from utils.compression.rounding import quantize
from utils.models.config import GPTConfig
from utils.models.gpt import GPT, KVCache
from utils.runtime import generator

pytestmark = pytest.mark.skipif(
    not (has_kernel(4) and has_kernel(8)), reason="this PyTorch lacks the kernels"
)


def drawn(*shape):
    return torch.randn(*shape, generator=generator(0, "torch"))


@pytest.mark.parametrize(("bits", "granularity"), [(4, "group"), (8, "channel")])
@pytest.mark.parametrize("shape", [(3, 64), (2, 5, 64)])
def test_a_layer_is_the_product_with_the_dequantized_matrix(bits, granularity, shape):
    matrix = quantize(drawn(48, 64), bits, granularity, 32)
    bias, x = drawn(48), drawn(*shape)
    expected = nn.functional.linear(x, matrix.dequantize(), bias)
    torch.testing.assert_close(KernelLinear(matrix, bias)(x), expected, rtol=1e-4, atol=1e-4)
    # In bfloat16 to its three digits.
    rough = KernelLinear(matrix, bias)(x.bfloat16())
    assert rough.dtype == torch.bfloat16
    assert float((rough.float() - expected).abs().max()) < 0.02 * float(expected.abs().max())


@pytest.mark.parametrize("style", ["llama", "gpt2"])
@pytest.mark.parametrize("bits", [4, 8])
def test_a_model_is_near_its_dequantized_twin_and_leaves_the_original(style, bits):
    generator(0, "global")
    config = GPTConfig(
        style, vocab_size=40, context_length=16, n_layer=2, n_head=2, d_model=64, d_ff=128
    )
    model = GPT(config).eval()
    with torch.no_grad():
        for p in model.parameters():  # no output projection at zero
            p.add_(0.1 * torch.randn_like(p))
    before = {name: p.clone() for name, p in model.named_parameters()}

    granularity = "group" if bits == 4 else "channel"
    twin = dequantize_model(quantize_model(model, bits, granularity, 64))
    small = kernel_model(model, bits)
    ids = torch.arange(24).view(2, 12)
    exact = twin(ids)
    off = (small(ids).float() - exact).abs().max()
    assert off < 0.05 * exact.abs().max()
    assert small.tok.weight.dtype == torch.bfloat16
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name])
        assert p.dtype == torch.float32

    # With a past, as it writes.
    cache = KVCache(small, 2)
    small(ids[:, :11], cache=cache)
    last = small(ids[:, 11:], cache=cache)[:, -1].float()
    assert (last - exact[:, -1]).abs().max() < 0.05 * exact.abs().max()


def test_what_the_kernels_cannot_multiply_is_refused(monkeypatch):
    with pytest.raises(ValueError, match="bits must be"):
        KernelLinear(quantize(drawn(16, 64), 3))
    with pytest.raises(ValueError, match="group_size must be"):
        KernelLinear(quantize(drawn(16, 96), 4, "group", 64))
    with pytest.raises(ValueError, match="rows must be"):
        KernelLinear(quantize(drawn(10, 64), 4, "group", 64))
    with pytest.raises(ValueError, match="scales must be"):
        KernelLinear(quantize(drawn(16, 64), 8, "group", 32))
    with pytest.raises(ValueError, match="bits must be"):
        kernel_model(nn.Linear(64, 16), 5)
    monkeypatch.setitem(kernels._OPERATIONS, 4, ("_no_such_operation",))
    assert not has_kernel(4)
    with pytest.raises(ValueError, match="with a kernel in this PyTorch"):
        KernelLinear(quantize(drawn(16, 64), 4, "group", 64))
