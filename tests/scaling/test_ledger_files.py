"""The stored ledger: its hashes and seeds, its coverage, and the order of its commits."""

from __future__ import annotations

import subprocess
from functools import cache

import numpy as np
import pytest

from utils import records
from utils.data.fetch import file_sha256
from utils.runtime import repo_root
from utils.scaling.joint import fit_law
from utils.scaling.ledger import RUNS, read_ledger, seed_of
from utils.scaling.runs import arrays, load_runs

FOLDER = repo_root() / "records" / "forecasts"
RIVALS = ("additive", "kaplan")


@cache
def ledger():
    return read_ledger(FOLDER)


def covered(low, high, outcome) -> int:
    return int(np.sum((low <= outcome) & (outcome <= high)))


# ---- hashes and seeds ----------------------------------------------------------------------------


def test_every_forecast_has_its_run_and_every_run_its_forecast():
    assert len(ledger()) == 24
    assert [entry.forecast.name for entry in ledger() if entry.run is None] == []
    assert len(list((FOLDER / RUNS).glob("*.json"))) == 24


@pytest.mark.parametrize("entry", ledger(), ids=lambda entry: entry.forecast.name)
def test_the_run_answers_the_file_as_it_is_now(entry):
    """Computed here from the bytes, not by the functions that wrote them."""
    sha256 = file_sha256(FOLDER / f"{entry.forecast.name}.json")
    assert entry.run.provenance["forecast_sha256"] == sha256
    assert entry.run.spec.seed == int(sha256[:8], 16) == seed_of(sha256)
    stored = records.load(FOLDER / f"{entry.forecast.name}.json").data["run"]
    for name, value in stored.items():
        assert getattr(entry.run.spec, name) == value, name


def test_no_run_of_the_fit_is_among_the_forecasts():
    fitted = {run.spec for run in load_runs("scaling/isoflop")}
    shapes = {(run.d_model, run.n_layer, run.tokens) for run in fitted}
    for entry in ledger():
        spec = entry.run.spec
        assert (spec.d_model, spec.n_layer, spec.tokens) not in shapes, entry.forecast.name


def test_the_runs_have_the_text_of_the_fit():
    texts = {run.provenance["tokens_sha256"] for run in load_runs("scaling/isoflop")}
    texts |= {entry.run.provenance["tokens_sha256"] for entry in ledger()}
    assert len(texts) == 1


# ---- what the ledger says ------------------------------------------------------------------------


def test_the_forecasts_follow_from_the_runs_that_they_name():
    """Fitted anew to the runs listed in the file: nobody drew the forecasts by hand."""
    fitted_to = records.load(FOLDER / "beyond-1.json").data["fitted_to"]
    runs = [run for run in load_runs("scaling/isoflop") if run.spec.name in fitted_to]
    assert len(runs) == len(fitted_to) == 57
    grid = arrays(runs)
    columns = (grid["n_params"], grid["n_tokens"], grid["loss"])
    laws = {form: fit_law(*columns, form) for form in ("coupled", *RIVALS)}
    for entry in ledger():
        n, d = entry.run.n_params, entry.run.tokens
        assert laws["coupled"].loss(n, d) == pytest.approx(entry.forecast.loss, rel=1e-4)
        for form in RIVALS:
            loss = entry.forecast.rivals[form]["loss"]
            assert laws[form].loss(n, d) == pytest.approx(loss, rel=1e-4)


def test_coverage_of_the_intervals():
    """19, 18 and 19 of 24: what the page says. A 90 % interval would hold 21.6 on average."""
    outcome = np.array([entry.run.loss for entry in ledger()])
    low = np.array([entry.forecast.low for entry in ledger()])
    high = np.array([entry.forecast.high for entry in ledger()])
    assert {entry.forecast.level for entry in ledger()} == {0.9}
    found = {"coupled": covered(low, high, outcome)}
    assert found["coupled"] == sum(entry.inside for entry in ledger())
    for form in RIVALS:
        rival = [entry.forecast.rivals[form] for entry in ledger()]
        bounds = np.array([[r["low"], r["high"]] for r in rival])
        found[form] = covered(bounds[:, 0], bounds[:, 1], outcome)
    assert found == {"coupled": 19, "additive": 18, "kaplan": 19}


def test_the_misses_by_name():
    missed = {entry.forecast.name for entry in ledger() if not entry.inside}
    assert missed == {"below-5", "short-2", "short-3", "short-4", "shape-1"}


# ---- which came first ----------------------------------------------------------------------------


def git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=repo_root(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("no history here (git, or the checkout's .git, is missing)")
    return done.stdout.strip()


def added(path: str) -> str:
    """The commit in which a file first appeared."""
    commits = git("log", "--diff-filter=A", "--format=%H", "--", path).splitlines()
    if not commits:
        pytest.skip(f"{path} is in no commit yet")
    return commits[-1]


def test_each_forecast_was_committed_before_its_run():
    if git("rev-parse", "--is-shallow-repository") == "true":
        pytest.skip("a shallow clone does not know which commit came first")
    wrong = []
    for entry in ledger():
        forecast = added(f"records/forecasts/{entry.forecast.name}.json")
        run = added(f"records/forecasts/{RUNS}/{entry.run.spec.name}.json")
        is_before = subprocess.run(
            ["git", "merge-base", "--is-ancestor", forecast, run], cwd=repo_root(), check=False
        )
        if forecast == run or is_before.returncode:
            wrong.append(entry.forecast.name)
    assert wrong == []


def test_no_forecast_was_changed_after_it_was_committed():
    if git("rev-parse", "--is-shallow-repository") == "true":
        pytest.skip("a shallow clone does not know what was changed")
    changed = git("log", "--diff-filter=M", "--format=%h", "--", "records/forecasts").splitlines()
    assert changed == []
