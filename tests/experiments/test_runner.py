"""The runner: a command line from settings, a record that grows, and what it refuses."""

from __future__ import annotations

import importlib
import json
import sys
import textwrap
import types
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from experiments import runner
from experiments.runner import Experiment, Plan, Run
from experiments.settings import REFUSALS, distinct, one_line_errors, parser
from utils import records

COMMANDS = (
    "experiments.course_gpt.card",
    "experiments.course_gpt.train",
    "experiments.double_descent.cnn_sweep",
    "experiments.implicit_regularization.cnn_dynamics",
    "experiments.parameters.attention_data",
    "experiments.parameters.copying_model",
    "experiments.sampling.determinism",
    "experiments.sampling.explorer_data",
    "experiments.sampling.title_data",
)


@dataclass(frozen=True)
class Settings:
    """One field of every type that a command line can have."""

    sizes: tuple[int, ...] = (1, 2)
    seeds: tuple[int, ...] = (0,)
    noise: float = 0.5
    method: str = "plain"
    n_train: int | None = None
    centred: bool = True


def toy(*, cut: tuple[int, ...] = (), source: str = "data", made: list | None = None, **options):
    """An experiment whose runs of the sizes ``cut`` do not finish; ``made`` notes what was made."""

    def make(settings: Settings, size: int, seed: int, deadline: float) -> dict:
        if made is not None:
            made.append(size)
        return {"value": settings.noise * size, "flops": 10.0 * size, "finished": size not in cut}

    def plan(settings: Settings, archive: Path | None = None) -> Plan:
        runs = []
        for seed in settings.seeds:
            for size in settings.sizes:
                runs.append(Run({"size": size, "seed": seed}, partial(make, settings, size, seed)))
        return Plan(
            runs,
            told=lambda run: f"value {run['value']:g}",
            source={"name": source, "archive": str(archive)},
            **options,
        )

    return Experiment(
        command="experiments.toy.runs",
        about="A toy.\n\nNot shown.",
        record="toy/runs",
        settings=Settings,
        plan=plan,
        inputs={"archive": "the data"},
    )


# ---- the command line ----------------------------------------------------------------------------


def test_the_example_in_the_documentation_is_an_experiment(tmp_path, capsys):
    text = (runner.__doc__ or "").partition("experiment::\n")[2].partition("\n``main``")[0]
    module = types.ModuleType("walks")
    sys.modules["walks"] = module  # where the annotations of its settings are looked up
    try:
        exec(textwrap.dedent(text), module.__dict__)
        out = tmp_path / "walks.json"
        module.main(["--lengths", "100", "10", "--out", str(out)])
    finally:
        del sys.modules["walks"]
    record = records.load(out)
    assert [(run["length"], run["seed"]) for run in record.data["runs"]] == [
        (10, 0),
        (10, 1),
        (100, 0),
        (100, 1),
    ]
    assert all(run["distance"] <= run["length"] for run in record.data["runs"])
    assert record.provenance["complete"]
    assert "length 100, seed 1: ended " in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    module = importlib.import_module(name)
    with pytest.raises(SystemExit) as ended:
        module.main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    assert told.startswith(f"usage: python -m {name} [-h]")
    assert module.__doc__.partition("\n")[0] in told


def test_options_become_settings_of_their_types(tmp_path):
    out = tmp_path / "a.json"
    options = ["--sizes", "3", "5", "--noise", "0.25", "--method", "other", "--n-train", "7"]
    toy().main([*options, "--no-centred", "--archive", "data.zip", "--out", str(out)])
    record = records.load(out)
    assert record.data["settings"] == {
        "sizes": [3, 5],
        "seeds": [0],
        "noise": 0.25,
        "method": "other",
        "n_train": 7,
        "centred": False,
    }
    assert record.provenance["source"] == {"name": "data", "archive": "data.zip"}


def test_without_options_the_settings_are_the_defaults(tmp_path):
    out = tmp_path / "a.json"
    toy().main(["--out", str(out)])
    settings = records.load(out).data["settings"]
    assert settings["sizes"] == [1, 2]
    assert settings["n_train"] is None
    assert settings["centred"] is True


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--sizes", "one"], "argument --sizes: invalid int value: 'one'"),
        (["--depth", "1"], "unrecognized arguments: --depth 1"),
        (["--time-budget", "-1"], "time_budget must be a number in [0, inf), got -1.0"),
    ],
)
def test_a_bad_option_is_one_line(options, line, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        toy().main([*options, "--out", str(tmp_path / "a.json")])
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"error: {line}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", REFUSALS)
@pytest.mark.parametrize("said", ["too much", ""])
def test_what_a_user_can_put_right_is_one_line(kind, said, capsys):
    command = parser("experiments.toy.runs", "A toy.")
    with pytest.raises(SystemExit), one_line_errors(command):
        raise kind(said)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"python -m experiments.toy.runs: error: {said or kind.__name__}"


def test_a_mistake_in_the_program_keeps_its_traceback():
    command = parser("experiments.toy.runs", None)
    with pytest.raises(KeyError), one_line_errors(command):
        raise KeyError("finished")


# ---- the record ----------------------------------------------------------------------------------


def test_the_record_says_how_it_came_about(tmp_path):
    before = datetime.now(UTC).replace(microsecond=0)
    out = toy(notes={"cut": "everything"}).measure(Settings(seeds=(0, 1)), tmp_path / "a.json")
    how = records.load(out).provenance
    assert before <= datetime.fromisoformat(how["written_at"]) <= datetime.now(UTC)
    assert how["written_at"].endswith("+00:00")
    assert how["how"] == "python -m experiments.toy.runs"
    assert how["seeds"] == [0, 1]
    assert how["flops"] == 2 * (10 + 20)
    assert how["cut"] == "everything"
    assert how["complete"] is True
    assert {"device", "date", "wall_seconds", "scale", "versions"} <= how.keys()


