"""How often the bootstrap's intervals hold the truth, where the truth is known.

    python -m experiments.scaling.coverage --time-budget 1200     # about six minutes of one core

Losses are drawn from a known law with 1 % noise, the law is fitted to them, and the 95 % interval
of each of its numbers is looked up. Repeated with fresh noise, the share of intervals that hold the
truth is the coverage; an honest interval has about 95 of 100.

Two kinds of runs. "additive": `fit_chinchilla` on 243 runs of the law of Besiroglu et al. 2024, as
many as they had, with the interval of every parameter and the share of starts that end at the same
objective. "coupled": a law with k = 0.5 on 81 runs, where k and E trade against each other; the
interval is that of a held-out loss at ten times the largest compute, and beside it how the
objective changes along k.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from experiments.runner import Experiment, Plan, Run
from utils.runtime import generator
from utils.scaling.isoflop import isoflop_grid
from utils.scaling.joint import fit_chinchilla, fit_law, profile_k
from utils.scaling.laws import Law
from utils.scaling.published import BESIROGLU
from utils.scaling.resampling import Bootstrap, bootstrap
from utils.validate import integer, number

ADDITIVE = BESIROGLU
# The squares of Besiroglu's terms under a root: alone, each falls as theirs does.
COUPLED = Law(
    E=1.2,
    A=BESIROGLU.A**2,
    B=BESIROGLU.B**2,
    alpha=2 * BESIROGLU.alpha,
    beta=2 * BESIROGLU.beta,
    k=0.5,
)
BUDGETS = np.geomspace(6e18, 3e21, 9)  # FLOPs, from the smallest to the largest of Hoffmann et al.
HELD_OUT = 10 * BUDGETS[-1]
PARAMETERS = ("E", "A", "B", "alpha", "beta", "a")
KS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
SAME_OBJECTIVE = 1e-6
ALL_STARTS = 1000  # more than the grid has


@dataclass(frozen=True)
class Settings:
    """What fixes the outcome. ``noise`` is the standard deviation of the log of the loss."""

    repetitions: int = 100
    bootstraps: int = 200
    noise: float = 0.01
    additive_sizes: int = 27
    coupled_sizes: int = 9

    def __post_init__(self) -> None:
        integer("repetitions", self.repetitions, 1)
        integer("bootstraps", self.bootstraps, 40)  # with fewer, a 95 % interval has no ends
        number("noise", self.noise, 0.0, open_low=True)
        integer("additive_sizes", self.additive_sizes, 3)
        integer("coupled_sizes", self.coupled_sizes, 3)


def simulated(
    law: Law, n_sizes: int, noise: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """N, D and noisy loss of an IsoFLOP experiment on ``law``, all (9 · n_sizes,)."""
    _, n_params, n_tokens = isoflop_grid(law, BUDGETS, n_sizes=n_sizes)
    luck = generator(seed).normal(0.0, noise, len(n_params))
    return n_params, n_tokens, law.loss(n_params, n_tokens) * np.exp(luck)


def additive(settings: Settings, repetition: int, deadline: float) -> dict[str, Any]:
    """One repetition with the additive law; a few seconds, so the deadline is not looked at."""
    runs = simulated(ADDITIVE, settings.additive_sizes, settings.noise, repetition)
    boot = _resampled(fit_chinchilla, runs, settings, repetition)

    reached = np.array(fit_chinchilla(*runs, n_starts=ALL_STARTS).reached)
    same = reached - reached.min() < SAME_OBJECTIVE
    return {
        "intervals": {name: _interval(boot, name) for name in PARAMETERS},
        "n_failed": boot.n_failed,
        "same_objective": float(same.mean()),
        "flops": 0.0,
        "finished": True,
    }


def coupled(settings: Settings, repetition: int, deadline: float) -> dict[str, Any]:
    """One repetition with the coupled law."""
    runs = simulated(COUPLED, settings.coupled_sizes, settings.noise, repetition)
    boot = _resampled(partial(fit_law, form="coupled"), runs, settings, repetition)
    profile = profile_k(*runs, KS)
    return {
        "intervals": {
            "held_out_loss": _interval(boot, held_out_loss),
            "k": _interval(boot, "k"),
            "E": _interval(boot, "E"),
        },
        "n_failed": boot.n_failed,
        "profile_E": [_short(e) for e in profile.E],
        # In shares of the lowest: 1.02 is an objective 2 % above it.
        "profile_objective": [_short(x) for x in profile.objective / boot.fit.objective],
        "flops": 0.0,
        "finished": True,
    }


def held_out_loss(law: Law) -> float:
    """What ``law`` expects of the model that is best, in truth, at ten times the largest budget."""
    return float(law.loss(*COUPLED.optimal(HELD_OUT)))


def truth(form: str, name: str) -> float:
    """The value that an interval ought to hold."""
    if name == "held_out_loss":
        return held_out_loss(COUPLED)
    return float(getattr(ADDITIVE if form == "additive" else COUPLED, name))


def coverage(data: dict[str, Any], form: str) -> dict[str, int]:
    """From the record's data: for each quantity, how many of the intervals hold the truth."""
    counts: dict[str, int] = {}
    for run in data[form]:
        for name, (low, high) in run["intervals"].items():
            holds = low <= truth(form, name) <= high
            counts[name] = counts.get(name, 0) + int(holds)
    return counts


def _resampled(fit: Any, runs: tuple, settings: Settings, repetition: int) -> Bootstrap:
    """The bootstrap over runs: each point is a run of its own."""
    labels = range(len(runs[0]))
    return bootstrap(fit, *runs, groups=labels, n=settings.bootstraps, seed=repetition)


def _interval(boot: Bootstrap, quantity: Any) -> list[float]:
    """The 95 % interval; an infinite end is stored as the largest float, as JSON has none."""
    return [_short(end) for end in np.nan_to_num(boot.interval(quantity))]


def _short(value: float) -> float:
    """Six digits: enough to compare with the truth, and a small record."""
    return float(f"{value:.6g}")


def plan(settings: Settings) -> Plan:
    runs = []
    for repetition in range(settings.repetitions):
        for form, make in (("additive", additive), ("coupled", coupled)):
            key = {"repetition": repetition}
            runs.append(Run(key, partial(make, settings, repetition), group=form))
    return Plan(runs, notes={"held_out_flops": HELD_OUT, "ks": list(KS)})


EXPERIMENT = Experiment(
    command="experiments.scaling.coverage",
    about=__doc__,
    record="scaling/coverage",
    settings=Settings,
    plan=plan,
)
measure = EXPERIMENT.measure
main = EXPERIMENT.main

if __name__ == "__main__":
    main()
