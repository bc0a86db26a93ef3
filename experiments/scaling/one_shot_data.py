"""Record what the one-shot game on the page is played with: 180 runs, their prices, two rivals.

    python -m experiments.scaling.one_shot_data   # about two minutes on one CPU thread

writes ``records/scaling/one_shot.json``: the losses in ``records/scaling/game``, what a step of
each width costs in CPU seconds (measured here and now), and for each hero the forecasts of the
coupled law from two designs: an L of the narrowest models and the shortest texts, and a small grid.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from experiments.settings import one_line_errors, parser
from utils import records
from utils.runtime import generator
from utils.scaling.joint import fit_law
from utils.scaling.runs import RunRecord, load_runs
from utils.scaling.spec import RunSpec
from utils.scaling.training import Training
from utils.widgets.one_shot_game.settings import HEROES, LENGTHS, RATE, RATES, RECORD, WIDTHS

COMMAND = "experiments.scaling.one_shot_data"
RUNS = "scaling/game"
LEVEL = 0.9
RESAMPLES = 200
N_FREE = 6  # numbers of the coupled law
TIMED_STEPS = 60
# Places of the runs (width, length) that a rival's law is fitted to.
EDGES = [(i, 0) for i in range(len(WIDTHS))] + [(0, j) for j in range(1, len(LENGTHS))]
DESIGNS = {"L": EDGES, "grid": [(i, j) for i in range(4) for j in range(1, 4)]}


def losses(runs: list[RunRecord]) -> tuple[np.ndarray, np.ndarray]:
    """The loss of each run (widths, lengths, rates), and N of each width (widths,).

    Raises ``KeyError`` for a run that is missing.
    """
    found = {}
    for run in runs:
        rate = run.spec.learning_rate * run.spec.d_model
        found[run.spec.d_model, run.spec.tokens, rate] = run
    table = [[[found[w, d, c].loss for c in RATES] for d in LENGTHS] for w in WIDTHS]
    sizes = [found[w, LENGTHS[0], RATES[0]].n_params for w in WIDTHS]
    return np.array(table), np.array(sizes)


def seconds_per_step(width: int) -> float:
    """CPU seconds that a step of a model of this width takes, the median of three measurements."""
    tokens = generator(0).integers(0, 1024, 100_000).astype(np.uint16)
    spec = RunSpec(width, n_layer=3, tokens=20 * TIMED_STEPS * 512, learning_rate=RATE / width)
    training = Training(spec, tokens, tokens[:1000], device=torch.device("cpu"))
    training.advance(10)  # the first steps also make the optimizer's state
    measured = []
    for _ in range(3):
        began = time.process_time()
        training.advance(TIMED_STEPS)
        measured.append((time.process_time() - began) / TIMED_STEPS)
    return float(np.median(measured))


def law_forecast(table: np.ndarray, sizes: np.ndarray, cells: list, hero: tuple) -> dict[str, Any]:
    """Loss and 90 % interval of a hero by the coupled law, fitted to the runs at ``cells``.

    The interval deals the residuals out anew, fits again, and adds one residual for the hero's own
    luck.
    """
    place = RATES.index(RATE)
    n_params = np.array([sizes[i] for i, _ in cells], dtype=float)
    n_tokens = np.array([LENGTHS[j] for _, j in cells], dtype=float)
    loss = np.array([table[i, j, place] for i, j in cells])
    at_hero = (float(sizes[hero[0]]), float(LENGTHS[hero[1]]))

    law = fit_law(n_params, n_tokens, loss, "coupled")
    # Residuals are smaller than the true scatter by as many degrees of freedom as were fitted.
    residual = np.log(loss / law.loss(n_params, n_tokens))
    residual = residual * np.sqrt(len(loss) / (len(loss) - N_FREE))
    rng = generator(0)
    outcomes = []
    for _ in range(RESAMPLES):
        again = law.loss(n_params, n_tokens) * np.exp(rng.choice(residual, len(loss)))
        refit = fit_law(n_params, n_tokens, again, "coupled", start=law)
        outcomes.append(refit.loss(*at_hero) * np.exp(rng.choice(residual)))
    expected = float(law.loss(*at_hero))
    tail = (1 - LEVEL) / 2
    low, high = (float(end) for end in np.quantile(outcomes, (tail, 1 - tail)))
    return {
        "loss": round(expected, 3),
        "low": round(min(low, expected), 3),
        "high": round(max(high, expected), 3),
        "converged": bool(law.converged),
    }


def one_shot_data(runs: list[RunRecord], prices: list[float]) -> dict[str, Any]:
    """The data of the record. prices: CPU seconds per step of each width."""
    table, sizes = losses(runs)
    rivals = []
    for hero in HEROES:
        of_hero = {name: law_forecast(table, sizes, cells, hero) for name, cells in DESIGNS.items()}
        rivals.append(of_hero)
    return {
        "game": {
            "losses": np.round(table, 3).tolist(),
            "n_params": sizes.tolist(),
            "seconds_per_step": [round(price, 5) for price in prices],
            "designs": {name: [list(cell) for cell in cells] for name, cells in DESIGNS.items()},
            "rivals": rivals,
        }
    }


def main(arguments: list[str] | None = None) -> None:
    """Write the record, and say how the rivals do."""
    command = parser(COMMAND, __doc__)
    command.parse_args(arguments)
    with one_line_errors(command):
        torch.set_num_threads(1)
        started = time.time()
        prices = [seconds_per_step(width) for width in WIDTHS]
        data = one_shot_data(load_runs(RUNS), prices)
        records.save(RECORD, data, started=started, how=f"python -m {COMMAND}")
        for (i, j), rivals in zip(HEROES, data["game"]["rivals"], strict=True):
            outcome = data["game"]["losses"][i][j][RATES.index(RATE)]
            for name, rival in rivals.items():
                miss = rival["loss"] / outcome - 1
                print(f"width {WIDTHS[i]}, {LENGTHS[j]} tokens, {name}: {rival} misses {miss:+.1%}")


if __name__ == "__main__":
    main()
