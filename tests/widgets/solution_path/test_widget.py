"""The solution-path explorer without a browser: JavaScript = Python, and the class."""

from __future__ import annotations

import json
import math
import random
import re

import pytest
import traitlets

from tests.node import node
from utils.landscape import solution_path as sp
from utils.landscape.solution_path import flow_end, run, sharpness
from utils.widgets.solution_path.widget import SolutionPath


def random_cases(rng: random.Random) -> list[dict]:
    """Runs from random starts with every method, and what Python makes of them."""
    orders = sp.sample_orders()
    cases = []
    for _ in range(100):
        start = (rng.uniform(-1.5, 2.5), rng.uniform(-1.5, 2.5))
        for method in sp.METHODS:
            setting = {"model": rng.choice(sp.MODELS), "scale": math.exp(rng.uniform(-4, 0.7))}
            eta = math.exp(rng.uniform(math.log(0.01), math.log(3)))
            order = rng.choice(orders)
            path = run(method, eta, start, [int(digit) for digit in order], **setting)
            flow = flow_end(start, **setting)
            cases.append(
                {
                    **setting,
                    "method": method,
                    "eta": eta,
                    "start": start,
                    "order": order,
                    "points": path.points,
                    "diverged": path.diverged_at,
                    "flow": flow,
                    "sharpness": sharpness(flow, **setting),
                }
            )
    return cases


def test_javascript_takes_the_same_path(tmp_path) -> None:
    cases = random_cases(random.Random(1))
    assert 20 < sum(case["diverged"] is not None for case in cases) < 200
    constants = {"steps": sp.STEPS, "limit": sp.LIMIT, "shrink": sp.SHRINK}
    constants |= {"beta1": sp.BETA1, "beta2": sp.BETA2, "epsilon": sp.EPSILON}
    fixture = {
        "problem": {"direction": sp.DIRECTION, "target": sp.TARGET, "lengths": sp.LENGTHS},
        "constants": constants,
        "methods": sp.METHODS,
        "models": sp.MODELS,
        "cases": cases,
    }
    node("solution_path/solution_path.test.mjs", json.loads(json.dumps(fixture)), tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"eta": 4.0}, "eta must be a number in [0.01, 3], got 4.0"),
        ({"order": 3}, "order must be a whole number in [0, 2], got 3"),
        ({"start2": -2.0}, "start2 must be a number in [-1.5, 2.5], got -2.0"),
        ({"speed": 1}, "setting must be one of eta, method, model, order, scale, start1, start2"),
    ],
)
def test_the_class_refuses_in_one_line(settings, message) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        SolutionPath(**settings)
    assert "\n" not in str(error.value)
    with pytest.raises(traitlets.TraitError):
        SolutionPath(method="lion")
