"""A small model, its text and a short run, which the tests of the training room share."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import torch

from utils.models.gpt import GPT, GPTConfig
from utils.runtime import generator
from utils.training.config import TrainConfig, TrainState
from utils.training.loop import train

TINY = GPTConfig(vocab_size=64, context_length=16, n_layer=1, n_head=2, d_model=16)
QUICK = TrainConfig(
    steps=60, batch_size=4, accumulate=2, warmup=5, eval_every=50, checkpoint_every=7
)
CPU = torch.device("cpu")


def some_tokens(n: int = 4000) -> np.ndarray:
    """Learnable: a noisy walk around the vocabulary."""
    steps = generator(0).choice([1, 2, 5], size=n, p=[0.7, 0.2, 0.1])
    return (np.cumsum(steps) % TINY.vocab_size).astype(np.uint16)


def fresh() -> GPT:
    generator(0, "global")
    return GPT(TINY)


def digest(model: GPT) -> str:
    """Equal for two models only if every weight is, to the last bit."""
    weights = b"".join(p.detach().numpy().tobytes() for p in model.parameters())
    return hashlib.sha256(weights).hexdigest()


def run(
    checkpoint: Path | None = None, config: TrainConfig = QUICK, **more
) -> tuple[GPT, TrainState]:
    model = fresh()
    state = train(
        model,
        some_tokens(),
        config,
        validation=some_tokens(),
        checkpoint=checkpoint,
        device=CPU,
        **more,
    )
    return model, state


def child(path: Path, config: TrainConfig, answer: Path) -> None:
    """What the kill test kills: train with a checkpoint, and leave the final weights' digest."""
    os.environ["COURSE_QUIET"] = "1"
    torch.set_num_threads(1)
    model, state = run(path, config)
    answer.write_text(f"{digest(model)} {len(state.history)}")
