"""The width sweep of `cnn_sweep`, as large as the machine at hand allows: the notebook's section.

Without CUDA or the images it is only rehearsed: see `experiments.image_lesson`.
"""

from __future__ import annotations

from typing import Any

from experiments.double_descent.cnn_sweep import Settings, train_network, training_flops
from experiments.image_lesson import ImageLesson

# About 6 minutes of a T4: see `estimated_minutes`. FULL is the command's default.
COLAB = Settings(
    widths=(1, 2, 4, 6, 8, 12, 20, 32), n_train=5000, n_test=5000, steps=5000, batch_size=128
)
FULL = Settings()
REHEARSAL = Settings(widths=(1, 2), n_train=16, n_test=8, steps=3, batch_size=8, n_evaluations=2)


class Lesson(ImageLesson[Settings]):
    """Images, and the training of one width on them."""

    def train(self, width: int, deadline: float, seed: int = 0) -> dict[str, Any]:
        """One network, as in `cnn_sweep.train_network`, with its width and seed."""
        run = train_network(self.images, self.settings, width, seed, deadline)
        return {"width": width, "seed": seed, **run}


def prepare(settings: Settings | None) -> Lesson:
    """The real sweep of ``settings``; the rehearsal for None, without CUDA or without images.

    >>> prepare(None).is_real
    False
    """
    noise = 0.0 if settings is None else settings.label_noise
    return Lesson.prepare(settings, REHEARSAL, noise)


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
