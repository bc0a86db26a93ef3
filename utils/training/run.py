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
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from utils.data.books import tokens_digest
from utils.models.gpt import GPT
from utils.training.checkpoints import load_checkpoint, read_counters, save_checkpoint
from utils.training.config import TrainConfig, TrainState, autocast, lr_factor, optimizer_for
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
        device: torch.device | str | None,
    ) -> None:
        # Alone, or one of several processes, each with the same share of every batch.
        self.processes = Processes(device)
        self.device = self.processes.device
        world = self.processes.world
        equal = f"a multiple of {world} processes × accumulate = {config.accumulate}"
        divides = config.batch_size % (world * config.accumulate) == 0
        require(divides, "batch_size", equal, config.batch_size)

        self.tokens = tokens  # (n_tokens,)
        self.config = config
        self.path = path
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
        return time.time() + self._decay_steps() * self.seconds_per_step() >= until

    def start_decay(self) -> None:
        """Let the decay begin at the next step, and the run end with it."""
        self.state.decay_start = self.state.step
        self.state.steps = self.state.step + self._decay_steps()

    def _decay_steps(self) -> int:
        """Steps of a decay that begins now and shall be ``decay`` of the whole run."""
        decay = self.config.decay
        return max(1, round(self.state.step * decay / (1 - decay)))

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
        counters = read_counters(path)
        made_with = counters["fixed"]
        # Older checkpoints do not keep the digest of their text.
        made_with.setdefault("tokens", self.fixed["tokens"])
        for name, asked in self.fixed.items():  # the first difference is the one that is named
            made = made_with.get(name)
            if made != asked:
                raise ValueError(
                    f"{path.name} was made with {name} = {made!r}, "
                    f"this run asks for {asked!r}: remove it, or train as it did"
                )

        self.state = TrainState.stored(path.name, counters["state"])
        self._require_scale(path, counters["scaler"])
        load_checkpoint(path, self.model, self.optimizer)
        self.scaler.load_state_dict(counters["scaler"])

    def _require_scale(self, path: Path, stored: dict[str, Any]) -> None:
        """Raise ``ValueError`` unless ``stored`` is the loss scale of a run in this precision."""
        name = f"the loss scale in {path.name}"
        ours = self.scaler.state_dict()  # empty but for float16
        allowed = "that of a float16 run" if ours else "absent, as this run is not in float16"
        require(stored.keys() == ours.keys(), name, allowed, stored)
        for part, value in stored.items():
            number(part, value, 0.0)

    def save(self) -> None:
        """Store the checkpoint, if the run has one.

        Raises ``FloatingPointError`` where the run has diverged: the state before stays.
        """
        self._require_finite()
        if self.path is None or self.processes.rank > 0:
            return
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
        weights = torch.stack([p.isfinite().all() for p in self.model.parameters()])
        if all(map(math.isfinite, losses)) and weights.all():
            return

        line = f"training diverged by step {self.state.step} with learning_rate = "
        line += f"{self.config.learning_rate:g}: lower it"
        if self.path is not None and self.path.exists():
            line += f"; {self.path.name} keeps the state before"
        raise FloatingPointError(line)


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Hold Ctrl-C until the step is whole, so that what is saved is a state between two steps.

    Gives a function that says whether Ctrl-C was pressed. Pressed twice, it interrupts at once.
    Only the main thread gets signals, so in any other the answer is always no.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    asked = False

    def note(*_: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
