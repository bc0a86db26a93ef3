"""One runner for every long run: settings, runs under a time budget, a record that grows.

An experiment says what may be set, what one run does, and which runs there are. The runner does the
rest: it builds the command line, trains one run after another until the time is up, rewrites the
record after each of them, and takes up next time where it stopped. This is a whole experiment::

    '''How far from its start a random walk ends.

        python -m experiments.walks.distance --time-budget 60 --lengths 10 100
    '''

    from dataclasses import dataclass
    from functools import partial

    from experiments.runner import Experiment, Plan, Run
    from experiments.settings import distinct
    from utils.runtime import generator
    from utils.validate import integer


    @dataclass(frozen=True)
    class Settings:
        lengths: tuple[int, ...] = (10, 100, 1000)
        seeds: tuple[int, ...] = (0, 1)

        def __post_init__(self) -> None:
            for length in distinct("lengths", self.lengths):
                integer("lengths", length, 1)
            for seed in distinct("seeds", self.seeds):
                integer("seeds", seed, 0)


    def walk(length: int, seed: int, deadline: float) -> dict:
        steps = generator(seed).choice([-1, 1], length)  # too short a run to look at the deadline
        return {"distance": abs(int(steps.sum())), "flops": float(length), "finished": True}


    def plan(settings: Settings) -> Plan:
        runs = []
        for seed in settings.seeds:
            for length in settings.lengths:
                runs.append(Run({"length": length, "seed": seed}, partial(walk, length, seed)))
        return Plan(runs, told=lambda run: f"ended {run['distance']} from its start")


    EXPERIMENT = Experiment(
        command="experiments.walks.distance",
        about=__doc__,
        record="walks/distance",
        settings=Settings,
        plan=plan,
    )
    measure = EXPERIMENT.measure
    main = EXPERIMENT.main

    if __name__ == "__main__":
        main()

``main`` is the command; ``measure(Settings(lengths=(5,)), Path("toy.json"))`` is the same from
Python, for a test. The record's data are ``{"settings": {…}, "runs": [{"length": 10, "seed": 0,
"distance": 2, …}, …]}``. A notebook reads the record and draws it; nothing here draws. A run that
was cut short starts again next time: for one so long that it needs checkpoints of its own, see
`utils.training.loop`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from experiments.settings import add_settings, one_line_errors, option, parser, take_settings
from utils import records
from utils.files import locked
from utils.validate import number, require

TIME_BUDGET = 540.0  # seconds: nine minutes, so that a job of ten minutes ends by itself


# ---- what an experiment consists of --------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One run to make, such as the training of one network.

    key: what tells it from the others, ``{"width": 8, "seed": 0}``. The record keeps it, and lists
        the runs in the order of these numbers (or texts; of one type per name, to be sorted by).
    make: ``make(deadline)`` does the work and returns what the record is to hold beside the key. It
        stops soon after ``time.monotonic()`` has passed ``deadline``. Two entries must be there:
        ``"finished"``, false if the time ran out first, and ``"flops"``, how much arithmetic it
        took.
    group: the list of the record that it belongs to, where an experiment has runs of several kinds.
    """

    key: dict[str, Any]
    make: Callable[[float], dict[str, Any]]
    group: str = "runs"

    @property
    def name(self) -> str:
        """How a printed line calls it: "width 8, seed 0"."""
        return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in self.key.items())


@dataclass(frozen=True)
class Plan:
    """What there is to do, once the settings are known and the data are loaded.

    runs: in the order in which to make them.
    told: a few words on a run that has finished, for the line that is printed then.
    source: where the data came from, with a hash. Another source is not continued.
    resolved: settings that only the data decide, such as how many images there are.
    notes: what else the record's provenance must say, such as what was cut against a paper.
    share_time: give each run an equal share of the time that is left, so that all of them get
        somewhere; otherwise a run may take all of it, and those after it wait for the next call.
    """

    runs: Sequence[Run]
    told: Callable[[dict[str, Any]], str] = lambda run: "done"
    source: dict[str, str] | None = None
    resolved: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    share_time: bool = False


