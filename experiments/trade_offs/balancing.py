"""How much do the knobs against overfitting gain together, and what does it cost to set them?

    python -m experiments.trade_offs.balancing   # some ten minutes on one CPU core; again to go on

writes ``records/trade_offs/balancing.json``. A network with one hidden layer learns handwritten
digits from 400 images; 200 further ones are there to choose by. In both a share ``noise`` of the
labels is wrong. Settings are drawn at random, and a search spends a budget of FLOPs on as many of
them as it can pay for. A seed draws the images, the wrong labels, the settings and the weights.

group     runs
searches  one per noise and seed, with an entry for each arm. ``all`` searches every knob,
          ``without size`` leaves the size at its default and spends what that saves or costs on
          tries of the other knobs, ``only size`` searches nothing else. ``shared`` is one list of
          settings for all seeds. With right labels ``all``, ``shared`` and ``only weight decay``.
rivals    the same budget without a search: 32 default runs, one of 32 times the size (and with
          smaller steps), one of 32 times the length; and single runs with a rule of thumb, or
          that learn from the images to choose by as well.

Each column of an arm is a text with one number per try, in the order drawn: images misread, of 200
(``val``: the lowest of 20 moments of training; ``val_end``: at the end), of 597 new ones with the
same noise (``fresh``, at the moment of ``val``) and of 600 with right labels (``test``,
``test_end``). ``curves`` is what ``val`` is the lowest of. ``numbers`` reads such a text.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from experiments.runner import Experiment, Plan, Run
from experiments.settings import distinct
from experiments.trade_offs.tuned_networks import (
    DEFAULT,
    EXAMPLES,
    KNOBS,
    MOMENTS,
    N_TRAIN,
    N_VAL,
    STEP_OF_EXAMPLES,
    Parts,
    Setting,
    Tried,
    draws,
    flops_of,
    parts_of,
    train,
)
from utils.data.labelled import digits
from utils.runtime import single_thread
from utils.validate import integer, require

TOP = (1, 2, 4, 8, 16, 32)  # how many of the best tries vote together

# ---- the searches --------------------------------------------------------------------------------


def arms_of(noise: float) -> dict[str, tuple[str, ...]]:
    """The knobs that each arm of a search turns."""
    arms: dict[str, tuple[str, ...]] = {"all": KNOBS, "shared": KNOBS}
    arms["only weight decay"] = ("weight decay",)
    if noise > 0:
        arms |= {f"only {knob}": (knob,) for knob in KNOBS}
        arms |= {f"without {knob}": tuple(k for k in KNOBS if k != knob) for knob in KNOBS}
    return arms


def search(noise: float, seed: int, runs: int, examples: int, deadline: float) -> dict[str, Any]:
    """All arms for one data set, trained side by side: under a minute, so no look at the clock."""
    budget = runs * flops_of(DEFAULT.width, examples)
    settings, places = [], {}
    for arm, knobs in arms_of(noise).items():
        drawn = draws(knobs, budget, examples, SHARED if arm == "shared" else seed)
        places[arm] = slice(len(settings), len(settings) + len(drawn))
        settings += drawn
    parts = parts_of(noise, seed)
    tried = train(settings, parts, examples, seed)
    arms = {}
    for arm, place in places.items():
        own = Tried(*(a[:, place] for a in tried[:3]), *(a[place] for a in tried[3:]))
        arms[arm] = columns(settings[place], own, parts, whole=arm in ("all", "shared"))
    spent = sum(flops_of(setting.width, examples) for setting in settings)
    return {"arms": arms, "flops": spent, "finished": True}


SHARED = 10_000  # the seed of the settings that all data sets have in common


def columns(settings: list[Setting], tried: Tried, parts: Parts, *, whole: bool) -> dict[str, Any]:
    """What the record keeps of an arm; ``whole``: also the settings, the curves and the votes."""
    each = np.arange(len(settings))
    at = tried.val.argmin(0)  # (C,) the first of the best moments
    found: dict[str, Any] = {
        "width": text([s.width for s in settings]),
        "val": text(tried.val[at, each]),
        "test": text(tried.test[at, each]),
        "val_end": text(tried.val[-1]),
        "test_end": text(tried.test[-1]),
    }
    if whole:
        for name in ("decay", "dropout", "shifts", "rate", "batch"):
            found[name] = text([float(f"{getattr(s, name):.3g}") for s in settings])
        found["fresh"] = text(tried.fresh[at, each])
        found["fresh_end"] = text(tried.fresh[-1])
        found["curves"] = [text(curve) for curve in tried.val.T]
    order = np.argsort(tried.val[at, each], kind="stable")
    found["voting"] = text([voted(tried.votes[order[:k]], parts) for k in TOP])
    return found


def voted(votes: np.ndarray, parts: Parts) -> int:
    """Test images misread by the mean probabilities of several networks, votes (k, 600, 10)."""
    return int((votes.mean(0).argmax(1) != parts.test.y.numpy()).sum())


def text(values: Any) -> str:
    """Numbers as one text: a record writes each entry of a list on a line of its own."""
    return " ".join(f"{value:g}" for value in values)


def numbers(column: str) -> np.ndarray:
    """The numbers of a text.

    >>> numbers(text([0.25, 3])).tolist()
    [0.25, 3.0]
    """
    return np.array([float(value) for value in column.split()])


# ---- the rivals ----------------------------------------------------------------------------------

RULE = 1.0  # the weight decay that an earlier chapter found best for such digits
RIVALS = ("default", "rule", "rule, more images", "more images")
LAVISH = ("larger", "larger, slower", "longer")  # with wrong labels only
SLOWER = 0.05  # times the learning rate: the best of 1, 0.25 and 0.05, on three test sets


def rival(name: str, noise: float, seed: int, runs: int, examples: int, deadline: float) -> dict:
    """The default, or something else on which to spend the budget: seconds, so no look at it."""
    parts = parts_of(noise, seed, val_in_training=name.endswith("more images"))
    setting, n, moments = DEFAULT, 1, MOMENTS
    if name == "default":
        n = runs
    if name.startswith("larger"):
        setting = replace(DEFAULT, width=runs * DEFAULT.width)
    if name == "larger, slower":
        setting = replace(setting, rate=SLOWER * DEFAULT.rate)
    if name == "longer":
        examples, moments = runs * examples, runs * MOMENTS
    if name.startswith("rule"):
        setting = replace(DEFAULT, decay=RULE)
    if name.endswith("more images"):
        examples = examples * (N_TRAIN + N_VAL) // N_TRAIN  # as many passes

    # Other starts than those of the searches.
    tried = train([setting] * n, parts, examples, seed + 500, moments)
    found = columns([setting] * n, tried, parts, whole=False)
    # As many runs as one likes vote, in the order trained; the best are not picked first.
    found["voting"] = text([voted(tried.votes[:k], parts) for k in TOP])
    found["voting_end"] = text([voted(tried.votes_end[:k], parts) for k in TOP])
    spent = n * flops_of(setting.width, examples, moments)
    return found | {"flops": spent, "finished": True}


# ---- all of them ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """noises : shares of wrong labels. runs : budget, in default runs. examples : of one run."""

    noises: tuple[float, ...] = (0.3, 0.0)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    runs: int = 32
    examples: int = EXAMPLES

    def __post_init__(self) -> None:
        for noise in distinct("noises", self.noises):
            require(0 <= noise <= 1, "noises", "between 0 and 1", noise)
        for seed in distinct("seeds", self.seeds):
            integer("seeds", seed, 0, 499)
        integer("runs", self.runs, 2, 64)
        integer("examples", self.examples, STEP_OF_EXAMPLES, 10 * EXAMPLES)
        whole = self.examples % STEP_OF_EXAMPLES == 0
        require(whole, "examples", f"a multiple of {STEP_OF_EXAMPLES}", self.examples)


def plan(settings: Settings) -> Plan:
    """Both noises for one seed after the other, and the rivals with each."""
    single_thread()
    budget = (settings.runs, settings.examples)
    wanted = []
    for seed in settings.seeds:
        for noise in settings.noises:
            key: dict[str, Any] = {"noise": noise, "seed": seed}
            wanted.append(Run(key, partial(search, noise, seed, *budget), "searches"))
            for name in RIVALS + LAVISH * (noise > 0):
                make = partial(rival, name, noise, seed, *budget)
                wanted.append(Run({"rival": name} | key, make, "rivals"))
    return Plan(wanted, source=digits(1).source, notes={"default": asdict(DEFAULT)})


EXPERIMENT = Experiment(
    command="experiments.trade_offs.balancing",
    about=__doc__,
    record="trade_offs/balancing",
    settings=Settings,
    plan=plan,
)
measure = EXPERIMENT.measure
main = EXPERIMENT.main

if __name__ == "__main__":
    main()
