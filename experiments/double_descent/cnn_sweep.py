"""Double descent in a deep network: a CNN on CIFAR-10 with wrong labels, over widths and epochs.

    python -m experiments.double_descent.cnn_sweep                       # a GPU, nine minutes
    python -m experiments.double_descent.cnn_sweep --archive cifar.zip   # without a download

The setting is that of Nakkiran et al. 2020 (arXiv:1912.02292): their 5-layer CNN, cross-entropy, no
data augmentation, no weight decay, a share of the training labels replaced by wrong ones. One sweep
gives both curves: the errors at the end against width, and the errors along training for each
width. Cut against the paper, so that the default fits about ten minutes of one data-centre GPU
(sized by arithmetic; the record states the time it took): see ``Settings.cut``.

Widths are trained ends first and then between, so that a sweep that ends early spans the range. The
network in hand when the time runs out is stored as far as it came, and trained again from its start
next time. The record's runs: width, seed, n_parameters, and at geometrically spaced steps the lists
steps, epochs, train_error (against the noisy labels) and test_error.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from experiments.images import Images, batches, error
from experiments.runner import Experiment, Plan, Run
from experiments.settings import distinct
from utils.data.images import cifar10
from utils.runtime import device, generator
from utils.validate import integer, number

RECORD = "double_descent/cnn_cifar10"


@dataclass(frozen=True)
class Settings:
    """What fixes the outcome. ``n_train`` and ``n_test`` of None take every image there is."""

    widths: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 28, 40, 64)
    seeds: tuple[int, ...] = (0,)
    label_noise: float = 0.2
    steps: int = 20_000
    batch_size: int = 256
    lr: float = 1e-3
    n_evaluations: int = 25
    n_train: int | None = None
    n_test: int | None = None

    def __post_init__(self) -> None:
        for width in distinct("widths", self.widths):
            integer("widths", width, 1)
        for seed in distinct("seeds", self.seeds):
            integer("seeds", seed, 0)
        for name in ("steps", "batch_size", "n_evaluations"):
            integer(name, getattr(self, name), 1)
        for name in ("n_train", "n_test"):
            if getattr(self, name) is not None:
                integer(name, getattr(self, name), 1)
        number("label_noise", self.label_noise, 0.0, 1.0)
        number("lr", self.lr, 0.0, open_low=True)

    def cut(self) -> str:
        """What differs from the paper's runs, in words for the record."""
        return (
            f"{self.steps:,} steps of Adam at {self.lr:g} in batches of {self.batch_size}, "
            "where the paper takes 4,000 epochs of Adam at 1e-4 or 500,000 steps of SGD; "
            f"{len(self.widths)} widths; {len(self.seeds)} seed(s)"
        )


def build_cnn(width: int, n_classes: int = 10) -> nn.Sequential:
    """The paper's 5-layer CNN for images (n, 3, 32, 32): 1,558,026 parameters at width 64.

    Four 3×3 convolutions of k, 2k, 4k, 8k channels, each with batch norm and ReLU; max-pooling of
    1, 2, 2, 8; a linear layer.
    """
    k = integer("width", width, 1)
    return nn.Sequential(
        *_convolution(3, k),  # (n, k, 32, 32)
        *_convolution(k, 2 * k),
        nn.MaxPool2d(2),  # (n, 2k, 16, 16)
        *_convolution(2 * k, 4 * k),
        nn.MaxPool2d(2),  # (n, 4k, 8, 8)
        *_convolution(4 * k, 8 * k),
        nn.MaxPool2d(8),  # (n, 8k, 1, 1)
        nn.Flatten(),
        nn.Linear(8 * k, n_classes),  # (n, n_classes)
    )


def _convolution(n_in: int, n_out: int) -> list[nn.Module]:
    return [nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU()]


def training_flops(width: int, images: int) -> float:
    """FLOPs of training on ``images`` images, one after the other.

    Forward and backward take three times the forward pass, so 6 FLOPs for each multiply-add of one
    image.
    """
    first = 1024 * 27 * width  # 32×32 positions, 3·3·3 inputs, k outputs
    # The other three have twice the channels and a quarter of the positions of the one before, so
    # each costs the same: the second has 32×32 positions, 9k inputs, 2k outputs.
    others = 3 * 1024 * 18 * width**2
    linear = 80 * width
    return 6.0 * images * (first + others + linear)


