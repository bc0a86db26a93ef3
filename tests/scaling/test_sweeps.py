"""The published sweeps: what the record holds, and what the fits make of it."""

from __future__ import annotations

import numpy as np
import pytest

from utils import records
from utils.scaling.joint import FORMS, fit_chinchilla
from utils.scaling.published import BESIROGLU
from utils.scaling.resampling import bootstrap
from utils.scaling.sweeps import RECORD, SWEEPS, forecast_largest_budget, published_sweep

# Errors of the forecast in per cent, form by form.
FORECASTS = {
    "chinchilla": {"additive": 0.76, "kaplan": 1.97, "coupled": 0.84, "kaplan_2020": 0.82},
    "comma": {"additive": 1.29, "kaplan": 0.58, "coupled": 0.59, "kaplan_2020": 2.53},
    "dclm": {"additive": 1.11, "kaplan": 0.63, "coupled": 0.52, "kaplan_2020": 1.81},
    "nemotron": {"additive": 1.01, "kaplan": 0.51, "coupled": 0.42, "kaplan_2020": 2.03},
}
COUPLED_K = {"chinchilla": 1.12, "comma": 0.34, "dclm": 0.56, "nemotron": 0.46}


def test_every_row_is_there_with_its_source():
    record = records.load(RECORD)
    rows = {name: len(published_sweep(name).loss) for name in SWEEPS}
    assert rows == {"chinchilla": 123, "comma": 85, "dclm": 85, "nemotron": 88}
    assert set(record.data["sources"]) == set(SWEEPS)
    assert "arXiv:2404.10102" in record.data["sources"]["chinchilla"]
    assert "arXiv:2603.22339" in record.provenance["compiled_by"]


@pytest.mark.parametrize("name", SWEEPS)
def test_the_columns_belong_together(name):
    sweep = published_sweep(name)
    ratio = 6 * sweep.n_params * sweep.n_tokens / sweep.budget
    assert ratio.min() > 0.93
    assert ratio.max() < 1.35
    assert sweep.loss.min() > 1
    assert (sweep.flagged == (sweep.reason != "")).all()
    assert len(sweep.runs()[0]) == int((~sweep.flagged).sum())
    assert len(sweep.runs(flagged=True)[0]) == len(sweep.loss)


def test_tokens_of_the_digitised_sweep_are_computed_from_its_budgets():
    """So its D is no measurement of its own: 6ND is the planned budget to nine digits."""
    sweep = published_sweep("chinchilla")
    np.testing.assert_allclose(6 * sweep.n_params * sweep.n_tokens, sweep.budget, rtol=1e-8)


def test_an_unknown_sweep_is_one_line():
    with pytest.raises(ValueError, match="^name must be one of 'chinchilla', 'comma', 'dclm', 'ne"):
        published_sweep("gopher")


@pytest.mark.parametrize("name", SWEEPS)
def test_the_largest_budget_forecast_from_the_smaller_ones(name):
    sweep = published_sweep(name)
    for form in FORMS:
        forecast = forecast_largest_budget(sweep, form)
        assert forecast.law.converged
        assert 100 * forecast.error == pytest.approx(FORECASTS[name][form], abs=0.02), form
        assert abs(forecast.bias) <= forecast.error
        assert len(forecast.loss) == len(forecast.expected) > 10
        if form == "coupled":
            assert forecast.law.k == pytest.approx(COUPLED_K[name], abs=0.02)


def test_no_form_wins_on_every_sweep():
    best = {name: min(errors, key=errors.__getitem__) for name, errors in FORECASTS.items()}
    assert set(best.values()) == {"additive", "kaplan", "coupled"}


# ---- beside the published refit ------------------------------------------------------------------


@pytest.fixture(scope="module")
def unflagged():
    runs = published_sweep("chinchilla").runs()
    return bootstrap(fit_chinchilla, *runs, groups=range(85), n=200)


def test_85_runs_beside_besiroglu_et_al(unflagged):
    """A subset of their points: E, A, alpha and a agree; our interval misses their B and beta."""
    assert unflagged.n_failed == 0
    inside = {}
    for name in ("E", "A", "B", "alpha", "beta", "a"):
        low, high = unflagged.interval(name)
        inside[name] = low < getattr(BESIROGLU, name) < high
    assert inside == {"E": True, "A": True, "alpha": True, "a": True, "B": False, "beta": False}


def test_the_flagged_runs_move_the_law_beyond_its_interval(unflagged):
    """Huber's objective bounds how hard each outlier pulls, and 38 of 123 still pull together."""
    everything = fit_chinchilla(*published_sweep("chinchilla").runs(flagged=True))
    for name in ("E", "beta", "B"):
        _, high = unflagged.interval(name)
        assert getattr(everything, name) > high, name
