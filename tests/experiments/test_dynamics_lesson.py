"""The notebooks' convolutional runs: what they train with a GPU, and what they do without one."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch

from experiments.implicit_regularization import cnn_dynamics
from experiments.implicit_regularization.cnn_dynamics import (
    build_network,
    squared_error,
    step_downhill,
    step_on_batch,
)
from experiments.implicit_regularization.cnn_lesson import (
    EDGE_COLAB,
    FULL,
    LABELS_COLAB,
    REHEARSAL,
    prepare,
)
from utils.runtime import generator


def soon() -> float:
    return time.monotonic() + 60


@pytest.mark.parametrize("settings", [None, EDGE_COLAB, LABELS_COLAB, FULL])
def test_without_a_gpu_three_steps_and_no_result(settings, monkeypatch):
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    lesson = prepare(settings)
    assert not lesson.is_real
    assert "was not made here" in lesson.told
    assert lesson.settings == REHEARSAL
    run = lesson.descend(REHEARSAL.step_sizes[0], soon())
    assert run["steps"] == [0, 3]
    assert run["lr"] == REHEARSAL.step_sizes[0]
    run = lesson.memorize(REHEARSAL.label_noises[0], soon())
    assert run["steps"][-1] == 3
    assert run["label_noise"] == REHEARSAL.label_noises[0]


def test_with_a_gpu_the_photographs_are_used(pretended_gpu, archive, monkeypatch):
    monkeypatch.setattr(cnn_dynamics, "device", lambda: torch.device("cpu"))
    monkeypatch.setenv("COURSE_CIFAR", str(archive))
    small = replace(EDGE_COLAB, n_train=30, n_test=10, width=2, descent_steps=2, measure_every=1)
    lesson = prepare(small)
    assert lesson.is_real
    assert lesson.images.x_train.shape == (30, 3, 32, 32)
    assert lesson.told.endswith("30 images")
    assert lesson.descend(0.01, soon())["steps"] == [0, 1, 2]


def test_the_scales_grow():
    assert REHEARSAL.n_train < EDGE_COLAB.n_train < FULL.n_train
    assert REHEARSAL.width < EDGE_COLAB.width == FULL.width
    assert REHEARSAL.epochs < LABELS_COLAB.epochs < FULL.epochs
    assert len(EDGE_COLAB.step_sizes) < len(FULL.step_sizes)


def test_a_step_of_either_kind_lowers_the_loss():
    x = torch.randn(8, 3, 32, 32, generator=generator(0, "torch"))
    y = torch.arange(8)
    parameters, loss = squared_error(build_network(2, 0).cpu(), x, y)
    before = loss(parameters)
    step_downhill(parameters, before, 0.01)
    assert loss(parameters).item() < before.item()

    net = build_network(2, 0).cpu()
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    before = torch.nn.functional.cross_entropy(net(x), y).item()
    step_on_batch(net, optimizer, x, y)
    assert torch.nn.functional.cross_entropy(net(x), y).item() < before
