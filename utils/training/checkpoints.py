"""Checkpoints: weights, optimizer and counters in one safetensors file, replaced in one go.

The counters travel as JSON in the file's header, so that nothing can tear: a kill during a save leaves the
old file whole. No pickle is written or read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from utils.tensors import write_tensors

KEY = "course_checkpoint"  # the entry of the header that says the file is ours
COUNTERS = ("fixed", "state", "scaler")
MOMENTS = (
    "optimizer/step",
    "optimizer/exp_avg",
    "optimizer/exp_avg_sq",
)  # what AdamW keeps of a parameter
TYPES = {torch.float32: "F32", torch.float64: "F64", torch.bfloat16: "BF16", torch.float16: "F16"}


def save_checkpoint(
    path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, counters: Any
) -> None:
    """Store weights, optimizer moments and ``counters`` (JSON). Raises as `write_whole`."""
    tensors = {}
    for name, p in model.named_parameters():
        tensors[f"model/{name}"] = p
        for key, value in optimizer.state[p].items():
            tensors[f"optimizer/{key}/{name}"] = value
    write_tensors(path, tensors, {KEY: json.dumps(counters)})


def read_counters(path: Path) -> dict[str, Any]:
    """The counters of a checkpoint: "fixed", "state" and "scaler", each a dictionary.

    Raises ``ValueError`` in one line for a corrupt or foreign file.
    """
    try:
        with safe_open(path, "pt") as file:
            header = (file.metadata() or {}).get(KEY)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path.name} is not a readable checkpoint: {error}") from None
    if header is None:
        raise ValueError(f"{path.name} is a safetensors file, but no checkpoint of this course")
    try:
        counters = json.loads(header)
    except (ValueError, RecursionError):
        counters = None
    parts = [counters.get(key) for key in COUNTERS] if isinstance(counters, dict) else [None]
    if not all(isinstance(part, dict) for part in parts):
        raise ValueError(f"{path.name} is not a readable checkpoint: its counters are damaged")
    return counters


def _wanted(
    model: torch.nn.Module, kinds: tuple[str, ...]
) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and type of every tensor that a checkpoint of ``model`` holds, by its name in the file."""
    wanted = {}
    for name, p in model.named_parameters():
        for kind in kinds:  # the step counts in float32 whatever the weights are
            like = (
                ((), "F32")
                if kind == "optimizer/step"
                else (tuple(p.shape), TYPES.get(p.dtype, "?"))
            )
            wanted[f"{kind}/{name}"] = like
    return wanted


def load_checkpoint(
    path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer | None = None
) -> dict[str, Any]:
    """Put a checkpoint's weights into ``model``, AdamW's moments into ``optimizer``; return the counters.

    Raises ``ValueError`` in one line, before anything is copied, for a corrupt or foreign file, or one of
    another model.
    """
    counters = read_counters(path)
    with safe_open(path, "pt") as file:
        names = set(file.keys())
        # The optimizer has nothing before its first step, and loss scaling may have skipped every step.
        moments = any(name.startswith("optimizer/") for name in names)
        moments = moments or (counters["state"].get("step") != 0 and not counters["scaler"])
        kinds = ("model", *MOMENTS) if optimizer is not None and moments else ("model",)
        wanted = _wanted(model, kinds)
        for key, (shape, dtype) in wanted.items():
            held = file.get_slice(key) if key in names else None
            found = None if held is None else (tuple(held.get_shape()), held.get_dtype())
            if found != (
                shape,
                dtype,
            ):  # a fused optimizer would write beyond a moment that is too small
                here, says = shape, "lacks it"
                if found:
                    i = int(
                        found[0] == shape
                    )  # name the shape, or the type where the shape is right
                    here, says = (shape, dtype)[i], f"holds {found[i]}"
                name = key.removeprefix("model/")
                raise ValueError(
                    f"{path.name} is of another model: {name} is {here} here, the file {says}"
                )
        mine = ("model/",) if optimizer is None else ("model/", "optimizer/")
        if extra := sorted(name for name in names - set(wanted) if name.startswith(mine)):
            raise ValueError(f"{path.name} is of another model: it also holds {extra[0]}")
        for name, p in model.named_parameters():
            with torch.no_grad():
                p.copy_(file.get_tensor(f"model/{name}"))
            for kind in kinds[1:]:
                slot = kind.removeprefix("optimizer/")
                place = "cpu" if slot == "step" and not p.is_cuda else p.device
                optimizer.state[p][slot] = file.get_tensor(f"{kind}/{name}").to(place, copy=True)
    return counters
