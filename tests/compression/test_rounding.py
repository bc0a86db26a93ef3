"""Rounding against an independent reading of the formula, PyTorch's own, and exact sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.compression.rounding import GRANULARITIES, quantize
from utils.runtime import generator

SHAPES = [(1, 1), (3, 5), (8, 64), (17, 100)]


def matrix(shape, seed=0):
    return torch.randn(shape, generator=generator(seed, "torch"))


def reference(weight, bits, granularity, group_size):
    """Weight by weight, with Python's own rounding, which takes ties to the even number."""
    w = weight.numpy().astype(np.float64)
    q = 2 ** (bits - 1) - 1
    out, columns = w.shape
    back = np.empty((out, columns), np.float32)
    for i in range(out):
        for j in range(columns):
            if granularity == "tensor":
                sharing = w
            elif granularity == "channel":
                sharing = w[i]
            else:
                start = j // group_size * group_size
                sharing = w[i, start : start + group_size]
            scale = np.float16(np.abs(sharing).max() / q)
            code = 0
            if scale > 0:
                code = max(-q, min(q, round(w[i, j] / np.float64(scale))))
            back[i, j] = np.float32(code) * np.float32(scale)
    return back


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_the_round_trip_equals_the_reference_to_the_last_bit(bits, granularity):
    for seed, shape in enumerate(SHAPES):
        weight = matrix(shape, seed)
        weight[0] = 0  # a scale of zero
        for size in (1, 7, 32):
            back = quantize(weight, bits, granularity, size).dequantize()
            expected = reference(weight, bits, granularity, size)
            assert back.dtype == torch.float32
            assert np.array_equal(back.numpy(), expected)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_equals_pytorchs_rounding_where_the_two_mean_the_same(bits):
    # PyTorch multiplies by 1/scale, which rounds twice; with powers of two nothing is lost.
    q = 2 ** (bits - 1) - 1
    weight = matrix((16, 40)).clamp(-1, 1)
    exponent = torch.randint(-6, 3, (16, 1), generator=generator(1, "torch"))
    power = 2.0**exponent
    weight[:, 0] = 1.0
    weight = weight * power * q
    ours = quantize(weight, bits, "channel")
    assert torch.equal(ours.scales.float(), power)

    zero_points = torch.zeros(16, dtype=torch.int32)
    theirs = torch.fake_quantize_per_channel_affine(weight, power[:, 0], zero_points, 0, -q, q)
    assert torch.equal(ours.dequantize(), theirs)


@pytest.mark.parametrize("group_size", [32, 64, 128])
def test_packed_int4_takes_a_quarter_of_float16_plus_its_scales(group_size):
    weight = matrix((48, 256))
    float16 = 2 * weight.numel()
    n_scales = {"tensor": 1, "channel": 48, "group": 48 * 256 // group_size}
    for granularity, n in n_scales.items():
        small = quantize(weight, 4, granularity, group_size)
        assert small.packed.numel() * small.packed.element_size() == float16 // 4
        assert small.scales.numel() == n
        assert small.scales.element_size() == 2
        assert small.n_bytes == float16 // 4 + 2 * n


def test_a_group_as_wide_as_the_matrix_is_a_channel():
    weight = matrix((6, 50))
    channel = quantize(weight, 3, "channel")
    for size in (50, 1000):
        group = quantize(weight, 3, "group", size)
        assert torch.equal(group.codes, channel.codes)
        assert torch.equal(group.scales, channel.scales)


def test_a_rounded_matrix_is_left_as_it_is():
    for bits in range(2, 9):
        once = quantize(matrix((9, 33)), bits, "group", 8).dequantize()
        twice = quantize(once, bits, "group", 8).dequantize()
        assert torch.equal(once, twice)


def test_no_error_exceeds_half_a_scale():
    weight = matrix((20, 64))
    small = quantize(weight, 4)
    worst = (small.dequantize() - weight).abs().amax(1)
    # A scale that float16 has rounded down leaves the largest weight a little farther off.
    assert (worst <= small.scales[:, 0].float() * 0.51).all()


def squared_error(weight, small):
    return (small.dequantize().double() - weight.double()).square()


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_searched_scales_have_the_least_squared_error_of_all_that_are_tried(bits, granularity):
    weight = matrix((6, 40), seed=3)
    weight[1] *= 10
    weight[2, 3] = 20.0  # a single large one
    largest = quantize(weight, bits, granularity, 8)
    searched = quantize(weight, bits, granularity, 8, scales="searched")
    assert searched.n_bytes == largest.n_bytes
    best = squared_error(weight, searched).sum()
    assert best < squared_error(weight, largest).sum()

    # Every scale by itself: one for the matrix, six rows, or six times five groups.
    n_groups = {"tensor": 1, "channel": 6, "group": 30}[granularity]
    parts = weight.reshape(n_groups, -1)
    q = 2 ** (bits - 1) - 1
    expected = 0.0
    for part in parts.double():
        whole = (part.abs().max() / q).half().double()
        tried = [(k / 40 * whole).half().double() for k in range(40, 1, -1)]
        rounded = [(scale * (part / scale).round().clamp(-q, q) - part) for scale in tried]
        expected += min(float(error.square().sum()) for error in rounded)
    assert float(best) == pytest.approx(expected, rel=1e-5)


def test_searched_scales_by_hand():
    row = torch.tensor([[0.7, 0.3, -0.3, 0.25, -0.3, 0.25]])
    small = quantize(row, 2, scales="searched")
    assert small.codes.tolist() == [[1, 1, -1, 1, -1, 1]]
    assert squared_error(row, small).sum() < 0.166 < squared_error(row, quantize(row, 2)).sum()


def test_a_matrix_of_zeros_has_searched_scales_of_zero():
    small = quantize(torch.zeros(2, 5), 2, scales="searched")
    assert not small.dequantize().any()


def test_bad_arguments_are_told_in_one_line():
    weight = matrix((4, 8))
    with pytest.raises(ValueError, match=r"^bits must be a whole number in \[2, 8\], got 1$"):
        quantize(weight, 1)
    with pytest.raises(ValueError, match="^granularity must be one of 'tensor'"):
        quantize(weight, 4, "row")
    with pytest.raises(ValueError, match=r"scales must be .*'best'"):
        quantize(weight, 4, scales="best")
    with pytest.raises(ValueError, match="^group_size must be a whole number of at least 1"):
        quantize(weight, 4, "group", 0)
    with pytest.raises(ValueError, match=r"^weight must be a matrix \(out, in\)"):
        quantize(weight[0], 4)
    with pytest.raises(ValueError, match="^weight must be finite"):
        quantize(weight / 0, 4)
    with pytest.raises(ValueError, match="^weight must be small enough for scales in float16"):
        quantize(weight * 1e8, 4)
