"""Image sets on the device, for experiments with convolutional networks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from utils.data.labelled import Split
from utils.runtime import device, generator
from utils.validate import require

EVALUATION_BATCH = 2000  # images at a time where no gradient is kept


class Images:
    """A split on the device: inputs normalized by the training set's channel means and deviations.

    ``x_train`` and ``x_test`` are float32 (n, 3, height, width); ``y_train`` and ``y_test`` are
    int64 (n,). Raises ``ValueError`` for a channel that is constant, as it has no deviation.
    """

    def __init__(self, split: Split) -> None:
        for channel in range(3):
            values = split.x_train[:, channel]  # (n, h, w)
            only = f"channel {channel} of {values.min()}s only"
            require(values.min() < values.max(), "x_train", "images whose channels vary", only)

        # All values of one channel in one row, scaled to [0, 1].
        by_channel = split.x_train.transpose(1, 0, 2, 3).reshape(3, -1) / 255.0  # (3, n·h·w)
        mean = _per_channel(by_channel.mean(1))  # (3, 1, 1)
        deviation = _per_channel(by_channel.std(1))  # (3, 1, 1)

        self.x_train = (_on_device(split.x_train) / 255 - mean) / deviation  # (n, 3, h, w)
        self.x_test = (_on_device(split.x_test) / 255 - mean) / deviation
        self.y_train = torch.as_tensor(split.y_train, device=device())  # (n,)
        self.y_test = torch.as_tensor(split.y_test, device=device())


def random_images(n_train: int, n_test: int) -> Images:
    """Random pixels with random labels, to rehearse an experiment where the real images are not.

    >>> random_images(3, 2).x_train.shape
    torch.Size([3, 3, 32, 32])
    """
    rng = generator(0)
    n = n_train + n_test
    pixels = rng.integers(0, 256, (n, 3, 32, 32)).astype(np.uint8)
    labels = rng.integers(0, 10, n)
    split = Split(
        x_train=pixels[:n_train],
        y_train=labels[:n_train],
        x_test=pixels[n_train:],
        y_test=labels[n_train:],
        flipped=np.zeros(n_train, dtype=bool),
        source={"name": "random pixels"},
    )
    return Images(split)


def batches(n: int, batch_size: int, shuffle: torch.Generator) -> tuple[Tensor, ...]:
    """One epoch: the indices (batch_size,) of each batch, in a new random order of n examples.

    A remainder smaller than a batch is left out; it may be drawn in the next epoch.
    """
    order = torch.randperm(n, generator=shuffle, device=device())  # (n,)
    whole = n - n % batch_size
    return order[:whole].split(batch_size)


@torch.no_grad()
def error(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of images x (n, 3, height, width) whose largest output is not at the label y (n,).

    Batch norm, where there is any, uses its running averages.
    """
    net.eval()
    # Counted on the device, so that a GPU waits for the transfer once, at the end.
    wrong = torch.zeros((), dtype=torch.int64, device=y.device)
    for images, labels in zip(x.split(EVALUATION_BATCH), y.split(EVALUATION_BATCH), strict=True):
        predicted = net(images).argmax(1)  # (batch,)
        wrong += (predicted != labels).sum()
    net.train()
    return round(int(wrong) / len(y), 5)


def _on_device(pixels: np.ndarray) -> Tensor:
    return torch.as_tensor(pixels).to(device(), torch.float32)


def _per_channel(values: np.ndarray) -> Tensor:
    """One number per channel (3,), shaped to be subtracted from images (n, 3, height, width)."""
    return torch.tensor(values, device=device(), dtype=torch.float32).view(3, 1, 1)