def test_a_run_that_is_cut_short_ends_the_call_and_is_made_again(tmp_path, capsys):
    out, settings = tmp_path / "a.json", Settings(sizes=(3, 1, 2))
    made: list[int] = []
    toy(cut=(1,), made=made).measure(settings, out)
    assert made == [3, 1]
    told = capsys.readouterr().out.splitlines()
    assert told == [
        "size 3, seed 0: value 1.5 (0 s)",
        "time is up at size 1, seed 0: run again to continue",
    ]
    record = records.load(out)
    assert [(run["size"], run["finished"]) for run in record.data["runs"]] == [
        (1, False),
        (3, True),
    ]
    assert not record.provenance["complete"]

    made.clear()
    toy(made=made).measure(settings, out)
    assert made == [1, 2]
    record = records.load(out)
    assert [run["size"] for run in record.data["runs"]] == [1, 2, 3]  # in the order of their keys
    assert all(run["finished"] for run in record.data["runs"])
    assert record.provenance["complete"]
    assert record.provenance["flops"] == 60


def test_shared_time_goes_on_after_a_run_that_is_cut_short(tmp_path):
    made: list[int] = []
    settings = Settings(sizes=(1, 2, 3))
    out = toy(cut=(1, 3), made=made, share_time=True).measure(settings, tmp_path / "a.json")
    assert made == [1, 2, 3]
    made.clear()
    toy(made=made, share_time=True).measure(settings, out)
    assert made == [1, 3]
    assert records.load(out).provenance["complete"]


def test_shared_time_is_shared_equally_among_the_runs_to_come(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(runner.time, "monotonic", lambda: now[0])
    deadlines = []

    def make(seconds: float, deadline: float) -> dict:
        deadlines.append(deadline)
        now[0] += seconds
        return {"flops": 0.0, "finished": True}

    def plan(settings: Settings) -> Plan:
        runs = [Run({"seconds": seconds}, partial(make, seconds)) for seconds in (10.0, 2.0, 50.0)]
        return Plan(runs, share_time=True)

    shared = Experiment("experiments.toy", "A toy.", "toy/runs", Settings, plan)
    shared.measure(Settings(), tmp_path / "a.json", time_budget=30.0)
    assert deadlines == [110.0, 120.0, 130.0]  # what the second left over is the third's


def test_the_record_is_whole_after_every_run(tmp_path):
    """Whatever stops the command between two runs, what was made stays."""
    made: list[int] = []
    settings = Settings(sizes=(1, 2, 3))
    out = tmp_path / "a.json"

    def stop_after_the_second(self, *arguments):
        save(self, *arguments)
        if len(made) == 2:
            raise KeyboardInterrupt

    save = Experiment._save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Experiment, "_save", stop_after_the_second)
        with pytest.raises(KeyboardInterrupt):
            toy(made=made).measure(settings, out)
    assert [run["size"] for run in records.load(out).data["runs"]] == [1, 2]
    toy(made=made).measure(settings, out)
    assert made == [1, 2, 3]


def test_seconds_add_up_over_all_calls(tmp_path):
    out, settings = tmp_path / "a.json", Settings(sizes=(1, 2))
    toy(cut=(1,)).measure(settings, out)
    content = json.loads(out.read_text())
    content["provenance"]["wall_seconds"] = 1000.0
    out.write_text(json.dumps(content))
    toy().measure(settings, out)
    assert 1000 <= records.load(out).provenance["wall_seconds"] < 1010


def test_a_complete_record_is_left_as_it_is(tmp_path):
    made: list[int] = []
    out = toy().measure(Settings(), tmp_path / "a.json")
    before = out.read_bytes()
    toy(made=made).measure(Settings(), out)
    assert made == []
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    ("other", "settings"),
    [
        (toy(), Settings(noise=0.25)),
        (toy(source="other data"), Settings()),
        (toy(resolved={"n_train": 5}), Settings()),
    ],
)
def test_another_record_is_not_overwritten(other, settings, tmp_path):
    out = toy().measure(Settings(), tmp_path / "a.json")
    before = out.read_bytes()
    line = r"^out must be a new file, or a record of the same settings and archive, got 'a\.json'$"
    with pytest.raises(ValueError, match=line):
        other.measure(settings, out)
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content["data"]["runs"][0].pop("finished"),
        lambda content: content["data"]["runs"][0].pop("size"),
        lambda content: content["data"].pop("runs"),
        lambda content: content["data"].update(runs=3),
        lambda content: content["data"].update(runs=[3]),
        lambda content: content["provenance"].pop("wall_seconds"),
    ],
)
def test_a_record_that_somebody_edited_is_refused_in_one_line(damage, tmp_path):
    out = toy(cut=(1,)).measure(Settings(), tmp_path / "a.json")
    content = json.loads(out.read_text())
    damage(content)
    out.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"^out must be a new file, or a record of the same"):
        toy().measure(Settings(), out)


def test_a_place_that_cannot_be_written_is_told_before_the_first_run(tmp_path):
    (tmp_path / "file").touch()
    made: list[int] = []
    with pytest.raises(OSError, match="^out must be a file that can be written"):
        toy(made=made).measure(Settings(), tmp_path / "file" / "a.json")
    assert made == []


def test_a_list_of_runs_is_not_empty_and_has_no_repetition():
    assert distinct("sizes", range(3)) == (0, 1, 2)
    for values, allowed in (
        ((), "at least one number"),
        ("12", "at least one number"),
        ((1, 1), "numbers that all differ"),
    ):
        with pytest.raises(ValueError, match=f"^sizes must be {allowed}, got "):
            distinct("sizes", values)
