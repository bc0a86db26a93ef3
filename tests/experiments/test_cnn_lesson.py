"""The notebook's convolutional sweep: what it trains with a GPU, and what it does without one."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch

import experiments.images
from experiments.double_descent import cnn_lesson
from experiments.double_descent.cnn_lesson import COLAB, FULL, REHEARSAL, prepare

CUDA = torch.device("cuda")


def test_without_a_gpu_three_steps_and_no_result():
    lesson = prepare(COLAB)
    assert not lesson.is_real
    assert "was not made here" in lesson.told
    assert lesson.settings == REHEARSAL
    for width in REHEARSAL.widths:
        run = lesson.train(width, deadline=time.monotonic() + 60)
        assert run["width"] == width
        assert run["steps"][-1] == 3
        assert run["finished"]


@pytest.fixture
def pretended_gpu(monkeypatch):
    """The lesson believes in CUDA; the images stay on the CPU."""
    monkeypatch.setattr(cnn_lesson, "device", lambda: CUDA)
    monkeypatch.setattr(experiments.images, "device", lambda: torch.device("cpu"))


def test_with_a_gpu_the_photographs_are_used(pretended_gpu, archive, monkeypatch):
    monkeypatch.setenv("COURSE_CIFAR", str(archive))
    lesson = prepare(replace(COLAB, n_train=40, n_test=10, steps=2, batch_size=20))
    assert lesson.is_real
    assert lesson.images.x_train.shape == (40, 3, 32, 32)
    assert "40 images" in lesson.told
    run = lesson.train(1, deadline=time.monotonic() + 60)
    assert run["steps"] == [1, 2]


def test_the_cpu_scale_and_missing_images_end_in_the_rehearsal(pretended_gpu, monkeypatch):
    assert not prepare(None).is_real
    monkeypatch.setenv("COURSE_CIFAR", "none.zip")
    lesson = prepare(COLAB)
    assert not lesson.is_real
    assert "images cannot be had" in lesson.told


def test_the_scales_grow():
    assert len(REHEARSAL.widths) < len(COLAB.widths) < len(FULL.widths)
    assert max(REHEARSAL.widths) < max(COLAB.widths) < max(FULL.widths)
    assert REHEARSAL.steps < COLAB.steps < FULL.steps
