"""What the sampling explorer needs of a position in a text: ids, texts and packed logits."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # a notebook without a model needs no torch
    from numpy.typing import ArrayLike
    from torch import Tensor, nn

RECORD = "sampling/explorer"  # the positions that the page shows before any model is loaded
LARGEST = 32767  # of int16


def pack(logits: ArrayLike | Tensor) -> dict[str, Any]:
    """Logits (V,) as ``{"logits": base64 of little-endian int16, "scale": float}``.

    A logit is its int16 times the scale. There is no offset, so that zero stays zero and every sign
    survives, because a repetition penalty goes by it. The rounding error is at most scale / 2.
    Raises ``ValueError`` for logits that are not finite.
    """
    z = np.asarray(logits, dtype=np.float64)
    if not np.isfinite(z).all():
        raise ValueError("logits must be finite")
    scale = float(np.abs(z).max() / LARGEST)
    if scale == 0:
        scale = 1.0  # all logits are 0
    steps = np.round(z / scale).astype("<i2")
    return {"logits": base64.b64encode(steps.tobytes()).decode(), "scale": scale}


def unpack(packed: dict[str, Any]) -> np.ndarray:
    """The float64 logits (V,) that `pack` stored."""
    steps = np.frombuffer(base64.b64decode(packed["logits"]), "<i2")
    return steps * packed["scale"]


def token_ids(tokenizer: Any, text: str) -> list[int]:
    """The ids of ``text``, from a tokenizer of ``tokenizers`` or of ``transformers``."""
    encoded = tokenizer.encode(text)
    return list(getattr(encoded, "ids", encoded))


def token_texts(tokenizer: Any, size: int) -> list[str]:
    """The text of each id; bytes of no whole character show as U+FFFD, special tokens by name."""
    name_of = getattr(tokenizer, "id_to_token", None) or tokenizer.convert_ids_to_tokens
    return [tokenizer.decode([i]) or name_of(i) or "" for i in range(size)]


def next_logits(model: nn.Module, ids: list[int]) -> Tensor:
    """Float32 logits (V,) of the token after ``ids``.

    The model is a `utils.models.gpt.GPT` or a causal language model of ``transformers``.
    """
    import torch

    device = next(model.parameters()).device
    with torch.no_grad():
        out = model(torch.tensor([ids], device=device))
    logits = getattr(out, "logits", out)  # (1, T, V)
    return logits[0, -1].float().cpu()


def position(
    model: nn.Module, tokenizer: Any, prompt: str, output_ids: Sequence[int] = ()
) -> dict[str, Any]:
    """What the explorer needs of one position: the texts, the ids, the packed logits."""
    prompt_ids = token_ids(tokenizer, prompt)
    output_ids = list(output_ids)
    return {
        "key": re.sub(r"\W+", "-", prompt.lower()).strip("-"),
        "prompt": prompt,
        "output": tokenizer.decode(output_ids) if output_ids else "",
        "prompt_ids": prompt_ids,
        "output_ids": output_ids,
        **pack(next_logits(model, prompt_ids + output_ids)),
    }
