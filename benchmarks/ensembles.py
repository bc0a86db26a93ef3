"""Time ``utils.training.ensembles.train_sweep`` against the plain loop over networks that it replaces.

    python -m benchmarks.ensembles                # one core: under a minute; a GPU is used when there is one
    python -m benchmarks.ensembles --n 600 --device cpu --threads 2

Both train the same networks (the course's width sweep on digits, float32) from the same weights on the same
data, in one process, turn about, after a warm-up. The command prints the median time of each, their ratio,
and by how much the final training losses differ, so that a fast wrong answer would show.
"""

from __future__ import annotations

import argparse
import math
import platform
import statistics
import time

import numpy as np
import torch
from torch import nn

from utils.runtime import named_device
from utils.training.ensembles.batch import initial_parameters
from utils.training.ensembles.sweep import train_sweep

WIDTHS = (2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 32, 48, 64, 128, 256)
N_FEATURES, N_CLASSES, N_TEST, LR = 64, 10, 400, 0.01


def examples(n: int, n_seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of the digits' size and random labels: the values do not change the time."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_seeds, n, N_FEATURES)).astype(np.float32) / math.sqrt(N_FEATURES)
    return X, rng.integers(0, N_CLASSES, (n_seeds, n))


def plain_loop(train, test, seeds, steps: int, device, fused: bool) -> np.ndarray:
    """One ``torch.nn`` network after another; returns the final training losses, (n_widths, n_seeds)."""
    sets = [[torch.as_tensor(a, device=device) for a in part] for part in (*train, *test)]
    losses = np.empty((len(WIDTHS), len(seeds)))
    for w, width in enumerate(WIDTHS):
        for s, seed in enumerate(seeds):
            X, y, X_test, y_test = (part[s] for part in sets)
            net = nn.Sequential(
                nn.Linear(N_FEATURES, width), nn.ReLU(), nn.Linear(width, N_CLASSES)
            )
            start = initial_parameters(width, seed, N_FEATURES, N_CLASSES, w2_scale=0.1)
            with torch.no_grad():
                for parameter, value in zip(net.parameters(), start.values(), strict=True):
                    parameter.copy_(value)
            net.to(device)
            optimizer = torch.optim.Adam(net.parameters(), lr=LR, fused=fused or None)
            for t in range(steps):
                optimizer.param_groups[0]["lr"] = LR * 0.5 * (1 + math.cos(math.pi * t / steps))
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(X), y).backward()
                optimizer.step()
            with torch.no_grad():
                losses[w, s] = nn.functional.cross_entropy(net(X), y).item()
                (net(X_test).argmax(1) != y_test).float().mean().item()
    return losses


def timed(run, device) -> tuple[float, np.ndarray]:
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    result = run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start, result


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    value = int(text)  # argparse words a failure of this itself
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text}")
    return value


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=positive, default=200, help="training examples (default 200)")
    parser.add_argument("--n-seeds", type=positive, default=5)
    parser.add_argument("--steps", type=positive, default=100)
    parser.add_argument("--repeats", type=positive, default=5)
    parser.add_argument("--threads", type=positive, default=1, help="CPU threads (default 1)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--fused", action="store_true", help="give the plain loop torch's fused Adam"
    )
    args = parser.parse_args(arguments)
    try:
        device, seeds = named_device("device", args.device), range(args.n_seeds)
    except ValueError as error:
        parser.error(str(error))
    torch.set_num_threads(args.threads)
    train, test = examples(args.n, args.n_seeds), examples(N_TEST, args.n_seeds)

    def together(steps: int = args.steps) -> np.ndarray:
        settings = {"steps": steps, "lr": LR, "w2_scale": 0.1, "device": device}
        return train_sweep(*train, *test, widths=WIDTHS, seeds=seeds, **settings).train_loss

    def one_by_one(steps: int = args.steps) -> np.ndarray:
        return plain_loop(train, test, seeds, steps, device, args.fused)

    one_by_one(3), together(3)  # warm-up: first calls load kernels and fill the allocator
    slow, fast = [], []
    for _ in range(args.repeats):
        slow.append(timed(one_by_one, device))
        fast.append(timed(together, device))
    gap = np.max(np.abs(fast[-1][1] / slow[-1][1] - 1))
    ratio = [a / b for (a, _), (b, _) in zip(slow, fast, strict=True)]
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else platform.processor() or "CPU"
    )
    print(f"device {device} ({name}), {args.threads} CPU thread(s), torch {torch.__version__}")
    print(
        f"{len(WIDTHS) * args.n_seeds} networks, widths 2-256, n = {args.n}, {args.steps} Adam steps, float32"
    )
    for label, runs in (("plain loop", slow), ("together", fast)):
        times = [t for t, _ in runs]
        print(
            f"{label:11s} median {statistics.median(times):7.3f} s  ({min(times):.3f}-{max(times):.3f})"
        )
    print(
        f"ratio       median {statistics.median(ratio):7.2f} x  ({min(ratio):.2f}-{max(ratio):.2f})"
    )
    print(f"final training losses differ by at most {gap:.1e} (relative)")


if __name__ == "__main__":
    main()
