"""What one call of `utils.training.loop.train` holds: model, optimizer, processes and counters.

Here stand the rules around the training steps: what a checkpoint keeps and when it may go on, when
the run has diverged, when the decay must begin, what Ctrl-C does.
"""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from utils.data.books import tokens_digest
from utils.files import locked
from utils.models.gpt import GPT
from utils.training.checkpoints import load_checkpoint, save_checkpoint
from utils.training.config import (
    TrainConfig,
    TrainState,
    autocast,
    lr_factor,
    memory_advice,
    optimizer_for,
)
from utils.training.processes import Processes
from utils.validate import number, require

# Settings that may change between two parts of a run: they leave the weights as they would be.
FREE = ("log_every", "eval_every", "eval_windows", "checkpoint_every", "compile")


class Run:
    """A run that is ready for its next step, from the start or from where its checkpoint stands.

    Attributes
    ----------
    state : the counters, which go into the checkpoint.
    forward : the model as the loop calls it, compiled and averaging gradients where that applies.
    autocast : a context in which the forward pass computes in the configured precision.
    loss_sum : float64 on the device, the sum of the losses since the last row of the history. It
        is read only where a row is written, because reading makes a GPU wait.
    """

    def __init__(
        self,
        model: GPT,
        tokens: np.ndarray,
        config: TrainConfig,
        path: Path | None,
        processes: Processes,
        require_alone: Callable[[], None] = lambda: None,
    ) -> None:
        # Alone, or one of several processes, each with the same share of every batch.
        self.processes = processes
        self.device = processes.device
        world = processes.world
        equal = f"a multiple of {world} processes × accumulate = {config.accumulate}"
        divides = config.batch_size % (world * config.accumulate) == 0
        require(divides, "batch_size", equal, config.batch_size)

        self.tokens = tokens  # (n_tokens,)
        self.config = config
        self.path = path
        self.require_alone = require_alone
        self.model = model.to(self.device).train()
        self.optimizer = optimizer_for(model, config)
        self.autocast, precision = autocast(config.precision, self.device)
        # Small gradients would vanish in float16, so its loss is scaled up before `backward`.
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "fp16")

        # The counters, from zero or from the checkpoint.
        self.state = TrainState(steps=config.steps)
        self.fixed = self._fixed_settings()
        if path is not None and path.exists():
            self._resume(path)
        self.loss_sum = torch.tensor(self.state.loss_sum, dtype=torch.float64, device=self.device)

        # Compiling pays on a GPU only, and the wrapper for several processes goes around it all.
        on_gpu = self.device.type == "cuda"
        self.forward: Any = torch.compile(model) if config.compile and on_gpu else model
        self.forward = self.processes.prepare(self.forward)

        # For the pace of this call, which may be on another machine than the part before.
        self._first_step = self.state.step
        self._seconds_before = self.state.seconds
        self._begun = time.monotonic()

    # ---- progress --------------------------------------------------------------------------------

    def count_step(self) -> None:
        """Note that one more optimizer step is done."""
        self.state.step += 1
        self.state.seconds = self._seconds_before + time.monotonic() - self._begun

    def seconds_per_step(self) -> float:
        """The mean over the steps of this call, evaluations and checkpoints included."""
        seconds = self.state.seconds - self._seconds_before
        return seconds / (self.state.step - self._first_step)

    def is_last_step(self) -> bool:
        return self.state.step == self.state.steps

    def evaluation_due(self) -> bool:
        if self.config.eval_every == 0:
            return False
        return self.state.step % self.config.eval_every == 0 or self.is_last_step()

    def log_due(self) -> bool:
        regular = self.state.step % self.config.log_every == 0
        return regular or self.evaluation_due() or self.is_last_step()

    def checkpoint_due(self) -> bool:
        return self.state.step % self.config.checkpoint_every == 0 or self.is_last_step()

    # ---- learning rate and decay -----------------------------------------------------------------

    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        state = self.state
        decay_start = state.decay_start
        if decay_start is None:  # no `until` has moved it: the last share of the steps
            decay_start = round(state.steps * (1 - self.config.decay))
        factor = lr_factor(state.step, self.config, steps=state.steps, decay_start=decay_start)
        return self.config.learning_rate * factor

    def time_to_decay(self, until: float | None) -> bool:
        """Whether just enough time is left before ``until`` (seconds since 1970) for the decay."""
        if until is None or self.state.decay_start is not None:
            return False
        decay_seconds = self._decay_steps(self.state.step) * self.seconds_per_step()
        return time.time() + decay_seconds >= until

    def start_decay(self) -> None:
        """Let the decay begin at the next step, and the run end with it."""
        self.state.decay_start = self.state.step
        self.state.steps = self.state.step + self._decay_steps(self.state.step)

    def _decay_steps(self, start: int) -> int:
        """Steps of a decay that begins at the step ``start`` and is ``decay`` of the whole run."""
        decay = self.config.decay
        return max(1, round(start * decay / (1 - decay)))

    # ---- checkpoints -----------------------------------------------------------------------------

    def _fixed_settings(self) -> dict[str, Any]:
        """What must be the same in every part of a run."""
        fixed = {
            "model": asdict(self.model.config),
            "n_tokens": len(self.tokens),
            **asdict(self.config),
        }
        for name in FREE:
            fixed.pop(name)
        if self.path is not None:  # the digest reads the whole text, which only a checkpoint needs
            fixed["tokens"] = tokens_digest(self.tokens)
        return fixed

    def _resume(self, path: Path) -> None:
        """Go on where the checkpoint stands. Raises ``ValueError`` if it is not of this run."""
        counters = load_checkpoint(path, self.model, self.optimizer, self._accept)
        self.state = TrainState.stored(path.name, counters["state"])
        self.scaler.load_state_dict(counters["scaler"])

    def _accept(self, counters: dict[str, Any]) -> None:
        """Raise ``ValueError`` unless a checkpoint with these counters is one of this run."""
        assert self.path is not None
        file = self.path.name
        made_with = counters["fixed"]
        # The first difference is the one that is named; a setting that one side lacks is None.
        for name in self.fixed | made_with:
            made = made_with.get(name)
            asked = self.fixed.get(name)
            if made != asked:
                raise ValueError(
                    f"{file} was made with {name} = {made!r}, "
                    f"this run asks for {asked!r}: remove it, or train as it did"
                )

        # The run ends where its settings say, unless a decay that began early has moved the end.
        state = TrainState.stored(file, counters["state"])
        end = self.config.steps
        if state.decay_start is not None:
            end = state.decay_start + self._decay_steps(state.decay_start)
        require(state.steps == end, f"steps in {file}", f"{end}, where this run ends", state.steps)
        self._require_scale(file, counters["scaler"])

    def _require_scale(self, file: str, stored: dict[str, Any]) -> None:
        """Raise ``ValueError`` unless ``stored`` is the loss scale of a run in this precision."""
        name = f"the loss scale in {file}"
        ours = self.scaler.state_dict()  # empty but for float16
        allowed = "that of a float16 run" if ours else "absent, as this run is not in float16"
        require(stored.keys() == ours.keys(), name, allowed, stored)
        for part, value in stored.items():
            number(part, value, 0.0)

    def save(self) -> None:
        """Store the checkpoint, if the run has one.

        Raises ``FloatingPointError`` where the run has diverged, ``OSError`` where the file cannot
        be written and ``MemoryError`` where there is too little to do so: the state before stays.
        """
        task = "check the weights" if self.path is None else f"save {self.path.name}"
        advice = f"there is too little memory to {task}: try a smaller batch_size"
        with memory_advice(advice):
            self._save()

    def _save(self) -> None:
        self._require_finite()
        if self.path is None or self.processes.rank > 0:
            return
        self.require_alone()
        self.state.loss_sum = float(self.loss_sum)
        counters = {
            "fixed": self.fixed,
            "state": asdict(self.state),
            "scaler": self.scaler.state_dict(),
        }
        save_checkpoint(self.path, self.model, self.optimizer, counters)

    def _require_finite(self) -> None:
        """Raise ``FloatingPointError`` unless the losses and the weights are finite."""
        losses = [float(self.loss_sum)]
        if self.state.history:
            losses.append(self.state.history[-1]["train_loss"])
        # A sum is finite only if every summand is, and needs no memory, as looking at each would.
        sums = torch.stack([p.detach().sum() for p in self.model.parameters()])  # (parameters,)
        if all(map(math.isfinite, losses)) and sums.isfinite().all():
            return

        line = f"training diverged by step {self.state.step} with learning_rate = "
        line += f"{self.config.learning_rate:g}: lower it"
        if self.path is not None and self.path.exists():
            line += f"; {self.path.name} keeps the state before"
        raise FloatingPointError(line)


