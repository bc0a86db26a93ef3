"""GPTQ: round the columns one by one, and let the later ones make up for each error.

Frantar et al. 2023 (arXiv:2210.17323). Rounding to nearest asks that each weight change little.
GPTQ asks that the layer's *outputs* change little on some calibration inputs X: it minimizes
||X Wᵀ − X Qᵀ||² (their equation 1, here with inputs as rows), whose second derivative is
H = 2 XᵀX for every row of W alike. Columns are rounded from left to right; after each, the columns
that are not rounded yet move to where they cancel as much of the error as they can (equation 2).

Shapes: n calibration inputs, W (out, in), H (in, in).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from utils.compression.layers import linear_layers
from utils.compression.quantized_model import half
from utils.compression.rounding import (
    Quantized,
    checked,
    nearest_codes,
    scales_of,
    stored,
)
from utils.models.gpt import GPT, Block, Rope
from utils.validate import number, require


def hessian(inputs: Tensor) -> Tensor:
    """H = 2 XᵀX / n of inputs (n, in), float64 (in, in). The factor 2/n changes no result.

    >>> hessian(torch.eye(2))
    tensor([[1., 0.],
            [0., 1.]], dtype=torch.float64)
    """
    is_matrix = inputs.dim() == 2 and inputs.numel() > 0 and inputs.is_floating_point()
    require(is_matrix, "inputs", "a matrix (n, in) of real numbers", inputs)
    X = inputs.detach()
    products = X.T @ X  # (in, in), in the precision of the inputs
    return 2 * products.double() / len(X)


def gptq(
    weight: Tensor,
    H: Tensor,
    bits: int,
    granularity: str = "channel",
    group_size: int = 64,
    *,
    scales: str = "largest",
    damping: float = 0.01,
) -> Quantized:
    """Quantize a matrix (out, in) for inputs with the Hessian ``H`` (in, in), see `hessian`.

    damping: this share of H's mean diagonal is added to its diagonal, so that inputs which hardly
        occur do not make the inverse explode (the paper's section 3.3; 0.01 is its value).
    The rest, and the stored form, as in `quantize`. The scales of a group are those of its columns
    at the moment the first of them is rounded. Raises ``ValueError`` as `quantize` does, and for an
    ``H`` that is not the matrix of second derivatives of anything.
    """
    W, group_size = checked(weight, bits, granularity, group_size)  # float64
    damping = number("damping", damping, 0.0, open_low=True)
    columns = W.shape[1]
    U = _inverse_factor(H, columns, damping)  # (in, in)
    # Row j of the transposed matrix is column j of W, in one piece in memory.
    Wt = W.T.clone(memory_format=torch.contiguous_format)  # (in, out)

    # One scale per row, or one for all, is known before anything moves.
    found = scales_of(W, bits, granularity, group_size, scales)  # (1 or out, n_groups)
    codes = torch.zeros_like(Wt)  # (in, out)
    for j in range(columns):
        # A group's scales are taken when its turn comes: its weights have moved by then.
        group = j // group_size
        if granularity == "group" and j % group_size == 0:
            own = Wt[j : j + group_size].T  # (out, group_size)
            found[:, group] = scales_of(own, bits, granularity, group_size, scales)[:, 0]

        # Round this column, and see how far off it is.
        scale = found[:, group]  # (1 or out,)
        codes[j] = nearest_codes(Wt[j], scale, bits)
        rounded = codes[j] * scale  # (out,)
        error = (Wt[j] - rounded) / U[j, j]  # (out,)

        # The columns to the right take over what they can (equation 2, by a row of U as in 3.3).
        Wt[j + 1 :].addr_(U[j, j + 1 :], error, alpha=-1)  # minus their outer product
    return stored(codes.T, found, bits, group_size)


def _inverse_factor(H: Tensor, columns: int, damping: float) -> Tensor:
    """The upper triangular U with H⁻¹ = UᵀU, for the damped H.

    Row j of U is what equation 2 needs once the columns before j are fixed:
    U_jk / U_jj = [H_F⁻¹]_jk / [H_F⁻¹]_jj with F = {j, j + 1, …}, so one factorization replaces an
    inverse for every column (the paper's step 3, section 3.3).
    """
    fits = H.shape == (columns, columns) and bool(torch.isfinite(H).all())
    require(fits, "H", f"a finite matrix of shape ({columns}, {columns})", H)
    H = H.double()
    mean = float(H.diagonal().mean())
    require(mean > 0, "H", "with a diagonal above zero: some input must not be zero", mean)
    eye = torch.eye(columns, dtype=torch.float64, device=H.device)
    damped = H + damping * mean * eye
    L, failed = torch.linalg.cholesky_ex(damped)
    require(int(failed) == 0, "H", "symmetric and positive definite once damped", H)
    inverse = torch.cholesky_inverse(L)  # (in, in)
    return torch.linalg.cholesky(inverse, upper=True)


def gptq_model(
    model: GPT,
    ids: Tensor,
    bits: int,
    granularity: str = "channel",
    group_size: int = 64,
    *,
    scales: str = "largest",
    damping: float = 0.01,
) -> dict[str, Quantized]:
    """The quantized matrices of a model's blocks, for `quantize_model`'s ``weights``.

    ids: (B, T) tokens to calibrate on. As in the paper's section 4, block after block: a block sees
    what the already quantized ones before it put out, and its four matrices are quantized together.
    Embeddings and head are left to `quantize_model`.

    >>> from utils.models.config import GPTConfig
    >>> from utils.compression.quantized_model import quantize_model
    >>> model = GPT(GPTConfig("llama", vocab_size=50, context_length=8, n_layer=1, d_model=32))
    >>> matrices = gptq_model(model, torch.arange(16).view(2, 8), bits=4)
    >>> list(matrices)
    ['blocks.0.attn.qkv', 'blocks.0.attn.out', 'blocks.0.mlp.up', 'blocks.0.mlp.down']
    >>> quantize_model(model, 4, weights=matrices)(torch.tensor([[1, 2]])).shape
    torch.Size([1, 2, 50])
    """
    work = copy.deepcopy(model).eval()
    found: dict[str, Quantized] = {}
    with torch.no_grad():
        for p in work.parameters():
            p.copy_(half(p))  # as `quantize_model` rounds what it does not quantize
        x, rope = _first_inputs(work, ids)
        for index, block in enumerate(work.blocks):
            assert isinstance(block, Block)
            inputs = _inputs_of_layers(block, x, rope)
            for layer_name, layer in linear_layers(block).items():
                H = hessian(inputs[layer_name])
                matrix = gptq(
                    layer.weight, H, bits, granularity, group_size, scales=scales, damping=damping
                )
                layer.weight.copy_(matrix.dequantize())
                found[f"blocks.{index}.{layer_name}"] = matrix
            x = block(x, rope, None)  # (B, T, C), what the next block will really see
    return found


def _first_inputs(model: GPT, ids: Tensor) -> tuple[Tensor, Rope | None]:
    """What the first block is given for ``ids`` (B, T): x (B, T, C) and the rotary tables."""
    T = ids.shape[1]
    longest = model.config.context_length
    fits = ids.dim() == 2 and 0 < T <= longest
    require(fits, "ids", f"an array (B, T) of at most context_length = {longest} columns", ids)
    x = model.tok(ids)  # (B, T, C)
    if model.pos is not None:
        return x + model.pos.weight[:T], None
    return x, (model.cos[:T], model.sin[:T])


def _inputs_of_layers(block: Block, x: Tensor, rope: Rope | None) -> dict[str, Tensor]:
    """What each linear layer of ``block`` multiplies when the block reads x: (B · T, in) each."""
    seen: dict[str, Tensor] = {}
    handles: list[RemovableHandle] = []
    for name, layer in linear_layers(block).items():

        def keep(_: nn.Module, args: tuple[Tensor, ...], name: str = name) -> None:
            seen[name] = args[0].flatten(0, -2)

        handles.append(layer.register_forward_pre_hook(keep))
    block(x, rope, None)
    for handle in handles:
        handle.remove()
    return seen
