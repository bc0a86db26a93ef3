"""What no fit accepts is told in one line that names the column."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from utils.scaling.early_stop import fit_with_default_stop
from utils.scaling.isoflop import fit_isoflop, isoflop_grid
from utils.scaling.joint import fit_chinchilla, fit_law, profile_k
from utils.scaling.power import fit_power_law
from utils.scaling.published import BESIROGLU
from utils.scaling.resampling import bootstrap

BUDGETS, N, D = isoflop_grid(BESIROGLU, [1e19, 1e20, 1e21], n_sizes=5)
LOSS = BESIROGLU.loss(N, D)
FITS = {
    "chinchilla": fit_chinchilla,
    "kaplan": partial(fit_law, form="kaplan"),
    "coupled": partial(fit_law, form="coupled"),
    "default_stop": partial(fit_with_default_stop, average=False),
}


def changed(column: np.ndarray, value: float) -> np.ndarray:
    column = column.copy()
    column[3] = value
    return column


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("name", ["n_params", "n_tokens", "loss"])
def test_numbers_are_finite_and_above_zero(fit, name, value):
    columns = {"n_params": N, "n_tokens": D, "loss": LOSS}
    columns[name] = changed(columns[name], value)
    with pytest.raises(ValueError, match=f"^{name} must be finite numbers above 0, got ") as error:
        fit(*columns.values())
    assert str(error.value).endswith(" at place 3")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_lists_are_equally_long(fit):
    with pytest.raises(
        ValueError,
        match=r"^loss must be as long as n_params, which has 15 numbers, got '14 numbers'$",
    ):
        fit(N, D, LOSS[:-1])


@pytest.mark.parametrize(
    ("fit", "least"),
    [
        (fit_chinchilla, 5),
        (FITS["kaplan"], 5),
        (FITS["coupled"], 6),
        (partial(fit_law, form="kaplan_2020"), 4),
    ],
)
def test_there_is_a_run_for_each_parameter(fit, least):
    fit(N[:least], D[:least], LOSS[:least])
    few = least - 1
    with pytest.raises(ValueError, match=f"at least {least} different runs, .*, got {few}$"):
        fit(N[:few], D[:few], LOSS[:few])
    # The same run again is no further run.
    again = np.r_[np.arange(few), np.zeros(9, int)]
    with pytest.raises(ValueError, match=f"got {few}$"):
        fit(N[again], D[again], LOSS[again])


@pytest.mark.parametrize("column", [3.0, [[1.0]], ["a"] * 15, None, [[1], [2, 3]]])
def test_a_column_is_a_list_of_numbers(column):
    with pytest.raises(ValueError, match="^n_params must be ") as error:
        fit_chinchilla(column, D, LOSS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_law(N, D, LOSS, "multiplied"), "form must be one of 'additive', 'kaplan'"),
        (lambda: fit_law(N, D, LOSS, "additive", k=0.5), "form must be one of 'kaplan', 'coupled'"),
        (lambda: fit_law(N, D, LOSS, "coupled", k=0.0), "k must be a number in"),
        (lambda: profile_k(N, D, LOSS, [0.5, -1.0]), "k must be a number in"),
        (lambda: fit_chinchilla(N, D, LOSS, delta=0.0), r"delta must be a number in \(0, inf\)"),
        (lambda: fit_chinchilla(N, D, LOSS, n_starts=0), "n_starts must be a whole number"),
        (lambda: fit_power_law(N[:2], LOSS[:2]), "n and loss must hold at least 3 different runs"),
        (
            lambda: fit_with_default_stop(N, D, LOSS, average="yes"),
            "average must be True or False, got 'yes'",
        ),
        (
            lambda: fit_isoflop(BUDGETS[:5], N[:5], LOSS[:5]),
            "budgets and n_params and loss must hold at least 6 different runs",
        ),
        (
            lambda: fit_isoflop(np.full(15, 1e19), N, LOSS),
            r"budgets must be at least two different ones, got \[1e\+19\]",
        ),
        (
            lambda: fit_isoflop(BUDGETS, N, 10 - LOSS),
            r"loss must be a curve that turns upwards at the budget 1e\+19, got 'a curvature of -",
        ),
        (
            lambda: fit_isoflop([1e19] * 6 + [1e20] * 2, N[:8], LOSS[:8]),
            r"n_params must be at least 3 different sizes at the budget 1e\+20, got 2",
        ),
        (lambda: isoflop_grid(BESIROGLU, [1e19], spread=1.0), r"spread must be a number in \(1,"),
        (lambda: isoflop_grid(BESIROGLU, [0.0]), "budgets must be finite numbers above 0, got 0"),
        (lambda: BESIROGLU.optimal(0.0), r"compute must be a number in \(0, inf\), got 0"),
        (
            lambda: bootstrap(fit_chinchilla, N, D, LOSS, groups=range(14)),
            "groups must be 15 labels, one per point, got",
        ),
        (
            lambda: bootstrap(fit_chinchilla, N, D, LOSS, groups=[0] * 15),
            "groups must be labels of at least two runs or seeds",
        ),
        (
            lambda: bootstrap(fit_chinchilla, N, D, LOSS, groups=[0, 1] * 7 + [0], strata=BUDGETS),
            "strata must be labels that are the same for all points of a group",
        ),
        (
            lambda: bootstrap(fit_chinchilla, N, D, LOSS, groups=range(15), n=0),
            "n must be a whole number of at least 1",
        ),
    ],
)
def test_a_bad_argument_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=f"^{message}") as error:
        call()
    assert "\n" not in str(error.value)
