"""A bad argument is refused in one line that names it, the allowed range and the value."""

import numpy as np
import pytest

from utils.validate import choice, integer, number, require


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: integer("n_features", 0, 1),
            "n_features must be a whole number of at least 1, got 0",
        ),
        (lambda: integer("k", 2.5), "k must be a whole number, got 2.5"),
        (lambda: integer("k", True, 0, 3), "k must be a whole number in [0, 3], got True"),
        (
            lambda: number("label_noise", 1.5, 0, 1),
            "label_noise must be a number in [0, 1], got 1.5",
        ),
        (lambda: number("t", float("nan"), 0), "t must be a number in [0, inf), got nan"),
        (lambda: number("t", 0, 0, 1, open_low=True), "t must be a number in (0, 1], got 0"),
        (lambda: number("t", "1", 0), "t must be a number in [0, inf), got '1'"),
        (
            lambda: choice("loss", "mae", ("mse", "ce")),
            "loss must be one of 'mse', 'ce', got 'mae'",
        ),
        (
            lambda: require(False, "X", "of shape (n, 2)", np.zeros((3, 4))),
            "X must be of shape (n, 2), got an array of shape (3, 4)",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared below
        call()
    assert str(error.value) == message


def test_good_values_come_back_as_plain_numbers():
    assert integer("k", np.int64(3), 0) == 3
    assert type(number("t", np.float32(0.5), 0, 1)) is float
