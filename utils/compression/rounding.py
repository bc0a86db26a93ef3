"""Symmetric integer quantization of a weight matrix, rounded to nearest.

A weight becomes a whole number, its *code*, times a *scale* that many weights share:

    scale = max |w| / q,   code = round(w / scale),   w' = scale · code,   q = 2^(bits − 1) − 1.

With 4 bits the codes are −7 … 7, with 2 bits −1, 0, 1: one of the 2^bits patterns stays unused, so
that zero is a code and both signs reach equally far. One scale serves the whole matrix ("tensor"),
one row of it ("channel": what leads to one output), or ``group_size`` neighbours of a row
("group"). Scales are stored as float16, and the codes are rounded with the stored scale.
All arithmetic is float64, and a tie goes to the even code.

With few codes this scale is a poor one: a single large weight makes it so coarse that most others
become zero. The rule "searched" tries smaller scales as well, which cut the largest weights off at
±q · scale, and keeps the one with the smallest sum of squared errors (w − w')² of its weights.

PyTorch's torchao quantizes whole models for use: https://docs.pytorch.org/ao.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from utils.compression.packing import MAX_BITS, MIN_BITS, pack, unpack
from utils.validate import choice, integer, require

GRANULARITIES = ("tensor", "channel", "group")
SCALES = ("largest", "searched")
SHRINKING = [k / 40 for k in range(40, 1, -1)]  # of the scale by the largest weight: 1, .975 … .05
BYTES_PER_SCALE = 2  # float16


@dataclass(frozen=True)
class Quantized:
    """A matrix of packed codes with its scales.

    Attributes
    ----------
    packed : uint8 (packed_bytes(out · in, bits),), the codes plus 2^(bits − 1), see `packing`.
    scales : float16 (1, 1), (out, 1) or (out, n_groups).
    shape : (out, in) of the matrix.
    bits : 2 to 8, of one code.
    group_size : columns that share a scale within a row; ``in`` unless grouped. The last group of a
        row may be shorter.
    """

    packed: Tensor
    scales: Tensor
    shape: tuple[int, int]
    bits: int
    group_size: int

    @property
    def codes(self) -> Tensor:
        """The codes with their sign: int8 (out, in)."""
        n = self.shape[0] * self.shape[1]
        unsigned = unpack(self.packed, self.bits, n)  # (out · in,)
        signed = unsigned.to(torch.int16) - 2 ** (self.bits - 1)
        return signed.to(torch.int8).view(self.shape)

    @property
    def n_bytes(self) -> int:
        """The exact stored size: packed codes and float16 scales."""
        return self.packed.numel() + BYTES_PER_SCALE * self.scales.numel()

    def dequantize(self) -> Tensor:
        """scale · code, float32 (out, in)."""
        scales = spread(self.scales.float(), self.group_size, self.shape[1])  # (1 or out, 1 or in)
        return self.codes.float() * scales


def quantize(
    weight: Tensor,
    bits: int,
    granularity: str = "channel",
    group_size: int = 64,
    *,
    scales: str = "largest",
) -> Quantized:
    """Round a matrix (out, in) to whole multiples of its scales.

    bits: 2 to 8. granularity: one of `GRANULARITIES`. group_size: for "group" only.
    scales: one of `SCALES`. They differ in the numbers and not in the bytes.
    Weights whose scale is below float16's smallest number, 6e-8, become zero.
    Raises ``ValueError`` for anything out of range, for a weight that is not a matrix of finite
    numbers, and for weights whose scale is too large for float16.

    >>> w = torch.tensor([[0.7, -0.2, 0.04, -0.1]])
    >>> quantize(w, bits=4).codes
    tensor([[ 7, -2,  0, -1]], dtype=torch.int8)
    >>> quantize(w, bits=4).n_bytes  # four codes in two bytes, and one scale
    4
    """
    weight, group_size = checked(weight, bits, granularity, group_size)
    found = scales_of(weight, bits, granularity, group_size, scales)  # (1 or out, n_groups)
    codes = nearest_codes(weight, spread(found, group_size, weight.shape[1]), bits)  # (out, in)
    return stored(codes, found, bits, group_size)


# ---- the parts, which the calibrated method uses too ---------------------------------------------


def checked(weight: Tensor, bits: int, granularity: str, group_size: int) -> tuple[Tensor, int]:
    """The matrix as float64 and the number of columns that share a scale, or one line of error."""
    integer("bits", bits, MIN_BITS, MAX_BITS)
    choice("granularity", granularity, GRANULARITIES)
    integer("group_size", group_size, 1)
    is_matrix = weight.dim() == 2 and weight.numel() > 0 and weight.is_floating_point()
    require(is_matrix, "weight", "a matrix (out, in) of real numbers", weight)
    finite = bool(torch.isfinite(weight).all())
    require(finite, "weight", "finite everywhere", weight)
    columns = weight.shape[1]
    if granularity != "group":
        group_size = columns
    return weight.detach().double(), min(group_size, columns)


def largest_code(bits: int) -> int:
    """q = 2^(bits − 1) − 1: codes go from −q to q.

    >>> [largest_code(bits) for bits in (8, 4, 3, 2)]
    [127, 7, 3, 1]
    """
    return 2 ** (bits - 1) - 1


def scales_of(
    weight: Tensor, bits: int, granularity: str, group_size: int, rule: str = "largest"
) -> Tensor:
    """The scales of a float64 matrix, in float16's numbers: float64 (1 or out, n_groups)."""
    choice("scales", rule, SCALES)
    largest = per_scale(weight.abs(), granularity, group_size, torch.amax)  # (1 or out, n_groups)
    scales = (largest / largest_code(bits)).half()
    fits = bool(torch.isfinite(scales).all())
    require(fits, "weight", "small enough for scales in float16 (65504)", float(largest.max()))
    scales = scales.double()
    if rule == "largest":
        return scales

    best = scales
    least = torch.full_like(scales, torch.inf)
    for factor in SHRINKING:
        tried = (factor * scales).half().double()
        each = spread(tried, group_size, weight.shape[1])  # (1 or out, 1 or in)
        error = weight - each * nearest_codes(weight, each, bits)  # (out, in)
        total = per_scale(error**2, granularity, group_size, torch.sum)  # (1 or out, n_groups)
        best = torch.where(total < least, tried, best)
        least = torch.minimum(total, least)
    return best


