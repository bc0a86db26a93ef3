"""The two experiments of `cnn_dynamics`, as large as the machine at hand allows, for the notebooks.

Without CUDA or the images it is only rehearsed: see `experiments.image_lesson`.
"""

from __future__ import annotations

from typing import Any

from experiments.image_lesson import ImageLesson
from experiments.implicit_regularization.cnn_dynamics import (
    FIRST_ITERATIONS,
    ITERATIONS,
    Settings,
    descend,
    forward_flops,
    memorize,
    without_tf32,
)

# About 3 minutes of a T4 each, and 4 GB at most, by arithmetic: see `estimated_minutes`.
EDGE_COLAB = Settings(step_sizes=(0.03, 0.06), descent_steps=3000, n_train=2000, n_test=2000)
LABELS_COLAB = Settings(epochs=300, n_train=5000, n_test=5000)
FULL = Settings()  # the command's own
REHEARSAL = Settings(
    step_sizes=(0.03,),
    descent_steps=3,
    measure_every=3,
    label_noises=(0.9,),
    epochs=3,
    batch_size=16,
    width=2,
    n_train=16,
    n_test=8,
)


class Lesson(ImageLesson[Settings]):
    """Images, and the two experiments on them."""

    def descend(self, lr: float, deadline: float, seed: int = 0) -> dict[str, Any]:
        """Full-batch descent, as in `cnn_dynamics.descend`, with its step size and seed."""
        run = without_tf32(descend, self.images, self.settings, lr, seed, deadline)
        return {"lr": lr, "seed": seed, **run}

    def memorize(self, noise: float, deadline: float, seed: int = 0) -> dict[str, Any]:
        """Training to zero error, as in `cnn_dynamics.memorize`, with its noise and seed."""
        run = without_tf32(memorize, self.images, self.settings, noise, seed, deadline)
        return {"label_noise": noise, "seed": seed, **run}


def prepare(settings: Settings | None) -> Lesson:
    """The real runs of ``settings``; the rehearsal for None, without CUDA or without images.

    >>> prepare(None).is_real
    False
    """
    return Lesson.prepare(settings, REHEARSAL)


def estimated_minutes(
    settings: Settings, flops_per_second: float, step_seconds: float
) -> tuple[float, float]:
    """Minutes of all descents, and of all memorizations if each takes every epoch.

    Arithmetic at ``flops_per_second``, but no step on a small batch faster than ``step_seconds``:
    so long a GPU needs to start its kernels, however little each of them does.

    >>> edge, _ = estimated_minutes(EDGE_COLAB, 2e12, 0.004)  # a T4 at a quarter of its peak
    >>> _, labels = estimated_minutes(LABELS_COLAB, 2e12, 0.004)
    >>> round(edge, 1), round(labels, 1)
    (2.8, 3.0)
    """
    # The descents: a gradient is three forward passes, a product with the Hessian four more.
    one_pass = settings.n_train * forward_flops(settings.width)
    n_measured = settings.descent_steps // settings.measure_every
    n_products = FIRST_ITERATIONS + n_measured * ITERATIONS
    passes = 3 * settings.descent_steps + 4 * n_products
    descents = len(settings.step_sizes) * passes * one_pass / flops_per_second

    # The memorizations, batch by batch.
    arithmetic = 3 * settings.batch_size * forward_flops(settings.width) / flops_per_second
    n_steps = settings.epochs * (settings.n_train // settings.batch_size)
    one_run = n_steps * max(arithmetic, step_seconds)
    memorizations = len(settings.label_noises) * one_run
    return descents / 60, memorizations / 60
