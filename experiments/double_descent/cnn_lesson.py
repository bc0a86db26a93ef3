"""The width sweep of `cnn_sweep`, as large as the machine at hand allows: the notebook's section.

With CUDA and the images the networks are really trained. Otherwise three steps of two narrow ones
on random pixels show that the loop runs, which is no measurement of anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from experiments.double_descent.cnn_sweep import Settings, train_network, training_flops
from experiments.images import Images, random_images
from utils.data.images import cifar10
from utils.runtime import device

# About 6 minutes of a T4: see `estimated_minutes`. FULL is the command's default.
COLAB = Settings(
    widths=(1, 2, 4, 6, 8, 12, 20, 32), n_train=5000, n_test=5000, steps=5000, batch_size=128
)
FULL = Settings()
REHEARSAL = Settings(widths=(1, 2), n_train=16, n_test=8, steps=3, batch_size=8, n_evaluations=2)


@dataclass(frozen=True)
class Lesson:
    """Images on the device and the settings that go with them.

    is_real: whether the networks are trained on CIFAR-10 on a GPU. told: what was or was not made.
    """

    settings: Settings
    images: Images
    is_real: bool
    told: str

    def train(self, width: int, deadline: float, seed: int = 0) -> dict[str, Any]:
        """One network, as in `cnn_sweep.train_network`, with its width and seed."""
        run = train_network(self.images, self.settings, width, seed, deadline)
        return {"width": width, "seed": seed, **run}


def prepare(settings: Settings | None) -> Lesson:
    """The real sweep of ``settings``; the rehearsal for None, without CUDA or without images.

    Nothing is downloaded for a rehearsal.
    """
    if settings is None or device().type != "cuda":
        return rehearsal("there is no GPU, or the scale is cpu")
    try:
        split = cifar10(settings.n_train, settings.label_noise, 0, settings.n_test)
    except OSError as error:  # no network, or no room for the file
        return rehearsal(f"the images cannot be had: {error}")
    n = len(split.y_train)
    told = f"{split.source['name']}: {n} images, {split.flipped.sum()} with a wrong label"
    return Lesson(settings, Images(split), True, told)


def rehearsal(reason: str) -> Lesson:
    """Random pixels and ``REHEARSAL``'s three steps.

    >>> rehearsal("no GPU").told
    'The real run was not made here: no GPU. Three steps on random pixels, and no result.'
    """
    steps = "Three steps on random pixels, and no result."
    told = f"The real run was not made here: {reason}. {steps}"
    return Lesson(REHEARSAL, random_images(16, 8), False, told)


def estimated_minutes(settings: Settings, flops_per_second: float, step_seconds: float) -> float:
    """Arithmetic at ``flops_per_second``, but no step faster than ``step_seconds``.

    The second is the time a GPU needs to start a small network's kernels, however small they are.

    >>> round(estimated_minutes(COLAB, 2e12, 0.006), 1)  # a T4 at a quarter of its float32 peak
    5.6
    """
    seconds = 0.0
    for width in settings.widths:
        arithmetic = training_flops(width, settings.batch_size) / flops_per_second
        seconds += settings.steps * max(arithmetic, step_seconds)
    return seconds / 60
