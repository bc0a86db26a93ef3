"""The coverage of the bootstrap: the command at toy size, ten repetitions afresh, the record."""

from __future__ import annotations

import pytest

from experiments.scaling import coverage
from experiments.scaling.coverage import (
    ADDITIVE,
    COUPLED,
    KS,
    PARAMETERS,
    Settings,
    main,
    measure,
    truth,
)
from utils import records
from utils.scaling.joint import fit_chinchilla

TOY = Settings(repetitions=2, bootstraps=40, additive_sizes=5, coupled_sizes=5)


def test_the_command_writes_a_record(tmp_path, capsys):
    out = tmp_path / "coverage.json"
    options = ["--repetitions", "1", "--bootstraps", "40"]
    options += ["--additive-sizes", "5", "--coupled-sizes", "5"]
    main([*options, "--out", str(out)])
    record = records.load(out)
    assert f"wrote {out}" in capsys.readouterr().out
    assert record.provenance["complete"]
    assert set(record.data["additive"][0]["intervals"]) == set(PARAMETERS)
    assert set(record.data["coupled"][0]["intervals"]) == {"held_out_loss", "k", "E"}
    assert len(record.data["coupled"][0]["profile_E"]) == len(KS)
    assert str(tmp_path) not in out.read_text()


def test_a_stopped_one_continues_to_the_same_result(tmp_path):
    whole = measure(TOY, tmp_path / "whole.json")
    part = tmp_path / "part.json"

    def stop(line):
        raise KeyboardInterrupt

    # Stopped by hand after the first run; then called again.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coverage, "profile_k", lambda *_: stop(None))
        with pytest.raises(KeyboardInterrupt):
            measure(TOY, part)
    assert len(records.load(part).data["additive"]) == 1
    assert records.load(measure(TOY, part)).data == records.load(whole).data


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"repetitions": 0}, "repetitions must be a whole number of at least 1, got 0"),
        ({"bootstraps": 39}, "bootstraps must be a whole number of at least 40, got 39"),
        ({"noise": 0.0}, r"noise must be a number in \(0, inf\), got 0.0"),
        ({"additive_sizes": 2}, "additive_sizes must be a whole number of at least 3, got 2"),
        ({"coupled_sizes": 2}, "coupled_sizes must be a whole number of at least 3, got 2"),
    ],
)
def test_a_bad_setting_is_one_clear_line(changed, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Settings(**changed)


@pytest.mark.slow
def test_ten_repetitions_afresh():
    """The record's claim with other noise: of ten intervals, at least seven hold the truth.

    An interval that held it 95 times of 100 would fail here once in a thousand times.
    """
    settings = Settings(repetitions=10, additive_sizes=12)
    runs = []
    for repetition in range(1000, 1010):
        run = coverage.additive(settings, repetition, deadline=0.0)
        runs.append(run)
        assert run["n_failed"] == 0
        assert run["same_objective"] >= 0.95
    counts = coverage.coverage({"additive": runs}, "additive")
    assert set(counts) == set(PARAMETERS)
    assert min(counts.values()) >= 7, counts


def test_the_recorded_intervals_hold_the_truth():
    """Of 100 intervals with a level of 95 %, at least 85 hold the truth, for every quantity."""
    record = records.load("scaling/coverage").data
    for form, named in (("additive", PARAMETERS), ("coupled", ("held_out_loss",))):
        counts = coverage.coverage(record, form)
        assert len(record[form]) == 100
        assert min(counts[name] for name in named) >= 85, counts
        assert sum(run["n_failed"] for run in record[form]) == 0
    assert min(run["same_objective"] for run in record["additive"]) >= 0.95


def test_half_an_interval_would_be_found_out():
    """The control: intervals of half the width hold the truth too seldom."""
    record = records.load("scaling/coverage").data
    narrowed = []
    for run in record["additive"]:
        intervals = {}
        for name, (low, high) in run["intervals"].items():
            middle, half = (low + high) / 2, (high - low) / 4
            intervals[name] = [middle - half, middle + half]
        narrowed.append({"intervals": intervals})
    counts = coverage.coverage({"additive": narrowed}, "additive")
    assert max(counts.values()) < 85, counts


def test_the_record_is_of_the_present_settings():
    record = records.load("scaling/coverage")
    assert record.data["settings"] == vars(Settings())
    assert record.provenance["complete"]
    # The first repetition again, without its bootstrap: the fit lies in every stored interval.
    runs = coverage.simulated(ADDITIVE, 27, 0.01, 0)
    fit = fit_chinchilla(*runs)
    for name, (low, high) in record.data["additive"][0]["intervals"].items():
        assert low < getattr(fit, name) < high


def test_the_truth_is_that_of_the_laws():
    assert truth("additive", "alpha") == ADDITIVE.alpha
    assert truth("coupled", "k") == COUPLED.k == 0.5
    assert COUPLED.E < truth("coupled", "held_out_loss") < 2
