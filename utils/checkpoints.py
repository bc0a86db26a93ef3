"""Checkpoints: weights, optimizer and counters in one safetensors file, replaced in one go.

The counters travel as JSON in the file's header, so that nothing can tear: a kill during a save leaves the
old file whole. No pickle is written or read.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

KEY = "course_checkpoint"  # the entry of the header that says the file is ours


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file that appears whole or not at all.

    Raises ``OSError`` in one line when it cannot be written; a file that stood there before stays.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        blob = save({name: t.detach().contiguous() for name, t in tensors.items()}, metadata)
        with part.open("wb") as file:  # written here, not by safetensors, so that a full disk is an OSError
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())  # a power cut must not leave a renamed but empty file
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        kept = " (the previous file is untouched)" if path.exists() else ""
        raise OSError(f"could not write {path.name}{kept}: {error}") from None


def save_checkpoint(
    path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, counters: Any
) -> None:
    """Store weights, optimizer moments and ``counters`` (JSON). Raises as `write_tensors`."""
    tensors = {}
    for name, p in model.named_parameters():
        tensors[f"model/{name}"] = p
        for key, value in optimizer.state[p].items():
            tensors[f"optimizer/{key}/{name}"] = value
    write_tensors(path, tensors, {KEY: json.dumps(counters)})


def read_counters(path: Path) -> Any:
    """The counters of a checkpoint. Raises ``ValueError`` in one line for a corrupt or foreign file."""
    try:
        with safe_open(path, "pt") as file:
            header = (file.metadata() or {}).get(KEY)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path.name} is not a readable checkpoint: {error}") from None
    if header is None:
        raise ValueError(f"{path.name} is a safetensors file, but no checkpoint of this course")
    return json.loads(header)


def load_checkpoint(
    path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer | None = None
) -> Any:
    """Put a checkpoint's weights into ``model``, its moments into ``optimizer``; return the counters.

    Raises ``ValueError`` in one line for a corrupt or foreign file, or one of another model.
    """
    counters = read_counters(path)
    with safe_open(path, "pt") as file:
        stored = set(file.keys())
        for name, p in model.named_parameters():
            key = f"model/{name}"
            shape = tuple(file.get_slice(key).get_shape()) if key in stored else None
            if shape != tuple(p.shape):
                found = "lacks it" if shape is None else f"holds {shape}"
                raise ValueError(
                    f"{path.name} is of another model: {name} is {tuple(p.shape)} here, the file {found}"
                )
        for name, p in model.named_parameters():
            with torch.no_grad():
                p.copy_(file.get_tensor(f"model/{name}"))
            for key in stored if optimizer is not None else ():
                kind, _, rest = key.partition("/")
                slot, _, owner = rest.partition("/")
                if kind == "optimizer" and owner == name:
                    place = "cpu" if slot == "step" and not p.is_cuda else p.device
                    optimizer.state[p][slot] = file.get_tensor(key).to(place, copy=True)
    return counters
