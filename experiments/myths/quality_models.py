"""The models for "quality against bytes": which there are, trained once and kept in a folder."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from experiments.myths.quality_text import Texts
from utils.models.gpt import GPT
from utils.scaling.spec import RunSpec
from utils.scaling.training import Training
from utils.tensors import read_header, write_tensors

BLOCK = 20  # steps between two looks at the clock


def model_of(spec: RunSpec, texts: Texts, work: Path | None, deadline: float) -> GPT | None:
    """The trained model of ``spec``, from ``work`` if it lies there; None if time ran out.

    work: folder for finished models, or None to keep none. deadline: ``time.monotonic()`` after
    which no step is taken. The model comes back in evaluation mode, on the CPU.
    """
    file = None if work is None else work / f"{spec.name}.safetensors"
    if file is not None and file.exists():
        read_header(file)  # proves the file's hash
        model = GPT(spec.gpt())
        model.load_state_dict(load_file(file), strict=False)  # the tied head is not stored
        return model.eval()

    # Each seed reads passages of its own. The loss on held-out books is measured elsewhere.
    tokens = texts.training(spec.seed, spec.tokens + 1)
    validation = texts.held_out[0].rows.ravel()
    run = Training(spec, tokens, validation, device=torch.device("cpu"), windows=1)
    while not run.finished():
        if time.monotonic() > deadline:
            return None
        run.advance(BLOCK)
    if file is not None:
        state = run.model.state_dict()
        state.pop("head.weight")
        write_tensors(file, state, {"spec": spec.name})
    return run.model.eval()


def rate_run(d_model: int, tokens: int, constant: float, seed: int) -> RunSpec:
    """A model of three layers whose learning rate peaks at ``constant`` / d_model."""
    return RunSpec(
        d_model=d_model,
        n_layer=3,
        tokens=tokens,
        learning_rate=constant / d_model,
        seed=seed,
    )


def nats_per_token(model: torch.nn.Module, rows: np.ndarray) -> np.ndarray:
    """-log probability of every predicted token of ``rows`` (n, T + 1): (n, T)."""
    ids = torch.from_numpy(rows)  # (n, T + 1)
    with torch.no_grad():
        logits = model(ids[:, :-1])  # (n, T, V)
        nats = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
        )  # (n · T,)
    return nats.view(len(rows), -1).double().numpy()
