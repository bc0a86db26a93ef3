"""The optimizers of the solution-path explorer, against closed forms.

The page's own are compared with them in ``tests/widgets/solution_path``.
"""

from __future__ import annotations

import itertools
import random
import re

import numpy as np
import pytest

from utils.landscape import solution_path as sp
from utils.landscape.solution_path import (
    flow_end,
    gradient,
    loss,
    residual,
    run,
    sharpness,
    weights,
)
from utils.records import load

X = np.outer(sp.LENGTHS, sp.DIRECTION)
y = sp.TARGET * np.asarray(sp.LENGTHS)
ORDER = [int(digit) for digit in sp.sample_orders()[0]]
STARTS = [
    (random.Random(i).uniform(-1.5, 2.5), random.Random(-i - 1).uniform(-1.5, 2.5))
    for i in range(20)
]


def end(*args, **kwargs) -> np.ndarray:
    return np.asarray(run(*args, **kwargs).points[-1])


def test_from_zero_gradient_descent_finds_the_pseudoinverse_solution() -> None:
    np.testing.assert_allclose(end("gd", 0.5, (0.0, 0.0), ORDER), np.linalg.pinv(X) @ y, atol=1e-12)


@pytest.mark.parametrize("method", ["gd", "sgd", "normalized"])
def test_in_the_linear_model_three_methods_end_nearest_to_their_start(method) -> None:
    for start in STARTS:
        nearest = np.asarray(start) - np.linalg.pinv(X) @ (X @ start - y)
        np.testing.assert_allclose(flow_end(start), nearest, atol=1e-12)
        np.testing.assert_allclose(end(method, 0.2, start, ORDER), nearest, atol=1e-4)


def test_adam_ends_elsewhere() -> None:
    ends = [end("adam", 0.1, start, ORDER) for start in STARTS]
    assert max(loss(tuple(w)) for w in ends) < 1e-10
    apart = [np.linalg.norm(w - flow_end(start)) for w, start in zip(ends, STARTS, strict=True)]
    assert np.median(apart) > 0.1


def test_the_edge_is_where_descent_turns_into_divergence() -> None:
    edge = 2 / sharpness((0.0, 0.0))
    assert sharpness((0.0, 0.0)) == pytest.approx(np.linalg.eigvalsh(X.T @ X / 4)[-1])
    start = (-0.5, 1.0)
    below, above = run("gd", 0.999 * edge, start, ORDER), run("gd", 1.05 * edge, start, ORDER)
    sizes = [abs(residual(w)) for w in below.points]
    assert below.diverged_at is None
    assert all(b < a for a, b in itertools.pairwise(sizes))
    assert above.diverged_at is not None
    sizes = [abs(residual(w)) for w in above.points]
    assert all(b > a for a, b in itertools.pairwise(sizes))


@pytest.mark.parametrize("scale", [0.05, 0.5, 1.5])
def test_small_steps_follow_the_closed_form_of_the_flow(scale) -> None:
    for start in STARTS[:6]:
        flow = flow_end(start, model="squares", scale=scale)
        path = run("gd", 0.002, start, ORDER * 20, model="squares", scale=scale, steps=10_000)
        assert residual(flow) == pytest.approx(0, abs=1e-12)
        np.testing.assert_allclose(path.points[-1], flow, atol=0.01)


def test_the_initial_scale_is_a_dial_from_sparse_to_small() -> None:
    sparse, small = np.array([1.0, 0.0]), np.linalg.pinv(X) @ y
    ends = [
        end("gd", 0.02, (0.0, 0.0), ORDER, model="squares", scale=s)
        for s in (0.02, 0.1, 0.3, 1.0, 2.0)
    ]
    np.testing.assert_allclose(ends[0], sparse, atol=0.03)
    np.testing.assert_allclose(ends[-1], small, atol=0.03)
    second = [w[1] for w in ends]
    assert second == sorted(second)


def test_balanced_start_keeps_its_product() -> None:
    for start in [*STARTS, (0.0, 0.0)]:
        p = sp.balanced(start, 0.02)
        np.testing.assert_allclose(weights(p, "squares"), start, atol=1e-12)
        np.testing.assert_allclose([p[0] * p[2], p[1] * p[3]], 0.02**2, rtol=1e-12)


@pytest.mark.parametrize("model", sp.MODELS)
def test_gradient_and_sharpness_are_the_derivatives_of_the_loss(model) -> None:
    p = np.array([0.3, -1.1]) if model == "linear" else np.array([0.3, -1.1, 0.7, 0.2])
    value = lambda q: loss(weights(list(q), model))  # noqa: E731
    step = 1e-6 * np.eye(len(p))
    slope = [(value(p + h) - value(p - h)) / 2e-6 for h in step]
    np.testing.assert_allclose(gradient(list(p), model, range(4)), slope, atol=1e-8)
    there = flow_end((0.2, -0.4), model=model, scale=0.3)
    q = np.array(there if model == "linear" else sp.balanced(there, 0.3))
    hessian = [
        (np.array(gradient(list(q + h), model, range(4))) - gradient(list(q - h), model, range(4)))
        / 2e-6
        for h in step
    ]
    assert sharpness(there, model=model, scale=0.3) == pytest.approx(
        np.linalg.eigvalsh(hessian)[-1], rel=1e-6
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "lion"}, "method must be one of 'gd', 'sgd', 'normalized', 'adam', got 'lion'"),
        ({"model": "cubes"}, "model must be one of 'linear', 'squares', got 'cubes'"),
        ({"eta": 0.0}, "eta must be a number in (0, inf), got 0.0"),
        ({"scale": -1.0}, "scale must be a number in [0.001, inf), got -1.0"),
        ({"start": (0.0,)}, "start must be a pair of numbers, got (0.0,)"),
        ({"start": (float("nan"), 0.0)}, "start[0] must be a number in (-inf, inf), got nan"),
        ({"order": [9] * 500}, "order must be a whole number in [0, 3], got 9"),
        ({"order": [0]}, "order must be at least steps = 500 long, got 1"),
    ],
)
def test_run_refuses_in_one_line(change, message) -> None:
    arguments = {"method": "gd", "eta": 0.1, "start": (0.0, 0.0), "order": ORDER, **change}
    with pytest.raises(ValueError, match=re.escape(message)):
        run(**arguments)


def test_the_stored_orders_are_the_generator_s() -> None:
    assert load("implicit_regularization/sample_orders").data["orders"] == sp.sample_orders()
