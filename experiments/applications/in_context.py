"""When a model learns from its prompt: copying, regression and labels, each with its controls.

    python -m experiments.applications.in_context copying      # ten minutes of a core
    python -m experiments.applications.in_context labels       # an hour and a half
    python -m experiments.applications.in_context regression   # several hours

On a GPU, where all models of one shape are trained side by side, each takes a minute or two.
What is measured stands at `Copying`, `Regression` and `Labels`, each in a module of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from torch import nn

from experiments.applications.in_context_copying import (
    LENGTH,
    SHAPES,
    Copying,
    copier_result,
    measured_copier,
)
from experiments.applications.in_context_labels import SHOWN, Labels, label_dials, measured_labeller
from experiments.applications.in_context_regression import SHOTS, Exam, Regression
from experiments.applications.together import Training, columns, train_together
from experiments.runner import Experiment, Plan, Run
from experiments.settings import distinct
from utils.runtime import device
from utils.validate import integer, require

# ---- training ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """Runs whose models have one shape.

    measure : ``measure(run, model)`` at each of the ``moments``. finish : ``finish(run, model,
    measured)``, what the record holds. tokens : of a row.
    """

    jobs: Sequence[Any]
    training: Training
    moments: Sequence[int]
    measure: Callable[[Any, nn.Module], Any]
    finish: Callable[[Any, nn.Module, list[Any]], dict[str, Any]]
    tokens: int
    done: dict[Any, dict[str, Any]] = field(default_factory=dict)

    def runs(self) -> list[Run]:
        return [Run(asdict(one), partial(self.result, one)) for one in self.jobs]

    def result(self, one: Any, deadline: float) -> dict[str, Any]:
        """What the record holds of a run. On a GPU the first that is asked for trains them all."""
        if one not in self.done:
            together = self.jobs if side_by_side() else [one]
            self.train(together, deadline)
        return self.done.get(one, {"finished": False, "flops": 0.0})

    def train(self, jobs: Sequence[Any], deadline: float) -> None:
        """Train the models of ``jobs``, if the time is enough."""
        models = [one.model() for one in jobs]
        histories = train_together(
            models,
            [one.draw() for one in jobs],
            self.training,
            lambda model, i: self.measure(jobs[i], model),
            self.moments,
            device=device(),
            deadline=deadline,
        )
        if histories is None:
            return
        n_params = sum(p.numel() for p in models[0].parameters())
        training = self.training
        flops = 6.0 * n_params * training.batch * self.tokens * training.steps
        end = {"finished": True, "flops": flops, "moments": list(self.moments)}
        for one, model, history in zip(jobs, models, histories, strict=True):
            self.done[one] = self.finish(one, model, history) | end


def side_by_side() -> bool:
    """Whether models are trained together: it pays on a GPU only."""
    return device().type == "cuda"


# ---- what there is to do -------------------------------------------------------------------------


def require_counts(settings: Any) -> None:
    """Raise ``ValueError`` in one line for a setting that is no count, or for two equal ones."""
    for name, value in asdict(settings).items():
        lowest = 0 if name in ("seeds", "tasks") else 1
        several = distinct(name, value) if isinstance(value, tuple) else (value,)
        for one in several:
            integer(name, one, lowest)


@dataclass(frozen=True)
class CopyingSettings:
    """steps : of the usual run; others are longer in proportion. points : measured moments."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    steps: int = 600
    points: int = 30

    def __post_init__(self) -> None:
        require_counts(self)
        require(self.steps % self.points == 0, "steps", "a multiple of points", self.steps)


