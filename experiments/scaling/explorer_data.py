"""Record what the compute explorer shows of our own runs: two fitted laws, and the losses.

    python -m experiments.scaling.explorer_data   # seconds; again when the runs change

writes ``records/scaling/explorer.json``: the coupled and the additive law, fitted to every run of
``records/scaling/isoflop``, the ranges of those runs, and each size's loss averaged over its seeds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.settings import one_line_errors, parser
from utils import records
from utils.scaling.joint import fit_law
from utils.scaling.runs import RunRecord, arrays, load_runs
from utils.widgets.compute_explorer.settings import OURS, RECORD

COMMAND = "experiments.scaling.explorer_data"
RUNS = "scaling/isoflop"


def explorer_data(runs: Sequence[RunRecord]) -> dict[str, Any]:
    """The data of the record."""
    found = arrays(runs)
    n_params, n_tokens, loss = (found[name] for name in ("n_params", "n_tokens", "loss"))
    laws = {}
    for form in OURS:
        fit = fit_law(n_params, n_tokens, loss, form)
        laws[form] = {name: getattr(fit, name) for name in ("E", "A", "B", "alpha", "beta", "k")}

    # A run's compute misses its budget by less than a step, so one digit names the budget.
    budgets = np.array([float(f"{flops:.0e}") for flops in found["flops"]])
    sizes = []
    for budget, size in sorted({(b, n) for b, n in zip(budgets, n_params, strict=True)}):
        same = (budgets == budget) & (n_params == size)
        sizes.append(
            {
                "budget": float(budget),
                "n_params": int(size),
                "loss": round(float(loss[same].mean()), 4),
                "seeds": int(same.sum()),
            }
        )
    fitted_to = {
        "n_params": [float(n_params.min()), float(n_params.max())],
        "n_tokens": [float(n_tokens.min()), float(n_tokens.max())],
        "budgets": [float(budgets.min()), float(budgets.max())],
    }
    return {"ours": {"laws": laws, "fitted_to": fitted_to, "runs": sizes}}


def main(arguments: list[str] | None = None) -> None:
    """Write the record, and say which laws it holds."""
    command = parser(COMMAND, __doc__)
    command.parse_args(arguments)
    with one_line_errors(command):
        started = time.time()
        runs = load_runs(RUNS)
        data = explorer_data(runs)
        records.save(RECORD, data, started=started, how=f"python -m {COMMAND}", n_runs=len(runs))
        for form, law in data["ours"]["laws"].items():
            print(f"{form}: E = {law['E']:.3f}, k = {law['k']:.3f}")


if __name__ == "__main__":
    main()
