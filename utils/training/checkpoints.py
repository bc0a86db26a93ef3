"""Checkpoints: weights, optimizer and counters in one safetensors file, replaced in one go.

The counters travel as JSON in the file's header, so that nothing can tear: a kill during a save
leaves the old file whole. The header also holds a hash of all that, which is proven before anything
is used. No pickle is written or read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeGuard

import torch
from safetensors import safe_open

from utils.tensors import NAMES, Layout, read_header, write_tensors

KEY = "course_checkpoint"  # the entry of the header that says the file is ours
FORMAT = 2  # raised with every change after which older files would be misread
COUNTERS = ("fixed", "state", "scaler")
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what AdamW keeps for each parameter


def save_checkpoint(
    path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, counters: dict[str, Any]
) -> None:
    """Store weights, optimizer moments and ``counters`` (JSON) in one file.

    A parameter ``w`` lies under the name model/w, AdamW's moments under optimizer/step/w and so on.
    Raises ``OSError`` in one line when the file cannot be written; one that stood there stays.
    """
    tensors = {}
    for name, p in model.named_parameters():
        tensors[f"model/{name}"] = p
        for moment, value in optimizer.state[p].items():
            tensors[f"optimizer/{moment}/{name}"] = value
    write_tensors(path, tensors, {KEY: json.dumps({"format": FORMAT, **counters})})


def load_checkpoint(
    path: Path,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    accept: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Put a checkpoint's weights into ``model``, AdamW's moments into ``optimizer``.

    accept: is given the counters first, and raises for a checkpoint that shall not be taken.
    Returns the counters: "fixed", "state" and "scaler", each a dictionary. Raises ``ValueError`` in
    one line, before anything is copied, for a file that is damaged, foreign or of another model.
    """
    counters, held = _read(path)
    if accept is not None:
        accept(counters)

    # Compare everything first, so that a file which does not fit changes nothing.
    moments = MOMENTS if optimizer is not None and _has_moments(held, counters) else ()
    expected = _expected_layouts(model, moments)
    _require_same(path, held, expected)
    _require_no_more(path, held, expected, with_optimizer=optimizer is not None)

    with safe_open(path, "pt") as file:
        for name, p in model.named_parameters():
            with torch.no_grad():
                p.copy_(file.get_tensor(f"model/{name}"))
            if optimizer is None:
                continue
            for moment in moments if p.requires_grad else ():
                value = file.get_tensor(f"optimizer/{moment}/{name}")
                # AdamW counts its steps on the CPU unless the parameter is on a CUDA device.
                on_cpu = moment == "step" and not p.is_cuda
                device = torch.device("cpu") if on_cpu else p.device
                optimizer.state[p][moment] = value.to(device, copy=True)
    return counters


def read_counters(path: Path) -> dict[str, Any]:
    """The counters of a checkpoint, once it is proven undamaged. Raises as `load_checkpoint`."""
    counters, _ = _read(path)
    return counters


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Layout]]:
    """The counters of a checkpoint and the layouts of its tensors, proven undamaged."""
    header = read_header(path, "checkpoint", hashed=False)
    if KEY not in header.metadata:
        raise ValueError(f"{path.name} is a safetensors file, but no checkpoint of this course")
    try:
        counters = json.loads(header.metadata[KEY])
    except (ValueError, RecursionError):
        counters = None
    if not _are_counters(counters):
        raise ValueError(f"{path.name} is not a readable checkpoint: its counters are damaged")

    made = counters.pop("format", 1)
    if made != FORMAT:
        raise ValueError(
            f"{path.name} has format {made!r} and this version of the course reads {FORMAT}: "
            "go on with the version that began it, or train anew under another name"
        )
    if header.sha256 is None:
        raise ValueError(f"{path.name} is not a readable checkpoint: it holds no sha256")
    return counters, header.layouts


def _are_counters(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether ``value`` is a dictionary that holds each of ``COUNTERS`` as a dictionary."""
    if not isinstance(value, dict):
        return False
    return all(isinstance(value.get(key), dict) for key in COUNTERS)


def _has_moments(held: dict[str, Layout], counters: dict[str, Any]) -> bool:
    """Whether a checkpoint holds the optimizer's moments, or at least should.

    The optimizer has none before its first step, and loss scaling, which "scaler" tells of, may
    have skipped every step so far.
    """
    if any(name.startswith("optimizer/") for name in held):
        return True
    has_stepped = counters["state"].get("step") != 0
    return has_stepped and not counters["scaler"]


def _expected_layouts(model: torch.nn.Module, moments: tuple[str, ...]) -> dict[str, Layout]:
    """The layout of every tensor that a checkpoint of ``model`` holds, by its name in the file."""
    expected = {}
    for name, p in model.named_parameters():
        layout = Layout(tuple(p.shape), NAMES[p.dtype])
        expected[f"model/{name}"] = layout
        for moment in moments if p.requires_grad else ():  # a frozen parameter has none
            # The moments look like their parameter; the step is one number, always in float32.
            is_step = moment == "step"
            expected[f"optimizer/{moment}/{name}"] = Layout((), "F32") if is_step else layout
    return expected


def _require_same(path: Path, held: dict[str, Layout], expected: dict[str, Layout]) -> None:
    """Raise ``ValueError`` for the first expected tensor that is missing or laid out differently.

    Without this, a fused optimizer would write beyond the end of a moment that is too small.
    """
    for name, here in expected.items():
        found = held.get(name)
        if found == here:
            continue
        if found is None:
            difference = f"{here.shape} here, the file lacks it"
        elif found.shape != here.shape:
            difference = f"{here.shape} here, the file holds {found.shape}"
        else:
            difference = f"{here.dtype} here, the file holds {found.dtype}"
        shown = name.removeprefix("model/")
        raise ValueError(f"{path.name} is of another model: {shown} is {difference}")


def _require_no_more(
    path: Path, held: dict[str, Layout], expected: dict[str, Layout], *, with_optimizer: bool
) -> None:
    """Raise ``ValueError`` for a tensor in the file that would be left over."""
    ours = ("model/", "optimizer/") if with_optimizer else ("model/",)
    for name in sorted(held.keys() - expected.keys()):
        if name.startswith(ours):
            raise ValueError(f"{path.name} is of another model: it also holds {name}")
