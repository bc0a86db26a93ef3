"""The double-descent explorer without a browser: JavaScript = NumPy, and the class."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from tests.node import node
from utils.landscape import fourier_fit as ff
from utils.landscape.fourier_data import data_sets
from utils.widgets.double_descent.settings import RANGES, page_data
from utils.widgets.double_descent.widget import DoubleDescent

SETS = data_sets()
SIZES = [(features, 0.0) for features in (1, 2, 5, 14, 15, 16, 23, 104, 301)]
SIZES += [(features, ridge) for features in (3, 15, 301) for ridge in (0.0001, 0.3)]


def fitted(number: int, features: int, ridge: float, noise: float) -> np.ndarray:
    """The amplitudes (features,) of the fit to data set ``number``, counted from 0."""
    points = SETS[number]
    targets = ff.target(points.inputs) + noise * np.asarray(points.noise)
    return ff.fit(points.inputs, targets, features, ridge)


def case(features: int, ridge: float, noise: float) -> dict:
    """What NumPy finds for one setting: a fit, and the test error of every data set."""
    errors = [ff.distance_from_target(fitted(d, features, ridge, noise)) for d in range(len(SETS))]
    return {
        "features": features,
        "ridge": ridge,
        "noise": noise,
        "amplitudes": fitted(7, features, ridge, noise).tolist(),
        "errors": errors,
        "median": float(np.median(errors)),
    }


def test_javascript_finds_what_numpy_finds(tmp_path) -> None:
    cases = [case(features, ridge, 0.3) for features, ridge in SIZES]
    cases += [case(15, 0.0, 1.0), case(301, 0.0, 0.0), case(301, 0.3, 0.85)]
    x = [0.0, 0.123, 0.5, 0.999]
    waves = {"inputs": x, "values": ff.waves(x, 301).tolist(), "target": ff.target(x).tolist()}
    fixture = {"cases": cases, "waves": waves}
    node("double_descent/double_descent.test.mjs", json.loads(json.dumps(fixture)), tmp_path)


def test_the_page_gets_the_data_of_python() -> None:
    data = page_data()
    assert [len(points["inputs"]) for points in data["DATA"]] == [data["POINTS"]] * len(SETS)
    assert data["DATA"][3]["noise"] == SETS[3].noise
    assert data["RANGES"]["data"] == [1, len(SETS)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": 302}, "features must be a whole number in [1, 301], got 302"),
        ({"ridge": -0.1}, "ridge must be a number in [0, 1], got -0.1"),
        ({"noise": "much"}, "noise must be a number in [0, 1], got 'much'"),
        ({"traced": -1}, "traced must be a whole number in [0, 301], got -1"),
        ({"width": 1}, "setting must be one of data, features, noise, ridge, traced, got 'width'"),
    ],
)
def test_the_class_refuses_in_one_line(settings, message) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        DoubleDescent(**settings)
    assert "\n" not in str(error.value)


def test_the_class_has_the_settings_of_the_page() -> None:
    assert set(DoubleDescent().trait_names(page=True)) == set(RANGES)
