"""What the sampling explorer needs to know of a position in a text: ids, texts and packed logits."""

from __future__ import annotations

import base64
import re
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def pack(logits: Tensor | np.ndarray) -> dict[str, Any]:
    """Logits (V,) as ``{"logits": base64 of little-endian int16, "scale": float}``; zero stays zero.

    The sign must survive, because a repetition penalty goes by it; so there is a scale but no offset. The
    rounding error is at most scale / 2. Raises ``ValueError`` for logits that are not finite.
    """
    z = np.asarray(logits, dtype=np.float64)
    if not np.isfinite(z).all():
        raise ValueError("logits must be finite")
    scale = float(np.abs(z).max() / 32767) or 1.0
    return {
        "logits": base64.b64encode(np.round(z / scale).astype("<i2").tobytes()).decode(),
        "scale": scale,
    }


def unpack(packed: dict[str, Any]) -> np.ndarray:
    """The float64 logits (V,) that `pack` stored."""
    return np.frombuffer(base64.b64decode(packed["logits"]), "<i2") * packed["scale"]


def token_texts(tokenizer: Any, size: int) -> list[str]:
    """The text of each id; bytes of no whole character show as U+FFFD, special tokens by name."""
    named = getattr(tokenizer, "id_to_token", None) or tokenizer.convert_ids_to_tokens
    return [tokenizer.decode([i]) or named(i) or "" for i in range(size)]


@torch.no_grad()
def next_logits(model: nn.Module, ids: list[int]) -> Tensor:
    """Float32 logits (V,) of the token after ``ids``, from a `GPT` or a model of ``transformers``."""
    device = next(model.parameters()).device
    out = model(torch.tensor([ids], device=device))
    return getattr(out, "logits", out)[0, -1].float().cpu()


def position(
    model: nn.Module, tokenizer: Any, prompt: str, output_ids: list[int] = ()
) -> dict[str, Any]:
    """What the explorer needs of one position: the texts, the ids, the packed logits."""
    encoded = tokenizer.encode(prompt)
    ids, output_ids = list(getattr(encoded, "ids", encoded)), list(output_ids)
    return {
        "key": re.sub(r"\W+", "-", prompt.lower()).strip("-"),
        "prompt": prompt,
        "output": tokenizer.decode(output_ids) if output_ids else "",
        "prompt_ids": ids,
        "output_ids": output_ids,
        **pack(next_logits(model, ids + output_ids)),
    }
