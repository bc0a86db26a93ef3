"""The training loop: schedule, mixed precision, accumulation, validation, and exact resume.

``train(model, tokens, TrainConfig(steps=1000), checkpoint="run.safetensors")`` trains a
`utils.models.gpt.GPT`; the same call, after a kill at any moment, goes on where the checkpoint
stands. On the CPU in float32 the final weights are bitwise those of an uninterrupted run: the order
of the data is a pure function of seed and step, nothing else is random, and weights, optimizer and
counters lie in one file that is replaced in one go.

Under ``torchrun`` or ``accelerate launch`` the same script trains on several devices: `accelerate`
starts the process group and averages the gradients. Not here: sharded models, dropout, data loaders
with workers.

Shapes: B sequences of one pass, T = context_length.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from utils.data.books import checked_tokens, windows_in
from utils.models.budget import matmul_flops_per_token, peak_flops
from utils.models.gpt import GPT
from utils.runtime import generator
from utils.training.config import (
    TrainConfig,
    TrainState,
    autocast,
    memory_advice,
    smaller_pass,
    too_large,
)
from utils.training.processes import Processes
from utils.training.run import Run, alone_with, deferred_stop
from utils.validate import integer, number, require


def batch(
    tokens: np.ndarray, step: int, *, batch_size: int, context_length: int, seed: int
) -> Tensor:
    """The windows of one step, (batch_size, context_length + 1): a pure function of its arguments.

    Neighbouring windows overlap by one token, which is the last target of one and the first input
    of the next. Every window of the text is used once before any is used twice.

    >>> batch(np.arange(10), step=0, batch_size=2, context_length=3, seed=0)
    tensor([[6, 7, 8, 9],
            [0, 1, 2, 3]])
    >>> batch(np.arange(10), step=1, batch_size=2, context_length=3, seed=0)  # a new epoch begins
    tensor([[3, 4, 5, 6],
            [6, 7, 8, 9]])
    """
    tokens = checked_tokens("tokens", tokens)
    n_windows = windows_in("tokens", tokens, context_length)
    integer("step", step, 0)
    integer("batch_size", batch_size, 1)
    integer("seed", seed, 0)

    # All steps together walk through one long row of places, batch_size of them per step.
    rows = []
    for place in range(step * batch_size, (step + 1) * batch_size):
        # Epoch after epoch visits every window, each time in an order of its own.
        epoch, place_in_epoch = divmod(place, n_windows)
        window = int(_window_order(n_windows, seed, epoch)[place_in_epoch])
        start = window * context_length
        rows.append(tokens[start : start + context_length + 1])  # (T + 1,)
    return torch.from_numpy(np.stack(rows).astype(np.int64))  # (batch_size, T + 1)


@lru_cache(maxsize=2)  # a batch may reach from one epoch into the next
def _window_order(n_windows: int, seed: int, epoch: int) -> np.ndarray:
    """The order in which an epoch goes through the windows, (n_windows,)."""
    return generator([seed, epoch]).permutation(n_windows)


@torch.no_grad()
def evaluate(
    model: GPT,
    tokens: np.ndarray,
    *,
    windows: int | None = None,
    batch_size: int = 16,
    precision: str = "fp32",
) -> float:
    """Mean cross-entropy in nats per token, over windows of ``context_length`` that do not overlap.

    ``windows`` takes that many, evenly spaced, instead of all. Every window starts without a past,
    so a token sees half a context on average: this is an upper bound on what the model can do.
    Raises ``ValueError`` for a number out of range or a text shorter than a window, and
    ``MemoryError``, with a smaller suggestion, when a batch does not fit.
    """
    T = model.config.context_length
    device = model.tok.weight.device
    tokens = checked_tokens("tokens", tokens)
    integer("batch_size", batch_size, 1)
    total = windows_in("tokens", tokens, T)
    count = total if windows is None else min(total, integer("windows", windows, 1))

    # Evenly spaced, so that a few windows still stand for the whole text.
    chosen = np.linspace(0, total - 1, count).round().astype(int)  # (count,) window numbers
    context, _ = autocast(precision, device)
    smaller = f"batch_size={batch_size // 2} in evaluate" if batch_size > 1 else None

    # A model in training comes back in training, whatever happens in between.
    was_training = model.training
    model.eval()
    loss_sum = 0.0
    try:
        for i in range(0, count, batch_size):
            starts = chosen[i : i + batch_size] * T  # (B,)
            rows = np.stack([tokens[start : start + T + 1] for start in starts])  # (B, T + 1)
            advice = "evaluation: " + too_large(len(rows), T, smaller)
            with memory_advice(advice), context:
                ids = torch.from_numpy(rows.astype(np.int64)).to(device)  # (B, T + 1)
                # Each token is asked for the next one: targets are the inputs moved by one.
                mean = model(ids[:, :-1], ids[:, 1:])  # () over B · T targets
                # The last batch may be smaller, so each counts by its number of windows.
                loss_sum += float(mean) * len(ids)
    finally:
        model.train(was_training)
    return loss_sum / count


def optimizer_step(run: Run) -> Tensor:
    """Train on this process's share of the next batch; return the whole batch's mean loss, ()."""
    # Every process draws the same batch and takes every world-th row of it.
    config = run.config
    rows = batch(
        run.tokens,
        run.state.step,
        batch_size=config.batch_size,
        context_length=run.model.config.context_length,
        seed=config.seed,
    )  # (batch_size, T + 1)
    share = rows[run.processes.rank :: run.processes.world]  # (batch_size / world, T + 1)
    share = share.to(run.device, non_blocking=True)

    # The learning rate is a function of the step, not a state of the optimizer.
    for group in run.optimizer.param_groups:
        group["lr"] = run.learning_rate()

    # The gradients of the passes add up to that of the batch, in less memory than all at once.
    # Dividing each pass's mean by the number of passes makes their sum the mean of the batch.
    loss = torch.zeros((), device=run.device)
    for i, part in enumerate(share.chunk(config.accumulate)):  # (B, T + 1) each
        # Several processes average their gradients once, in the last pass.
        averaging = contextlib.nullcontext()
        if i + 1 < config.accumulate:
            averaging = run.processes.without_averaging(run.forward)
        with averaging:
            with run.autocast:
                mean = run.forward(part[:, :-1], part[:, 1:]) / config.accumulate  # ()
            run.scaler.scale(mean).backward()
        loss += mean.detach()

    # Clipping looks at the true gradients, so the scale of float16 comes off first.
    run.scaler.unscale_(run.optimizer)
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), config.clip)
    run.scaler.step(run.optimizer)  # skipped where a float16 gradient overflowed
    run.scaler.update()  # a smaller scale after an overflow, a larger one after a long time without
    run.optimizer.zero_grad(set_to_none=True)
    return run.processes.mean(loss)


def log_row(run: Run, validation: np.ndarray | None) -> dict[str, float]:
    """Add a row to the loss curve, with the validation loss where it is due; return the row."""
    # The training loss is the mean over all steps since the row before, not that of the last step.
    history = run.state.history
    previous = history[-1]["step"] if history else 0
    row = {
        "step": run.state.step,
        "train_loss": float(run.loss_sum) / (run.state.step - previous),
        "learning_rate": run.learning_rate(),
    }
    run.loss_sum.zero_()
    if validation is not None and run.evaluation_due():
        row["val_loss"] = evaluate(
            run.model,
            validation,
            windows=run.config.eval_windows,
            precision=run.config.precision,
        )
    history.append(row)
    return row


def readout(run: Run, row: dict[str, float]) -> dict[str, str]:
    """What the progress bar shows: the losses, tokens per second and, on a known GPU, the MFU.

    MFU (model FLOPs utilisation; Chowdhery et al. 2022, arXiv:2204.02311) is the share of the
    GPUs' peak that the model's own multiplications use.
    """
    tokens_per_step = run.config.batch_size * run.model.config.context_length
    tokens_per_second = tokens_per_step / run.seconds_per_step()
    shown = {"loss": f"{row['train_loss']:.3f}", "tok/s": f"{tokens_per_second:,.0f}"}
    if "val_loss" in row:
        shown["val"] = f"{row['val_loss']:.3f}"

    peak = peak_flops(run.device)
    if peak is not None:
        flops_per_second = tokens_per_second * matmul_flops_per_token(run.model.config)
        shown["MFU"] = f"{flops_per_second / (peak * run.processes.world):.0%}"
    return shown


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
    """Train ``model`` in place, going on from its checkpoint where there is one.

    Parameters
    ----------
    tokens : (n_tokens,) the ids to train on.
    validation : (n_validation,) held-out ids, measured every ``config.eval_every`` steps.
    checkpoint : the file to go on from and to save to; without it nothing is saved.
    device : where to compute, by default the course's device.
    until : seconds since 1970, for the schedule "wsd" only. The run ends about then, whatever
        ``config.steps`` says: the decay starts early enough.

    Ctrl-C finishes the step, saves and raises ``KeyboardInterrupt``; SIGTERM does the same and
    raises ``SystemExit``. Raises ``ValueError`` for ids that the model does not know, or a
    checkpoint that is damaged or of another model or configuration; ``OSError`` when one cannot be
    written or another run uses it; ``FloatingPointError`` when the run diverges (the checkpoint
    before it stays); and ``MemoryError`` when there is too little, with a smaller suggestion where
    a pass does not fit.
    """
    # Refuse before the first step what can be refused.
    T = model.config.context_length
    tokens = checked_tokens("tokens", tokens, model.config.vocab_size)
    if validation is not None:
        validation = checked_tokens("validation", validation, model.config.vocab_size)
    windows_in("tokens", tokens, T)
    if validation is not None:
        windows_in("validation", validation, T)
    if until is not None:
        number("until", until)
        require(config.schedule == "wsd", "schedule", "'wsd' with until", config.schedule)

    # One place, whatever link leads there and wherever the process goes meanwhile.
    path = Path(os.path.realpath(checkpoint)) if checkpoint else None
    processes = Processes(device)
    with deferred_stop() as asked_to_stop, alone_with(path, processes) as require_alone:
        # Start, or go on where the checkpoint stands.
        run = Run(model, tokens, config, path, processes, require_alone)
        _take_steps(run, validation, until, asked_to_stop)
    return run.state


def _take_steps(
    run: Run,
    validation: np.ndarray | None,
    until: float | None,
    asked_to_stop: Callable[[], type[BaseException] | None],
) -> None:
    """Train until the run's end, or ``asked_to_stop`` gives an exception. Raises as `train`."""
    state = run.state
    config = run.config

    # What to say if a pass does not fit, in terms of settings that the user can change.
    world = run.processes.world
    rows_per_pass = config.batch_size // (config.accumulate * world)
    smaller = smaller_pass(config, world)
    advice = too_large(rows_per_pass, run.model.config.context_length, smaller)

    quiet = bool(os.environ.get("COURSE_QUIET")) or run.processes.rank > 0
    with tqdm(total=state.steps, initial=state.step, disable=quiet) as bar:
        while state.step < state.steps:
            # 1. One step: forward, backward, update.
            with memory_advice(advice):
                run.loss_sum += optimizer_step(run).double()
            run.count_step()
            bar.update()

            # 2. Is it time for the decay, or to stop? All processes must answer at the same step.
            end_by = asked_to_stop()
            time_to_decay = run.time_to_decay(until)
            decay, stop = run.processes.any(time_to_decay, end_by is not None)
            if decay:
                run.start_decay()
                bar.total = state.steps

            # 3. A row of the loss curve, with the held-out loss where it is due.
            if run.log_due():
                row = log_row(run, validation)
                bar.set_postfix(readout(run, row))

            # 4. Save, unless the run has diverged: nothing good is overwritten by it.
            if run.checkpoint_due() or stop:
                run.save()
            if stop:
                saved = ", saved" if run.path else ""
                end_by = end_by or KeyboardInterrupt  # None: another process was asked
                raise end_by(f"stopped after step {state.step}{saved}")

        # Asked in the very last step: the run is whole, but what the caller does next must not be.
        end_by = asked_to_stop()
        if end_by is not None:
            raise end_by("stopped at the end of the run")
