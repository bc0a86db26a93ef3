"""Train small language models side by side, as a scaling study needs them.

A model of a million parameters leaves a GPU idle: most of a step is spent starting its kernels. So
everything that changes from step to step, the counter, the learning rate, the order of the text,
lies on the device. Then a step is the same list of kernels every time: on CUDA it is captured once
as a graph and replayed, and the graphs of several models run at the same time, each on a stream of
its own (CUDA graphs; https://pytorch.org/docs/stable/notes/cuda.html). On the CPU the very same
step is called in a plain loop, one run after another.

Not here: checkpoints inside a run. A run that was stopped begins again; for one that is long enough
to need them there is `utils.training.loop`.

Shapes: B sequences of a step, T = context_length.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch

from utils.data.books import checked_tokens, windows_in
from utils.models.gpt import GPT
from utils.runtime import device as default_device
from utils.runtime import generator
from utils.scaling.spec import RunSpec
from utils.training.config import TrainConfig, optimizer_for
from utils.training.loop import evaluate
from utils.validate import integer

BINS = 64  # points of a stored loss curve
EAGER_STEPS = 3  # before a graph is captured: they make the optimizer's state
QUEUED = 25  # steps that a stream is given at once


class Training:
    """One run on its way: `advance` takes steps, `result` says how it ended.

    tokens: (n_tokens,) ids to train on. validation: (n_validation,) held-out ids, measured at the
    end and, with ``evaluations`` > 1, at as many equally spaced steps, on ``windows`` windows.
    graphs: on CUDA, replay a captured step instead of starting its kernels one by one.
    Raises ``ValueError`` for ids outside the vocabulary or a text shorter than a window.
    """

    def __init__(
        self,
        spec: RunSpec,
        tokens: np.ndarray,
        validation: np.ndarray,
        *,
        device: torch.device | None = None,
        evaluations: int = 1,
        windows: int = 400,
        graphs: bool = True,
    ) -> None:
        self.spec = spec
        self.device = device or default_device()
        on_gpu = self.device.type == "cuda"
        tokens = checked_tokens("tokens", tokens)[: spec.unique_tokens]
        self.validation = validation
        self.windows = windows
        self.precision = "bf16" if on_gpu else "fp32"

        # The model, drawn on the CPU: a seed gives the same weights on every device.
        generator(spec.seed, "global")
        self.model = GPT(spec.gpt()).to(self.device).train()
        config = TrainConfig(steps=spec.steps, weight_decay=spec.weight_decay, beta2=0.99)
        self.optimizer = optimizer_for(self.model, config)
        self.rate = torch.zeros((), device=self.device)  # read by the optimizer at each step
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
            group["capturable"] = on_gpu

        # What changes from step to step, as tables on the device with one row per step.
        starts = _window_starts(spec, tokens)  # (steps, B)
        rates = spec.learning_rates().astype(np.float32)  # (steps,)
        self.text = torch.from_numpy(tokens.astype(np.int32)).to(self.device)  # (n_tokens,)
        self.starts = torch.from_numpy(starts).to(self.device)
        self.rates = torch.from_numpy(rates).to(self.device)
        self.losses = torch.zeros(spec.steps, device=self.device)
        self.offsets = torch.arange(spec.context_length + 1, device=self.device)  # (T + 1,)
        self.counter = torch.zeros(1, dtype=torch.long, device=self.device)

        # How far it is.
        self.done = 0
        self.cpu_seconds = 0.0  # that the processor spent on it: on CUDA for starting kernels
        self.began = time.time()
        self.val_curve: list[dict[str, float]] = []
        every = np.arange(1, integer("evaluations", evaluations, 1) + 1) / evaluations
        self.due = sorted({max(1, round(share * spec.steps)) for share in every})
        self.graphs = graphs
        self.graph: torch.cuda.CUDAGraph | None = None
        self.stream: Any = None
        if on_gpu:
            self.stream = torch.cuda.Stream(self.device)
            self.stream.wait_stream(torch.cuda.current_stream(self.device))

    # ---- one step --------------------------------------------------------------------------------

    def _step(self) -> None:
        """One optimizer step, made of operations on the device only."""
        # Gradients of the step before are dropped first, so that a captured step makes its own.
        self.optimizer.zero_grad(set_to_none=True)

        # The windows of this step.
        start = self.starts.index_select(0, self.counter).squeeze(0)  # (B,)
        places = start[:, None] + self.offsets  # (B, T + 1)
        ids = self.text[places].long()  # (B, T + 1)

        # Forward and backward. A cache of casts would outlive the captured step.
        context: Any = contextlib.nullcontext()
        if self.device.type == "cuda":
            context = torch.autocast("cuda", torch.bfloat16, cache_enabled=False)
        with context:
            loss = self.model(ids[:, :-1], ids[:, 1:])  # ()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)

        # The update, with this step's learning rate.
        self.rate.copy_(self.rates.index_select(0, self.counter).squeeze(0))
        self.optimizer.step()
        self.losses.index_copy_(0, self.counter, loss.detach().float()[None])
        self.counter += 1

    def advance(self, steps: int) -> None:
        """Take up to ``steps`` steps, or measure the held-out loss where it is due.

        On CUDA steps are queued and this returns at once: `idle` says when they are done, and only
        then it may be called again.
        """
        began = time.process_time()
        with self._on_stream():
            if self.done == self.due[0]:
                self._measure()
            else:
                self._take(min(steps, self.due[0] - self.done))
        self.cpu_seconds += time.process_time() - began

    def _take(self, steps: int) -> None:
        """Take so many steps, or queue them."""
        for _ in range(steps):
            if self.stream is None or not self.graphs or self.done < EAGER_STEPS:
                self._step()
            else:
                self._replay()
            self.done += 1

    def _replay(self) -> None:
        """The same step from its graph, which is captured the first time."""
        if self.graph is None:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=self.stream):
                self._step()
            self.graph = graph
        self.graph.replay()

    def idle(self) -> bool:
        """Whether all queued steps are done."""
        return self.stream is None or self.stream.query()

    def _on_stream(self) -> contextlib.AbstractContextManager[Any]:
        if self.stream is None:
            return contextlib.nullcontext()
        return torch.cuda.stream(self.stream)

    def _measure(self) -> None:
        """Add the held-out loss at this step to the curve."""
        loss = evaluate(
            self.model,
            self.validation,
            windows=self.windows,
            batch_size=64,
            precision=self.precision,
        )
        self.val_curve.append({"step": self.done, "val_loss": loss})
        self.due.pop(0)

    # ---- the end ---------------------------------------------------------------------------------

    def finished(self) -> bool:
        """Whether the last step is taken and measured."""
        return not self.due

    def result(self) -> dict[str, Any]:
        """How the run ended: losses in nats per token, the mean training loss of 64 parts."""
        losses = self.losses.cpu().double().numpy()  # (steps,)
        parts = np.array_split(losses, min(BINS, len(losses)))
        return {
            "n_params": self.spec.n_params,
            "n_non_embedding": self.spec.n_non_embedding,
            "tokens": self.spec.steps * self.spec.batch_tokens,
            "flops": self.spec.flops,
            "cpu_seconds": round(self.cpu_seconds, 3),
            "wall_seconds": round(time.time() - self.began, 3),  # beside other runs on a GPU
            "val_loss": self.val_curve[-1]["val_loss"],
            "val_curve": self.val_curve,
            "train_curve": [round(float(part.mean()), 5) for part in parts],
        }


def _window_starts(spec: RunSpec, tokens: np.ndarray) -> np.ndarray:
    """Where the windows of each step begin in the text, (steps, B).

    Every window is used once before any is used twice; each pass has an order of its own.
    """
    T = spec.context_length
    n_windows = windows_in("tokens", tokens, T)
    needed = spec.steps * spec.batch_size
    passes = []
    for number in range(-(-needed // n_windows)):  # rounded up
        passes.append(generator([spec.seed, number]).permutation(n_windows))
    order = np.concatenate(passes)[:needed]  # (steps · B,)
    return (order * T).reshape(spec.steps, spec.batch_size)


def train_one(spec: RunSpec, tokens: np.ndarray, validation: np.ndarray, **how: Any) -> dict:
    """Train one run to its end and return its `Training.result`. ``how``: see `Training`."""
    run = Training(spec, tokens, validation, **how)
    while not run.finished():
        run.advance(run.spec.steps)
    return run.result()


def train_together(
    specs: Iterable[RunSpec],
    tokens: np.ndarray,
    validation: np.ndarray,
    *,
    at_once: int = 8,
    deadline: float = float("inf"),
    **how: Any,
) -> Iterator[tuple[RunSpec, dict[str, Any]]]:
    """Yield each run's spec and result as it ends, up to ``at_once`` of them on their way.

    deadline: ``time.monotonic()`` after which no step is taken; what is unfinished then is lost.
    how: what `Training` takes beside spec and text.
    """
    waiting = list(specs)
    running: list[Training] = []
    while (waiting or running) and time.monotonic() < deadline:
        while waiting and len(running) < at_once:
            running.append(Training(waiting.pop(0), tokens, validation, **how))

        # Give work to whoever has none; take out whoever has ended.
        moved = False
        for run in list(running):
            if not run.idle():
                continue
            moved = True
            if run.finished():
                running.remove(run)
                yield run.spec, run.result()
            else:
                run.advance(QUEUED)
        if not moved:
            time.sleep(0.0002)
