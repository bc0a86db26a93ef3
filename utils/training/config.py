"""The settings of a training run, and what follows from them: learning rates, precision, FLOPs, memory."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from utils.runtime import device as default_device
from utils.validate import choice, integer, number, require

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


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
        for name, low in dict(steps=1, batch_size=1, accumulate=1, warmup=0, eval_every=0).items():
            integer(name, getattr(self, name), low)
        integer("seed", self.seed, 0, 2**63 - 1)  # what torch.manual_seed takes
        for name in ("log_every", "eval_windows", "checkpoint_every"):
            integer(name, getattr(self, name), 1)
        for name in ("learning_rate", "clip"):
            number(name, getattr(self, name), 0.0, open_low=True)
        for name in (
            "decay",
            "beta1",
            "beta2",
        ):  # 1 would leave no step before the decay, or no average
            number(name, getattr(self, name), 0.0, 1.0, open_high=True)
        number("final_lr", self.final_lr, 0.0, 1.0)
        number("weight_decay", self.weight_decay, 0.0)
        choice("schedule", self.schedule, ("cosine", "wsd"))
        choice("precision", self.precision, PRECISIONS)
        require(isinstance(self.compile, bool), "compile", "True or False", self.compile)
        parts = f"a multiple of accumulate = {self.accumulate}"
        require(self.batch_size % self.accumulate == 0, "batch_size", parts, self.batch_size)


@dataclass
class TrainState:
    """What a run has done. Rows of ``history`` hold step, train_loss, learning_rate and at times val_loss.

    Raises ``ValueError`` for a value that no run leaves, as a damaged checkpoint may hold.
    """

    step: int = 0
    steps: int = 0  # where the run ends; `until` may move it
    decay_start: int | None = None
    seconds: float = 0.0
    loss_sum: float = 0.0  # of the steps since the last row of history
    history: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in (
            ("step", "steps") if self.decay_start is None else ("step", "steps", "decay_start")
        ):
            integer(name, getattr(self, name), 0)
        number("seconds", self.seconds, 0.0)
        number("loss_sum", self.loss_sum)
        rows = self.history if isinstance(self.history, list) else [None]
        kinds = {"step": int, "train_loss": float}
        good = all(
            isinstance(r, dict) and all(isinstance(r.get(k), t) for k, t in kinds.items())
            for r in rows
        )
        good = good and all(row["step"] <= self.step for row in rows)
        require(good, "history", "rows with a step of the past and its train_loss", self.history)

    @classmethod
    def stored(cls, file: str, state: dict[str, Any]) -> TrainState:
        """The state that a checkpoint called ``file`` holds."""
        try:
            return cls(**state)
        except (TypeError, ValueError) as error:  # TypeError: a field that is not ours
            raise ValueError(f"{file} does not hold the state of a run: {error}") from None


def lr_factor(step: int, config: TrainConfig, *, steps: int, decay_start: int) -> float:
    """The learning rate of a step as a share of the peak: a pure function, so a resumed run repeats it."""
    warm = min(1.0, (step + 1) / (config.warmup + 1))
    if config.schedule == "cosine":
        u = min(1.0, max(0, step - config.warmup) / max(1, steps - config.warmup))
        return warm * (config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * u)))
    u = min(1.0, max(0, step - decay_start) / max(1, steps - decay_start))
    return warm * (config.final_lr + (1 - config.final_lr) * (1 - u))


def optimizer_for(model: torch.nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019), fused; weight decay on the matrices inside blocks only."""
    named = dict(model.named_parameters())
    inner = [p for n, p in named.items() if p.dim() == 2 and "blocks" in n]
    chosen = {id(p) for p in inner}
    outer = [p for p in named.values() if id(p) not in chosen]
    groups = [
        {"params": inner, "weight_decay": config.weight_decay},
        {"params": outer, "weight_decay": 0.0},
    ]
    betas = (config.beta1, config.beta2)
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=betas, fused=True)


def autocast(precision: str, device: torch.device) -> tuple[Any, str]:
    """A context for the forward pass, and the precision that "auto" came to."""
    choice("precision", precision, PRECISIONS)
    if precision == "auto":
        modern = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
        precision = "fp32" if device.type != "cuda" else "bf16" if modern else "fp16"
    if precision == "fp32":
        return contextlib.nullcontext(), precision
    return torch.autocast(
        device.type, torch.bfloat16 if precision == "bf16" else torch.float16
    ), precision


def usable_device(asked: torch.device | str | None) -> torch.device:
    """The device that was asked for, or the course's. Raises ``ValueError`` where there is no such device."""
    if asked is None:
        return default_device()
    try:
        found = torch.device(asked)
        torch.zeros(1, device=found).tolist()  # a name alone does not say that the device is there
    except (RuntimeError, AssertionError, TypeError, NotImplementedError):
        found = None
    require(found is not None, "device", "one that this machine has", asked)
    return found


@contextlib.contextmanager
def memory_advice(said: str) -> Iterator[None]:
    """Turn "out of memory", which each device words in its own way, into ``MemoryError(said)``."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        kinds = (torch.OutOfMemoryError, MemoryError)
        if isinstance(error, kinds) or "can't allocate memory" in str(error):
            raise MemoryError(said) from error
        raise


def too_large(rows: int, context_length: int, smaller: str | None) -> str:
    """The line of a pass of ``rows`` sequences that does not fit: try ``smaller``, if anything is."""
    count = "1 sequence" if rows == 1 else f"{rows} sequences"
    hint = smaller or "a shorter context_length or a smaller model"
    return f"{count} of {context_length} tokens in one pass do not fit in memory: try {hint}"


def smaller_pass(config: TrainConfig, world: int) -> str | None:
    """The next larger ``accumulate`` that divides each process's share of the batch, if there is one."""
    share = config.batch_size // world
    larger = (n for n in range(config.accumulate + 1, share + 1) if share % n == 0)
    return next((f"accumulate={n}" for n in larger), None)
