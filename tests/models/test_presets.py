"""utils.models.presets: every preset has the parameters that were published."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from utils.models import budget
from utils.models.presets import PRESETS
from utils.runtime import repo_root


@pytest.mark.parametrize("name", [n for n, p in PRESETS.items() if p["published"] and n != "gpt3"])
def test_python_equals_published(name) -> None:
    assert budget.count_parameters(PRESETS[name]["shape"]) == PRESETS[name]["published"]


def test_gpt3_is_within_one_percent() -> None:
    gpt3 = PRESETS["gpt3"]
    n = budget.count_parameters(gpt3["shape"])
    assert n == pytest.approx(175e9, rel=0.01)
    # Brown et al. 2020, table D.1: 3.14e23 operations for 300 billion tokens, by 6ND.
    assert budget.nominal_flops_per_token(gpt3["shape"])["weights"] * gpt3[
        "tokens"
    ] == pytest.approx(3.14e23, rel=0.005)


# Our names for what transformers' LlamaConfig calls …
LLAMA_NAMES = {
    "n_layer": "num_hidden_layers",
    "d_model": "hidden_size",
    "n_head": "num_attention_heads",
    "n_kv_head": "num_key_value_heads",
    "d_ff": "intermediate_size",
    "vocab_size": "vocab_size",
    "context_length": "max_position_embeddings",
    "tie_embeddings": "tie_word_embeddings",
}


def test_course_preset_is_the_course_model() -> None:
    config = repo_root() / "records" / "course_gpt" / "config.json"
    if not config.exists():
        pytest.skip("records/course_gpt is not there")
    stored = json.loads(config.read_text())
    shape = PRESETS["course"]["shape"]
    assert {ours: stored[theirs] for ours, theirs in LLAMA_NAMES.items()} == {
        ours: getattr(shape, ours) for ours in LLAMA_NAMES
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_head": 5}, "n_head must be a divisor of d_model = 768, got 5"),
        ({"n_kv_head": 5}, "n_kv_head must be a divisor of n_head = 12, got 5"),
        ({"n_layer": 0}, "n_layer must be a whole number of at least 1, got 0"),
        ({"style": "bert"}, "style must be one of 'gpt2', 'llama', got 'bert'"),
    ],
)
def test_shape_refuses_in_one_line(change, message) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        dataclasses.replace(PRESETS["gpt2"]["shape"], **change)
