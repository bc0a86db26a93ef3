"""The data and the fits of the double-descent explorer, against plain linear algebra.

The page's own are compared with them in ``tests/widgets/double_descent``.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

from utils.landscape import fourier_fit as ff
from utils.landscape.fourier_data import DATA_SETS, LARGEST, POINTS, TARGET, data_sets

SETS = data_sets()
NOISE = 0.3


def noisy(points) -> np.ndarray:
    return ff.target(points.inputs) + NOISE * np.asarray(points.noise)


def median_error(n_features: int, penalty: float = 0.0, noise: float = NOISE) -> float:
    errors = []
    for points in SETS:
        targets = ff.target(points.inputs) + noise * np.asarray(points.noise)
        amplitudes = ff.fit(points.inputs, targets, n_features, penalty)
        errors.append(ff.distance_from_target(amplitudes))
    return float(np.median(errors))


def test_every_data_set_can_be_fitted_exactly() -> None:
    assert len(SETS) == DATA_SETS
    for points in SETS:
        assert len(points.inputs) == len(points.noise) == POINTS
        assert points.inputs[0] >= 0
        assert points.inputs[-1] < 1
        assert min(np.diff(points.inputs)) > 1e-4  # no two inputs are the same


def test_the_noise_has_the_size_one() -> None:
    drawn = np.concatenate([points.noise for points in SETS])  # (600,)
    assert abs(drawn.mean()) < 3 / np.sqrt(len(drawn))
    assert drawn.std() == pytest.approx(1, abs=3 / np.sqrt(2 * len(drawn)))


@pytest.mark.parametrize("n_features", [1, 4, 15, 16, 60, LARGEST])
def test_the_fit_is_the_shortest_solution(n_features) -> None:
    points = SETS[1]
    divisor = np.maximum(1, (np.arange(n_features) + 1) // 2)
    features = ff.waves(points.inputs, n_features) / divisor
    expected = np.linalg.pinv(features) @ noisy(points)
    fitted = ff.fit(points.inputs, noisy(points), n_features) * divisor
    np.testing.assert_allclose(fitted, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("n_features", [4, 15, LARGEST])
def test_the_ridge_solves_its_normal_equations(n_features) -> None:
    points = SETS[2]
    divisor = np.maximum(1, (np.arange(n_features) + 1) // 2)
    features = ff.waves(points.inputs, n_features) / divisor
    coefficients = ff.fit(points.inputs, noisy(points), n_features, 0.1) * divisor
    residual = noisy(points) - features @ coefficients
    np.testing.assert_allclose(features.T @ residual, 0.1 * coefficients, atol=1e-10)


def test_the_test_error_is_the_mean_over_all_x() -> None:
    points = SETS[2]
    x = np.arange(2000) / 2000  # exact for waves below half of that frequency
    for n_features in (3, 15, LARGEST):
        amplitudes = ff.fit(points.inputs, noisy(points), n_features)
        apart = ff.waves(x, n_features) @ amplitudes - ff.target(x)
        assert ff.distance_from_target(amplitudes) == pytest.approx(np.mean(apart**2), rel=1e-9)


def test_the_error_descends_twice_and_does_not_beat_the_valley() -> None:
    valley, peak, end = (median_error(p) for p in (5, 15, LARGEST))
    assert median_error(1) > 10 * valley
    assert peak > 30 * valley
    assert peak > 20 * end
    assert end > 1.5 * valley


def test_evenly_spaced_inputs_show_almost_no_peak() -> None:
    even = (np.arange(POINTS) + 0.5) / POINTS
    errors = {}
    for n_features in (5, POINTS):
        of_sets = []
        for points in SETS:
            targets = ff.target(even) + NOISE * np.asarray(points.noise)
            of_sets.append(ff.distance_from_target(ff.fit(even, targets, n_features)))
        errors[n_features] = np.median(of_sets)
    assert errors[POINTS] < 5 * errors[5]  # with the inputs above it is 100 times as large


def test_without_noise_or_with_a_ridge_there_is_no_peak() -> None:
    assert median_error(15, noise=0.0) < 1e-9  # five features express the target
    assert median_error(LARGEST, noise=0.0) < 0.01
    errors = [median_error(p, penalty=0.3) for p in (5, 9, 15, 20, 60, LARGEST)]
    assert max(errors) < 2 * min(errors)


@pytest.mark.parametrize("n_features", [0, LARGEST + 1, 2.5])
def test_a_bad_number_of_features_is_refused(n_features) -> None:
    with pytest.raises(
        ValueError, match=re.escape("n_features must be a whole number in [1, 301]")
    ):
        ff.fit(SETS[0].inputs, noisy(SETS[0]), n_features)


def test_a_negative_penalty_is_refused() -> None:
    with pytest.raises(ValueError, match="penalty"):
        ff.fit(SETS[0].inputs, noisy(SETS[0]), len(TARGET), -1.0)
