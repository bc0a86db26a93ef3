"""Packed weights that are multiplied without making the matrix anew.

`quantized_model` unpacks a whole matrix at each call and then multiplies, so that a call moves more
bytes than with ordinary weights. A *kernel* is one compiled loop: PyTorch has two that fetch the
codes, widen each of them inside the processor and multiply it at once. They belong to its inside,
``torch.ops.aten``, and may change with its version; torchao, which quantizes models for use
(https://docs.pytorch.org/ao), calls them too. `has_kernel` says whether they are there.

Only for the CPU, and fast only with activations in bfloat16: with float32 they are right and slow.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from utils.compression.layers import linear_layers, parent_of
from utils.compression.rounding import Quantized, quantize
from utils.validate import require

Model = TypeVar("Model", bound=nn.Module)

BITS = (4, 8)
GROUP_SIZES = (32, 64, 128, 256)  # columns that share a scale in the kernel for 4 bits
ROWS = 16  # it takes outputs in blocks of so many
ZERO_CODE = 8  # the kernel's weight is (code − 8) · scale + offset, with codes from 0 to 15
_OPERATIONS = {
    4: ("_convert_weight_to_int4pack_for_cpu", "_weight_int4pack_mm_for_cpu"),
    8: ("_weight_int8pack_mm",),
}


def has_kernel(bits: int) -> bool:
    """Whether this version of PyTorch has the kernel for weights of 4 or 8 bits."""
    require(bits in BITS, "bits", "4 or 8", bits)
    return all(hasattr(torch.ops.aten, name) for name in _OPERATIONS[bits])


class KernelLinear(nn.Module):
    """x Wᵀ + b, where a kernel of PyTorch reads the codes of W.

    matrix: of 4 bits with a scale per group, a group size out of `GROUP_SIZES` that divides the
        columns and rows in multiples of 16, or of 8 bits with a scale per row ("channel").
    Raises ``ValueError`` for another matrix, or where this PyTorch lacks the kernel.

    >>> layer = nn.Linear(64, 32)
    >>> small = KernelLinear(quantize(layer.weight, 4, "group", 64), layer.bias)
    >>> small(torch.zeros(5, 64)).shape
    torch.Size([5, 32])
    """

    codes: Tensor
    scales: Tensor

    def __init__(self, matrix: Quantized, bias: Tensor | None = None) -> None:
        super().__init__()
        self.bits = matrix.bits
        require(has_kernel(self.bits), "bits", "with a kernel in this PyTorch", self.bits)
        self.out_features, self.in_features = matrix.shape
        self.group_size = matrix.group_size
        self.bias = None
        if bias is not None:
            self.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
        if self.bits == 4:
            self._store_4_bits(matrix)
        else:
            self._store_8_bits(matrix)

    def _store_4_bits(self, matrix: Quantized) -> None:
        out, columns = matrix.shape
        fits = matrix.group_size in GROUP_SIZES and columns % matrix.group_size == 0
        require(
            fits, "group_size", f"out of {GROUP_SIZES}, a divisor of {columns}", matrix.group_size
        )
        require(out % ROWS == 0, "rows", f"a multiple of {ROWS}", out)

        # Two codes per byte, in the order in which the kernel wants them.
        unsigned = matrix.codes.to(torch.int32) + ZERO_CODE  # (out, in), 1 to 15
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(unsigned, 1)  # (out, in / 2)
        self.register_buffer("codes", packed)
        # Beside each scale stands an offset, which is zero here.
        scales = matrix.scales.float().T  # (n_groups, out)
        pairs = torch.stack([scales, torch.zeros_like(scales)], dim=-1)  # (n_groups, out, 2)
        self.register_buffer("scales", pairs)

    def _store_8_bits(self, matrix: Quantized) -> None:
        out, _ = matrix.shape
        per_row = matrix.scales.shape == (out, 1)
        require(per_row, "scales", f"one per row, ({out}, 1)", tuple(matrix.scales.shape))
        self.register_buffer("codes", matrix.codes)  # int8 (out, in)
        self.register_buffer("scales", matrix.scales.float()[:, 0])  # (out,)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        flat = x.reshape(-1, self.in_features)  # (n, in)
        scales = self.scales.to(x.dtype)
        if self.bits == 4:
            multiply = torch.ops.aten._weight_int4pack_mm_for_cpu
            y = multiply(flat, self.codes, self.group_size, scales)  # (n, out)
        else:
            y = torch.ops.aten._weight_int8pack_mm(flat, self.codes, scales)  # (n, out)
        y = y.view(*x.shape[:-1], self.out_features)
        return y if self.bias is None else y + self.bias.to(x.dtype)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, bits={self.bits}"


def kernel_model(model: Model, bits: int, group_size: int = 64) -> Model:
    """A copy of ``model`` in bfloat16 whose linear layers are `KernelLinear`.

    bits: 4, with a scale per ``group_size`` columns, or 8, with a scale per row. The codes are
    those of `quantize_model`; what is not quantized (embeddings, a tied head, gains) is bfloat16.
    Raises ``ValueError`` as `KernelLinear` does.

    >>> mlp = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16))
    >>> kernel_model(mlp, 8)(torch.zeros(3, 64, dtype=torch.bfloat16)).shape
    torch.Size([3, 16])
    """
    require(bits in BITS, "bits", "4 or 8", bits)
    granularity = "group" if bits == 4 else "channel"
    small = copy.deepcopy(model).to(torch.bfloat16)
    for name, layer in linear_layers(model).items():
        weight = layer.weight.detach().half().float()  # as `quantize_model` begins
        matrix = quantize(weight, bits, granularity, group_size)
        bias = None if layer.bias is None else layer.bias.to(torch.bfloat16)
        parent, child = parent_of(small, name)
        setattr(parent, child, KernelLinear(matrix, bias))
    return small
