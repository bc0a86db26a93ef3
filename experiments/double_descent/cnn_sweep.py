"""Double descent in a deep network: a small CNN on CIFAR-10 with wrong labels, over widths and over epochs.

    python -m experiments.double_descent.cnn_sweep --time-budget 540                     # a GPU; writes records/double_descent/…
    python -m experiments.double_descent.cnn_sweep --time-budget 540 --archive cifar.zip # the data at hand rather than a download

The setting is that of Nakkiran et al. 2020 (arXiv:1912.02292): their 5-layer CNN, cross-entropy, no data
augmentation, no weight decay, a share of the training labels replaced by wrong ones. One sweep gives both
curves: the errors at the end against width, and the errors along training for each width. Cut against the
paper, so that the default fits about ten minutes of one data-centre GPU (sized by arithmetic; the record
states the time it took): see ``Settings.cut``.

A run that ends early keeps what it has: the record is rewritten after every network, widths are trained
ends first and then between, and the same command takes up where it stopped. The network in hand when the
budget runs out is stored as far as it came and is trained again from its start next time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from utils import plots, records
from utils.data.images import cifar10
from utils.data.labelled import Split
from utils.runtime import device
from utils.validate import integer, number, require

RECORD = "double_descent/cnn_cifar10"
EVALUATION_BATCH = 2000


def distinct(name: str, values: Any) -> tuple:
    """``values`` as a tuple, or raise: a list without repetition, whose length counts the runs to come."""
    listed = isinstance(values, Sequence) and not isinstance(values, str)
    require(listed and len(values) > 0, name, "at least one number", values)
    repeated = [value for i, value in enumerate(values) if value in values[:i]]
    require(not repeated, name, "numbers that all differ", values)
    return tuple(values)


@dataclass(frozen=True)
class Settings:
    """What fixes the outcome. ``n_train`` and ``n_test`` of None take every image of the archive."""

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
        for name, low in (("widths", 1), ("seeds", 0)):
            values = distinct(name, getattr(self, name))
            object.__setattr__(self, name, tuple(integer(name, value, low) for value in values))
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
            f"{self.steps:,} steps of Adam at {self.lr:g} in batches of {self.batch_size}, where the paper "
            f"takes 4,000 epochs of Adam at 1e-4 or 500,000 steps of SGD; {len(self.widths)} widths; "
            f"{len(self.seeds)} seed(s)"
        )


def build_cnn(width: int, n_classes: int = 10) -> nn.Sequential:
    """The paper's 5-layer CNN for images (3, 32, 32): four 3×3 convolutions of k, 2k, 4k, 8k channels, each
    with batch norm and ReLU, max-pooling of 1, 2, 2, 8, and a linear layer. 1,558,026 parameters at k = 64.
    """
    layers: list[nn.Module] = []
    channels = [3, *(integer("width", width, 1) * factor for factor in (1, 2, 4, 8))]
    for before, after, pool in zip(channels, channels[1:], (1, 2, 2, 8), strict=False):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.MaxPool2d(pool)] if pool > 1 else []
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels[-1], n_classes))


def training_flops(width: int, images: int) -> float:
    """Forward and backward, three times the forward pass: 6 FLOPs for each multiply-add of one image."""
    return 6.0 * images * (1024 * 27 * width + 3 * 1024 * 18 * width**2 + 80 * width)


class Images:
    """A split on the device: inputs normalized by the training set's channel means and deviations."""

    def __init__(self, split: Split) -> None:
        to = {"device": device(), "dtype": torch.float32}
        pixels = split.x_train.transpose(1, 0, 2, 3).reshape(3, -1) / 255.0
        mean, std = (torch.tensor(a, **to).view(3, 1, 1) for a in (pixels.mean(1), pixels.std(1)))
        parts = (split.x_train, split.x_test)
        self.x_train, self.x_test = (
            (torch.as_tensor(x).to(**to) / 255 - mean) / std for x in parts
        )
        self.y_train, self.y_test = (
            torch.as_tensor(y, device=device()) for y in (split.y_train, split.y_test)
        )
        self.source = split.source


def _autocast():
    """bfloat16 on a GPU that has it (compute capability 8.0), float32 elsewhere."""
    on = device().type == "cuda" and torch.cuda.get_device_capability() >= (8, 0)
    return torch.autocast(device().type, dtype=torch.bfloat16, enabled=on)


