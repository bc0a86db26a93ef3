"""How a CNN trains on CIFAR-10: the edge of stability, and random labels learned by heart.

    # On a GPU, in nine minutes; the second one without a download.
    python -m experiments.implicit_regularization.cnn_dynamics
    python -m experiments.implicit_regularization.cnn_dynamics --archive cifar.zip

Two experiments on the same 5,000 images and the same small network, without explicit
regularization:

- full-batch descent on the squared error at several step sizes, with the sharpness (the largest
  eigenvalue of the loss's Hessian) measured along the way (Cohen et al. 2021, arXiv:2103.00065);
- mini-batches on the cross-entropy until no training image is misread, with true labels, some wrong
  ones, and fully random ones (Zhang et al. 2017, arXiv:1611.03530).

Everything is float32, TF32 off: near the edge, rounding to a shorter mantissa would show up as
curvature. Descent keeps the graph of all images at once: 5 to 10 GB for 5,000, by arithmetic.
Whatever time is left is shared equally among the runs to come; one cut short is stored with
``"end": "time"``, and made again from its start by the next call of the same command.
"""

from __future__ import annotations

import time
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
from utils.data.labelled import flip_labels
from utils.landscape.curvature import Loss, Parameters, sharpness
from utils.runtime import device, generator
from utils.validate import integer, number

RECORD = "implicit_regularization/cnn_dynamics"
FIRST_ITERATIONS = 80  # of power iteration, from a random vector
ITERATIONS = 15  # of power iteration, from the vector found before
MOMENTUM = 0.9
N_MARKS = 30  # epochs after which the errors are measured, evenly spaced on a logarithmic axis
RANDOM = 0.9  # a label moved with this probability to one of nine others is uniform over all ten


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
        for step_size in distinct("step_sizes", self.step_sizes):
            number("step_sizes", step_size, 0.0, open_low=True)
        for noise in distinct("label_noises", self.label_noises):
            number("label_noises", noise, 0.0, 1.0)
        for seed in distinct("seeds", self.seeds):
            integer("seeds", seed, 0)
        for name in ("descent_steps", "measure_every", "epochs", "batch_size", "width", "n_train"):
            integer(name, getattr(self, name), 1)
        if self.n_test is not None:
            integer("n_test", self.n_test, 1)
        number("lr", self.lr, 0.0, open_low=True)

    def cut(self) -> str:
        """What differs from the papers' runs, in words for the record."""
        return (
            f"two convolutions of {self.width} channels and {self.n_train:,} images in both "
            "experiments, where Zhang et al. train larger networks on all 50,000; "
            f"descent for {self.descent_steps:,} steps, where Cohen et al. go on to a goal in the "
            f"loss; at most {self.epochs} epochs on each set of labels; {len(self.seeds)} seed(s)"
        )


# ---- the network ---------------------------------------------------------------------------------


def build_network(width: int, seed: int, n_classes: int = 10) -> nn.Sequential:
    """Two blocks of 3×3 convolution (``width`` channels), tanh, 2×2 max-pooling; a linear layer.

    For images (n, 3, 32, 32); 30,634 parameters at width 32, torch's default start. No batch norm:
    it would make the gradient of one image depend on the others.
    """
    integer("width", width, 1)
    with torch.random.fork_rng():  # the caller's random numbers go on as if nothing had been drawn
        generator(seed, "global")
        net = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1),
            nn.Tanh(),
            nn.MaxPool2d(2),  # (n, width, 16, 16)
            nn.Conv2d(width, width, 3, padding=1),
            nn.Tanh(),
            nn.MaxPool2d(2),  # (n, width, 8, 8)
            nn.Flatten(),
            nn.Linear(64 * width, n_classes),
        )
    return net.to(device())


def forward_flops(width: int) -> float:
    """FLOPs of one image's forward pass, two per multiply-add; a gradient takes three times it."""
    first = 1024 * 27 * width  # 32×32 positions, 3·3·3 inputs
    second = 256 * 9 * width**2  # 16×16 positions, 3·3·width inputs
    linear = 640 * width
    return 2.0 * (first + second + linear)


