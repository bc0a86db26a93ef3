"""Fixtures shared by the tests of the experiments."""

from __future__ import annotations

import pytest
import torch

import experiments.image_lesson
import experiments.images


@pytest.fixture
def pretended_gpu(monkeypatch):
    """A lesson on photographs believes in CUDA; the images stay on the CPU."""
    monkeypatch.setattr(experiments.image_lesson, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(experiments.images, "device", lambda: torch.device("cpu"))
