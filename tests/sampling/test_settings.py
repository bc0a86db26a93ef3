"""utils.sampling.settings: the one table that Pipeline, sliders and explorer are made of."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
import torch

from utils import sampling as S
from utils.runtime import repo_root
from utils.sampling import pipelines, settings
from utils.sampling.pipelines import Pipeline
from utils.sampling.settings import (
    DEFAULTS,
    DRAWING,
    ENGINES,
    OFF,
    PAGE_RANGES,
    PENALTIES,
    SETTINGS,
    SLIDERS,
    TRUNCATIONS,
    check,
    page_data,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_table_needs_neither_torch_nor_numpy():
    code = """
import sys
sys.modules["torch"] = sys.modules["numpy"] = None  # importing either now fails
from utils.sampling import ENGINES, SETTINGS
from utils.sampling.settings import page_data
assert list(ENGINES) == list(page_data()["ENGINES"])
assert "top_p" in SETTINGS
"""
    subprocess.run([sys.executable, "-c", code], cwd=repo_root(), check=True)


# ---- Pipeline


def test_a_pipeline_has_the_settings_of_the_table_in_its_order():
    made = {f.name: f.default for f in fields(Pipeline)}
    assert made.pop("engine") == "transformers"
    assert made.pop("ignore_unsupported") is False
    assert list(made.items()) == list(DEFAULTS.items())
    assert [type(x) for x in made.values()] == [type(x) for x in DEFAULTS.values()]


def test_every_step_can_be_applied_and_belongs_to_an_engine():
    assert set(pipelines._APPLY) == set(OFF)
    assert set(OFF) == {name for engine in ENGINES.values() for name in engine.order}
    assert set(OFF) >= {*PENALTIES, *TRUNCATIONS}
    for setting in SETTINGS.values():
        assert setting.kind in ("number", "whole", "ids", "biases")
        assert setting.detail_of == "" or setting.detail_of in OFF


@pytest.mark.parametrize("name", [n for n, s in SETTINGS.items() if s.kind in ("number", "whole")])
def test_the_ends_of_a_range_are_what_a_pipeline_takes(name):
    setting = SETTINGS[name]
    outside = {setting.low: -1, setting.high: 1}
    for end, step in outside.items():
        if math.isinf(end):
            continue
        inside = end - step * (1 if setting.kind == "whole" else 1e-3)
        allowed = [inside] if setting.open_low and end == setting.low else [end, inside]
        refused = [end + step] + ([end] if end not in allowed else [])
        for value in allowed:
            assert check(name, value) == value
            Pipeline("llama.cpp", ignore_unsupported=True, **{name: value})
        for value in refused:
            with pytest.raises(ValueError, match=f"^{setting.argument or name} must be a "):
                Pipeline("llama.cpp", ignore_unsupported=True, **{name: value})
    if setting.default is not None:
        assert check(name, setting.default) == setting.default


def test_a_setting_at_its_default_changes_nothing():
    logits = torch.tensor([3.0, 2.0, 1.0, 0.0])
    for engine in ENGINES:
        assert Pipeline(engine, **OFF).order == ()
        assert torch.equal(Pipeline(engine, **OFF)(logits, [0, 1], [2]), logits)


@pytest.mark.parametrize("array", [np.array([1.0, 2.0]), np.array(["vllm"]), torch.ones(2)])
@pytest.mark.parametrize("name", [f.name for f in fields(Pipeline)])
def test_an_array_as_a_setting_is_refused_by_the_setting_s_name(name, array):
    with pytest.raises(ValueError, match=f"^{name}( id)? must be .*, got ") as error:
        Pipeline(**({"engine": "llama.cpp"} | {name: array}))
    assert "\n" not in str(error.value)


# ---- engines


@pytest.mark.parametrize("engine", ENGINES)
def test_support_is_what_a_pipeline_takes(engine):
    other = {"top_k": 5, "no_repeat_ngram": 2, "ban": [1], "logit_bias": {1: 1.0}, "last_n": 3}
    for name in [*OFF, "last_n"]:
        value = other.get(name, 0.5)
        if ENGINES[engine].has(name):
            Pipeline(engine, **{name: value})
        else:
            with pytest.raises(ValueError, match=f"^{name} must be .*: {engine} has no such"):
                Pipeline(engine, **{name: value})
    assert ENGINES[engine].has("dry_base") == ENGINES[engine].has("dry")
    assert ENGINES[engine].has("xtc_threshold") == ENGINES[engine].has("xtc")


def test_what_a_penalty_sees_is_what_changes():
    logits = torch.zeros(4) + 1.0
    for key, engine in ENGINES.items():
        for penalty in PENALTIES:
            if engine.has(penalty):
                changed = Pipeline(key, **{penalty: 1.5})(logits, prompt=[0], output=[1]) != logits
                assert changed.tolist() == [engine.sees_prompt(penalty), True, False, False]


def test_the_notes_of_the_explorer_say_what_the_table_says():
    for engine in ENGINES.values():
        if engine.last_n is not None:
            assert f"the last {engine.last_n} tokens" in engine.note
            assert ("Temperature comes last." in engine.note) == (engine.order[-1] == "temperature")
        else:
            assert "last" not in engine.note
    assert ENGINES["vllm"].output_only == {"frequency_penalty", "presence_penalty"}
    assert "the other two the output alone" in ENGINES["vllm"].note
    assert "no frequency or presence penalty" in ENGINES["transformers"].note
    assert not set(PENALTIES[1:]) & set(ENGINES["transformers"].order)


# ---- sliders and the page


def test_a_slider_stays_in_the_range_and_holds_the_default():
    for name, (default, low, high, step) in SLIDERS.items():
        setting = (SETTINGS | DRAWING)[name]
        assert setting.low <= low <= default <= high <= setting.high
        n_steps = (default - low) / step
        assert math.isclose(n_steps, round(n_steps), abs_tol=1e-9)
        assert isinstance(default, int) == (setting.kind == "whole")


def test_the_stops_of_the_explorer_ascend_in_its_range_and_hold_the_default():
    for name, setting in SETTINGS.items():
        assert bool(setting.stops) == bool(setting.label) == (setting.page_range is not None)
        if setting.stops:
            low, high = PAGE_RANGES[name]
            assert list(setting.stops) == sorted(set(setting.stops))
            assert low == setting.stops[0]
            assert setting.stops[-1] <= high
            assert setting.default in setting.stops
            assert all(len(f"{stop:g}") <= 5 for stop in setting.stops)  # round numbers


def test_the_page_gets_plain_data():
    data = page_data()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    sliders = list(data["OFF"])
    assert sliders == [name for name, setting in SETTINGS.items() if setting.label]
    for key in ("STOPS", "NAMES"):
        assert list(data[key]) == sliders
    assert list(data["RANGES"]) == [*sliders, *DRAWING]
    assert data["WHOLE"] == ["top_k", "seed", "draws"]
    assert list(data["USUAL"]) == ["engine", *sliders, "seed", "draws"]
    for name, engine in data["ENGINES"].items():
        assert Pipeline(name, ignore_unsupported=True).engine == name
        assert set(engine["order"]) <= set(sliders)
        assert engine["window"] == ENGINES[name].last_n
        assert data["NOTES"][name]


def test_a_changed_table_is_a_changed_page(monkeypatch):
    changed = settings.Setting(kind="number", default=0.5, label="X", stops=(0.5,))
    monkeypatch.setitem(settings.SETTINGS, "top_p", changed)
    assert page_data()["OFF"]["top_p"] == 0.5


def test_the_door_offers_every_rule():
    for name in OFF:
        assert getattr(S, name).__name__ == name
