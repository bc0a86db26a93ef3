"""A bad argument is refused in one line that names it, the allowed range and the value."""

from fractions import Fraction

import numpy as np
import pytest

from utils.validate import choice, encodable, integer, number, require

HUGE = 10**400  # no float is as large
SHOWN = "1" + 76 * "0" + "..."


class TwoLines:
    """A value whose picture has two lines, as that of a model has many."""

    def __repr__(self) -> str:
        return "first\nsecond"


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
        (lambda: number("t", HUGE, 0, 1), f"t must be a number in [0, 1], got {SHOWN}"),
        (
            lambda: number("t", HUGE, 0),
            f"t must be a number in [0, inf) and within ±1.8e308, got {SHOWN}",
        ),
        (
            lambda: number("t", -Fraction(HUGE, 3)),
            "t must be a number in (-inf, inf) and within ±1.8e308, got Fraction(-1"
            + 66 * "0"
            + "...",
        ),
        (
            lambda: integer("k", 10**5000, 0, 3),  # Python refuses to write it out
            "k must be a whole number in [0, 3], got a value of type int that is too long to show",
        ),
        (lambda: require(False, "X", "a text", TwoLines()), "X must be a text, got first second"),
        (
            lambda: encodable("prompt", "a\ud800"),
            "prompt must be text without half a character (a lone surrogate), got 'a\\ud800'",
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
    assert number("t", 10**308) == 1e308
    assert encodable("prompt", "a 🙂 \ufffd") == "a 🙂 \ufffd"
