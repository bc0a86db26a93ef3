"""No tensor is left on the CPU: each training section of the course, run on another device."""

from __future__ import annotations

import contextlib
import time

import numpy as np
import pytest
import torch

import experiments.images
from experiments.double_descent import cnn_sweep
from experiments.images import Images
from experiments.implicit_regularization import cnn_dynamics
from tests.devices import TwoDevicesError, one_device
from utils.data.labelled import Split
from utils.models.gpt import GPT, GPTConfig
from utils.runtime import generator
from utils.training import processes
from utils.training.config import TrainConfig
from utils.training.loop import train

META = torch.device("meta")
SECTIONS = (cnn_sweep, cnn_dynamics)


@pytest.fixture(autouse=True)
def on_meta(monkeypatch):
    """The experiments' device is ``meta``; it has no generators, so theirs stay on the CPU."""
    for module in (experiments.images, *SECTIONS):
        monkeypatch.setattr(module, "device", lambda: META)
    for module in SECTIONS:
        monkeypatch.setattr(
            module, "generator", lambda seed, kind="numpy", *_: generator(seed, kind)
        )


@pytest.fixture
def images() -> Images:
    rng = generator(0)
    pixels = rng.integers(0, 256, (12, 3, 32, 32)).astype(np.uint8)
    labels = rng.integers(0, 10, 12)
    nothing = np.zeros(8, dtype=bool)
    return Images(Split(pixels[:8], labels[:8], pixels[8:], labels[8:], nothing, {}))


def test_the_images_are_on_the_device(images):
    for tensor in (images.x_train, images.y_train, images.x_test, images.y_test):
        assert tensor.device == META


def test_the_cnn_of_the_width_sweep(images, monkeypatch):
    monkeypatch.setattr(cnn_sweep, "_autocast", contextlib.nullcontext)  # meta has none
    settings = cnn_sweep.Settings(widths=(2,), steps=2, batch_size=4, n_evaluations=2)
    with one_device():
        run = cnn_sweep.train_network(images, settings, 2, 0, time.monotonic() + 60)
    assert run["steps"] == [1, 2]


def test_the_edge_of_stability(images):
    settings = cnn_dynamics.Settings(descent_steps=2, measure_every=1, width=2, n_train=8)
    with one_device():
        run = cnn_dynamics.descend(images, settings, 0.1, 0, time.monotonic() + 60)
    assert run["steps"] == [0, 1, 2]


def test_random_labels(images):
    settings = cnn_dynamics.Settings(epochs=2, batch_size=4, width=2, n_train=8)
    with one_device():
        run = cnn_dynamics.memorize(images, settings, 0.5, 0, time.monotonic() + 60)
    assert len(run["train_error"]) > 0


def test_an_index_that_was_left_on_the_cpu_is_found(images):
    with one_device(), pytest.raises(TwoDevicesError, match="on cpu and meta"):
        images.x_train[torch.tensor([0, 1])]


def test_the_language_model(monkeypatch):
    monkeypatch.setattr(processes, "usable_device", lambda asked: META)
    plain = torch.optim.AdamW  # meta has no fused kernels
    monkeypatch.setattr(torch.optim, "AdamW", lambda groups, fused, **how: plain(groups, **how))
    tokens = generator(0).integers(0, 32, 200).astype(np.uint16)
    model = GPT(GPTConfig(n_layer=2, d_model=16, n_head=2, context_length=8, vocab_size=32))
    config = TrainConfig(steps=2, batch_size=2, eval_every=1, precision="fp32")
    with one_device():
        state = train(model, tokens, config, validation=tokens)
    assert state.step == 2
    assert model.tok.weight.device == META
