"""When a notebook's run on photographs is real, and when it is a rehearsal."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from experiments.image_lesson import ImageLesson


@dataclass(frozen=True)
class Sizes:
    n_train: int
    n_test: int


REAL = Sizes(n_train=40, n_test=10)
REHEARSAL = Sizes(n_train=16, n_test=8)


def test_with_a_gpu_the_photographs_are_used(pretended_gpu, archive, monkeypatch):
    monkeypatch.setenv("COURSE_CIFAR", str(archive))
    lesson = ImageLesson.prepare(REAL, REHEARSAL)
    assert lesson.is_real
    assert lesson.settings == REAL
    assert lesson.images.x_train.shape == (40, 3, 32, 32)
    assert lesson.told.endswith(": 40 images")


def test_a_share_of_their_labels_may_be_wrong(pretended_gpu, archive, monkeypatch):
    monkeypatch.setenv("COURSE_CIFAR", str(archive))
    lesson = ImageLesson.prepare(REAL, REHEARSAL, label_noise=0.2)
    assert lesson.told.endswith(": 40 images, 8 with a wrong label")


@pytest.mark.parametrize(
    ("settings", "computes_on", "archive_name", "reason"),
    [
        (None, "cuda", None, "there is no GPU, or the scale is cpu"),
        (REAL, "cpu", None, "there is no GPU, or the scale is cpu"),
        (REAL, "cuda", "none.zip", "the images cannot be had: "),
    ],
)
def test_otherwise_the_rehearsal_is_made(
    settings, computes_on, archive_name, reason, pretended_gpu, monkeypatch
):
    if computes_on == "cpu":
        monkeypatch.undo()
        monkeypatch.setenv("COURSE_DEVICE", "cpu")
    if archive_name:
        monkeypatch.setenv("COURSE_CIFAR", archive_name)
    lesson = ImageLesson.prepare(settings, REHEARSAL)
    assert not lesson.is_real
    assert lesson.settings == REHEARSAL
    assert lesson.images.x_train.shape == (16, 3, 32, 32)
    assert lesson.told.startswith(f"The real run was not made here: {reason}")
    assert lesson.told.endswith("on random pixels, and no result.")
