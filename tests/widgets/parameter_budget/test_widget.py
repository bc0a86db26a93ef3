"""The parameter-budget explorer without a browser: JavaScript = Python, and the class."""

from __future__ import annotations

import dataclasses
import random

import course_widgets
import pytest

from tests.node import node
from utils.models import budget
from utils.models.presets import PRESETS, Shape
from utils.widgets.parameter_budget.widget import ParameterBudget


def random_case(rng: random.Random) -> dict:
    n_head = rng.choice([1, 2, 3, 4, 6, 8, 12, 16, 25, 32, 64, 96])
    n_kv_head = rng.choice([h for h in range(1, n_head + 1) if n_head % h == 0])
    shape = Shape(
        style=rng.choice(["gpt2", "llama"]),
        n_layer=rng.randint(1, 128),
        d_model=n_head * 2 * rng.randint(1, 96),
        n_head=n_head,
        n_kv_head=n_kv_head,
        d_ff=rng.randint(1, 65536),
        vocab_size=rng.randint(2, 262144),
        context_length=rng.randint(1, 131072),
        tie_embeddings=rng.random() < 0.5,
    )
    use = {
        "precision": rng.choice(list(budget.PRECISIONS)),
        "batch_size": rng.randint(1, 1024),
        "tokens": round(10 ** rng.uniform(6, 14)),
        "gpu": rng.choice(list(budget.GPUS)),
        "n_gpu": rng.randint(1, 32768),
        "utilisation": rng.uniform(0.05, 0.7),
    }
    flops = budget.training_flops(shape, use["tokens"])
    days = {key: use[key] for key in ("n_gpu", "utilisation", "precision")}
    return {
        "shape": dataclasses.asdict(shape),
        **use,
        "counts": budget.parameter_counts(shape),
        "memory": budget.memory_bytes(shape, use["precision"], use["batch_size"]),
        "flops_per_token": budget.nominal_flops_per_token(shape),
        "training_flops": flops,
        "training_days": budget.training_days(flops, use["gpu"], **days),
    }


def test_javascript_equals_python(tmp_path) -> None:
    rng = random.Random(0)
    presets = [
        {
            "name": name,
            "label": p["label"],
            "shape": dataclasses.asdict(p["shape"]),
            "published": p["published"],
            "tokens": p["tokens"],
            "count": budget.count_parameters(p["shape"]),
        }
        for name, p in PRESETS.items()
    ]
    fixture = {
        "parts": budget.PARTS,
        "precisions": budget.PRECISIONS,
        "gpus": budget.GPUS,
        "presets": presets,
        "cases": [random_case(rng) for _ in range(400)],
    }
    node("parameter_budget/parameter_budget.test.mjs", fixture, tmp_path)


def test_stored_output_is_the_directives_element() -> None:
    widget = ParameterBudget("llama3-8b", context_length=32768, tie_embeddings=False)
    data, _ = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    state = {"context_length": 32768, "preset": "llama3-8b", "tie_embeddings": False}
    assert data["text/html"] == course_widgets.mount_html("parameter_budget", state, widget.label)
    assert widget.shape() == dataclasses.replace(
        PRESETS["llama3-8b"]["shape"], context_length=32768
    )


def test_widget_refuses_an_unknown_preset() -> None:
    with pytest.raises(ValueError, match="preset must be one of 'course', 'gpt2'"):
        ParameterBudget("gpt5")
