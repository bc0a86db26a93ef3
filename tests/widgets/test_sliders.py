"""utils.widgets.sliders: a slider changes what is shown, and a static page shows its start."""

from __future__ import annotations

import ipywidgets
import pytest
import torch

from utils.sampling.pipelines import Pipeline
from utils.widgets.sliders import Panel, bars, coloured, shown, top_tokens


class Letters:
    """A tokenizer of one-letter tokens."""

    def decode(self, ids):
        return "".join("abc <\n"[i] for i in ids)


def test_moving_a_slider_draws_again_and_reset_draws_once():
    calls = []

    def draw(temperature, engine):
        calls.append((temperature, engine))
        return f"T = {Pipeline(engine, temperature=temperature).temperature}"

    engine = ipywidgets.Dropdown(options=["vllm", "transformers"], description="engine")
    panel = Panel(draw, "temperature", engine=engine)
    assert panel.output.value == "T = 1.0"
    panel.controls["temperature"].value = 0.5
    assert panel.output.value == "T = 0.5"
    panel.controls["temperature"].value = 0.0
    engine.value = "transformers"
    assert "Refused:" in panel.output.value  # shown, not raised
    before = len(calls)
    panel.reset()
    assert len(calls) == before + 1
    assert panel.values() == {"temperature": 1.0, "engine": "vllm"}
    assert panel.output.value == "T = 1.0"


def test_a_page_without_a_kernel_shows_the_first_position():
    panel = Panel(lambda top_k: f"<b>{top_k}</b>", "top_k")
    data, _ = panel._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "top_k = 0" in data["text/html"]
    assert "<b>0</b>" in data["text/html"]


def test_bars_strike_out_what_was_removed():
    text = bars(["a", " <"], [1.0, 0.0], [0.6, 0.4])
    assert "<s>␣&lt;</s>" in text
    assert "100.0%" in text
    assert shown("") == "∅"
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, -2.0, -3.0])
    table = top_tokens(Letters(), logits, Pipeline(top_k=2)(logits), rows=3)
    assert table.count("<tr>") == 3
    assert table.count("<s>") == 1


def test_coloured_text_is_escaped():
    text = coloured(Letters(), [0, 4, 5], [-0.1, -20.0, -3.0])
    assert "&lt;" in text
    assert "↵<br>" in text
    assert "rgba(213,94,0,0.75)" in text  # no darker than that


def test_names_are_checked():
    with pytest.raises(ValueError, match="name must be one of"):
        Panel(lambda: "", "warmth")
