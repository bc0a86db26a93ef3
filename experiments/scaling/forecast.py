"""Forecasts of runs that nobody has made yet, and then the runs.

    python -m experiments.scaling.forecast write
    git commit                                # so that everyone sees which came first
    python -m experiments.scaling.forecast run --corpus classic_books.jsonl.xz --work runs/

``write`` fits the three laws to the runs in ``records/scaling/isoflop`` and writes a forecast for
each run of `RUNS` that has none into ``records/forecasts/``. ``run`` trains each with the seed that
its forecast's hash asks for. About three minutes on one data-centre GPU.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from experiments.scaling.corpus import prepare_books
from experiments.scaling.grid import best_constant, book_run
from experiments.settings import one_line_errors, parser
from utils.runtime import generator, named_device, repo_root
from utils.scaling.joint import fit_law
from utils.scaling.ledger import RUNS as RUNS_FOLDER
from utils.scaling.ledger import read_forecast, write_forecast
from utils.scaling.resampling import bootstrap
from utils.scaling.runs import arrays, load_runs, run_grid
from utils.scaling.spec import RunSpec
from utils.validate import number, require

LEVEL = 0.9
RESAMPLES = 1000
OFFICIAL = "coupled"  # the form that is scored; the others stand beside it
FORMS = ("additive", "kaplan", "coupled")

# Name, (width, layers), tokens: what each is a forecast of stands in its name.
RUNS = (
    # three times the largest budget of the grid
    ("beyond-1", (288, 5), 102e6),
    # between two budgets
    ("between-1", (160, 4), 70e6),
    ("between-2", (224, 5), 30e6),
    ("between-3", (128, 3), 12e6),
    ("between-4", (352, 6), 9e6),
    # below the smallest budget
    ("below-1", (64, 2), 10e6),
    ("below-2", (64, 3), 5e6),
    ("below-3", (96, 3), 4e6),
    ("below-4", (128, 3), 2e6),
    ("below-5", (160, 4), 1e6),
    # shapes that are not in the grid
    ("shape-1", (128, 2), 20e6),
    ("shape-2", (96, 5), 15e6),
    ("shape-3", (192, 2), 12e6),
    ("shape-4", (160, 6), 10e6),
    ("shape-5", (256, 3), 8e6),
    ("shape-6", (320, 3), 6e6),
    # far more text per parameter than the best split has, and far less
    ("long-1", (96, 3), 150e6),
    ("long-2", (128, 3), 100e6),
    ("long-3", (64, 2), 60e6),
    ("short-1", (448, 6), 3e6),
    ("short-2", (352, 6), 2e6),
    ("short-3", (288, 5), 1e6),
    ("short-4", (192, 4), 600e3),
    ("short-5", (576, 7), 2e6),
)


def write(runs: Path, folder: Path) -> None:
    """Write the forecasts that are not there yet, all from the same fits."""
    found = load_runs(runs / "isoflop")
    constant = best_constant(runs / "rate")
    specs = {name: book_run(shape, tokens, constant) for name, shape, tokens in RUNS}
    waiting = {name: spec for name, spec in specs.items() if not (folder / f"{name}.json").exists()}
    expected = {form: predict(form, arrays(found), list(waiting.values())) for form in FORMS}
    for i, (name, spec) in enumerate(waiting.items()):
        official = expected[OFFICIAL][i]
        write_forecast(
            folder,
            name,
            spec,
            **official,
            level=LEVEL,
            method=f"the {OFFICIAL} law, fitted to {len(found)} runs; "
            "bootstrap over runs, residuals",
            rivals={form: expected[form][i] for form in FORMS if form != OFFICIAL},
            fitted_to=[run.spec.name for run in found],
        )
        print(f"{name}: {official['loss']:.4f} in [{official['low']:.4f}, {official['high']:.4f}]")


def predict(form: str, grid: dict[str, np.ndarray], specs: list[RunSpec]) -> list[dict[str, float]]:
    """Loss and interval of each spec by the law of this form.

    The interval holds two uncertainties: of the law, from fits to runs drawn with replacement, and
    of a single run, from the residuals of the runs it was fitted to. It knows nothing of a law that
    is wrong: where a run lies beyond the others, that is the largest error.
    """
    columns = (grid["n_params"], grid["n_tokens"], grid["loss"])
    fit = partial(fit_law, form=form)
    n_runs = len(grid["loss"])
    boot = bootstrap(fit, *columns, groups=np.arange(n_runs), n=RESAMPLES)
    require(boot.n_failed == 0, "runs", "enough for every resample to be fitted", boot.n_failed)

    law = boot.fit
    # Residuals are smaller than the true scatter by as many degrees of freedom as were fitted.
    residual = np.log(grid["loss"]) - np.log(law.loss(*columns[:2]))  # (n_runs,)
    residual = residual * np.sqrt(n_runs / (n_runs - 6))
    rng = generator(0)
    tail = (1 - LEVEL) / 2
    expected = []
    for spec in specs:
        n, d = spec.n_params, spec.steps * spec.batch_tokens
        drawn = boot.values(lambda fitted, n=n, d=d: fitted.loss(n, d))  # (RESAMPLES,)
        outcome = drawn * np.exp(rng.choice(residual, size=len(drawn)))
        loss = float(law.loss(n, d))
        low, high = np.quantile(outcome, (tail, 1 - tail))
        expected.append(
            {"loss": loss, "low": min(float(low), loss), "high": max(float(high), loss)}
        )
    return expected


def run(
    folder: Path,
    names: list[str] | None,
    corpus: Path,
    work: Path,
    deadline: float,
    how: dict[str, Any],
) -> None:
    """Train what was forecast and has no result yet, the longest first; ``names``: these alone."""
    tokens, validation = prepare_books(corpus, work)
    forecasts = [read_forecast(path) for path in sorted(folder.glob("*.json"))]
    if names is not None:
        forecasts = [forecast for forecast in forecasts if forecast.name in names]
    require(bool(forecasts), "out", "a folder with these forecasts", str(folder))
    hash_of = {forecast.spec.name: forecast.sha256 for forecast in forecasts}
    specs = [forecast.spec for forecast in forecasts]
    specs.sort(key=lambda spec: -spec.steps)
    left = run_grid(
        specs,
        folder / RUNS_FOLDER,
        tokens,
        validation,
        text=corpus.name,
        deadline=deadline,
        notes=lambda spec: {"forecast_sha256": hash_of[spec.name]},
        **how,
    )
    print(f"{len(specs) - len(left)} of {len(specs)} runs", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    command = parser("experiments.scaling.forecast", __doc__)
    command.add_argument("what", choices=("write", "run"))
    command.add_argument("--runs", type=Path, default=repo_root() / "records" / "scaling")
    command.add_argument("--out", type=Path, default=repo_root() / "records" / "forecasts")
    command.add_argument("--only", nargs="+", help="names of forecasts (for run; default all)")
    command.add_argument("--corpus", type=Path, help="books as JSON lines (for run)")
    command.add_argument("--work", type=Path, help="folder for the tokens (for run)")
    command.add_argument("--time-budget", type=float, default=540.0, help="seconds (default 540)")
    command.add_argument("--device", default="cpu", help="cpu or cuda")
    command.add_argument("--at-once", type=int, default=12, help="runs side by side on a GPU")
    options = command.parse_args(arguments)
    with one_line_errors(command):
        if options.what == "write":
            write(options.runs, options.out)
            return
        require(options.corpus is not None, "corpus", "given, to run", None)
        require(options.work is not None, "work", "given, to run", None)
        deadline = time.monotonic() + number("time-budget", options.time_budget, 0.0)
        device = named_device("device", options.device)
        at_once = options.at_once if device.type == "cuda" else 1
        how = {"device": device, "at_once": at_once}
        run(options.out, options.only, options.corpus, options.work, deadline, how)


if __name__ == "__main__":
    main()
