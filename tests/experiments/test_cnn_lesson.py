"""The notebook's convolutional sweep: what it trains with a GPU, and what it does without one."""

from __future__ import annotations

import time
from dataclasses import replace

from experiments.double_descent.cnn_lesson import COLAB, FULL, REHEARSAL, prepare


def test_without_a_gpu_three_steps_and_no_result(monkeypatch):
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    lesson = prepare(COLAB)
    assert not lesson.is_real
    assert "was not made here" in lesson.told
    assert lesson.settings == REHEARSAL
    for width in REHEARSAL.widths:
        run = lesson.train(width, deadline=time.monotonic() + 60)
        assert run["width"] == width
        assert run["steps"][-1] == 3
        assert run["finished"]


def test_a_share_of_the_photographs_labels_is_wrong(pretended_gpu, archive, monkeypatch):
    monkeypatch.setenv("COURSE_CIFAR", str(archive))
    lesson = prepare(replace(COLAB, n_train=40, n_test=10, steps=2, batch_size=20))
    assert lesson.is_real
    assert "40 images, 8 with a wrong label" in lesson.told
    run = lesson.train(1, deadline=time.monotonic() + 60)
    assert run["steps"] == [1, 2]


def test_the_scales_grow():
    assert len(REHEARSAL.widths) < len(COLAB.widths) < len(FULL.widths)
    assert max(REHEARSAL.widths) < max(COLAB.widths) < max(FULL.widths)
    assert REHEARSAL.steps < COLAB.steps < FULL.steps
