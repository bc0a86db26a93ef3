"""Time ``train_sweep`` of utils.training.ensembles against the plain loop that it replaces.

    python -m benchmarks.ensembles                # one core: under a minute; a GPU if there is one
    python -m benchmarks.ensembles --n 600 --device cpu --threads 2

Both train the same networks (the course's width sweep on digits, float32) from the same weights on
the same data, in one process, turn about, after a warm-up. The command prints the median time of
each, their ratio, and by how much the final training losses differ, so that a fast wrong answer
would show.
"""

from __future__ import annotations

import argparse
import math
import platform
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from utils.runtime import generator, named_device
from utils.training.ensembles.batch import initial_parameters
from utils.training.ensembles.sweep import train_sweep

WIDTHS = (2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 32, 48, 64, 128, 256)
N_FEATURES = 64
N_CLASSES = 10
N_TEST = 400
LR = 0.01
W2_SCALE = 0.1

Data = tuple[np.ndarray, np.ndarray]  # inputs (n_seeds, n, N_FEATURES) and labels (n_seeds, n)


def examples(n: int, n_seeds: int) -> Data:
    """Inputs of the digits' size and random labels: the values do not change the time."""
    rng = generator(0)
    X = rng.standard_normal((n_seeds, n, N_FEATURES)).astype(np.float32) / math.sqrt(N_FEATURES)
    y = rng.integers(0, N_CLASSES, (n_seeds, n))
    return X, y


def plain_loop(
    train: Data, test: Data, seeds: Sequence[int], steps: int, device: torch.device, fused: bool
) -> np.ndarray:
    """Train one ``torch.nn`` network after another.

    Returns the final training losses, (n_widths, n_seeds).
    """
    X_train, y_train, X_test, y_test = (
        torch.as_tensor(part, device=device) for part in (*train, *test)
    )
    losses = np.empty((len(WIDTHS), len(seeds)))
    for w, width in enumerate(WIDTHS):
        for s, seed in enumerate(seeds):
            net = network(width, seed).to(device)
            optimizer = torch.optim.Adam(net.parameters(), lr=LR, fused=fused or None)
            for t in range(steps):
                optimizer.param_groups[0]["lr"] = LR * 0.5 * (1 + math.cos(math.pi * t / steps))
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(X_train[s]), y_train[s]).backward()
                optimizer.step()
            # The sweep measures the test error too, so the time of it belongs to both.
            with torch.no_grad():
                losses[w, s] = nn.functional.cross_entropy(net(X_train[s]), y_train[s]).item()
                (net(X_test[s]).argmax(1) != y_test[s]).float().mean().item()
    return losses


def network(width: int, seed: int) -> nn.Sequential:
    """The network that a sweep trains for this width and seed, before its first step."""
    start = initial_parameters(width, seed, N_FEATURES, N_CLASSES, w2_scale=W2_SCALE)
    net = nn.Sequential(nn.Linear(N_FEATURES, width), nn.ReLU(), nn.Linear(width, N_CLASSES))
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), start.values(), strict=True):
            parameter.copy_(value)
    return net


def timed(run: Callable[[], np.ndarray], device: torch.device) -> tuple[float, np.ndarray]:
    """Seconds that ``run`` takes, and what it returns."""
    wait_for(device)
    start = time.perf_counter()
    result = run()
    wait_for(device)
    return time.perf_counter() - start, result


def wait_for(device: torch.device) -> None:
    """Wait until the device has done what it was told: a GPU works while Python goes on."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    value = int(text)  # argparse words a failure of this itself
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text}")
    return value


def main(arguments: list[str] | None = None) -> None:
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(description=summary)
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
        device = named_device("device", args.device)
    except ValueError as error:
        parser.error(str(error))
    torch.set_num_threads(args.threads)

    seeds = range(args.n_seeds)
    train = examples(args.n, args.n_seeds)
    test = examples(N_TEST, args.n_seeds)

    def together(steps: int = args.steps) -> np.ndarray:
        sweep = train_sweep(
            *train,
            *test,
            widths=WIDTHS,
            seeds=seeds,
            steps=steps,
            lr=LR,
            w2_scale=W2_SCALE,
            device=device,
        )
        return sweep.train_loss

    def one_by_one(steps: int = args.steps) -> np.ndarray:
        return plain_loop(train, test, seeds, steps, device, args.fused)

    # Warm-up: the first calls load kernels and fill the allocator.
    one_by_one(3)
    together(3)

    # Turn about, so that a slow moment of the machine hits both.
    slow = []
    fast = []
    for _ in range(args.repeats):
        slow.append(timed(one_by_one, device))
        fast.append(timed(together, device))
    slow_times = [seconds for seconds, _ in slow]
    fast_times = [seconds for seconds, _ in fast]
    ratios = [a / b for a, b in zip(slow_times, fast_times, strict=True)]
    _, slow_losses = slow[-1]
    _, fast_losses = fast[-1]
    gap = np.abs(fast_losses / slow_losses - 1).max()

    name = platform.processor() or "CPU"
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    n_networks = len(WIDTHS) * args.n_seeds
    print(f"device {device} ({name}), {args.threads} CPU thread(s), torch {torch.__version__}")
    print(f"{n_networks} networks, widths 2-256, n = {args.n}, {args.steps} Adam steps, float32")
    print(f"plain loop  {in_one_line(slow_times, 3, 's')}")
    print(f"together    {in_one_line(fast_times, 3, 's')}")
    print(f"ratio       {in_one_line(ratios, 2, 'x')}")
    print(f"final training losses differ by at most {gap:.1e} (relative)")


def in_one_line(values: list[float], decimals: int, unit: str) -> str:
    """The median and the range of ``values``."""
    median = f"{statistics.median(values):7.{decimals}f}"
    lowest = f"{min(values):.{decimals}f}"
    highest = f"{max(values):.{decimals}f}"
    return f"median {median} {unit}  ({lowest}-{highest})"


if __name__ == "__main__":
    main()
