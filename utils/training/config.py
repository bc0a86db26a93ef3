"""The settings of a training run, and what follows from them: learning rates, precision, memory."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch

from utils.runtime import device as default_device
from utils.validate import choice, integer, number, require

SCHEDULES = ("cosine", "wsd")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


@dataclass(frozen=True)
class TrainConfig:
    """How to train. Raises ``ValueError`` for a setting that is out of its range.

    Parameters
    ----------
    steps : optimizer steps of the whole run.
    batch_size : sequences of one optimizer step, over all processes and passes.
    accumulate : passes that the batch is split into, to save memory. It must divide ``batch_size``.
    learning_rate : the peak of the schedule.
    schedule : "cosine" falls over all steps; "wsd" (warm-up, stable, decay; Hu et al. 2024,
        arXiv:2404.06395) is flat until the last ``decay`` share of them, and then falls linearly.
    warmup : steps of linear warm-up.
    decay : share of the steps, in [0, 1), over which "wsd" falls.
    final_lr : where the schedule ends, as a share of the peak, in [0, 1].
    weight_decay : acts on the matrices inside blocks only.
    beta1, beta2 : AdamW's averages of the gradient and of its square, in [0, 1).
    clip : largest norm of the whole gradient.
    seed : draws the order of the data.
    precision : "auto" is float32 on the CPU, bfloat16 on a GPU of compute capability 8.0 or more,
        and float16 with loss scaling on an older one.
    compile : run the model through ``torch.compile`` on a GPU; the CPU never does.
    log_every : steps between two points of the loss curve.
    eval_every : steps between two points with the held-out loss; 0 is never.
    eval_windows : held-out windows that such a point takes.
    checkpoint_every : steps between two checkpoints.
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
        # Numbers of NumPy become Python's own, which the checkpoint can hold as JSON.
        for name in ("steps", "batch_size", "accumulate"):
            self._keep(name, integer(name, getattr(self, name), 1))
        for name in ("warmup", "eval_every"):
            self._keep(name, integer(name, getattr(self, name), 0))
        for name in ("log_every", "eval_windows", "checkpoint_every"):
            self._keep(name, integer(name, getattr(self, name), 1))
        self._keep("seed", integer("seed", self.seed, 0, 2**63 - 1))  # what torch.manual_seed takes

        for name in ("learning_rate", "clip"):
            self._keep(name, number(name, getattr(self, name), 0.0, open_low=True))
        # decay = 1 would leave no step before the decay; a beta of 1 would never move an average.
        for name in ("decay", "beta1", "beta2"):
            self._keep(name, number(name, getattr(self, name), 0.0, 1.0, open_high=True))
        self._keep("final_lr", number("final_lr", self.final_lr, 0.0, 1.0))
        self._keep("weight_decay", number("weight_decay", self.weight_decay, 0.0))

        choice("schedule", self.schedule, SCHEDULES)
        choice("precision", self.precision, PRECISIONS)
        require(isinstance(self.compile, bool), "compile", "True or False", self.compile)
        multiple = f"a multiple of accumulate = {self.accumulate}"
        require(self.batch_size % self.accumulate == 0, "batch_size", multiple, self.batch_size)

    def _keep(self, name: str, value: float) -> None:
        """Set a field of this frozen object."""
        object.__setattr__(self, name, value)


@dataclass
class TrainState:
    """What a run has done so far. A checkpoint stores these fields as JSON.

    Attributes
    ----------
    step : optimizer steps done.
    steps : where the run ends; ``until`` of `train` may move it.
    decay_start : the step at which ``until`` began the decay, None as long as it has not.
    seconds : time spent in steps, over all parts of the run.
    loss_sum : sum of the losses since the last row of ``history``.
    history : the loss curve: rows with step, train_loss, learning_rate and at times val_loss.

    Raises ``ValueError`` for a value that no run leaves, as a damaged checkpoint may hold.
    """

    step: int = 0
    steps: int = 0
    decay_start: int | None = None
    seconds: float = 0.0
    loss_sum: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        integer("steps", self.steps, 0)
        integer("step", self.step, 0, self.steps)
        if self.decay_start is not None:
            integer("decay_start", self.decay_start, 0, self.step)
        number("seconds", self.seconds, 0.0)
        number("loss_sum", self.loss_sum)
        allowed = "rows with a step of the past and its train_loss, in order"
        is_history = isinstance(self.history, list) and all(map(self._is_row, self.history))
        require(is_history, "history", allowed, self.history)
        steps = [row["step"] for row in self.history]
        in_order = all(a < b for a, b in pairwise(steps))
        require(in_order, "history", allowed, steps)

    def _is_row(self, row: Any) -> bool:
        """Whether this run can have written ``row`` into its history."""
        if not isinstance(row, dict):
            return False
        step = row.get("step")
        loss = row.get("train_loss")
        is_step = isinstance(step, int) and 0 < step <= self.step
        return is_step and isinstance(loss, float)

    @classmethod
    def stored(cls, file: str, state: dict[str, Any]) -> TrainState:
        """Return the state that a checkpoint called ``file`` holds. Raises ``ValueError``."""
        try:
            return cls(**state)
        except (TypeError, ValueError) as error:  # TypeError: a field that is not ours
            raise ValueError(f"{file} does not hold the state of a run: {error}") from None


