"""The widgets without a browser: Python = JavaScript = published, and what a notebook stores."""

from __future__ import annotations

import dataclasses
import json
import random
import re
import subprocess
import sys
from pathlib import Path

import course_widgets
import pytest

from tests.node import node
from utils.models import budget
from utils.models.budget import PRESETS, Shape
from utils.widgets.shared.bundle import bundle

ROOT = Path(__file__).parents[2]

MODULES = sorted((ROOT / "utils" / "widgets").glob("*/widget.mjs"))


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
    config = ROOT / "records" / "course_gpt" / "config.json"
    if not config.exists():
        pytest.skip("records/course_gpt is not there")
    stored = json.loads(config.read_text())
    shape = PRESETS["course"]["shape"]
    assert {ours: stored[theirs] for ours, theirs in LLAMA_NAMES.items()} == {
        ours: getattr(shape, ours) for ours in LLAMA_NAMES
    }


@pytest.mark.parametrize("seed", range(12))
def test_count_equals_the_model_that_is_built(seed) -> None:
    torch = pytest.importorskip("torch")
    from utils.models.gpt import GPT, GPTConfig

    rng = random.Random(seed)
    n_head = rng.choice([1, 2, 4, 6])
    config = GPTConfig(
        style=rng.choice(["gpt2", "llama"]),
        vocab_size=rng.randint(2, 999),
        context_length=rng.randint(1, 99),
        n_layer=rng.randint(1, 3),
        n_head=n_head,
        d_model=n_head * 2 * rng.randint(1, 9),
        n_kv_head=rng.choice([1, n_head]),
        d_ff=rng.randint(1, 99),
        tie_embeddings=rng.random() < 0.5,
    )
    with torch.device("meta"):
        model = GPT(config)
    assert budget.count_parameters(config) == model.num_parameters()


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


def test_training_days_refuses_an_impossible_share() -> None:
    with pytest.raises(ValueError, match=r"utilisation must be a number in \(0, 1\], got 0"):
        budget.training_days(1e18, "H100", utilisation=0)


# ---- the modules as files


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
def test_module_stands_alone(path) -> None:
    text = bundle(path).replace("http://www.w3.org/2000/svg", "")  # a name, which nothing fetches
    assert not re.search(r"^\s*import\s|\bimport\(|https?://|</script", text, re.MULTILINE)
    assert "export default { render }" in text
    assert "export const linkable" in text
    # a module touches what it is given, and nothing else on the page
    assert not re.search(
        r"document\.(?!createElement|createTextNode)|\blocation\b|localStorage|fetch\(", text
    )


# ---- what a notebook stores


def test_stored_output_is_the_directives_element() -> None:
    from utils.widgets.parameter_budget.widget import ParameterBudget

    widget = ParameterBudget("llama3-8b", context_length=32768, tie_embeddings=False)
    data, _ = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    state = {"context_length": 32768, "preset": "llama3-8b", "tie_embeddings": False}
    assert data["text/html"] == course_widgets.mount_html("parameter_budget", state, widget.label)
    assert widget.shape() == dataclasses.replace(
        PRESETS["llama3-8b"]["shape"], context_length=32768
    )


def test_ipywidgets_7_keeps_its_own_output(monkeypatch) -> None:
    import ipywidgets

    from utils.widgets.parameter_budget.widget import ParameterBudget

    monkeypatch.setattr(ipywidgets, "__version__", "7.7.1")
    data, _ = ParameterBudget()._repr_mimebundle_()
    assert "text/html" not in data


def test_widget_refuses_an_unknown_preset() -> None:
    from utils.widgets.parameter_budget.widget import ParameterBudget

    with pytest.raises(ValueError, match="preset must be one of 'course', 'gpt2'"):
        ParameterBudget("gpt5")


def test_importing_a_widget_does_not_import_torch() -> None:
    code = "import sys, utils.widgets.parameter_budget; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


# ---- what the page gets


def test_assets_only_where_a_widget_is() -> None:
    assert course_widgets.assets("<p>prose</p>", ROOT, {}) == ""
    body = course_widgets.mount_html("parameter_budget", {}, "x") * 2
    markup = course_widgets.assets(body, ROOT, {})
    assert markup.count('<script type="text/plain" data-afm-module="parameter_budget">') == 1


def test_record_is_inlined_and_stays_under_records(tmp_path) -> None:
    for folder in ("utils/widgets/shared", "utils/widgets/demo", "records/x"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "utils/widgets/shared/widgets.css").write_text("")
    (tmp_path / "utils/widgets/demo/widget.mjs").write_text("export default { render }")
    (tmp_path / "records/x/r.json").write_text('{"a": [1, 2]}')
    body = course_widgets.mount_html("demo", {}, "x", record="x/r.json")
    inlined = 'data-afm-record-file="x/r.json">{"a":[1,2]}</script>'
    assert inlined in course_widgets.assets(body, tmp_path, {})
    (tmp_path / "records/x/r.json").write_text(
        '{"provenance": {"date": ""}, "data": {"a": [1, 2]}}'
    )
    assert inlined in course_widgets.assets(body, tmp_path, {})
    for record, message in (
        ("x/none.json", "no such file"),
        ("../setup.json", "not under records/"),
    ):
        body = course_widgets.mount_html("demo", {}, "x", record=record)
        with pytest.raises(course_widgets.WidgetError, match=message):
            course_widgets.assets(body, tmp_path, {})


def test_state_cannot_end_its_script() -> None:
    html = course_widgets.mount_html("demo", {"a": "</script><b>"}, 'quote " and <')
    assert html.count("</script>") == 1
    assert "<b>" not in html
    assert 'aria-label="quote &quot; and &lt;"' in html
