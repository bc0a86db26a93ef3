"""utils.data.labelled: digits, labels that are wrong on purpose, and arrays that are checked."""

import numpy as np
import pytest

from utils import data
from utils.runtime import generator


def test_digits_are_centred_scaled_and_disjoint():
    split = data.digits(600, seed=3, dtype=np.float64)
    assert split.x_train.shape == (600, 64)
    assert split.x_test.shape == (1197, 64)
    assert split.y_train.dtype == np.int64
    np.testing.assert_allclose(split.x_train.mean(0), 0, atol=1e-14)
    assert (split.x_train**2).sum(1).mean() == pytest.approx(1, rel=1e-12)
    assert not split.flipped.any()
    both = np.vstack([split.x_train, split.x_test])
    assert len(np.unique(both, axis=0)) == 1797  # no image is on both sides


def test_label_noise_moves_the_stated_share_to_wrong_classes_of_the_same_images():
    clean = data.digits(1500, seed=1)
    noisy = data.digits(1500, label_noise=0.2, seed=1)
    np.testing.assert_array_equal(clean.x_train, noisy.x_train)
    np.testing.assert_array_equal(clean.y_test, noisy.y_test)
    np.testing.assert_array_equal(clean.y_train != noisy.y_train, noisy.flipped)
    assert abs(noisy.flipped.mean() - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 1500)
    moved = (noisy.y_train - clean.y_train)[noisy.flipped] % 10
    assert set(moved) == set(range(1, 10))
    assert (data.digits(50, label_noise=1.0).flipped).all()


def test_digits_follow_from_the_seed():
    first, same, other = (data.digits(100, 0.3, seed=seed, n_test=50) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.x_train, same.x_train)
    np.testing.assert_array_equal(first.y_train, same.y_train)
    assert (first.x_train != other.x_train).any()
    assert first.x_test.shape == (50, 64)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"n_train": 100, "label_noise": 1.5},
            r"label_noise must be a number in \[0, 1\], got 1.5",
        ),
        ({"n_train": 100, "label_noise": float("nan")}, "label_noise must be a number .* got nan"),
        ({"n_train": 0}, r"n_train must be a whole number in \[1, 1796\], got 0"),
        ({"n_train": 1000, "n_test": 798}, r"n_test must be a whole number in \[1, 797\], got 798"),
        ({"n_train": 100, "seed": -1}, "seed must be a whole number of at least 0, got -1"),
        (
            {"n_train": 100, "dtype": np.int32},
            "dtype must be np.float32 or np.float64, got .*int32",
        ),
    ],
)
def test_digits_refuse_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.digits(**arguments)


def test_one_hot_is_centred():
    targets = data.one_hot([0, 9])
    assert targets.shape == (2, 10)
    np.testing.assert_allclose(targets.sum(1), 0, atol=1e-15)
    assert targets[1, 9] == pytest.approx(0.9)
    with pytest.raises(ValueError, match=r"labels must be in \[0, 9\]"):
        data.one_hot([10])


def test_whole_labels_of_any_type_stay_and_fractions_are_refused():
    for labels in ([1, 2], [1.0, 2.0], np.array([1, 2], np.uint8)):
        checked = data.checked_array("labels", labels, ("n",), np.int64)
        assert (checked.dtype, checked.tolist()) == (np.int64, [1, 2])
    rng = generator(0)
    for bad, message in (
        ([1.5], "labels must be an array of whole numbers that fit int64, got 1.5"),
        ([10**30], "labels must be an array of whole numbers that fit int64, got 1e"),
        (
            np.array([2**64 - 1], np.uint64),
            "labels must be an array of whole numbers that fit int64, got 1",
        ),
        ([np.nan], "labels must be finite, got 1 NaN or infinite of 1 entries"),
        (["1"], "labels must be an array of numbers, got list"),
        ([12, 13], r"labels must be in \[0, 9\], got"),
        ([-1], r"labels must be in \[0, 9\], got"),
    ):
        for call in (data.one_hot, lambda labels: data.flip_labels(labels, 0.5, rng)):
            with pytest.raises(ValueError, match=f"^{message}"):
                call(bad)
    with pytest.raises(ValueError, match=r"^rng must be a numpy.random.Generator, got None$"):
        data.flip_labels([1, 2], 0.5, None)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros(3), r"X must be an array of shape \(n, 2\), got an array of shape \(3,\)"),
        (np.zeros((4, 3)), r"X must be an array of shape \(n, 2\), got an array of shape \(4, 3\)"),
        (np.zeros((0, 2)), r"X must be an array of shape \(n, 2\), got an array of shape \(0, 2\)"),
        ([[1.0, np.nan], [np.inf, 0.0]], "X must be finite, got 2 NaN or infinite of 4 entries"),
        ("text", "X must be an array of numbers, got str"),
        ([[1, 2], [3]], "X must be an array of numbers, got list"),
        ([["1", "2"]], "X must be an array of numbers, got list"),
        (np.ones((1, 2)) * 1j, "X must be an array of numbers, got ndarray"),
    ],
)
def test_checked_array_names_the_argument(value, message):
    with pytest.raises(ValueError, match=message) as caught:
        data.checked_array("X", value, ("n", 2))
    assert "\n" not in str(caught.value)
