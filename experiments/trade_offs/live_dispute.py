"""Does longer training make a model harder to quantize and to tune, or is it the rate's decay?

    python -m experiments.trade_offs.live_dispute   # about 15 minutes on one CPU core

writes ``records/trade_offs/live_dispute.json``. A run trains one small model at a constant learning
rate and looks at it at several lengths, each twice as long as the one before. Before each length it
sends out branches, which read the same text up to that length in another way:

kind        the learning rate up to this length
untrained   before the first step
constant    as high as ever
averaged    as high as ever; the mean of ten weights from the last fifth of the steps
cooled      falls to zero over the last fifth of the steps
long        falls to zero over the last four fifths

Each of these models is damaged: rounded to few bits, in several ways, and moved by random noise.
A *damage* is the loss on held-out text that this adds, in nats per token. Then the untrained, the
constant and the cooled ones are tuned on another kind of text, at several learning rates: what they
gain there, and what they forget of the first kind.

case       amount                        the runs
main       1                             each seed, with everything that is described above
mean       1                             each seed, averaged only, tuned as well
longer     times the last length         each seed, at the last length and at this one
rate       times the learning rate       each seed; constant and cooled only
decay      times the weight decay        the same

The text is the running Python's own, as in `experiments.trade_offs.data`: its standard library's
code to train on, its language reference, the manual, to tune on. A seed draws the weights, the
order and which pieces of the text are taken.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.runner import Experiment, Plan, Run
from experiments.settings import distinct
from experiments.trade_offs.data import TABLES, pool, sample
from utils.compression.calibrated import gptq_model
from utils.compression.layers import linear_layers
from utils.compression.quantized_model import dequantize_model, quantize_model
from utils.compression.rounding import quantize
from utils.data.books import end_id, tokens_digest
from utils.data.text import python_docs
from utils.models.gpt import GPT
from utils.runtime import generator, single_thread
from utils.scaling.spec import RunSpec
from utils.scaling.training import Training
from utils.training.config import TrainConfig, optimizer_for
from utils.training.loop import batch, evaluate
from utils.validate import integer, require

WIDTH = 32
WINDOW = 64
BATCH = 16  # windows of one step: 1,024 tokens
RATE = 0.5 / WIDTH
WEIGHT_DECAY = 0.1
WARMUP = 50  # steps
FALL = {"cooled": 0.2, "long": 0.8}  # share of a branch's length over which the rate falls
SNAPSHOTS = 10  # weights that are averaged
GROUP = 16  # weights of a group that share a scale
NOISE = 0.1  # of a matrix's own size
DRAWS = 4  # of the noise
CALIBRATION = 64  # windows that the calibrated rounding looks at
HELD_WINDOWS = 320

TUNING_BATCH = 8  # windows of a step
TUNING_STEPS = (15, 30, 60)  # where the tuned model is measured
TUNING_RATES = (1 / 16, 1 / 4, 1.0)  # times the first learning rate
# The kinds of each case, and those that are tuned.
KINDS = {
    "main": ("untrained", "constant", "averaged", "cooled", "long"),
    "mean": ("averaged",),
    "longer": ("constant", "averaged", "cooled"),
    "rate": ("constant", "cooled"),
    "decay": ("constant", "cooled"),
}
TUNED = {"main": ("untrained", "constant", "cooled"), "mean": ("averaged",)}
RATES = (0.25,)
DECAYS = (0.0, 4.0)


@cache
def code() -> np.ndarray:
    """All code to train on, (n_tokens,): more than `data.pool` keeps, in the same tokens."""
    documents, _ = python_docs(("topics", "sources")).split(0.15, seed=0)
    tokenizer = pool().tokenizer
    ids: list[int] = []
    for title, text in documents:
        if title.startswith("sources") and not title.startswith(TABLES):
            ids += [end_id(tokenizer), *tokenizer.encode(text).ids]
    return np.array(ids, dtype=np.uint16)


# ---- training, and the branches ------------------------------------------------------------------


def constant_run(
    steps: int,
    seed: int,
    *,
    rate: float = 1.0,
    decay: float = 1.0,
    source: np.ndarray | None = None,
) -> Training:
    """A run at a constant learning rate, before its first step.

    rate, decay : factors for the learning rate and the weight decay.
    source : tokens from which the seed draws the text, (n_tokens,); all code if it is None.
    """
    n_tokens = steps * BATCH * WINDOW
    spec = RunSpec(
        d_model=WIDTH,
        n_layer=2,
        vocab_size=pool().tokenizer.get_vocab_size(),
        context_length=WINDOW,
        batch_tokens=BATCH * WINDOW,
        tokens=n_tokens,
        learning_rate=rate * RATE,
        weight_decay=decay * WEIGHT_DECAY,
        schedule="constant",
        seed=seed,
    )
    text = sample(code() if source is None else source, n_tokens, seed)  # (n_tokens,)
    closed = np.concatenate([text, text[:1]])  # the last window's last target
    run = Training(spec, closed, pool().held_code)
    # The same warm-up whatever the length, so that a short run is the beginning of a long one.
    run.rates[:] = spec.learning_rate
    run.rates[:WARMUP] *= torch.arange(1, WARMUP + 1) / WARMUP
    return run


def cooled(run: Training, end: int) -> GPT:
    """The model after a branch in which the rate falls to zero from here to step ``end``."""
    branch = copy.deepcopy(run)
    n_steps = end - branch.done
    falling = 1 - torch.arange(n_steps) / n_steps  # from 1 to 1 / n_steps
    branch.rates[branch.done : end] *= falling
    branch.advance(n_steps)
    return branch.model


def averaged(run: Training, end: int) -> GPT:
    """Take ``run`` itself to step ``end``, and return the mean of ten weights on the way."""
    n_steps = (end - run.done) // SNAPSHOTS
    mean = copy.deepcopy(run.model)
    sums = [torch.zeros_like(p) for p in run.model.parameters()]
    for _ in range(SNAPSHOTS):
        run.advance(n_steps)
        for total, p in zip(sums, run.model.parameters(), strict=True):
            total += p.detach()
    with torch.no_grad():
        for p, total in zip(mean.parameters(), sums, strict=True):
            p.copy_(total / SNAPSHOTS)
    return mean


def checkpoints(
    run: Training, lengths: tuple[int, ...], kinds: tuple[str, ...]
) -> Iterator[tuple[str, int, GPT]]:
    """Kind, steps and model of each checkpoint; ``lengths`` in steps, each twice the last."""
    if "untrained" in kinds:
        yield "untrained", 0, run.model
    for length in lengths:
        # Four fifths of this length, and one fifth of four times this length.
        run.advance(length * 4 // 5 - run.done)
        if "cooled" in kinds:
            yield "cooled", length, cooled(run, length)
        if "long" in kinds and 4 * length in (lengths[-1], lengths[len(lengths) // 2]):
            yield "long", 4 * length, cooled(run, 4 * length)
        mean = averaged(run, length)
        if "averaged" in kinds:
            yield "averaged", length, mean
        if "constant" in kinds:
            yield "constant", length, run.model


# ---- what is measured of a model -----------------------------------------------------------------


def code_loss(model: GPT) -> float:
    """Loss on held-out code, nats per token."""
    return evaluate(model, pool().held_code, windows=HELD_WINDOWS, batch_size=64)


def manual_loss(model: GPT) -> float:
    """Loss on the held-out manual, nats per token."""
    return evaluate(model, pool().held_manual, batch_size=64)


def with_noise(model: GPT, sizes: dict[str, Tensor], draw: int) -> GPT:
    """A copy with Gaussian noise on its linear layers; its sizes by layer, (out, 1) or ()."""
    noisy = copy.deepcopy(model)
    rng = generator(draw, "torch")
    with torch.no_grad():
        for name, layer in linear_layers(noisy).items():
            noise = torch.randn(layer.weight.shape, generator=rng)
            layer.weight += sizes[name] * noise
    return noisy


def rounding_errors(model: GPT, bits: int) -> dict[str, Tensor]:
    """What rounding to so many bits changes in each linear layer: (out, in) by name."""
    errors = {}
    for name, layer in linear_layers(model).items():
        weight = layer.weight.detach()
        errors[name] = quantize(weight, bits).dequantize() - weight
    return errors


def rms(x: Tensor, dim: int | None = None) -> Tensor:
    """Root of the mean square, of everything or along a dimension that is kept."""
    square = x.detach() ** 2
    return square.mean().sqrt() if dim is None else square.mean(dim, keepdim=True).sqrt()


def damages(model: GPT, seed: int) -> dict[str, float]:
    """Loss, and what each damage adds to it; sizes of weights and of their rounding errors."""
    loss = code_loss(model)
    found = {"loss": loss}
    layers = linear_layers(model)

    # Rounding to nearest, one scale per row or per group, and rounding that is calibrated.
    for bits in (4, 3):
        found[f"int{bits}"] = code_loss(dequantize_model(quantize_model(model, bits))) - loss
    grouped = quantize_model(model, 3, "group", GROUP)
    found["int3 group"] = code_loss(dequantize_model(grouped)) - loss
    ids = batch(pool().code, 0, batch_size=CALIBRATION, context_length=WINDOW, seed=seed)
    matrices = gptq_model(model, ids[:, :-1], 3)
    calibrated = quantize_model(model, 3, weights=matrices)
    found["int3 calibrated"] = code_loss(dequantize_model(calibrated)) - loss

    # Noise of a fixed relative size; and noise as large as each row's rounding error.
    errors = rounding_errors(model, 3)
    fixed = {name: NOISE * rms(layer.weight) for name, layer in layers.items()}
    alike = {name: rms(error, 1) for name, error in errors.items()}  # (out, 1) each
    for name, sizes in (("noise", fixed), ("noise like int3", alike)):
        losses = [code_loss(with_noise(model, sizes, draw)) for draw in range(DRAWS)]
        found[name] = float(np.mean(losses)) - loss

    # The weights: their size, how far the largest of a row stands out, the relative error.
    weights = torch.cat([layer.weight.detach().flatten() for layer in layers.values()])
    changes = torch.cat([error.flatten() for error in errors.values()])
    rows = [
        layer.weight.detach().abs().amax(1) / rms(layer.weight, 1).squeeze(1)
        for layer in layers.values()
    ]
    found["size"] = float(rms(weights))
    found["largest"] = float(torch.cat(rows).mean())
    found["error"] = float(rms(changes) / rms(weights))
    return {name: round(value, 5) for name, value in found.items()}


def tuned(model: GPT, rate: float, seed: int) -> list[dict[str, float]]:
    """Tune a copy on the manual at a constant rate; losses on both texts on the way."""
    copied = copy.deepcopy(model).train()
    config = TrainConfig(steps=TUNING_STEPS[-1], weight_decay=0.0, beta2=0.99)
    optimizer = optimizer_for(copied, config)
    rows = []
    for step in range(TUNING_STEPS[-1]):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 5)
        ids = batch(
            pool().manual, step, batch_size=TUNING_BATCH, context_length=WINDOW, seed=seed
        )  # (B, T + 1)
        loss = copied(ids[:, :-1], ids[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(copied.parameters(), 1.0)
        optimizer.step()
        if step + 1 in TUNING_STEPS:
            manual, code = round(manual_loss(copied), 5), round(code_loss(copied), 5)
            rows.append({"step": step + 1, "manual": manual, "code": code})
    return rows


# ---- one run -------------------------------------------------------------------------------------


def measure_run(
    case: str, amount: float, lengths: tuple[int, ...], seed: int, deadline: float
) -> dict[str, Any]:
    """Train one run and measure all of its checkpoints; it looks at the time after each."""
    rate = amount if case == "rate" else 1.0
    decay = amount if case == "decay" else 1.0
    if case == "longer":
        lengths = (lengths[-1], round(amount * lengths[-1]))
    run = constant_run(lengths[-1], seed, rate=rate, decay=decay)
    found: dict[str, Any] = {"checkpoints": [], "tuning": []}
    n_steps = lengths[-1]  # of the run and its branches; tuning and measuring are not counted
    finished = True
    for kind, length, model in checkpoints(run, lengths, KINDS[case]):
        n_steps += round(FALL.get(kind, 0.0) * length)
        tokens = length * BATCH * WINDOW
        row = {"kind": kind, "tokens": tokens, "manual": round(manual_loss(model), 5)}
        if kind == "untrained":  # some of its matrices are zero
            row["loss"] = round(code_loss(model), 5)
        else:
            row |= damages(model, seed)
        found["checkpoints"].append(row)
        if kind in TUNED.get(case, ()):
            for times in TUNING_RATES:
                path = tuned(model, times * RATE, seed)
                found["tuning"].append(
                    {"kind": kind, "tokens": tokens, "rate": times, "path": path}
                )
        if time.monotonic() > deadline:
            finished = False
            break
    flops = run.spec.flops / run.spec.steps * n_steps
    return found | {"flops": flops, "finished": finished}


# ---- all of them ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """lengths : steps of 1,024 tokens, each twice the one before. seeds : see the module."""

    lengths: tuple[int, ...] = (100, 200, 400, 800, 1600)
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        for before, length in zip((None, *self.lengths), self.lengths, strict=False):
            integer("lengths", length, 50, 1700)
            doubled = length % 50 == 0 and before in (None, length // 2)
            require(doubled, "lengths", "multiples of 50, each twice the last", self.lengths)
        for seed in distinct("seeds", self.seeds):
            integer("seeds", seed, 0)


def unigram_loss() -> float:
    """What the held-out code costs a model that knows how frequent each token is, in nats."""
    counts = np.bincount(code(), minlength=pool().tokenizer.get_vocab_size()) + 1.0
    return float(-np.log(counts / counts.sum())[pool().held_code].mean())


def plan(settings: Settings) -> Plan:
    """Every seed in full, then the controls for the first seed."""
    single_thread()
    wanted = [("main", 1.0, seed) for seed in settings.seeds]
    wanted += [("mean", 1.0, seed) for seed in settings.seeds]
    wanted += [("decay", times, seed) for seed in settings.seeds for times in DECAYS]
    wanted += [("rate", times, seed) for seed in settings.seeds for times in RATES]
    wanted += [("longer", 2.0, seed) for seed in settings.seeds]
    runs = []
    for case, amount, seed in wanted:
        key: dict[str, Any] = {"case": case, "amount": amount, "seed": seed}
        runs.append(Run(key, partial(measure_run, case, amount, settings.lengths, seed)))
    digest = tokens_digest(np.concatenate([code(), pool().manual]))
    return Plan(
        runs,
        told=lambda run: f"int3 costs {run['checkpoints'][-1]['int3']:.3f} nats at the end",
        source={"text": "this Python's standard library and language reference", "sha256": digest},
        notes={"unigram_loss": round(unigram_loss(), 4), "tokens_of_code": len(code())},
    )


EXPERIMENT = Experiment(
    command="experiments.trade_offs.live_dispute",
    about=__doc__,
    record="trade_offs/live_dispute",
    settings=Settings,
    plan=plan,
)
measure = EXPERIMENT.measure
main = EXPERIMENT.main

if __name__ == "__main__":
    main()