def lr_factor(step: int, config: TrainConfig, *, steps: int, decay_start: int) -> float:
    """The learning rate of a step as a share of the peak, in [0, 1].

    It depends on nothing but its arguments, so a resumed run repeats it. ``decay_start`` is for
    "wsd" alone: "cosine" falls from the end of the warm-up on.

    >>> config = TrainConfig(steps=8, warmup=3, schedule="wsd")
    >>> [lr_factor(step, config, steps=8, decay_start=6) for step in range(9)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 0.5, 0.0]
    """
    warm = min(1.0, (step + 1) / (config.warmup + 1))

    # The height of the fall, from 1 at its start to 0 at its end.
    if config.schedule == "cosine":
        done = _share_done(step, config.warmup, steps)
        height = 0.5 * (1 + math.cos(math.pi * done))
    else:
        done = _share_done(step, decay_start, steps)
        height = 1 - done
    return warm * (config.final_lr + (1 - config.final_lr) * height)


def _share_done(step: int, start: int, end: int) -> float:
    """How much of the way from ``start`` to ``end`` lies behind ``step``, from 0 to 1."""
    return min(1.0, max(0, step - start) / max(1, end - start))


def optimizer_for(model: torch.nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101), fused into one operation.

    Weight decay acts on the matrices inside blocks only: embeddings, norms and biases keep their
    size.
    """
    decayed = []
    kept = []
    for name, p in model.named_parameters():
        if p.dim() == 2 and "blocks" in name:
            decayed.append(p)
        else:
            kept.append(p)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    betas = (config.beta1, config.beta2)
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=betas, fused=True)


def autocast(precision: str, device: torch.device) -> tuple[Any, str]:
    """A context for the forward pass, and what the precision "auto" came to.

    Raises ``ValueError`` for a precision that is not one of ``PRECISIONS``.

    >>> autocast("auto", torch.device("cpu"))[1]
    'fp32'
    """
    choice("precision", precision, PRECISIONS)
    if precision == "auto":
        precision = _best_precision(device)
    if precision == "fp32":
        return contextlib.nullcontext(), precision
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return torch.autocast(device.type, dtype), precision


def _best_precision(device: torch.device) -> str:
    """The fastest precision that ``device`` computes with without losing the training."""
    if device.type != "cuda":
        return "fp32"
    if torch.cuda.get_device_capability(device) >= (8, 0):  # from Ampere on, such as A100 or L4
        return "bf16"
    return "fp16"


def usable_device(asked: torch.device | str | None) -> torch.device:
    """The device that was asked for, or the course's own choice for ``None``.

    Raises ``ValueError`` where there is no such device.
    """
    if asked is None:
        return default_device()
    # A name alone does not say that the device is there, so put a number on it and read it back.
    # Each kind of device words its absence in its own way.
    try:
        torch.zeros(1, device=torch.device(asked)).tolist()
        exists = True
    except (RuntimeError, AssertionError, TypeError, NotImplementedError):
        exists = False
    require(exists, "device", "one that this machine has", asked)
    return torch.device(asked)


@contextlib.contextmanager
def memory_advice(line: str) -> Iterator[None]:
    """Turn "out of memory", which each device words in its own way, into ``MemoryError(line)``."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        out_of_memory = isinstance(error, (torch.OutOfMemoryError, MemoryError))
        if out_of_memory or "can't allocate memory" in str(error):
            raise MemoryError(line) from error
        raise


def too_large(rows: int, context_length: int, smaller: str | None) -> str:
    """What to say of a pass of ``rows`` sequences that does not fit.

    ``smaller`` is the setting to try, None if there is none.

    >>> too_large(8, 1024, "accumulate=2")
    '8 sequences of 1024 tokens in one pass do not fit in memory: try accumulate=2'
    """
    count = "1 sequence" if rows == 1 else f"{rows} sequences"
    hint = smaller or "a shorter context_length or a smaller model"
    return f"{count} of {context_length} tokens in one pass do not fit in memory: try {hint}"


def smaller_pass(config: TrainConfig, world: int) -> str | None:
    """The next larger ``accumulate`` that divides each process's share of the batch.

    world: the number of processes. Returns None if a pass is a single sequence already.

    >>> smaller_pass(TrainConfig(steps=10, batch_size=12, accumulate=2), world=1)
    'accumulate=3'
    """
    share = config.batch_size // world
    for accumulate in range(config.accumulate + 1, share + 1):
        if share % accumulate == 0:
            return f"accumulate={accumulate}"
    return None