@dataclass(frozen=True)
class Experiment:
    """A command that makes the runs of a plan and keeps them in a record.

    command: the module's name, as after ``python -m``. about: its documentation.
    record: "chapter/name" of the record under ``records/``.
    settings: a frozen dataclass of what fixes the outcome; see `experiments.settings`. Its
        ``seeds``, if it has any, are told in the record's provenance.
    plan: ``plan(settings, **inputs)``. It may load data: that counts towards the time budget.
    inputs: options that name files rather than fix the outcome, with the help of each, such as
        ``{"archive": "CIFAR-10 archive"}``. ``plan`` takes each as a path, or None where it is not
        given.
    """

    command: str
    about: str | None
    record: str
    settings: type
    plan: Callable[..., Plan]
    inputs: Mapping[str, str] = field(default_factory=dict)

    def measure(
        self,
        settings: Any,
        out: str | Path | None = None,
        *,
        time_budget: float = TIME_BUDGET,
        **inputs: Path | None,
    ) -> Path:
        """Make the runs, or as many as ``time_budget`` seconds allow, and return the record's path.

        out: the record to write, by default ``self.record``; a text is a name under ``records/``.
        One of the same settings and source is continued: its finished runs are kept, the others
        made again.

        Raises ``ValueError`` if ``out`` is anything else or the settings do not fit the data, and
        ``OSError`` if it cannot be written or another process is writing it; both before the first
        run is made.
        """
        began = time.monotonic()
        started = time.time()
        budget = number("time_budget", time_budget, 0.0)
        path = records.path_of(out or self.record)
        records.require_writable(path)
        with locked(path):
            self._measure(settings, path, began, started, budget, inputs)
        return path

    def _measure(
        self,
        settings: Any,
        path: Path,
        began: float,
        started: float,
        budget: float,
        inputs: dict[str, Path | None],
    ) -> None:
        """Make the runs that the record at ``path`` still lacks."""
        plan = self.plan(settings, **inputs)
        wanted = _plain(asdict(settings) | plan.resolved)
        data, earlier_seconds = _start_or_continue(path, wanted, plan)
        started -= earlier_seconds  # so that the record tells the seconds of all calls together

        waiting = [run for run in plan.runs if not _is_finished(data, run)]
        for i, run in enumerate(waiting):
            now = time.monotonic()
            time_left = max(began + budget - now, 0.0)
            if plan.share_time:
                time_left /= len(waiting) - i
            result = run.key | run.make(now + time_left)

            # Stored at once: what comes next may be stopped at any moment.
            _put(data, run, result)
            self._save(path, data, plan, started)
            if result["finished"]:
                seconds = time.monotonic() - began
                print(f"{run.name}: {plan.told(result)} ({seconds:.0f} s)", flush=True)
            else:
                print(f"time is up at {run.name}: run again to continue", flush=True)
                if not plan.share_time:
                    break

    def _save(self, path: Path, data: dict[str, Any], plan: Plan, started: float) -> None:
        """Write the record as it stands, with where it came from."""
        runs = _all_runs(data, plan)
        n_finished = sum(run["finished"] for run in runs)
        notes = dict(plan.notes)
        if plan.source is not None:
            notes["source"] = plan.source
        records.save(
            path,
            data,
            started=started,
            seeds=data["settings"].get("seeds"),
            flops=sum(run["flops"] for run in runs),
            complete=n_finished == len(plan.runs),
            how=f"python -m {self.command}",
            written_at=datetime.now(UTC).isoformat(timespec="seconds"),
            **notes,
        )

    def main(self, arguments: list[str] | None = None) -> None:
        """The command line: all but ``--time-budget``, ``--out`` and the inputs are settings."""
        command = parser(self.command, self.about)
        command.add_argument(
            "--time-budget",
            type=float,
            default=TIME_BUDGET,
            help=f"seconds (default {TIME_BUDGET:g})",
        )
        command.add_argument(
            "--out",
            type=Path,
            help=f"file of the record (default: records/{self.record}.json)",
        )
        for name, text in self.inputs.items():
            command.add_argument(option(name), type=Path, help=text)
        add_settings(command, self.settings)

        options = vars(command.parse_args(arguments))
        with one_line_errors(command):
            settings = take_settings(options, self.settings)
            path = self.measure(settings, **options)
            print(f"wrote {path}: {records.load(path).line()}")


# ---- the record while it grows -------------------------------------------------------------------


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as JSON gives them back, with lists for tuples, to be compared with stored ones."""
    plain = {}
    for name, value in settings.items():
        listed = isinstance(value, Sequence) and not isinstance(value, str)
        plain[name] = list(value) if listed else value
    return plain


def _start_or_continue(
    path: Path, settings: dict[str, Any], plan: Plan
) -> tuple[dict[str, Any], float]:
    """The data of a new record, or of what earlier calls left, and the seconds they took."""
    data: dict[str, Any] = {"settings": settings}
    for run in plan.runs:
        data[run.group] = []
    if not path.exists():
        return data, 0.0

    record = records.load(path)
    allowed = "a new file, or a record of the same settings and archive"
    require(_is_of(record, data, plan), "out", allowed, path.name)
    return record.data, record.provenance["wall_seconds"]


def _is_of(record: records.Record, empty: dict[str, Any], plan: Plan) -> bool:
    """Whether ``record`` has the settings of ``empty``, the plan's source, and is undamaged."""
    if record.data.keys() != empty.keys() or record.data["settings"] != empty["settings"]:
        return False
    if record.provenance.get("source") != plan.source:
        return False
    if not isinstance(record.provenance.get("wall_seconds"), int | float):
        return False
    # Somebody may have edited the file: every run must have what is read of it.
    for run in plan.runs:
        needed = {*run.key, "finished", "flops"}
        group = record.data[run.group]
        if not isinstance(group, list):
            return False
        if not all(isinstance(stored, dict) and needed <= stored.keys() for stored in group):
            return False
    return True


def _find(data: dict[str, Any], run: Run) -> dict[str, Any] | None:
    """What the record holds of ``run``, finished or not; None if it has not been begun."""
    for stored in data[run.group]:
        if all(stored[name] == value for name, value in run.key.items()):
            return stored
    return None


def _is_finished(data: dict[str, Any], run: Run) -> bool:
    stored = _find(data, run)
    return stored is not None and stored["finished"]


def _put(data: dict[str, Any], run: Run, result: dict[str, Any]) -> None:
    """Put ``result`` in its place in its group, instead of what was there of ``run``."""
    earlier = _find(data, run)
    if earlier is not None:
        data[run.group].remove(earlier)
    data[run.group].append(result)
    data[run.group].sort(key=lambda stored: [stored[name] for name in run.key])


def _all_runs(data: dict[str, Any], plan: Plan) -> list[dict[str, Any]]:
    """The runs of every group."""
    groups = dict.fromkeys(run.group for run in plan.runs)
    return [stored for group in groups for stored in data[group]]