def squared_error(net: nn.Module, x: Tensor, labels: Tensor) -> tuple[Parameters, Loss]:
    """The network's weights and ½ Σ_k (output_k − onehot_k)², averaged over images.

    Both are as `utils.landscape.curvature` wants them: each parameter with a leading axis of one
    model, the loss a function of the list of parameters, of shape (1,).
    """
    names = [name for name, _ in net.named_parameters()]
    targets = nn.functional.one_hot(labels, 10).to(x.dtype)  # (n, 10)

    def loss(parameters: Parameters) -> Tensor:
        weights = {name: p[0] for name, p in zip(names, parameters, strict=True)}
        residual = torch.func.functional_call(net, weights, (x,)) - targets  # (n, 10)
        return 0.5 * (residual**2).sum(1).mean()[None]  # (1,)

    parameters = [p.detach().clone()[None].requires_grad_() for p in net.parameters()]
    return parameters, loss


# ---- the two experiments -------------------------------------------------------------------------


def descend(
    images: Images, settings: Settings, lr: float, seed: int, deadline: float
) -> dict[str, Any]:
    """Full-batch gradient descent at step size ``lr``, until ``deadline`` (``time.monotonic()``).

    Returns how it ended ("steps", "time" or "diverged"), and the lists steps, loss and sharpness.
    """
    net = build_network(settings.width, seed)
    parameters, loss = squared_error(net, images.x_train, images.y_train)

    # The curves; a point of each every ``measure_every`` steps.
    steps: list[int] = []
    losses: list[float] = []
    sharpnesses: list[float] = []

    end = "steps"
    step = 0
    vector = None  # of the largest curvature
    n_products = 0  # of the Hessian with a vector
    for step in range(settings.descent_steps + 1):
        if time.monotonic() > deadline:
            end = "time"
            break
        value = loss(parameters)  # (1,)
        if not bool(torch.isfinite(value)):
            end = "diverged"
            break

        if step % settings.measure_every == 0:
            # The vector of largest curvature turns slowly, so the one found before is a good start.
            iterations = FIRST_ITERATIONS if vector is None else ITERATIONS
            found, vector = sharpness(loss, parameters, vector, iterations=iterations)
            n_products += iterations
            steps.append(step)
            losses.append(_six_digits(value))
            sharpnesses.append(_six_digits(found))

        step_downhill(parameters, value, lr)

    # In forward passes: a gradient takes 3; a product differentiates that once more, about 4.
    passes = 3.0 * step + 4.0 * n_products
    return {
        "steps": steps,
        "loss": losses,
        "sharpness": sharpnesses,
        "end": end,
        "finished": end != "time",
        "flops": passes * len(images.y_train) * forward_flops(settings.width),
    }


def step_downhill(parameters: Parameters, value: Tensor, lr: float) -> None:
    """One step of gradient descent on ``value`` (1,), the loss at ``parameters``, all at once."""
    gradient = torch.autograd.grad(value.sum(), parameters)
    with torch.no_grad():
        for p, g in zip(parameters, gradient, strict=True):
            p -= lr * g


def step_on_batch(net: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    """One step on the cross-entropy of images x (batch, 3, 32, 32) with labels y (batch,)."""
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x), y).backward()
    optimizer.step()