@torch.no_grad()
def error(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Share of images whose largest output is not the label, with batch norm's running averages."""
    net.eval()
    with _autocast():
        pairs = zip(x.split(EVALUATION_BATCH), y.split(EVALUATION_BATCH), strict=True)
        wrong = sum((net(part).argmax(1) != labels).sum() for part, labels in pairs)
    net.train()
    return round(int(wrong) / len(y), 5)


def train_network(
    images: Images, settings: Settings, width: int, seed: int, deadline: float
) -> dict[str, Any]:
    """Train one CNN; errors at geometrically spaced steps. Stops at ``deadline`` (``time.monotonic()``).

    Returns a run: width, seed, n_parameters, steps, epochs, train_error (against the noisy labels),
    test_error, and whether it finished.
    """
    n, batch = len(images.y_train), min(settings.batch_size, len(images.y_train))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = build_cnn(width).to(device(), memory_format=torch.channels_last)
    shuffle = torch.Generator(device()).manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters(), settings.lr, fused=device().type == "cuda")
    first = max(1, settings.steps // 1000)
    marks = set(
        np.geomspace(first, settings.steps, settings.n_evaluations).round().astype(int).tolist()
    )
    size = sum(parameter.numel() for parameter in net.parameters())
    run: dict[str, Any] = {"width": width, "seed": seed, "n_parameters": size, "finished": False}
    run |= {"steps": [], "epochs": [], "train_error": [], "test_error": []}
    order, at = torch.empty(0), 0
    for step in range(1, settings.steps + 1):
        if time.monotonic() > deadline:
            return run
        if at + batch > len(order):  # a new epoch; a remainder smaller than a batch is left out
            order, at = torch.randperm(n, generator=shuffle, device=device()), 0
        chosen, at = order[at : at + batch], at + batch
        batch_x = images.x_train[chosen].contiguous(memory_format=torch.channels_last)
        with _autocast():
            loss = nn.functional.cross_entropy(net(batch_x), images.y_train[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in marks:
            run["steps"].append(step)
            run["epochs"].append(round(step / (n // batch), 3))
            run["train_error"].append(error(net, images.x_train, images.y_train))
            run["test_error"].append(error(net, images.x_test, images.y_test))
    return run | {"finished": True}


def coarse_first(items: Sequence) -> list:
    """Both ends, then the middle, then the middles of the halves: any beginning spans the range."""
    order, spans = list(dict.fromkeys([0, len(items) - 1])), [(0, len(items) - 1)]
    for low, high in spans:  # grows while it is walked
        middle = (low + high) // 2
        if low < middle < high:
            order.append(middle)
            spans += [(low, middle), (middle, high)]
    return [items[i] for i in order]


def sweep(
    settings: Settings,
    out: str | Path = RECORD,
    *,
    time_budget: float = 540.0,
    archive: str | Path | None = None,
) -> Path:
    """Train every width and seed, or as many as ``time_budget`` seconds allow, into the record ``out``.

    Loading the images counts towards the budget. An existing record of the same settings and the same
    archive is continued; another one raises ``ValueError``, and ``OSError`` says that ``out`` cannot be
    written; both come before anything is trained. Returns the record's path.
    """
    budget, began = number("time_budget", time_budget, 0.0), time.monotonic()
    path = out if isinstance(out, Path) else records.path_of(out)
    records.require_writable(path)
    split = cifar10(settings.n_train, settings.label_noise, 0, settings.n_test, archive)
    images = Images(split)
    wanted = {**asdict(settings), "n_train": len(split.y_train), "n_test": len(split.y_test)}
    wanted = {
        key: list(value) if isinstance(value, tuple) else value for key, value in wanted.items()
    }
    runs, earlier = _earlier(path, wanted, split.source)
    started = time.time() - (time.monotonic() - began) - earlier

    def store() -> None:
        work = [
            training_flops(run["width"], run["steps"][-1] * settings.batch_size)
            for run in runs
            if run["steps"]
        ]
        complete = sum(run["finished"] for run in runs) == len(settings.widths) * len(
            settings.seeds
        )
        told = {
            "source": split.source,
            "flipped": int(split.flipped.sum()),
            "cut": settings.cut(),
            "complete": complete,
        }
        content = {
            "settings": wanted,
            "runs": sorted(runs, key=lambda run: (run["seed"], run["width"])),
        }
        records.save(path, content, started=started, seeds=wanted["seeds"], flops=sum(work), **told)

    for seed in settings.seeds:
        for width in coarse_first(settings.widths):
            if any((run["width"], run["seed"]) == (width, seed) for run in runs):
                continue
            runs.append(train_network(images, settings, width, seed, began + budget))
            store()
            last = runs[-1]
            if not last["finished"]:
                print(f"time is up at width {width}, seed {seed}: run again to continue")
                return path
            print(
                f"width {width:3d}, seed {seed}: training error {last['train_error'][-1]:.3f}, test error "
                f"{last['test_error'][-1]:.3f} ({time.monotonic() - began:.0f} s)",
                flush=True,
            )
    return path


def _earlier(
    path: Path, wanted: dict[str, Any], source: dict[str, str]
) -> tuple[list[dict], float]:
    """Finished runs of an earlier call and the seconds it took; none if there is no record yet."""
    if not path.is_file():
        return [], 0.0
    record = records.load(path)
    same = record.data.get("settings") == wanted and record.provenance.get("source") == source
    require(same, "out", "a new file, or a record of the same settings and archive", path.name)
    return [run for run in record.data["runs"] if run["finished"]], record.provenance[
        "wall_seconds"
    ]


def draw(record: records.Record) -> Figure:
    """Two panels: errors at the end against width, and test error along training for three widths."""
    runs = [run for run in record.data["runs"] if run["finished"]]
    require(
        len(runs) > 0,
        "record",
        "a sweep with at least one finished network",
        f"{len(runs)} finished",
    )
    widths = sorted({run["width"] for run in runs})

    def curves(name: str, width: int) -> np.ndarray:
        return np.array(
            [run[name] for run in runs if run["width"] == width]
        )  # (seeds, evaluations)

    figure, (by_width, by_epoch) = plots.figure(2)
    for name, label, style in (
        ("test_error", "test error", "o-"),
        ("train_error", "training error", "s--"),
    ):
        final = [curves(name, width)[:, -1] for width in widths]
        by_width.plot(widths, [values.mean() for values in final], style, label=label)
        low, high = [values.min() for values in final], [values.max() for values in final]
        by_width.fill_between(widths, low, high, alpha=0.18, linewidth=0)
    by_width.set(
        xscale="log", xlabel="width k", ylabel="fraction misread, last step", ylim=(0, None)
    )
    by_width.legend()
    shown = dict.fromkeys((widths[0], widths[len(widths) // 2], widths[-1]))
    for width, style in zip(shown, ("-", "--", "-."), strict=False):
        epochs = next(run["epochs"] for run in runs if run["width"] == width)
        by_epoch.plot(epochs, curves("test_error", width).mean(0), style, label=f"k = {width}")
    by_epoch.set(xscale="log", xlabel="epochs", ylabel="test error")
    by_epoch.legend()
    return figure


def main(arguments: list[str] | None = None) -> None:
    """The command line; every option but ``--time-budget``, ``--out`` and ``--archive`` is a setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--time-budget", type=float, default=540.0, help="seconds (default 540)")
    parser.add_argument(
        "--out", type=Path, default=records.path_of(RECORD), help="file of the record"
    )
    parser.add_argument(
        "--archive", type=Path, help="CIFAR-10 archive (default: COURSE_CIFAR, or a download)"
    )
    default = Settings()
    for name in ("widths", "seeds"):
        parser.add_argument(f"--{name}", type=int, nargs="+", default=getattr(default, name))
    for name in ("label_noise", "lr"):
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=float, default=getattr(default, name)
        )
    for name in ("steps", "batch_size", "n_evaluations", "n_train", "n_test"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(default, name))
    options = vars(parser.parse_args(arguments))
    budget, out, archive = (options.pop(name) for name in ("time_budget", "out", "archive"))
    try:
        path = sweep(Settings(**options), out, time_budget=budget, archive=archive)
    except (ValueError, OSError, MemoryError) as error:
        parser.error(str(error))
    print(f"wrote {path}: {records.load(path).line()}")


if __name__ == "__main__":
    main()
