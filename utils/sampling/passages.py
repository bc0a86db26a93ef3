"""Stored passages of books that no model of ours saw."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from utils import records
from utils.validate import integer, require


def held_out_ids(tokenizer: Any, length: int = 257) -> Tensor:
    """Token ids (40, length) of the stored passages, five from each of eight books.

    Row i is of book i // 5. The default is a context of 256 tokens and one to predict. Raises
    ``ValueError`` unless ``length`` is at least 1 and this tokenizer makes as many tokens of each.
    """
    length = integer("length", length, 1)
    rows = []
    for passage in records.load("sampling/passages").data["passages"]:
        encoded = tokenizer.encode(passage["text"])
        ids = getattr(encoded, "ids", encoded)
        require(len(ids) >= length, "length", f"at most {len(ids)} for this tokenizer", length)
        rows.append(ids[:length])
    return torch.tensor(rows)  # (40, length)
