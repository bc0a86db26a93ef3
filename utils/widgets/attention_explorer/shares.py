"""The shares of attention of every layer and head, which the model itself need not keep."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from utils.validate import require

if TYPE_CHECKING:  # a notebook without a model needs no torch
    from torch import Tensor

    from utils.models.gpt import GPT, Attention, Block, Rope

STEPS = 255  # of uint8: a share is stored as a multiple of 1/255


def attention_shares(model: GPT, ids: Sequence[int]) -> Tensor:
    """How much each of the T positions looks at each, (n_layer, n_head, T, T); rows add up to 1.

    Entry (l, h, i, j) is the share that head h of layer l gives to position j when it computes
    position i: the softmax of q kᵀ / √D of Vaswani et al. 2017. Raises ``ValueError`` for a model
    without rotary positions.
    """
    import torch

    require(model.config.style == "llama", "style", "llama", model.config.style)
    T = len(ids)
    rope = (model.cos[:T], model.sin[:T])  # (T, D/2) each
    found = []
    with torch.no_grad():
        x = model.tok(torch.tensor([list(ids)]))  # (1, T, C)
        for part in model.blocks:
            block = cast("Block", part)
            found.append(shares_of_layer(block.attn, block.norm1(x), rope))
            x = block(x, rope, None)  # (1, T, C)
    return torch.stack(found)  # (n_layer, n_head, T, T)


def shares_of_layer(attention: Attention, x: Tensor, rope: Rope) -> Tensor:
    """The shares (H, T, T) of one layer whose normalised input is ``x`` (1, T, C).

    ``rope`` is the cosine and the sine of the T positions, (T, D/2) each.
    """
    from utils.models.gpt import causal_mask, rotate

    _, T, _ = x.shape
    H = attention.n_head
    G = attention.n_kv_head
    D = attention.d_head
    heads = attention.qkv(x).view(1, T, H + 2 * G, D)  # (1, T, H + 2G, D)
    heads = heads.transpose(1, 2)  # (1, H + 2G, T, D)
    qk = rotate(heads[:, : H + G], *rope)  # (1, H + G, T, D)
    q = qk[0, :H]  # (H, T, D)
    k = qk[0, H:].repeat_interleave(H // G, dim=0)  # (H, T, D)
    scores = q @ k.transpose(1, 2) / math.sqrt(D)  # (H, T, T)
    hidden = ~causal_mask(T, 0)  # (T, T)
    scores = scores.masked_fill(hidden, -math.inf)  # (H, T, T)
    return scores.softmax(-1)  # (H, T, T)


def pack_shares(shares: Tensor) -> str:
    """Shares (L, H, T, T) as base64 of uint8: of each row, layer by layer, up to its own position.

    Each is rounded to a multiple of 1/255, so it is off by at most 0.002.
    """
    T = shares.shape[-1]
    rows, columns = np.tril_indices(T)  # (T (T + 1) / 2,) each, row after row
    seen = shares.numpy()[:, :, rows, columns]  # (L, H, T (T + 1) / 2)
    steps = np.round(STEPS * seen).astype(np.uint8)
    return base64.b64encode(steps.tobytes()).decode()