def per_scale(
    numbers: Tensor, granularity: str, group_size: int, over: Callable[..., Tensor]
) -> Tensor:
    """One number for all that share a scale: (out, in) to (1 or out, n_groups).

    numbers: none below zero. over: `torch.sum` or `torch.amax`, which zeros do not change.
    """
    n_groups = -(-numbers.shape[1] // group_size)  # rounded up
    missing = n_groups * group_size - numbers.shape[1]
    filled = torch.nn.functional.pad(numbers, (0, missing))
    found = over(filled.unflatten(1, (n_groups, group_size)), 2)  # (out, n_groups)
    return over(found, 0, keepdim=True) if granularity == "tensor" else found


def spread(scales: Tensor, group_size: int, columns: int) -> Tensor:
    """The scale of each column: (1 or out, n_groups) to (1 or out, columns), or 1 where alike.

    >>> spread(torch.tensor([[1.0, 2.0]]), group_size=2, columns=3)
    tensor([[1., 1., 2.]])
    """
    if scales.shape[1] == 1:
        return scales
    return scales.repeat_interleave(group_size, dim=1)[:, :columns]


def nearest_codes(weight: Tensor, scales: Tensor, bits: int) -> Tensor:
    """round(w / scale) within ±q, as float64; 0 where the scale is 0. Shapes that broadcast."""
    q = largest_code(bits)
    codes = torch.round(weight / scales)  # nan or infinite where the scale is zero
    codes = torch.where(scales > 0, codes, 0.0)
    # A scale that float16 has rounded down would let the largest weight reach q + 1.
    return codes.clamp(-q, q)


def stored(codes: Tensor, scales: Tensor, bits: int, group_size: int) -> Quantized:
    """Codes (out, in) from −q to q and scales, both float64, as they are stored."""
    unsigned = codes.long() + 2 ** (bits - 1)
    out, columns = codes.shape
    return Quantized(
        packed=pack(unsigned, bits),
        scales=scales.half(),
        shape=(out, columns),
        bits=bits,
        group_size=group_size,
    )