def copying_group(shape: Copying, settings: CopyingSettings) -> Group:
    """The copiers of one shape."""
    steps = shape.steps * settings.steps // Copying.steps
    jobs = [replace(shape, seed=seed) for seed in settings.seeds]
    training = Training(steps, shape.rate, batch=32)
    moments = range(0, steps + 1, steps // settings.points)
    return Group(jobs, training, moments, measured_copier, copier_result, LENGTH)


def copying_plan(settings: CopyingSettings) -> Plan:
    runs = [run for shape in SHAPES for run in copying_group(shape, settings).runs()]
    return Plan(runs, told=lambda run: f"seen tokens {run['seen'][-1]:.2f} nats", notes=notes())


@dataclass(frozen=True)
class LabelsSettings:
    """moments : steps after which is measured; the last ends the training. rows : of each test."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    moments: tuple[int, ...] = (200, 400, 800, 1600, 3200)
    rows: int = 2000

    def __post_init__(self) -> None:
        require_counts(self)


def labels_group(jobs: Sequence[Labels], settings: LabelsSettings) -> Group:
    """Labellers, all of one shape."""

    def measure(one: Labels, model: nn.Module) -> dict[str, float]:
        return measured_labeller(one, model, settings.rows)

    training = Training(settings.moments[-1], rate=2e-3, batch=128)
    tokens = 2 * SHOWN + 1
    return Group(jobs, training, settings.moments, measure, lambda *a: columns(a[2]), tokens)


def labels_plan(settings: LabelsSettings) -> Plan:
    jobs = [one for seed in settings.seeds for one in label_dials(seed)]
    runs = labels_group(jobs, settings).runs()
    return Plan(runs, told=lambda run: f"from the prompt {run['prompt'][-1]:.2f}", notes=notes())


@dataclass(frozen=True)
class RegressionSettings:
    """tasks : how many a training has; 0 is a new one for every row. The rest is as for labels."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    tasks: tuple[int, ...] = (4, 8, 16, 32, 64, 128, 256, 1024, 0)
    moments: tuple[int, ...] = (1000, 2000, 4000, 8000)
    rows: int = 2000

    def __post_init__(self) -> None:
        require_counts(self)


def regression_group(jobs: Sequence[Regression], settings: RegressionSettings) -> Group:
    """Regressors, all of one shape."""
    exams: dict[Regression, Exam] = {}

    def measure(one: Regression, model: nn.Module) -> dict[str, Any]:
        if one not in exams:
            exams[one] = Exam(one, settings.rows)
        return exams[one].taken(model)

    def finish(one: Regression, model: nn.Module, history: list[Any]) -> dict[str, Any]:
        return columns(history) | {"rivals": exams.pop(one).rivals()}

    training = Training(
        settings.moments[-1], 1e-3, batch=64, warmup=100, weight_decay=0.0, average=0.99
    )
    return Group(jobs, training, settings.moments, measure, finish, SHOTS + 1)


def regression_plan(settings: RegressionSettings) -> Plan:
    jobs = [Regression(tasks, seed=seed) for seed in settings.seeds for tasks in settings.tasks]
    jobs += [Regression(0, spread=3.0, seed=seed) for seed in settings.seeds]
    runs = regression_group(jobs, settings).runs()
    return Plan(runs, told=lambda run: f"new tasks {run['new'][-1][-1]:.3f}", notes=notes())


def notes() -> dict[str, Any]:
    return {"trained_on": device().type}


EXPERIMENTS = {
    part: Experiment(
        command=f"experiments.applications.in_context {part}",
        about=__doc__,
        record=f"applications/in_context_{part}",
        settings=settings,
        plan=plan,
    )
    for part, settings, plan in (
        ("copying", CopyingSettings, copying_plan),
        ("labels", LabelsSettings, labels_plan),
        ("regression", RegressionSettings, regression_plan),
    )
}


def main(arguments: list[str] | None = None) -> None:
    """The command line: which part, and the options of `experiments.runner`."""
    part, *options = sys.argv[1:] if arguments is None else arguments or ["none"]
    if part not in EXPERIMENTS:
        sys.exit(f"experiments.applications.in_context: one of {', '.join(EXPERIMENTS)}")
    EXPERIMENTS[part].main(options)


if __name__ == "__main__":
    main()
