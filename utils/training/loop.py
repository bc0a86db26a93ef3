"""One training loop: schedule, mixed precision, accumulation, validation, checkpoints, exact resume.

``train(model, tokens, TrainConfig(steps=1000), checkpoint="run.safetensors")`` trains a `utils.models.gpt.GPT`;
the same call, after a kill at any moment, goes on where the checkpoint stands. On the CPU in float32 the
final weights are bitwise those of an uninterrupted run: the order of the data is a pure function of seed and
step, nothing else is random, and weights, optimizer and counters lie in one file that is replaced in one go.

Under ``torchrun`` or ``accelerate launch`` the same script trains on several devices: `accelerate` starts the
process group and averages the gradients. Not here: sharded models, dropout, data loaders with workers.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from utils.data.books import checked_tokens, tokens_digest, windows_in
from utils.models.budget import matmul_flops_per_token, peak_flops
from utils.models.gpt import GPT
from utils.training.checkpoints import load_checkpoint, read_counters, save_checkpoint
from utils.training.config import (
    TrainConfig,
    TrainState,
    autocast,
    lr_factor,
    memory_advice,
    optimizer_for,
    smaller_pass,
    too_large,
    usable_device,
)
from utils.validate import integer, number, require


@lru_cache(maxsize=2)
def _shuffled(windows: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(windows)


def batch(
    tokens: np.ndarray, step: int, *, batch_size: int, context_length: int, seed: int
) -> Tensor:
    """The windows of one step, (batch_size, context_length + 1): a pure function of its arguments.

    Every window of the text is used once before any is used twice.
    """
    tokens = checked_tokens("tokens", tokens)
    windows, rows = windows_in("tokens", tokens, context_length), []
    for name, value, low in (("step", step, 0), ("batch_size", batch_size, 1), ("seed", seed, 0)):
        integer(name, value, low)
    for place in range(step * batch_size, (step + 1) * batch_size):
        start = int(_shuffled(windows, seed, place // windows)[place % windows]) * context_length
        rows.append(tokens[start : start + context_length + 1])
    return torch.from_numpy(np.stack(rows).astype(np.int64))


@torch.no_grad()
def evaluate(
    model: GPT,
    tokens: np.ndarray,
    *,
    windows: int | None = None,
    batch_size: int = 16,
    precision: str = "fp32",
) -> float:
    """Mean cross-entropy in nats a token over windows of ``context_length`` that do not overlap.

    ``windows`` takes that many, evenly spaced, instead of all. Every window starts without a past, so a token
    sees half a context on average: this is an upper bound on what the model can do.
    """
    T, device, tokens = (
        model.config.context_length,
        model.tok.weight.device,
        checked_tokens("tokens", tokens),
    )
    integer("batch_size", batch_size, 1)
    total = windows_in("tokens", tokens, T)
    chosen = np.linspace(
        0, total - 1, total if windows is None else min(total, integer("windows", windows, 1))
    )
    chosen = chosen.round().astype(int)
    context, was, loss = autocast(precision, device)[0], model.training, 0.0
    smaller = f"batch_size={batch_size // 2} in evaluate" if batch_size > 1 else None
    model.eval()
    try:
        for i in range(0, len(chosen), batch_size):
            rows = np.stack([tokens[j * T : j * T + T + 1] for j in chosen[i : i + batch_size]])
            with memory_advice("evaluation: " + too_large(len(rows), T, smaller)), context:
                ids = torch.from_numpy(rows.astype(np.int64)).to(device)
                loss += float(model(ids[:, :-1], ids[:, 1:])) * len(ids)
    finally:
        model.train(was)
    return loss / len(chosen)


@contextlib.contextmanager
def _deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Hold Ctrl-C until the step is whole, so that what is saved is a state between two steps."""
    asked = False
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def note(*_: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt  # the second time the user means it
        asked = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


class _Run:
    """The state of one call of `train`: model, optimizer, process group and counters."""

    def __init__(
        self, model: GPT, tokens: np.ndarray, config: TrainConfig, path: Path | None, device: Any
    ) -> None:
        self.group = None
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            from accelerate import Accelerator  # only a launch on several devices needs it

            self.group = Accelerator(cpu=usable_device(device).type == "cpu")
        self.rank, self.world = (
            (self.group.process_index, self.group.num_processes) if self.group else (0, 1)
        )
        self.device = self.group.device if self.group else usable_device(device)
        share = f"a multiple of {self.world} processes × accumulate = {config.accumulate}"
        require(
            config.batch_size % (self.world * config.accumulate) == 0,
            "batch_size",
            share,
            config.batch_size,
        )
        self.tokens, self.config, self.path = tokens, config, path
        self.model = model.to(self.device).train()
        self.context, precision = autocast(config.precision, self.device)
        self.optimizer = optimizer_for(model, config)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "fp16")
        self.state = TrainState(steps=config.steps)
        self.fixed = {"model": asdict(model.config), "n_tokens": len(tokens), **asdict(config)}
        for name in ("log_every", "eval_every", "eval_windows", "checkpoint_every", "compile"):
            self.fixed.pop(name)  # these may change between two parts of a run
        if path:
            self.fixed["tokens"] = tokens_digest(tokens)
        if path and path.exists():
            self.resume(path)
        self.loss_sum = torch.tensor(self.state.loss_sum, dtype=torch.float64, device=self.device)
        self.forward: Any = (
            torch.compile(model) if config.compile and self.device.type == "cuda" else model
        )
        if self.group:
            self.forward = self.group.prepare(self.forward)

    def resume(self, path: Path) -> None:
        was = read_counters(path)
        was["fixed"].setdefault(
            "tokens", self.fixed["tokens"]
        )  # checkpoints did not always keep the digest
        for name, value in self.fixed.items():
            if was["fixed"].get(name) != value:
                made = f"{path.name} was made with {name} = {was['fixed'].get(name)!r}"
                raise ValueError(
                    f"{made}, this run asks for {value!r}: remove it, or train as it did"
                )
        self.state = TrainState.stored(path.name, was["state"])
        scaler, made = self.scaler.state_dict(), was["scaler"]  # empty but for fp16
        allowed = "that of a float16 run" if scaler else "absent, as this run is not in float16"
        require(made.keys() == scaler.keys(), f"the loss scale in {path.name}", allowed, made)
        for name, value in made.items():
            number(name, value, 0.0)
        load_checkpoint(path, self.model, self.optimizer)
        self.scaler.load_state_dict(was["scaler"])

    def save(self) -> None:
        """Keep the state, unless the run diverged: nothing good is overwritten by it."""
        losses = [float(self.loss_sum), *(row["train_loss"] for row in self.state.history[-1:])]
        weights = (p.isfinite().all() for p in self.model.parameters())
        if not (all(map(math.isfinite, losses)) and torch.stack([*weights]).all()):
            rate = f"learning_rate = {self.config.learning_rate:g}"
            kept = (
                f"; {self.path.name} keeps the state before"
                if self.path and self.path.exists()
                else ""
            )
            raise FloatingPointError(
                f"training diverged by step {self.state.step} with {rate}: lower it{kept}"
            )
        if self.path and self.rank == 0:
            self.state.loss_sum = float(self.loss_sum)
            counters = {
                "fixed": self.fixed,
                "state": asdict(self.state),
                "scaler": self.scaler.state_dict(),
            }
            save_checkpoint(self.path, self.model, self.optimizer, counters)

    def learning_rate(self) -> float:
        s, c = self.state, self.config
        start = round(s.steps * (1 - c.decay)) if s.decay_start is None else s.decay_start
        return c.learning_rate * lr_factor(s.step, c, steps=s.steps, decay_start=start)

    def update(self) -> Tensor:
        """One optimizer step on this process's share of the batch; returns the whole batch's mean loss."""
        c, T, loss = (
            self.config,
            self.model.config.context_length,
            torch.zeros((), device=self.device),
        )
        rows = batch(
            self.tokens, self.state.step, batch_size=c.batch_size, context_length=T, seed=c.seed
        )
        ids = rows[self.rank :: self.world].to(
            self.device, non_blocking=True
        )  # (batch_size / world, T + 1)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        for i, part in enumerate(ids.chunk(c.accumulate)):
            wait = (
                self.group and i + 1 < c.accumulate
            )  # the processes average once, after the last pass
            with self.group.no_sync(self.forward) if wait else contextlib.nullcontext():
                with self.context:
                    mean = self.forward(part[:, :-1], part[:, 1:]) / c.accumulate
                self.scaler.scale(mean).backward()
            loss += mean.detach()
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), c.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return self.group.reduce(loss, "mean") if self.group else loss

    def agree(self, *flags: bool) -> list[bool]:
        """For each flag, whether any process raised it: all must stop, or start the decay, at one step."""
        if not self.group:
            return list(flags)
        raised = torch.tensor(flags, dtype=torch.float, device=self.device)
        return (self.group.reduce(raised, "sum") > 0).tolist()

    def time_to_decay(self, until: float | None, seconds_per_step: float) -> bool:
        """Whether just enough time is left for the decay."""
        s = self.state
        open_end = until is not None and s.decay_start is None
        return open_end and time.time() + self.tail() * seconds_per_step >= until

    def tail(self) -> int:
        """Steps of a decay that begins now and shall be ``decay`` of the whole run."""
        return max(1, round(self.state.step * self.config.decay / (1 - self.config.decay)))

    def evaluation_due(self) -> bool:
        s, every = self.state, self.config.eval_every
        return bool(every) and (s.step % every == 0 or s.step == s.steps)

    def log(self, validation: np.ndarray | None) -> dict[str, float]:
        """A row of the loss curve, with the validation loss when it is due."""
        s, c = self.state, self.config
        done = s.step - (s.history[-1]["step"] if s.history else 0)
        loss = float(self.loss_sum) / done
        row = {"step": s.step, "train_loss": loss, "learning_rate": self.learning_rate()}
        self.loss_sum.zero_()
        if validation is not None and self.evaluation_due():
            row["val_loss"] = evaluate(
                self.model, validation, windows=c.eval_windows, precision=c.precision
            )
        s.history.append(row)
        return row


