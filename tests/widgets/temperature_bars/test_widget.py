"""The title page's bars without a browser: JavaScript = NumPy, record, class."""

from __future__ import annotations

import re

import numpy as np
import pytest

from experiments.sampling.title_data import DECIMALS, PROMPT, RECORD, SHOWN, title_data
from tests.node import node
from utils import records
from utils.models.course import load
from utils.widgets.temperature_bars.settings import TEMPERATURES
from utils.widgets.temperature_bars.widget import TemperatureBars

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def title() -> dict:
    return records.load(RECORD).data


def softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    powers = np.exp((logits - logits.max()) / temperature)
    return powers / powers.sum()


def case(logits: np.ndarray, ids: list[int], temperature: float) -> dict:
    """A distribution, and what NumPy makes of it."""
    p = softmax(logits, temperature)
    others = np.delete(p, ids).sum()
    return {
        "logits": logits.tolist(),
        "ids": ids,
        "temperature": temperature,
        "tokens": p[ids].tolist(),
        "others": float(others),
    }


def test_javascript_equals_numpy(title, tmp_path) -> None:
    recorded = np.array(title["logits"])
    ids = [token["id"] for token in title["likeliest"]]
    cases = [case(recorded, ids, temperature) for temperature in TEMPERATURES]
    rng = np.random.default_rng(0)
    for temperature in rng.uniform(0.1, 2, 20):
        logits = rng.normal(scale=8, size=500)
        ids = rng.choice(500, size=8, replace=False).tolist()
        cases.append(case(logits, ids, float(temperature)))
    fixture = {"temperatures": TEMPERATURES, "cases": cases}
    node("temperature_bars/temperature_bars.test.mjs", fixture, tmp_path)


# ---- what is recorded


def test_the_record_is_of_the_present_model(title) -> None:
    fresh = title_data(*load())
    assert title["prompt"] == PROMPT
    assert title["likeliest"] == fresh["likeliest"]
    apart = np.abs(np.array(title["logits"]) - np.array(fresh["logits"])).max()
    # A step of the rounding, and what float32 differs by between machines.
    assert apart < 10**-DECIMALS + 1e-3, "run python -m experiments.sampling.title_data again"


def test_the_likeliest_are_the_likeliest_at_every_temperature(title) -> None:
    order = np.argsort(title["logits"])[::-1].tolist()
    assert [token["id"] for token in title["likeliest"]] == order[:SHOWN]
    texts = [token["text"].strip() for token in title["likeliest"]]
    assert len(set(texts)) == SHOWN
    assert all(text.isalpha() for text in texts), "a bar is labelled by a word"


def test_the_model_is_neither_sure_nor_lost(title) -> None:
    first, *_ = np.sort(softmax(np.array(title["logits"]), 1))[::-1]
    assert 0.2 < first < 0.4


# ---- the class


def test_its_output_on_a_page_holds_the_setting_and_names_the_record() -> None:
    html = TemperatureBars(temperature=0.5).static_html()
    assert '{"temperature": 0.5}' in html
    assert 'data-afm-record="sampling/title.json"' in html


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 3.0}, "temperature must be a number in [0.1, 2], got 3.0"),
        ({"temperature": "hot"}, "temperature must be a number in [0.1, 2], got 'hot'"),
        ({"top_k": 1}, "setting must be one of temperature, got 'top_k'"),
    ],
)
def test_the_class_refuses_in_one_line(settings, message) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        TemperatureBars(**settings)
