"""experiments.images: image sets on the device."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.images import Images
from utils import data


def test_inputs_are_normalized_by_the_training_set(archive):
    images = Images(data.cifar10(archive=archive))
    assert images.x_train.mean((0, 2, 3)).abs().max() < 1e-5
    np.testing.assert_allclose(images.x_train.std((0, 2, 3)).cpu(), np.ones(3), rtol=1e-4)
    assert images.x_test.shape == (10, 3, 32, 32)


def test_a_channel_that_is_constant_is_refused_rather_than_divided_by_zero(archive):
    split = data.cifar10(archive=archive)
    x_train = split.x_train.copy()
    x_train[:, 1] = 7
    with pytest.raises(ValueError, match=r"^x_train must be images .*, got .channel 1 of 7s only"):
        Images(replace(split, x_train=x_train))