def train_network(
    images: Images, settings: Settings, width: int, seed: int, deadline: float
) -> dict[str, Any]:
    """Train one CNN until ``deadline`` (``time.monotonic()``), with its errors along the way."""
    n = len(images.y_train)
    batch_size = min(settings.batch_size, n)
    steps_per_epoch = n // batch_size

    with torch.random.fork_rng():  # the caller's random numbers go on as if nothing had been drawn
        generator(seed, "global")
        net = build_cnn(width)
    # The layout in which a GPU's convolutions are fastest; torch's annotations lack the argument.
    layout = torch.channels_last
    net = net.to(device(), memory_format=layout)  # pyright: ignore[reportCallIssue]
    # Fused: one kernel updates all weights, where many small ones would keep a GPU waiting.
    optimizer = torch.optim.Adam(net.parameters(), settings.lr, fused=device().type == "cuda")

    # The curves; a point of each at every step in ``evaluate_at``.
    steps: list[int] = []
    epochs: list[float] = []
    train_error: list[float] = []
    test_error: list[float] = []
    evaluate_at = evaluation_steps(settings)

    # The order of the images has a stream of its own, so that it is the same at every width.
    shuffle = generator(seed, "torch", device())
    chosen = _endless_batches(n, batch_size, shuffle)
    done = 0
    while done < settings.steps and time.monotonic() <= deadline:
        indices = next(chosen)  # (batch_size,)
        x = images.x_train[indices].contiguous(memory_format=layout)  # (batch_size, 3, 32, 32)
        y = images.y_train[indices]  # (batch_size,)
        with _autocast():
            loss = nn.functional.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        done += 1

        if done in evaluate_at:
            steps.append(done)
            epochs.append(round(done / steps_per_epoch, 3))
            with _autocast():
                train_error.append(error(net, images.x_train, images.y_train))
                test_error.append(error(net, images.x_test, images.y_test))

    return {
        "n_parameters": sum(parameter.numel() for parameter in net.parameters()),
        "finished": done == settings.steps,
        "flops": training_flops(width, done * batch_size),
        "steps": steps,
        "epochs": epochs,
        "train_error": train_error,
        "test_error": test_error,
    }


def evaluation_steps(settings: Settings) -> set[int]:
    """The steps after which the errors are measured, evenly spaced on a logarithmic axis."""
    first = max(1, settings.steps // 1000)
    spaced = np.geomspace(first, settings.steps, settings.n_evaluations)
    return set(spaced.round().astype(int).tolist())


def _endless_batches(n: int, batch_size: int, shuffle: torch.Generator) -> Iterator[Tensor]:
    """The batches of one epoch after another."""
    while True:
        yield from batches(n, batch_size, shuffle)


def _autocast() -> torch.autocast:
    """bfloat16 on a GPU that has it (compute capability 8.0), float32 elsewhere."""
    on = device().type == "cuda" and torch.cuda.get_device_capability() >= (8, 0)
    return torch.autocast(device().type, dtype=torch.bfloat16, enabled=on)


def coarse_first(items: Sequence) -> list:
    """Both ends, then the middle, then the middles of the halves: any beginning spans the range.

    >>> coarse_first([1, 2, 3, 4, 5])
    [1, 5, 3, 2, 4]
    """
    last = len(items) - 1
    order = [0, last] if last > 0 else [0]
    spans = [(0, last)]
    while spans:
        low, high = spans.pop(0)
        middle = (low + high) // 2
        if low < middle < high:
            order.append(middle)
            spans += [(low, middle), (middle, high)]
    return [items[i] for i in order]


def plan(settings: Settings, archive: Path | None = None) -> Plan:
    """Every width for every seed, on the images of ``archive``."""
    split = cifar10(settings.n_train, settings.label_noise, 0, settings.n_test, archive)
    images = Images(split)
    runs = []
    for seed in settings.seeds:
        for width in coarse_first(settings.widths):
            train = partial(train_network, images, settings, width, seed)
            runs.append(Run({"width": width, "seed": seed}, train))
    return Plan(
        runs,
        told=_told,
        source=split.source,
        resolved={"n_train": len(split.y_train), "n_test": len(split.y_test)},
        notes={"flipped": int(split.flipped.sum()), "cut": settings.cut()},
    )


def _told(run: dict[str, Any]) -> str:
    train_error, test_error = run["train_error"][-1], run["test_error"][-1]
    return f"training error {train_error:.3f}, test error {test_error:.3f}"


EXPERIMENT = Experiment(
    command="experiments.double_descent.cnn_sweep",
    about=__doc__,
    record=RECORD,
    settings=Settings,
    plan=plan,
    inputs={"archive": "CIFAR-10 archive (default: COURSE_CIFAR, or a download)"},
)
sweep = EXPERIMENT.measure
main = EXPERIMENT.main

if __name__ == "__main__":
    main()
