"""The settings of a training run, and what follows from them: learning rates, precision, FLOPs."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import Any

import torch

from utils.budget import GPUS
from utils.gpt import GPT, GPTConfig
from utils.validate import choice, integer, number, require

# Dense peak FLOP/s of the tensor cores at 16 bits, from the vendor's data sheets.
PEAK_FLOPS = {name: gpu["peak16"] for name, gpu in GPUS.items()} | {
    "H200": 989e12,
    "L40S": 362e12,
    "L4": 121e12,
}


@dataclass(frozen=True)
class TrainConfig:
    """How to train. Raises ``ValueError`` for a setting out of its range.

    ``batch_size`` counts the sequences of one optimizer step, over all processes and passes; ``accumulate``
    splits them into that many passes to save memory. ``schedule``: "cosine" falls to ``final_lr`` times the
    peak over all steps; "wsd" (warm-up, stable, decay; Hu et al. 2024) is flat until the last ``decay`` share
    of them. ``precision`` "auto" is float32 on the CPU, bfloat16 on a GPU of compute capability 8.0 or more,
    and float16 with loss scaling below. ``weight_decay`` acts on the matrices inside blocks only.
    The loss curve gets a point every ``log_every`` steps, and one with the loss on ``eval_windows`` held-out
    windows every ``eval_every`` (0: never).
    """

    steps: int
    batch_size: int = 16
    accumulate: int = 1
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    warmup: int = 100
    decay: float = 0.3
    final_lr: float = 0.0
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.95
    clip: float = 1.0
    seed: int = 0
    precision: str = "auto"
    compile: bool = True
    log_every: int = 50
    eval_every: int = 0
    eval_windows: int = 64
    checkpoint_every: int = 200

    def __post_init__(self) -> None:
        for name, low in dict(steps=1, batch_size=1, accumulate=1, warmup=0, seed=0, eval_every=0).items():
            integer(name, getattr(self, name), low)
        for name in ("log_every", "eval_windows", "checkpoint_every"):
            integer(name, getattr(self, name), 1)
        for name in ("learning_rate", "clip"):
            number(name, getattr(self, name), 0.0, open_low=True)
        for name in ("decay", "final_lr", "beta1", "beta2"):
            number(name, getattr(self, name), 0.0, 1.0)
        number("weight_decay", self.weight_decay, 0.0)
        choice("schedule", self.schedule, ("cosine", "wsd"))
        choice("precision", self.precision, ("auto", "fp32", "bf16", "fp16"))
        parts = f"a multiple of accumulate = {self.accumulate}"
        require(self.batch_size % self.accumulate == 0, "batch_size", parts, self.batch_size)


def lr_factor(step: int, config: TrainConfig, *, steps: int, decay_start: int) -> float:
    """The learning rate of a step as a share of the peak: a pure function, so a resumed run repeats it."""
    warm = min(1.0, (step + 1) / (config.warmup + 1))
    if config.schedule == "cosine":
        u = min(1.0, max(0, step - config.warmup) / max(1, steps - config.warmup))
        return warm * (config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * u)))
    u = min(1.0, max(0, step - decay_start) / max(1, steps - decay_start))
    return warm * (config.final_lr + (1 - config.final_lr) * (1 - u))


def flops_per_token(config: GPTConfig) -> float:
    """Training FLOPs a token: 6 per weight that multiplies, and 12 n_layer d_model T for attention's scores.

    Chowdhery et al. 2022, appendix B, without a discount for the causal half. A table is only looked up, the
    head multiplies; where they are tied, the one matrix counts once.
    """
    with torch.device("meta"):
        weights = GPT(config).num_parameters(embeddings=False) + config.vocab_size * config.d_model
    return 6 * weights + 12 * config.n_layer * config.d_model * config.context_length


def peak_flops(device: torch.device) -> float | None:
    """The 16-bit peak of this GPU, or None where it is not known (any CPU): then there is no MFU."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    known = sorted(PEAK_FLOPS, key=len, reverse=True)  # an L40S is no L4
    return next((PEAK_FLOPS[gpu] for gpu in known if gpu in name), None)


def autocast(precision: str, device: torch.device) -> tuple[Any, str]:
    """A context for the forward pass, and the precision that "auto" came to."""
    if precision == "auto":
        modern = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
        precision = "fp32" if device.type != "cuda" else "bf16" if modern else "fp16"
    if precision == "fp32":
        return contextlib.nullcontext(), precision
    return torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16), precision
