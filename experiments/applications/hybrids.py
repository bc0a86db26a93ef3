"""Attention, recurrence and hybrids of both on one task: recalling pairs shown in the context.

    python -m experiments.applications.hybrids --time-budget 3600
    python -m experiments.applications.hybrids --out records/applications/hybrids_small.json \\
        --d-model 32 --d-ff 64 --n-head 2 --pairs 6 --n-symbols 16 --steps 3000 --curve-every 50
    python -m experiments.applications.hybrids --out records/applications/hybrids_capacity.json \\
        --d-model 16 --d-ff 32 --n-head 2 --n-symbols 16 --batch-size 16 --rates .01 \\
        --seeds 0 1 2 --steps 1500 --curve-every 100 --mixers R N RR RA --pairs 2 4 8 16 \\
        --d-keys 2 4 8 --head-start --time-budget 3600
    python -m experiments.applications.hybrids --out records/applications/hybrids_start.json \\
        --outputs .5 --d-model 32 --d-ff 64 --n-head 2 --n-symbols 16 --pairs 6 --mixers aa \\
        --rates .001 .0015 .003 .01 --seeds 0 1 2 3 4 5 6 7 8 9 --steps 1000 --curve-every 50

A text shows pairs of a key and a value and then asks for each key in turn (multi-query associative
recall, Arora et al. 2024). Small models with equal numbers of parameters differ only in what moves
information between positions. The first two commands measure how fast each learns the task, the
third how many pairs each can hold, by the size of the recurrent state, when the layers need not
find out first what to look for. The fourth, made again with ``--outputs 0`` into
``hybrids_zeros.json``, measures what the start does for plain attention. All seeds and learning
rates of one case are trained at once.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.applications.hybrid_models import Shape, answers, draw_texts, initial
from experiments.runner import Experiment, Plan, Run
from experiments.settings import distinct
from utils.runtime import device, generator
from utils.validate import integer, number

MIXERS = ("aa", "AA", "Aa", "RR", "rr", "Ra", "ra", "RA")
BETAS = (0.9, 0.98)  # of Adam
WARMUP = 50  # steps
COOLING = 0.2  # share of the steps over which the learning rate falls to zero
DRAWN_AHEAD = 50  # steps whose texts are drawn together, which saves a GPU many small operations
TEXTS_AT_ONCE = 64  # in the evaluation


@dataclass(frozen=True)
class Settings:
    """What fixes the outcome. Raises ``ValueError`` for a setting that is out of its range.

    mixers, d_keys: see `experiments.applications.hybrid_models.Shape`. A single recurrent layer is
    trained with each of the d_keys, other mixers with the first. pairs: in a text; networks are
    trained for each number. rates: learning rates, all of them tried for every mixer.
    head_start, outputs: how the networks begin, see
    `experiments.applications.hybrid_models.initial`.
    steps: optimizer steps; after each ``curve_every`` of them the accuracy is measured.
    """

    mixers: tuple[str, ...] = MIXERS
    pairs: tuple[int, ...] = (12,)
    d_keys: tuple[int, ...] = (16,)
    rates: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    head_start: bool = False
    outputs: float = 0.0
    steps: int = 6000
    curve_every: int = 200
    n_symbols: int = 32
    d_model: int = 64
    d_ff: int = 128
    n_head: int = 4
    batch_size: int = 32
    eval_texts: int = 256

    def __post_init__(self) -> None:
        distinct("mixers", self.mixers)
        for value in distinct("pairs", self.pairs):
            integer("pairs", value, 1)
        distinct("d_keys", self.d_keys)
        for rate in distinct("rates", self.rates):
            number("rates", rate, 0.0, open_low=True)
        for seed in distinct("seeds", self.seeds):
            integer("seeds", seed, 0)
        number("outputs", self.outputs, 0.0)
        for name in ("steps", "curve_every", "batch_size", "eval_texts"):
            integer(name, getattr(self, name), 1)
        integer("n_symbols", self.n_symbols, max(self.pairs))
        for mixer in self.mixers:
            for d_key in self.d_keys:
                self.shape(mixer, d_key)

    def shape(self, mixer: str, d_key: int) -> Shape:
        """The networks of one case."""
        return Shape(mixer, d_key, self.n_symbols, self.d_model, self.d_ff, self.n_head)


# ---- training ------------------------------------------------------------------------------------


def rate_at(step: int, steps: int) -> float:
    """The learning rate at a step, as a share: up within 50 steps, level, to zero at the end.

    >>> [round(rate_at(step, 1000), 2) for step in (0, 49, 500, 900, 999)]
    [0.02, 1.0, 1.0, 0.5, 0.01]
    """
    up = (step + 1) / WARMUP
    down = (steps - step) / (COOLING * steps)
    return min(up, 1.0, down)


class Adam:
    """Adam (Kingma and Ba 2015) for M networks at once, each with its own rate and clipping."""

    def __init__(self, flat: Tensor, rates: Tensor) -> None:
        self.flat = flat  # (M, all)
        self.rates = rates[:, None]  # (M, 1)
        self.mean = torch.zeros_like(flat)
        self.square = torch.zeros_like(flat)
        self.n_steps = 0

    @torch.no_grad()
    def step(self, gradient: Tensor, share: float) -> None:
        """One step down ``gradient`` (M, all) with ``share`` of the learning rates."""
        # A gradient longer than one is cut to length one.
        length = gradient.norm(dim=1, keepdim=True)  # (M, 1)
        gradient = gradient / length.clamp(min=1.0)
        self.n_steps += 1
        first, second = BETAS
        self.mean.lerp_(gradient, 1 - first)
        self.square.lerp_(gradient.square(), 1 - second)
        mean = self.mean / (1 - first**self.n_steps)
        square = self.square / (1 - second**self.n_steps)
        self.flat -= share * self.rates * mean / (square.sqrt() + 1e-8)


@torch.no_grad()
def accuracy(flat: Tensor, shape: Shape, pairs: int, n_texts: int) -> Tensor:
    """The share of questions that each network answers rightly, on texts of their own: (M,)."""
    chance = generator(10_000, "torch")
    texts = draw_texts(n_texts, pairs, shape.n_symbols, chance).to(flat.device)
    hits = torch.zeros(len(flat), device=flat.device)
    for part in texts.split(TEXTS_AT_ONCE):
        repeated = part.expand(len(flat), -1, -1)  # (M, B, 4P)
        logits = answers(flat, shape, repeated[:, :, :-1], pairs)
        right = logits.argmax(-1) == repeated[:, :, 2 * pairs + 1 :: 2]  # (M, B, P)
        hits += right.float().mean(2).sum(1)
    return hits / n_texts


def train(
    settings: Settings,
    shape: Shape,
    pairs: int,
    deadline: float = math.inf,
) -> dict[str, Any]:
    """Train the networks of one case, for every rate and seed, and tell how they learned.

    Networks of the same seed start alike and read the same texts, whatever their rate. Returns
    ``steps_measured``, ``accuracy`` (measurements, rates, seeds) and whether it ``finished``.
    """
    n_rates, n_seeds = len(settings.rates), len(settings.seeds)
    where = device()
    how = (settings.head_start, settings.outputs)
    starts = [initial(shape, seed, *how) for seed in settings.seeds]
    flat = torch.stack(starts).repeat(n_rates, 1).to(where).requires_grad_()  # (M, all)
    rates = torch.tensor(settings.rates).repeat_interleave(n_seeds).to(where)  # (M,)
    adam = Adam(flat, rates)
    chances = [generator(20_000 + seed, "torch", where) for seed in settings.seeds]

    steps_measured, curve = [], []
    ahead = torch.empty(0)
    for step in range(settings.steps):
        # A batch per seed, read by the networks of all rates; drawn for many steps at once.
        if step % DRAWN_AHEAD == 0:
            n = DRAWN_AHEAD * settings.batch_size
            drawn = [draw_texts(n, pairs, shape.n_symbols, chance) for chance in chances]
            ahead = torch.stack(drawn).unflatten(1, (DRAWN_AHEAD, -1))  # (seeds, steps, B, 4P)
        texts = ahead[:, step % DRAWN_AHEAD].repeat(n_rates, 1, 1)  # (M, B, 4P)
        targets = texts[:, :, 2 * pairs + 1 :: 2]  # (M, B, P)

        # The sum over networks of each one's mean loss: they do not touch one another.
        logits = answers(flat, shape, texts[:, :, :-1], pairs)
        loss = F.cross_entropy(logits.flatten(0, 2), targets.flatten(), reduction="sum")
        (gradient,) = torch.autograd.grad(loss / targets[0].numel(), flat)
        adam.step(gradient, rate_at(step, settings.steps))

        is_last = step + 1 == settings.steps
        if is_last or (step + 1) % settings.curve_every == 0:
            steps_measured.append(step + 1)
            curve.append(accuracy(flat, shape, pairs, settings.eval_texts))
            if time.monotonic() > deadline:
                break
    measured = torch.stack(curve).view(-1, n_rates, n_seeds)
    return {
        "steps_measured": steps_measured,
        "accuracy": [[[round(a, 4) for a in row] for row in rows] for rows in measured.tolist()],
        "finished": steps_measured[-1] == settings.steps,
    }


# ---- the experiment ------------------------------------------------------------------------------


def run(settings: Settings, key: dict[str, Any], deadline: float) -> dict[str, Any]:
    """Train all networks of one case and tell how well they recall."""
    shape = settings.shape(key["mixer"], key["d_key"])
    began = time.monotonic()
    result = train(settings, shape, key["pairs"], deadline)
    n_networks = len(settings.rates) * len(settings.seeds)
    n_read = result["steps_measured"][-1] * settings.batch_size * 4 * key["pairs"]
    result["n_params"] = shape.n_parameters()
    result["n_state"] = shape.n_state()
    result["flops"] = 6.0 * shape.n_parameters() * n_read * n_networks
    result["seconds"] = round(time.monotonic() - began, 1)
    return result


def keys(settings: Settings) -> list[dict[str, Any]]:
    """What tells the cases apart."""
    found = []
    for pairs in settings.pairs:
        for mixer in settings.mixers:
            for d_key in settings.d_keys if mixer in ("r", "R") else settings.d_keys[:1]:
                found.append({"mixer": mixer, "pairs": pairs, "d_key": d_key})
    return found


def plan(settings: Settings) -> Plan:
    """One run for each case, all its networks together."""
    runs = [Run(key, partial(run, settings, key)) for key in keys(settings)]

    def told(result: dict[str, Any]) -> str:
        means = [sum(row) / len(row) for row in result["accuracy"][-1]]
        return "accuracy by rate " + ", ".join(f"{mean:.2f}" for mean in means)

    return Plan(runs, told=told)


EXPERIMENT = Experiment(
    command="experiments.applications.hybrids",
    about=__doc__,
    record="applications/hybrids",
    settings=Settings,
    plan=plan,
)
measure = EXPERIMENT.measure
main = EXPERIMENT.main

if __name__ == "__main__":
    main()
