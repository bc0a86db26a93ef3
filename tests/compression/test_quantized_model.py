"""A quantized model computes what its dequantized weights say, and its size is exact."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from utils.compression.calibrated import gptq_model
from utils.compression.quantized_model import (
    QuantizedEmbedding,
    QuantizedLinear,
    dequantize_model,
    model_bytes,
    quantize_model,
)
from utils.compression.rounding import quantize
from utils.models.config import GPTConfig
from utils.models.gpt import GPT, KVCache
from utils.runtime import generator


def gpt(style="llama", tied=True):
    generator(0, "global")
    config = GPTConfig(
        style, vocab_size=40, context_length=16, n_layer=2, n_head=2, d_model=32,
        tie_embeddings=tied,
    )  # fmt: skip
    model = GPT(config)
    with torch.no_grad():
        for p in model.parameters():  # no output projection at zero
            p.add_(0.1 * torch.randn_like(p))
    return model.eval()


IDS = torch.arange(24).view(2, 12)


@pytest.mark.parametrize("style", ["llama", "gpt2"])
@pytest.mark.parametrize("embedding_bits", [4, 16])
@pytest.mark.parametrize("tied", [True, False])
def test_packed_and_dequantized_models_agree_to_the_last_bit(style, embedding_bits, tied):
    model = gpt(style, tied)
    before = {name: p.clone() for name, p in model.named_parameters()}
    small = quantize_model(model, 4, "group", 8, embedding_bits=embedding_bits)
    plain = dequantize_model(small)
    assert not any(isinstance(m, QuantizedLinear | QuantizedEmbedding) for m in plain.modules())
    assert torch.equal(small(IDS), plain(IDS))
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name])


def test_a_layer_is_the_product_with_its_dequantized_weight():
    model = gpt()
    small = quantize_model(model, 3)
    layer = small.get_submodule("blocks.1.mlp.down")
    theirs = model.get_submodule("blocks.1.mlp.down").weight
    expected = quantize(theirs.half().float(), 3).dequantize()
    assert torch.equal(layer.weight, expected)


def test_eight_bits_change_little_and_two_change_much():
    model = gpt()
    exact = model(IDS)
    change = [(quantize_model(model, bits)(IDS) - exact).abs().mean() for bits in (16, 8, 4, 2)]
    assert change[0] < change[1] < change[2] < change[3]
    assert change[0] < 0.01 * change[3]


@pytest.mark.parametrize("granularity", ["tensor", "channel", "group"])
def test_the_size_is_exact(granularity):
    model = gpt()
    n_all = sum(p.numel() for p in model.parameters())
    n_embedding = model.tok.weight.numel()
    matrices = [
        m.weight for name, m in model.named_modules() if isinstance(m, nn.Linear) and name != "head"
    ]
    n_matrices = sum(m.numel() for m in matrices)

    def n_scales(matrix):
        out, columns = matrix.shape
        return {"tensor": 1, "channel": out, "group": out * -(-columns // 12)}[granularity]

    scales = sum(n_scales(m) for m in matrices)
    small = quantize_model(model, 4, granularity, 12)
    expected = n_matrices // 2 + 2 * scales + 2 * (n_all - n_matrices)
    assert model_bytes(small) == expected

    # The table that embeds and reads out is stored once.
    smaller = quantize_model(model, 4, granularity, 12, embedding_bits=8)
    expected -= n_embedding  # from two bytes to one
    assert model_bytes(smaller) == expected + 2 * n_scales(model.tok.weight)
    assert model_bytes(quantize_model(model, 16)) == 2 * n_all


def test_the_size_survives_a_change_of_device_and_type():
    small = quantize_model(gpt(), 4, embedding_bits=4)
    size = model_bytes(small)
    assert model_bytes(small.to("meta")) == size


def test_float16_rounds_and_nothing_more():
    model = gpt()
    same = quantize_model(model, 16)
    for ours, theirs in zip(same.parameters(), model.parameters(), strict=True):
        assert torch.equal(ours, theirs.half().float())


def test_a_cache_works_with_a_quantized_embedding():
    small = quantize_model(gpt(), 8, embedding_bits=8)
    cache = KVCache(small, batch_size=2)
    first = small(IDS[:, :7], cache=cache)
    second = small(IDS[:, 7:], cache=cache)
    together = torch.cat((first, second), dim=1)
    torch.testing.assert_close(together, small(IDS), rtol=1e-4, atol=1e-5)


def test_matrices_that_are_given_are_used():
    model = gpt()
    matrices = gptq_model(model, IDS, 4)
    assert len(matrices) == 8
    small = quantize_model(model, 4, weights=matrices)
    for name, matrix in matrices.items():
        assert torch.equal(small.get_submodule(name).weight, matrix.dequantize())
    with pytest.raises(ValueError, match="^weights must be named after linear layers"):
        quantize_model(model, 4, weights={"head": matrices["blocks.0.attn.qkv"]})


def test_bad_bits_are_told_in_one_line():
    with pytest.raises(ValueError, match=r"^bits must be a whole number in \[2, 8\], or 16, got 9"):
        quantize_model(gpt(), 9)
    with pytest.raises(ValueError, match="^embedding_bits must be"):
        quantize_model(gpt(), 4, embedding_bits=1)
    with pytest.raises(ValueError, match="^model must be a model with linear layers"):
        quantize_model(nn.ReLU(), 4)
