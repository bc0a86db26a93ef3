"""Train many small models of one shape side by side, each on data of its own.

A model here is a module whose call ``model(*batch)`` is its loss. One model is trained as it is;
several are stacked, so that a GPU, which a small model leaves idle, works on all of them at once.
What a model learns does not depend on which others stand beside it, but for rounding.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

DRAWN_AT_ONCE = 50  # steps whose batches are drawn in one call

Draw = Callable[[int], tuple[Tensor, ...]]  # rows to a batch of so many rows


@dataclass(frozen=True)
class Training:
    """How every model is trained: Adam at a constant rate, after a linear warmup.

    average : share of the old value in the running average of the weights that is measured instead
        of the last weights. 0 measures the last weights.
    """

    steps: int
    rate: float
    batch: int
    warmup: int = 50
    weight_decay: float = 0.01
    average: float = 0.0


def train_together(
    models: Sequence[nn.Module],
    draws: Sequence[Draw],
    training: Training,
    measure: Callable[[nn.Module, int], Any],
    moments: Sequence[int],
    *,
    device: torch.device | str = "cpu",
    deadline: float = float("inf"),
) -> list[list[Any]] | None:
    """Train the models, and measure each of them at each of the ``moments``.

    models : of equal shapes; those given are trained in place and end on ``device``.
    draws : of each model, how to draw its rows. measure : ``measure(model, i)`` for model ``i``.
    moments : numbers of steps done, in growing order.

    Returns for each model what was measured at each moment, or None if ``time.monotonic()`` passed
    the ``deadline`` first.
    """
    stack = _Stack(models, training, torch.device(device))
    found: list[list[Any]] = [[] for _ in models]
    blocks: list[Tensor] = []
    with _Ahead(draws, DRAWN_AT_ONCE * training.batch) as ahead:
        for step in range(training.steps + 1):
            if step in moments:
                for i, model in enumerate(stack.measured()):
                    found[i].append(measure(model, i))
            if step == training.steps:
                break
            if time.monotonic() > deadline:
                return None
            if step % DRAWN_AT_ONCE == 0:
                blocks = stack.joined(ahead.next())  # of each input (E, DRAWN_AT_ONCE · B, …)
            first = step % DRAWN_AT_ONCE * training.batch
            stack.step(step, [block[:, first : first + training.batch] for block in blocks])
    stack.write_back(models)
    return found


class _Ahead:
    """Draws the rows of all models, several at once and while the last ones are being used."""

    def __init__(self, draws: Sequence[Draw], rows: int) -> None:
        self.draws = draws
        self.rows = rows
        self.pool = ThreadPoolExecutor()
        self.waiting = self._begin()

    def _begin(self) -> list[Future[tuple[Tensor, ...]]]:
        return [self.pool.submit(draw, self.rows) for draw in self.draws]

    def next(self) -> list[tuple[Tensor, ...]]:
        """The next rows of each model."""
        drawn = [future.result() for future in self.waiting]
        self.waiting = self._begin()
        return drawn

    def __enter__(self) -> _Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)


class _Stack:
    """The weights of E models, stacked along a first axis, and their optimizer."""

    def __init__(self, models: Sequence[nn.Module], training: Training, device: torch.device):
        self.training = training
        self.device = device
        self.n = len(models)
        for model in models:
            model.to(device)
        self.base = copy.deepcopy(models[0])
        params, self.buffers = stack_module_state(list(models))  # (E, …) each
        self.params = {name: p.detach().requires_grad_() for name, p in params.items()}
        self.mean = {name: p.detach().clone() for name, p in self.params.items()}

        # Matrices decay; gains and biases, which have one dimension and E, do not.
        matrices = [p for p in self.params.values() if p.dim() > 2]
        others = [p for p in self.params.values() if p.dim() <= 2]
        groups = [
            {"params": matrices, "weight_decay": training.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=training.rate, betas=(0.9, 0.98))

    def joined(self, drawn: Sequence[tuple[Tensor, ...]]) -> list[Tensor]:
        """The inputs of all models, (E, rows, …) each."""
        return [torch.stack(parts).to(self.device) for parts in zip(*drawn, strict=True)]

    def step(self, step: int, batch: Sequence[Tensor]) -> None:
        """One step of Adam for every model; ``batch`` holds inputs (E, B, …)."""
        factor = min(1.0, (step + 1) / self.training.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = self.training.rate * factor
        loss = self._losses(batch).sum()  # the gradient of each model is that of its own loss
        self.optimizer.zero_grad()
        loss.backward()
        self._clip()
        self.optimizer.step()

        # The running average is that of a short memory at first.
        keep = min(self.training.average, step / (step + 10))
        with torch.no_grad():
            for name, p in self.params.items():
                self.mean[name].lerp_(p, 1 - keep)

    def _losses(self, batch: Sequence[Tensor]) -> Tensor:
        """The loss of each model, (E,)."""
        if self.n == 1:  # without the detour: an ordinary call of one model
            state = {name: p[0] for name, p in (self.params | self.buffers).items()}
            return functional_call(self.base, state, tuple(part[0] for part in batch))[None]

        def loss(params: Any, buffers: Any, inputs: Any) -> Tensor:
            return functional_call(self.base, (params, buffers), inputs)

        with sdpa_kernel(SDPBackend.MATH):  # the one kernel that can be stacked
            return vmap(loss)(self.params, self.buffers, tuple(batch))

    def _clip(self) -> None:
        """Shorten the gradient of each model to a norm of at most one."""
        grads = [p.grad for p in self.params.values() if p.grad is not None]  # of those in use
        squares = torch.stack([grad.flatten(1).square().sum(1) for grad in grads])  # (parts, E)
        norm = squares.sum(0).sqrt()  # (E,)
        factor = (1 / (norm + 1e-6)).clamp(max=1.0)  # (E,)
        for grad in grads:
            grad.mul_(factor.view(-1, *[1] * (grad.dim() - 1)))

    def measured(self) -> Iterator[nn.Module]:
        """Each model in turn with its averaged weights, for reading only."""
        for i in range(self.n):
            state = {name: p[i] for name, p in (self.mean | self.buffers).items()}
            self.base.load_state_dict(state, strict=False)
            with torch.no_grad():
                yield self.base

    def write_back(self, models: Sequence[nn.Module]) -> None:
        """Give each model its averaged weights."""
        for model, trained in zip(models, self.measured(), strict=True):
            model.load_state_dict(trained.state_dict())


# ---- numbers for the record ----------------------------------------------------------------------


def rounded(values: Any) -> list[float]:
    """Numbers with as many digits as a record needs."""
    return [round(float(value), 4) for value in values]


def columns(history: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Measurements at several moments, as one list for each name."""
    return {name: [found[name] for found in history] for name in history[0]}