def train(
    model: GPT,
    tokens: np.ndarray,
    config: TrainConfig,
    *,
    validation: np.ndarray | None = None,
    checkpoint: str | Path | None = None,
    device: torch.device | str | None = None,
    until: float | None = None,
) -> TrainState:
    """Train ``model`` in place on ``tokens`` (n_tokens,), going on from ``checkpoint`` where there is one.

    ``until`` (seconds since 1970, "wsd" only) ends the run about then: the decay starts early enough.
    Ctrl-C finishes the step, saves and raises ``KeyboardInterrupt``. Raises ``ValueError`` for a checkpoint
    of another model or configuration, ``OSError`` when one cannot be written, ``FloatingPointError`` when the
    run diverges (the checkpoint before it stays), and ``MemoryError`` with a smaller suggestion when a pass
    does not fit.
    """
    T, V = model.config.context_length, model.config.vocab_size
    texts = {"tokens": tokens} | ({} if validation is None else {"validation": validation})
    texts = {name: checked_tokens(name, text, V) for name, text in texts.items()}
    for name, text in texts.items():
        windows_in(name, text, T)
    if until is not None:
        number("until", until)
        require(config.schedule == "wsd", "schedule", "'wsd' with until", config.schedule)
    run = _Run(model, texts["tokens"], config, Path(checkpoint) if checkpoint else None, device)
    state, rows = run.state, config.batch_size // (config.accumulate * run.world)
    advice = too_large(rows, T, smaller_pass(config, run.world))
    flops, peak = matmul_flops_per_token(model.config), peak_flops(run.device)
    begun, first, before = time.monotonic(), state.step, state.seconds
    quiet = bool(os.environ.get("COURSE_QUIET")) or run.rank > 0
    with (
        _deferred_interrupt() as interrupted,
        tqdm(total=state.steps, initial=first, disable=quiet) as bar,
    ):
        while state.step < state.steps:
            with memory_advice(advice):
                run.loss_sum += run.update().double()
            state.step += 1
            state.seconds = before + time.monotonic() - begun
            bar.update()
            pace = (state.seconds - before) / (state.step - first)
            decay, stop = run.agree(run.time_to_decay(until, pace), interrupted())
            if decay:
                state.decay_start, bar.total = state.step, state.step + run.tail()
                state.steps = bar.total
            last = state.step == state.steps
            if state.step % config.log_every == 0 or run.evaluation_due() or last:
                row = run.log(texts.get("validation"))
                speed = config.batch_size * T / pace
                shown = {"loss": f"{row['train_loss']:.3f}", "tok/s": f"{speed:,.0f}"}
                shown |= {"val": f"{row['val_loss']:.3f}"} if "val_loss" in row else {}
                shown |= {"MFU": f"{speed * flops / (peak * run.world):.0%}"} if peak else {}
                bar.set_postfix(shown)
            if state.step % config.checkpoint_every == 0 or last or stop:
                run.save()
            if stop:
                raise KeyboardInterrupt(
                    f"stopped after step {state.step}" + (", saved" if checkpoint else "")
                )
    return state
