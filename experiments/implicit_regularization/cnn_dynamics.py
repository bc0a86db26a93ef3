"""How a CNN trains on CIFAR-10: the edge of stability, and labels that mean nothing, learned by heart.

    python -m experiments.implicit_regularization.cnn_dynamics --time-budget 540                     # a GPU; writes records/implicit_…/…
    python -m experiments.implicit_regularization.cnn_dynamics --time-budget 540 --archive cifar.zip # the data at hand, not a download

Two experiments on the same 5,000 images and the same small network, without explicit regularization:

- full-batch descent on the squared error at several step sizes, with the sharpness (the largest eigenvalue
  of the loss's Hessian) measured along the way (Cohen et al. 2021, arXiv:2103.00065);
- mini-batches on the cross-entropy until no training image is misread, with true labels, some wrong ones,
  and fully random ones (Zhang et al. 2017, arXiv:1611.03530).

Everything is float32, TF32 off: near the edge, rounding to a shorter mantissa would show up as curvature.
Descent keeps the graph of all images at once: 5 to 10 GB for 5,000, by arithmetic. Whatever time is left
is shared equally among the runs to come; one cut short is stored with ``"end": "time"``. It does not resume.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from experiments.double_descent.cnn_sweep import EVALUATION_BATCH, Images, distinct
from utils import plots, records
from utils.data.images import cifar10
from utils.data.labelled import flip_labels
from utils.landscape.curvature import Loss, Parameters, sharpness
from utils.runtime import device
from utils.validate import integer, number, require

RECORD = "implicit_regularization/cnn_dynamics"
ITERATIONS, FIRST_ITERATIONS = 15, 80  # of power iteration: continued, and from a random vector
MOMENTUM = 0.9
RANDOM = (
    0.9  # a label moved with this probability to one of the nine others is uniform over all ten
)


@dataclass(frozen=True)
class Settings:
    """What fixes the outcome. ``n_test`` of None takes every test image of the archive."""

    step_sizes: tuple[float, ...] = (0.01, 0.02, 0.04)
    descent_steps: int = 4000
    measure_every: int = 50
    label_noises: tuple[float, ...] = (0.0, 0.2, RANDOM)
    epochs: int = 600
    batch_size: int = 100
    lr: float = 0.01
    width: int = 32
    n_train: int = 5000
    n_test: int | None = None
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        for name in ("step_sizes", "label_noises", "seeds"):
            object.__setattr__(self, name, distinct(name, getattr(self, name)))
        for name in ("descent_steps", "measure_every", "epochs", "batch_size", "width", "n_train"):
            integer(name, getattr(self, name), 1)
        if self.n_test is not None:
            integer("n_test", self.n_test, 1)
        for name, value in [("lr", self.lr), *(("step_sizes", size) for size in self.step_sizes)]:
            number(name, value, 0.0, open_low=True)
        for noise in self.label_noises:
            number("label_noises", noise, 0.0, 1.0)
        for seed in self.seeds:
            integer("seeds", seed, 0)

    def cut(self) -> str:
        """What differs from the papers' runs, in words for the record."""
        return (
            f"two convolutions of {self.width} channels and {self.n_train:,} images in both experiments, "
            f"where Zhang et al. train larger networks on all 50,000; descent for {self.descent_steps:,} "
            f"steps, where Cohen et al. go on to a goal in the loss; at most {self.epochs} epochs on each "
            f"set of labels; {len(self.seeds)} seed(s)"
        )


def build_network(width: int, seed: int, n_classes: int = 10) -> nn.Sequential:
    """Two blocks of 3×3 convolution (``width`` channels), tanh, 2×2 max-pooling; a linear layer.

    For images (3, 32, 32); 30,634 parameters at width 32, torch's default start. No batch norm: it would
    make the gradient of one image depend on the others.
    """
    layers: list[nn.Module] = []
    with torch.random.fork_rng():
        torch.manual_seed(integer("seed", seed, 0))
        for channels in (3, integer("width", width, 1)):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2)]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * width, n_classes)).to(device())


def forward_flops(width: int) -> float:
    """FLOPs of one image's forward pass, two for each multiply-add; a gradient takes three times that."""
    return 2.0 * (1024 * 27 * width + 256 * 9 * width**2 + 640 * width)