def alone_with(
    path: Path | None, processes: Processes
) -> AbstractContextManager[Callable[[], None]]:
    """A context in which no other run uses the checkpoint ``path``; the first process holds it.

    Gives a function that raises ``OSError`` once that is no longer so. Raises ``OSError`` in one
    line, so before the first step, for a path that another run uses or that cannot be written.
    """
    if path is None or processes.rank > 0:
        return contextlib.nullcontext(lambda: None)
    return locked(path)


@contextlib.contextmanager
def deferred_stop() -> Iterator[Callable[[], type[BaseException] | None]]:
    """Hold Ctrl-C and SIGTERM until the step is whole: what is saved is a state between two steps.

    SIGTERM is how a machine that is shut down, or a queue whose time is up, asks a process to end.
    Gives a function that says whether one of them came, by the exception that shall end the run:
    ``KeyboardInterrupt`` for Ctrl-C, ``SystemExit`` for SIGTERM, otherwise None. The second one
    ends it at once. Only the main thread gets signals, so in any other the answer is always None.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return

    asked: type[BaseException] | None = None

    def note(number: int, _: Any) -> None:
        nonlocal asked
        end = SystemExit if number == signal.SIGTERM else KeyboardInterrupt
        if asked is not None:
            raise end("stopped at once: what came after the last checkpoint is lost")
        asked = end

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            # None stands for a handler that was not set from Python, and cannot be set from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
