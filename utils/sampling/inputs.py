"""What a transform of logits is given, checked once: the logits, token histories, uniform draws.

``logits`` have shape (..., V): any number of leading dimensions, whose positions are called rows,
and one logit per token of the vocabulary. A removed token has the logit −inf.

``ids`` is a token history: one sequence of ids that serves every row, or one sequence per row (a
nested list, which may be ragged, or a tensor of shape (rows, n)). It may be empty.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from utils.validate import integer, require, shown

NEG_INF = -math.inf
FORMATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
Ids = Sequence[int] | Sequence[Sequence[int]] | Sequence[Tensor] | Tensor


class NoTokenLeftError(ValueError):
    """Settings have removed the last token of a row, so that nothing can be drawn there.

    ``settings`` holds them and their values, in the order in which they acted; ``place`` says
    where, in words.

    >>> print(NoTokenLeftError({"ban": [0, 1]}, row=3))
    ban must leave a token in row 3, got ban = [0, 1]
    """

    def __init__(self, settings: Mapping[str, Any], row: int, place: str = "") -> None:
        self.settings = dict(settings)
        self.row = row
        names = " and ".join(self.settings)
        values = ", ".join(f"{name} = {shown(value)}" for name, value in self.settings.items())
        place = place or f"in row {row}"
        super().__init__(f"{names} must leave a token {place}, got {values}")


def check_logits(logits: Tensor) -> Tensor:
    """Return ``logits``, (..., V).

    Raises ``ValueError`` for what is no such tensor, for NaN and +inf, and for a row of −inf alone.
    """
    is_logits = (
        isinstance(logits, Tensor)
        and logits.is_floating_point()
        and logits.ndim >= 1
        and logits.numel() > 0
    )
    require(is_logits, "logits", "a floating-point tensor of shape (..., vocab_size)", logits)
    # Formats of eight bits and fewer only store numbers: nothing computes in them.
    allowed = "in float16, bfloat16, float32 or float64"
    require(logits.dtype in FORMATS, "logits", allowed, logits.dtype)

    valid = has_tokens(logits)
    require(valid, "logits", "free of NaN and +inf, with a finite value in every row", logits)
    return logits


def has_tokens(logits: Tensor) -> bool:
    """Whether ``logits``, (..., V), hold a finite value in every row, and neither NaN nor +inf."""
    # A row's maximum is NaN if the row holds NaN, +inf if it holds +inf, −inf if all of it is −inf.
    largest = logits.amax(-1)  # (...)
    return bool(largest.isfinite().all())


def check_left(changed: Tensor, settings: Mapping[str, Any]) -> Tensor:
    """Return ``changed`` logits. Raises `NoTokenLeftError` if ``settings`` have emptied a row."""
    empty = changed.amax(-1).flatten() == NEG_INF  # (rows,)
    if bool(empty.any()):
        raise NoTokenLeftError(settings, row=int(empty.nonzero()[0]))
    return changed


def check_finite(changed: Tensor, name: str, value: object) -> Tensor:
    """Return ``changed`` logits. Raises ``ValueError`` if setting ``name`` made one NaN or +inf."""
    finite = bool((changed < math.inf).all())  # false for NaN as well
    require(finite, name, f"of a size that keeps logits in {changed.dtype} finite", value)
    return changed


def in_float64(values: Tensor) -> Tensor:
    """``values`` in float64, on the CPU where their device (MPS) has no such format."""
    if values.device.type == "mps":
        values = values.cpu()
    return values.double()


def histories(ids: Ids, logits: Tensor, name: str = "ids") -> list[Tensor]:
    """``ids`` as one int64 tensor per row of ``logits``, on the same device.

    Raises ``ValueError`` for anything but whole numbers in [0, V − 1], and unless there is one
    history or one per row.

    >>> histories([[3], [0, 1]], torch.zeros(2, 4))
    [tensor([3]), tensor([0, 1])]
    >>> histories([3], torch.zeros(2, 4))
    [tensor([3]), tensor([3])]
    """
    vocab_size = logits.shape[-1]
    n_rows = logits[..., 0].numel()
    given = _as_tensors(ids, logits.device)
    allowed = f"sequences of whole numbers in [0, {vocab_size - 1}]"
    require(given is not None, name, allowed, ids)
    assert given is not None
    allowed = f"one history or one for each of the {n_rows} rows"
    require(len(given) in (1, n_rows), name, allowed, len(given))
    for past in given:
        _check_ids(past, vocab_size, name)

    pasts = [past.reshape(-1).to(torch.int64) for past in given]
    return pasts * n_rows if len(pasts) == 1 else pasts


def _as_tensors(ids: Any, device: torch.device) -> list[Tensor] | None:
    """The sequences in ``ids`` as tensors, of whatever type; None if they cannot be any."""
    if isinstance(ids, Mapping):
        return None
    try:
        if hasattr(ids, "ndim"):
            one = ids.ndim == 1
        else:
            # Integral takes NumPy's integers in; int, asked first, answers much faster.
            one = all(isinstance(i, (int, Integral)) for i in ids)
        sequences = [ids] if one else ids
        return [torch.as_tensor(sequence, device=device) for sequence in sequences]
    except (TypeError, ValueError, RuntimeError, KeyError, OverflowError):
        return None


def _check_ids(past: Tensor, vocab_size: int, name: str) -> None:
    """Refuse a history that holds anything but token ids; an empty one may have any type."""
    if past.numel() == 0:
        return
    is_number = past.is_floating_point() or past.is_complex()
    is_whole = not is_number and past.dtype != torch.bool
    require(past.ndim == 1 and is_whole, name, "sequences of whole numbers", past)
    allowed = f"in [0, {vocab_size - 1}]"
    past = past.to(torch.int64)  # torch finds no minimum among unsigned numbers
    for end in (int(past.min()), int(past.max())):
        require(0 <= end < vocab_size, name, allowed, end)


def counts(pasts: list[Tensor], logits: Tensor) -> Tensor:
    """How often each token occurs in its row's history: (..., V), as ``logits``.

    In the format of ``logits``, or float32 where that is shorter: float16 ends at 65,504.
    """
    vocab_size = logits.shape[-1]
    per_row = [torch.bincount(past, minlength=vocab_size) for past in pasts]  # rows × (V,)
    dtype = torch.promote_types(logits.dtype, torch.float32)
    return torch.stack(per_row).reshape(logits.shape).to(dtype)


def uniforms(u: float | Tensor, like: Tensor) -> Tensor:
    """``u`` as float64 on the CPU, one value per row of ``like``, (..., V): shape (...).

    Raises ``ValueError`` for a number outside [0, 1), and unless there is one or one per row.
    """
    try:
        draws = torch.as_tensor(u, dtype=torch.float64).cpu()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        require(False, "u", "numbers in [0, 1)", u)
        raise
    shape = like.shape[:-1]
    fits = draws.ndim == 0 or draws.shape == shape
    require(fits, "u", f"one number or of shape {tuple(shape)}", draws)
    inside = bool(((draws >= 0) & (draws < 1)).all())
    require(inside, "u", "in [0, 1)", draws)
    return draws.expand(shape)


def id_list(name: str, ids: Any) -> tuple[int, ...]:
    """``ids`` as a tuple of whole numbers of at least 0. Raises ``ValueError`` for others."""
    flat = getattr(ids, "ndim", 1) == 1
    listed = isinstance(ids, Collection) and not isinstance(ids, (str, bytes, Mapping))
    require(flat and listed, name, "a list of token ids", ids)
    plain = ids.tolist() if isinstance(ids, (Tensor, np.ndarray)) else ids
    return tuple(integer(f"{name} id", i, 0) for i in plain)
