"""Tests of utils.landscape.features: nesting, scale, fits, and the peak at N = n."""

import numpy as np
import pytest

from utils import data
from utils.landscape import features
from utils.runtime import generator


def test_features_are_nested_nonnegative_and_scaled():
    inputs = generator(0).standard_normal((50, 64)) / 8
    small, large = features.RandomReLU(64, 100, seed=1), features.RandomReLU(64, 4000, seed=1)
    np.testing.assert_array_equal(small.weights, large.weights[:, :100])
    np.testing.assert_array_equal(small(inputs), large(inputs, 100))
    np.testing.assert_allclose(
        large(inputs, 100) * np.sqrt(100 / 4000), large(inputs)[:, :100], rtol=1e-12
    )
    assert large(inputs).dtype == np.float64
    norms = (large(inputs) ** 2).sum(1) / (inputs**2).sum(1)
    assert abs(norms.mean() - 1) < 0.05
    assert (features.RandomReLU(64, 100, seed=2).weights != small.weights).any()


def test_a_wide_model_interpolates_its_noisy_labels():
    split = data.digits(120, label_noise=0.2, seed=0, dtype=np.float64)
    maps = features.RandomReLU(64, 400)
    train = maps(split.x_train)
    fit = features.fit_classifier(train, split.y_train)
    scores = train @ fit.coefficients()
    assert features.classification_error(scores, split.y_train) == 0
    assert features.squared_error(scores, split.y_train) < 1e-15
    ridge = train @ fit.coefficients(1.0)
    assert features.classification_error(ridge, split.y_train) > 0


def test_the_peak_stands_at_the_interpolation_threshold():
    n, widths = 150, (30, 75, 150, 300, 900)
    for seed in range(3):
        split = data.digits(n, label_noise=0.15, seed=seed, dtype=np.float64)
        maps = features.RandomReLU(64, max(widths), seed=seed)
        errors = []
        for width in widths:
            fit = features.fit_classifier(maps(split.x_train, width), split.y_train)
            scores = maps(split.x_test, width) @ fit.coefficients()
            errors.append(features.classification_error(scores, split.y_test))
        assert widths[int(np.argmax(errors))] == n


def test_errors_by_hand():
    scores = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
    assert features.classification_error(scores, [0, 1, 1]) == pytest.approx(1 / 3)
    assert features.squared_error(np.zeros((4, 10)), [0, 1, 2, 3]) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: features.RandomReLU(64, 0),
            "n_features must be a whole number of at least 1, got 0",
        ),
        (
            lambda: features.RandomReLU(4, 8)(np.zeros((3, 4)), 9),
            r"n_features must .* \[1, 8\], got 9",
        ),
        (
            lambda: features.RandomReLU(4, 8)(np.zeros((3, 5))),
            r"inputs must be .* \(n_samples, 4\), got",
        ),
        (
            lambda: features.RandomReLU(4, 8)(np.full((3, 4), np.nan)),
            "inputs must be finite, got 12 NaN",
        ),
        (
            lambda: features.fit_classifier(np.ones((3, 2)), [0, 1]),
            r"labels must be .* \(3,\), got",
        ),
        (
            lambda: features.fit_classifier(np.ones((2, 2)), [0, 1.5]),
            "labels must be an array of whole numbers that fit int64, got 1.5",
        ),
        (lambda: features.fit_classifier(np.ones((2, 2)), [0, 10]), r"labels must be in \[0, 9\]"),
        (
            lambda: features.classification_error(np.ones((2, 3)), [0, 3]),
            r"labels must be in \[0, 2\]",
        ),
        (lambda: features.squared_error(np.ones(3), [0]), "scores must be an array of shape"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
