"""utils.widgets.sliders: a slider changes what is shown, and a page without a kernel shows the first position."""

from __future__ import annotations

import ipywidgets
import pytest
import torch

from utils.models.course import choose_model
from utils.sampling.passages import held_out_ids, listed_word_rate
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


def test_stored_text():
    class Characters:
        def encode(self, text):
            return list(map(ord, text))

    assert held_out_ids(Characters(), 300).shape == (40, 300)
    with pytest.raises(ValueError, match="length must be at most"):
        held_out_ids(Characters(), 10_000)
    assert listed_word_rate("cut the old man qqxz said cut") == 0.8
    assert listed_word_rate("one two") != listed_word_rate("one two")  # NaN


def test_a_model_that_cannot_be_fetched_is_replaced_and_named(monkeypatch, capsys):
    def fail(address):
        raise OSError(f"We couldn't connect to the hub for {address}\nsecond line")

    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", fail)
    monkeypatch.setattr("utils.models.course.load", lambda name: (name, "tokenizer"))
    assert choose_model("gpt2") == ("course_gpt", "tokenizer")
    message = capsys.readouterr().out
    assert "openai-community/gpt2 could not be fetched" in message
    assert "second line" not in message
    assert choose_model() == ("course_gpt", "tokenizer")
    assert capsys.readouterr().out == ""


def test_names_are_checked():
    with pytest.raises(ValueError, match="name must be one of"):
        choose_model("gpt5")
    with pytest.raises(ValueError, match="name must be one of"):
        Panel(lambda: "", "warmth")