def squared_error(net: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> tuple[Parameters, Loss]:
    """The network's weights and ½ Σ_k (output_k − onehot_k)², averaged over images, as ``curvature`` wants
    them: each parameter with a leading axis of one model, the loss a function of the list, of shape (1,).
    """
    names = [name for name, _ in net.named_parameters()]
    targets = nn.functional.one_hot(labels, 10).to(x.dtype)

    def loss(parameters: Parameters) -> torch.Tensor:
        weights = {name: p[0] for name, p in zip(names, parameters, strict=True)}
        residual = torch.func.functional_call(net, weights, (x,)) - targets
        return 0.5 * (residual**2).sum(1).mean()[None]

    return [p.detach().clone()[None].requires_grad_() for p in net.parameters()], loss


def descend(
    images: Images, settings: Settings, lr: float, seed: int, deadline: float
) -> dict[str, Any]:
    """Full-batch gradient descent at step size ``lr``, until ``deadline`` (``time.monotonic()``).

    Returns a run: lr, seed, flops, its end ("steps", "time" or "diverged"); steps, loss, sharpness as lists.
    """
    parameters, loss = squared_error(
        build_network(settings.width, seed), images.x_train, images.y_train
    )
    run: dict[str, Any] = {"lr": lr, "seed": seed, "steps": [], "loss": [], "sharpness": []}
    vector, step, products, end = None, 0, 0, "steps"
    for step in range(settings.descent_steps + 1):
        if time.monotonic() > deadline:
            end = "time"
            break
        value = loss(parameters)
        if not bool(torch.isfinite(value)):
            end = "diverged"
            break
        if step % settings.measure_every == 0:
            iterations = ITERATIONS if step else FIRST_ITERATIONS
            found, vector = sharpness(loss, parameters, vector, iterations=iterations)
            products += iterations
            run["steps"].append(step)
            run["loss"].append(float(f"{value.item():.6g}"))
            run["sharpness"].append(float(f"{found.item():.6g}"))
        gradient = torch.autograd.grad(value.sum(), parameters)
        with torch.no_grad():
            for p, g in zip(parameters, gradient, strict=True):
                p -= lr * g
    # Forward and backward are 3 forward passes; a product differentiates those two backwards, about 4.
    passes = 3.0 * step + 4.0 * products
    return run | {"end": end, "flops": passes * len(images.y_train) * forward_flops(settings.width)}


@torch.no_grad()
def error(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Share of images whose largest output is not the label."""
    pairs = zip(x.split(EVALUATION_BATCH), y.split(EVALUATION_BATCH), strict=True)
    return round(
        int(sum((net(part).argmax(1) != labels).sum() for part, labels in pairs)) / len(y), 5
    )


def memorize(
    images: Images, settings: Settings, noise: float, seed: int, deadline: float
) -> dict[str, Any]:
    """SGD with momentum on labels of which a share ``noise`` is wrong, until none is missed or ``deadline``.

    Returns a run: label_noise, seed, n_wrong, flops, its end ("zero error", "epochs" or "time"), and for
    geometrically spaced epochs and the last: steps, train_error (against the labels given), test_error,
    distance (of the weights from their start, whose own length is ``start_norm``).
    """
    noisy, flipped = flip_labels(images.y_train.cpu().numpy(), noise, np.random.default_rng(seed))
    x, y, n = images.x_train, torch.as_tensor(noisy, device=device()), len(noisy)
    batch, net = min(settings.batch_size, n), build_network(settings.width, seed)
    optimizer = torch.optim.SGD(net.parameters(), settings.lr, momentum=MOMENTUM)
    shuffle = torch.Generator(device()).manual_seed(seed)
    start = nn.utils.parameters_to_vector(net.parameters()).detach().clone()
    run: dict[str, Any] = {"label_noise": noise, "seed": seed, "n_wrong": int(flipped.sum())}
    run |= {"start_norm": round(start.norm().item(), 5), "steps": []}
    run |= {"train_error": [], "test_error": [], "distance": []}
    marks = set(np.geomspace(1, settings.epochs, 30).round().astype(int).tolist())
    end, step = "epochs", 0
    for epoch in range(1, settings.epochs + 1):
        for chosen in torch.randperm(n, generator=shuffle, device=device())[: n - n % batch].split(
            batch
        ):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[chosen]), y[chosen]).backward()
            optimizer.step()
            step += 1
            if time.monotonic() > deadline:
                end = "time"
                break
        if (train_error := error(net, x, y)) == 0:
            end = "zero error"
        if end != "epochs" or epoch in marks:
            moved = nn.utils.parameters_to_vector(net.parameters()).detach() - start
            run["steps"].append(step)
            run["train_error"].append(train_error)
            run["test_error"].append(error(net, images.x_test, images.y_test))
            run["distance"].append(round(moved.norm().item(), 5))
        if end != "epochs":
            break
    return run | {"end": end, "flops": 3.0 * step * batch * forward_flops(settings.width)}


def measure(
    settings: Settings,
    out: str | Path = RECORD,
    *,
    time_budget: float = 540.0,
    archive: str | Path | None = None,
) -> Path:
    """Run both experiments into the record ``out``, in about ``time_budget`` seconds, loading included.

    Returns the record's path. Raises ``ValueError`` if ``out`` exists: it would be lost; ``OSError`` if it
    cannot be written.
    """
    budget, began, started = number("time_budget", time_budget, 0.0), time.monotonic(), time.time()
    path = out if isinstance(out, Path) else records.path_of(out)
    require(not path.exists(), "out", "a file that does not exist yet", path.name)
    records.require_writable(path)
    split = cifar10(settings.n_train, 0.0, 0, settings.n_test, archive)
    images = Images(split)
    plan = [(descend, lr, seed) for seed in settings.seeds for lr in settings.step_sizes]
    plan += [(memorize, noise, seed) for seed in settings.seeds for noise in settings.label_noises]
    wanted = {
        **asdict(settings),
        "momentum": MOMENTUM,
        "iterations": ITERATIONS,
        "n_test": len(split.y_test),
    }
    content: dict[str, Any] = {"settings": wanted, "descents": [], "memorizations": []}
    for done, (experiment, value, seed) in enumerate(plan, 1):
        now = time.monotonic()
        deadline = now + max(began + budget - now, 0.0) / (len(plan) - done + 1)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            run = experiment(images, settings, value, seed, deadline)
        content["descents" if experiment is descend else "memorizations"].append(run)
        runs = content["descents"] + content["memorizations"]
        complete = done == len(plan) and all(run["end"] != "time" for run in runs)
        told = {"source": split.source, "cut": settings.cut(), "complete": complete}
        flops = sum(run["flops"] for run in runs)
        records.save(
            path, content, started=started, seeds=list(settings.seeds), flops=flops, **told
        )
        print(f"{_told(run)} ({time.monotonic() - began:.0f} s)", flush=True)
    return path


def _told(run: dict[str, Any]) -> str:
    if "lr" in run:
        last = f"sharpness {run['sharpness'][-1]:.2f}" if run["steps"] else "nothing measured"
        return f"step size {run['lr']:g}, seed {run['seed']}: {last}, 2/η is {2 / run['lr']:g}; {run['end']}"
    last = f"training error {run['train_error'][-1]:.4f}, test error {run['test_error'][-1]:.3f}"
    return f"label noise {run['label_noise']:g}, seed {run['seed']}: {last}; {run['end']}"


def _styled(
    runs: list[dict[str, Any]], key: str
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each run with the colour and line style of its value of ``key``; only the first of them named."""
    values = list(dict.fromkeys(run[key] for run in runs))
    for run in runs:
        i = values.index(run[key])
        first = run is next(other for other in runs if other[key] == run[key])
        style = {"color": f"C{i % 7}", "ls": ("-", "--", "-.")[i % 3]}
        yield run, style | {"label": run[key] if first else None}


def draw_edge(record: records.Record) -> Figure:
    """Sharpness against steps for each step size, with a thin line at 2/η."""
    runs = [run for run in record.data["descents"] if run["steps"]]
    require(len(runs) > 0, "record", "one with runs whose sharpness was measured", len(runs))
    figure, ax = plots.figure()
    for run, style in _styled(runs, "lr"):
        name = None if style["label"] is None else f"η = {run['lr']:g}, 2/η = {2 / run['lr']:g}"
        ax.plot(run["steps"], run["sharpness"], **(style | {"label": name}))
        ax.axhline(2 / run["lr"], color=style["color"], lw=1, ls=":")
    ax.set(xlabel="step", ylabel="sharpness", ylim=(0, 2.4 / min(run["lr"] for run in runs)))
    ax.legend()
    return figure


def draw_labels(record: records.Record) -> Figure:
    """Training error, test error and distance from the start against steps, for each set of labels."""
    names, runs = {0.0: "true labels", RANDOM: "random labels"}, record.data["memorizations"]
    require(len(runs) > 0, "record", "one with a run on labels", len(runs))
    shown = {
        "train_error": "training error",
        "test_error": "test error",
        "distance": "distance from start",
    }
    figure, axes = plots.figure(3)
    for run, style in _styled(runs, "label_noise"):
        if style["label"] is not None:
            style["label"] = names.get(run["label_noise"], f"{100 * run['label_noise']:g} % wrong")
        for ax, key in zip(axes, shown, strict=True):
            ax.plot(run["steps"], run[key], marker="o", ms=3, **style)
    for ax, name in zip(axes, shown.values(), strict=True):
        ax.set(
            xscale="log", xlabel="step", ylabel=name, ylim=(0, None)
        )  # last: it stops the autoscaling
    axes[0].legend()
    return figure


def main(arguments: list[str] | None = None) -> None:
    """The command line; all but ``--time-budget``, ``--out`` and ``--archive`` are settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--time-budget", type=float, default=540.0, help="seconds (default 540)")
    parser.add_argument(
        "--out", type=Path, default=records.path_of(RECORD), help="file of the record"
    )
    parser.add_argument(
        "--archive", type=Path, help="CIFAR-10 (default: COURSE_CIFAR, or a download)"
    )
    for name, default in asdict(Settings()).items():
        many = isinstance(default, tuple)
        kind = type(
            default[0] if many else default or 0
        )  # a default of None stands for a whole number
        options = {"nargs": "+"} if many else {}
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default, **options)
    chosen = vars(parser.parse_args(arguments))
    budget, out, archive = (chosen.pop(name) for name in ("time_budget", "out", "archive"))
    chosen = {
        key: tuple(value) if isinstance(value, list) else value for key, value in chosen.items()
    }
    try:
        path = measure(Settings(**chosen), out, time_budget=budget, archive=archive)
    except (ValueError, OSError, MemoryError) as error:
        parser.error(str(error))
    print(f"wrote {path}: {records.load(path).line()}")


if __name__ == "__main__":
    main()
