"""A model whose linear layers keep packed weights.

At each call such a layer unpacks its codes, multiplies them with their scales and then computes
what a linear layer computes. It saves memory, not time: the matrix product is the same one.

A tied embedding, the table of tokens that is the head as well, is a choice of its own. It is the
last thing a model computes with, and in a small model a large part of the weights (1.05 of 5.87
million in ``course_gpt``). By default it stays in float16; with ``embedding_bits`` it is stored
once, quantized like the rest, and both its users read the same codes.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.compression.layers import linear_layers, parent_of
from utils.compression.packing import MAX_BITS, MIN_BITS
from utils.compression.rounding import Quantized, quantize
from utils.validate import require

Model = TypeVar("Model", bound=nn.Module)

HALF = 16  # "bits" of a weight that stays a float16


class PackedMatrix(nn.Module):
    """A `Quantized` matrix as buffers, which move to another device with their model."""

    packed: Tensor
    scales: Tensor

    def __init__(self, quantized: Quantized) -> None:
        super().__init__()
        self.register_buffer("packed", quantized.packed)
        self.register_buffer("scales", quantized.scales)
        self.shape = quantized.shape
        self.bits = quantized.bits
        self.group_size = quantized.group_size

    @property
    def quantized(self) -> Quantized:
        """The stored matrix."""
        return Quantized(self.packed, self.scales, self.shape, self.bits, self.group_size)

    def forward(self) -> Tensor:
        """The matrix that codes and scales stand for, made anew: float32 (out, in)."""
        return self.quantized.dequantize()

    def extra_repr(self) -> str:
        out, columns = self.shape
        return f"({out}, {columns}), bits={self.bits}, scales={self.scales.numel()}"


class QuantizedLinear(nn.Module):
    """x Wᵀ + b with W from packed codes: unpack, multiply by the scales, matrix product.

    >>> layer = nn.Linear(4, 2)
    >>> matrix = PackedMatrix(quantize(layer.weight, bits=4))
    >>> QuantizedLinear(matrix, layer.bias)(torch.zeros(3, 4)).shape
    torch.Size([3, 2])
    """

    def __init__(self, matrix: PackedMatrix, bias: Tensor | None = None) -> None:
        super().__init__()
        self.matrix = matrix
        self.bias = None
        if bias is not None:
            self.bias = nn.Parameter(half(bias.detach()), requires_grad=False)

    @property
    def weight(self) -> Tensor:
        """The matrix, float32 (out, in), made anew."""
        return self.matrix()

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        return F.linear(x, self.weight.to(x.dtype), self.bias)


class QuantizedEmbedding(nn.Module):
    """A table of vectors from packed codes; a tied head holds the same ``matrix``."""

    def __init__(self, matrix: PackedMatrix) -> None:
        super().__init__()
        self.matrix = matrix

    @property
    def weight(self) -> Tensor:
        """The table, float32 (out, in), made anew."""
        return self.matrix()

    def forward(self, ids: Tensor) -> Tensor:
        """Whole numbers of any shape to vectors, one dimension more."""
        return F.embedding(ids, self.weight)


def half(numbers: Tensor) -> Tensor:
    """Rounded to the nearest float16, but kept in float32, in which a CPU computes."""
    return numbers.half().float()


def quantize_model(
    model: Model,
    bits: int,
    granularity: str = "channel",
    group_size: int = 64,
    *,
    scales: str = "largest",
    embedding_bits: int = HALF,
    weights: dict[str, Quantized] | None = None,
) -> Model:
    """A copy of ``model`` whose linear layers keep packed weights of ``bits`` bits.

    bits: 2 to 8, or 16 for float16 weights, which is the copy to compare with.
    scales: how the scale of each row or group is chosen, as in `quantize`.
    embedding_bits: the same for the embeddings, a tied head with them.
    weights: matrices that have been quantized already, by name of their layer, such as those of
        `calibrated.gptq_model`; the other layers are rounded to nearest. A head that is not tied
        is a layer like the others.
    All that is not quantized (gains, biases, embeddings) is rounded to float16, so that
    `model_bytes` counts what would be stored. Raises ``ValueError`` as `quantize` does.

    >>> mlp = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    >>> model_bytes(quantize_model(mlp, 16)) == 2 * (64 * 32 + 32 + 32 * 10 + 10)
    True
    >>> model_bytes(quantize_model(mlp, 4)) == (64 * 32 + 32 * 10) // 2 + 2 * 2 * (32 + 10)
    True
    """
    bits = _bits("bits", bits)
    embedding_bits = _bits("embedding_bits", embedding_bits)
    given = weights or {}
    small = copy.deepcopy(model)
    layers = linear_layers(small)
    require(given.keys() <= layers.keys(), "weights", "named after linear layers", list(given))

    with torch.no_grad():
        for p in small.parameters():
            p.copy_(half(p))  # a matrix that is quantized below starts from float16 too

        for name, layer in layers.items():
            if bits == HALF and name not in given:
                continue
            matrix = given.get(name)
            if matrix is None:
                matrix = quantize(layer.weight, bits, granularity, group_size, scales=scales)
            parent, child = parent_of(small, name)
            setattr(parent, child, QuantizedLinear(PackedMatrix(matrix), layer.bias))

        if embedding_bits != HALF:
            _quantize_embeddings(small, embedding_bits, granularity, group_size, scales)
    return small


def _bits(name: str, value: int) -> int:
    allowed = f"a whole number in [{MIN_BITS}, {MAX_BITS}], or {HALF}"
    known = value in (*range(MIN_BITS, MAX_BITS + 1), HALF) and not isinstance(value, bool)
    require(known, name, allowed, value)
    return int(value)


def _quantize_embeddings(
    model: nn.Module, bits: int, granularity: str, group_size: int, scales: str
) -> None:
    """Replace the embeddings of ``model``, and the heads that share a table with one."""
    tables = {n: m for n, m in model.named_modules() if isinstance(m, nn.Embedding)}
    heads = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear)}
    for name, table in tables.items():
        small = quantize(table.weight, bits, granularity, group_size, scales=scales)
        matrix = PackedMatrix(small)
        for head_name, head in heads.items():
            if head.weight is table.weight:  # tied
                parent, child = parent_of(model, head_name)
                setattr(parent, child, QuantizedLinear(matrix, head.bias))
        parent, child = parent_of(model, name)
        setattr(parent, child, QuantizedEmbedding(matrix))


def dequantize_model(model: Model) -> Model:
    """A copy with ordinary layers in float32 that hold the same numbers, for fast evaluation.

    Its outputs are those of ``model``, to the last bit; it takes the memory of the large one.
    A tied head becomes a layer of its own.
    """
    plain = copy.deepcopy(model)
    for name, module in list(plain.named_modules()):
        if isinstance(module, QuantizedEmbedding):
            layer: nn.Module = nn.Embedding.from_pretrained(module.weight)
        elif isinstance(module, QuantizedLinear):
            layer = _dense(module)
        else:
            continue
        parent, child = parent_of(plain, name)
        setattr(parent, child, layer)
    return plain


def _dense(layer: QuantizedLinear) -> nn.Linear:
    out, columns = layer.matrix.shape
    dense = nn.Linear(columns, out, bias=layer.bias is not None)
    dense.weight = nn.Parameter(layer.weight, requires_grad=False)
    if layer.bias is not None:
        dense.bias = layer.bias
    return dense


def model_bytes(model: nn.Module) -> int:
    """Bytes of a stored model: packed codes, their scales, and 2 for every other number.

    What two layers share is counted once. Tables that follow from the configuration, such as those
    of rotary positions, are not stored.

    >>> model_bytes(nn.Linear(10, 10, bias=False))  # float16
    200
    """
    total = 0
    for module in model.modules():  # a shared one comes once
        if isinstance(module, PackedMatrix):
            total += module.quantized.n_bytes
    for p in model.parameters():  # here too
        total += 2 * p.numel()
    return total