def memorize(
    images: Images, settings: Settings, noise: float, seed: int, deadline: float
) -> dict[str, Any]:
    """SGD with momentum on labels of which a share ``noise`` is wrong, until all are learned.

    It stops as well when ``time.monotonic()`` has passed ``deadline``.
    Returns n_wrong, how it ended ("zero error", "epochs" or "time"), and, for geometrically spaced
    epochs and the last, the lists steps, train_error (against the labels given), test_error and
    distance (of the weights from their start, whose own length is ``start_norm``).
    """
    # The labels move once, before training: a network that reads an image twice is told the same.
    noisy, flipped = flip_labels(images.y_train.cpu().numpy(), noise, generator(seed))
    x = images.x_train  # (n, 3, 32, 32)
    y = torch.as_tensor(noisy, device=device())  # (n,)
    batch_size = min(settings.batch_size, len(y))
    net = build_network(settings.width, seed)
    optimizer = torch.optim.SGD(net.parameters(), settings.lr, momentum=MOMENTUM)
    shuffle = generator(seed, "torch", device())
    start = _weights(net).clone()  # (n_parameters,)

    # The curves; a point of each after every epoch in ``marks``, and at the end.
    steps: list[int] = []
    train_errors: list[float] = []
    test_errors: list[float] = []
    distances: list[float] = []
    spaced = np.geomspace(1, settings.epochs, N_MARKS)
    marks = set(spaced.round().astype(int).tolist())

    end = "epochs"
    step = 0
    for epoch in range(1, settings.epochs + 1):
        for indices in batches(len(y), batch_size, shuffle):
            step_on_batch(net, optimizer, x[indices], y[indices])
            step += 1
            if time.monotonic() > deadline:
                end = "time"
                break

        train_error = error(net, x, y)
        if train_error == 0:
            end = "zero error"
        over = end != "epochs"
        if over or epoch in marks:
            moved = _weights(net) - start  # (n_parameters,)
            steps.append(step)
            train_errors.append(train_error)
            test_errors.append(error(net, images.x_test, images.y_test))
            distances.append(round(moved.norm().item(), 5))
        if over:
            break

    return {
        "n_wrong": int(flipped.sum()),
        "start_norm": round(start.norm().item(), 5),
        "steps": steps,
        "train_error": train_errors,
        "test_error": test_errors,
        "distance": distances,
        "end": end,
        "finished": end != "time",
        "flops": 3.0 * step * batch_size * forward_flops(settings.width),
    }


def _weights(net: nn.Module) -> Tensor:
    """All weights and biases one after the other, (n_parameters,)."""
    return nn.utils.parameters_to_vector(net.parameters()).detach()


def _six_digits(value: Tensor) -> float:
    return float(f"{value.item():.6g}")


# ---- the command ---------------------------------------------------------------------------------


def plan(settings: Settings, archive: Path | None = None) -> Plan:
    """Every step size and every set of labels, for every seed, on the images of ``archive``."""
    split = cifar10(settings.n_train, 0.0, 0, settings.n_test, archive)
    images = Images(split)
    runs = []
    for seed in settings.seeds:
        for lr in settings.step_sizes:
            make = partial(without_tf32, descend, images, settings, lr, seed)
            runs.append(Run({"lr": lr, "seed": seed}, make, "descents"))
    for seed in settings.seeds:
        for noise in settings.label_noises:
            make = partial(without_tf32, memorize, images, settings, noise, seed)
            runs.append(Run({"label_noise": noise, "seed": seed}, make, "memorizations"))
    return Plan(
        runs,
        told=_told,
        source=split.source,
        resolved={"momentum": MOMENTUM, "iterations": ITERATIONS, "n_test": len(split.y_test)},
        notes={"cut": settings.cut()},
        share_time=True,
    )


def without_tf32(experiment: Any, *arguments: Any) -> dict[str, Any]:
    """Call ``experiment`` with convolutions in full float32 on a GPU."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        return experiment(*arguments)


def _told(run: dict[str, Any]) -> str:
    if "lr" in run:
        last = f"sharpness {run['sharpness'][-1]:.2f}" if run["steps"] else "nothing measured"
        return f"{last}, 2/η is {2 / run['lr']:g}; {run['end']}"
    train_error, test_error = run["train_error"][-1], run["test_error"][-1]
    return f"training error {train_error:.4f}, test error {test_error:.3f}; {run['end']}"


EXPERIMENT = Experiment(
    command="experiments.implicit_regularization.cnn_dynamics",
    about=__doc__,
    record=RECORD,
    settings=Settings,
    plan=plan,
    inputs={"archive": "CIFAR-10 archive (default: COURSE_CIFAR, or a download)"},
)
measure = EXPERIMENT.measure
main = EXPERIMENT.main

if __name__ == "__main__":
    main()
