"""Scale, device and seed are chosen as documented."""

import numpy as np
import pytest
import torch

from utils import runtime


def test_scale_follows_the_environment(monkeypatch):
    monkeypatch.setenv("COURSE_SCALE", "full")
    assert runtime.at_scale(cpu=1, colab=2, full=3) == 3
    assert runtime.at_scale(cpu=1, colab=2) == 2
    assert runtime.at_scale(cpu=1) == 1
    monkeypatch.delenv("COURSE_SCALE")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert runtime.scale() == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert runtime.scale() == "colab"


def test_unknown_scale_is_one_clear_line(monkeypatch):
    monkeypatch.setenv("COURSE_SCALE", "huge")
    with pytest.raises(
        ValueError, match="COURSE_SCALE must be one of 'cpu', 'colab', 'full', got 'huge'"
    ):
        runtime.scale()


def test_asking_for_a_device_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("COURSE_DEVICE", "cuda")
    with pytest.raises(
        ValueError, match=r"^COURSE_DEVICE must be a device of this machine \(cpu.*got 'cuda'$"
    ):
        runtime.device()


@pytest.mark.parametrize("asked", ["foo", "cuda:99", "meta", 1.5, None])
def test_a_device_by_name_is_here_or_refused(asked):
    assert runtime.named_device("device", "cpu") == torch.device("cpu")
    with pytest.raises(
        ValueError, match=r"^device must be a device of this machine \(cpu"
    ) as error:
        runtime.named_device("device", asked)
    assert "\n" not in str(error.value)


def test_generators_are_those_of_numpy_and_torch():
    assert runtime.generator(3).random() == np.random.default_rng(3).random()
    assert runtime.generator([3, 4]).random() == np.random.default_rng([3, 4]).random()
    ours, theirs = runtime.generator(3, "torch"), torch.Generator().manual_seed(3)
    assert torch.equal(torch.rand(2, generator=ours), torch.rand(2, generator=theirs))


def test_the_global_generator_is_seeded():
    runtime.generator(3, "global")
    first = torch.rand(2)
    runtime.generator(3, "global")
    assert torch.equal(first, torch.rand(2))


@pytest.mark.parametrize(
    ("seed", "kind"), [(-1, "numpy"), (0.5, "torch"), ([1, -1], "numpy"), ("1", "global")]
)
def test_a_bad_seed_is_one_clear_line(seed, kind):
    with pytest.raises(ValueError, match="^seed must be a whole number"):
        runtime.generator(seed, kind)
    with pytest.raises(ValueError, match="^kind must be one of"):
        runtime.generator(0, "random")


def test_progress_yields_everything(monkeypatch):
    monkeypatch.setenv("COURSE_QUIET", "1")
    assert list(runtime.progress(range(3), "x")) == [0, 1, 2]
