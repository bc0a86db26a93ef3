"""Edges of the decoding settings: ties by engine, tiny temperatures, extreme penalties, wrong types."""

from __future__ import annotations

import math

import pytest
import torch

from utils.sampling import transforms as sampling
from utils.sampling.pipelines import Pipeline

pytestmark = pytest.mark.usefixtures("one_thread")


def mlx_xtc(logits, threshold):
    """mlx-lm's `apply_xtc` when it fires, written out for one row."""
    probs = logits.softmax(-1)
    above = probs[probs > threshold]
    return logits if len(above) == 0 else logits.masked_fill(probs > above.min(), -math.inf)


def test_xtc_of_mlx_keeps_ties_and_asks_for_more_than_the_threshold():
    generator = torch.Generator().manual_seed(0)
    for case in range(200):
        logits = (
            torch.randint(0, 4, (8,), generator=generator).double()
            if case % 2
            else torch.randn(8).double()
        )
        for threshold in (0.0, 0.05, 0.125, 0.3):
            ours = sampling.xtc(logits, 1.0, threshold, 0.0, ties="keep")
            assert torch.equal(ours, mlx_xtc(logits, threshold))
    assert int(Pipeline("mlx", xtc=1.0)(torch.zeros(4), u=0.3).isfinite().sum()) == 4
    assert int(Pipeline("llama.cpp", xtc=1.0)(torch.zeros(4), u=0.3).isfinite().sum()) == 1
    with pytest.raises(ValueError, match=r"xtc_threshold must be a number in \[0, 0.5\], got 0.6"):
        Pipeline("mlx", xtc=1.0, xtc_threshold=0.6)


def test_typical_p_of_llama_cpp_stops_at_a_count():
    """llama.cpp keeps a prefix, up to the first whose sum exceeds p; transformers keeps tied tokens too."""
    assert int(sampling.typical_p(torch.zeros(10), 0.55, "exact").isfinite().sum()) == 6
    assert int(sampling.typical_p(torch.zeros(10), 0.55).isfinite().sum()) == 10
    assert int(Pipeline("llama.cpp", typical_p=0.55)(torch.zeros(10)).isfinite().sum()) == 6
    logits = torch.randn(5, 50, generator=torch.Generator().manual_seed(0)).double()
    apart = sampling.typical_p(logits, 0.6, "exact") == sampling.typical_p(logits, 0.6)
    assert bool(apart.all())  # without ties the two rules agree


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("t", [1e-5, 1e-40, 1e-320])
def test_a_tiny_temperature_is_nearly_greedy(dtype, t):
    logits = torch.tensor([[3.0, 5.0, -2.0, 5.0], [-7.0, -9.0, -8.0, -30.0]], dtype=dtype)
    probs = sampling.temperature(logits, t).softmax(-1)
    assert probs.tolist() == [[0, 0.5, 0, 0.5], [1, 0, 0, 0]]


def test_an_extreme_penalty_leaves_other_tokens_alone_or_is_refused():
    logits = torch.tensor([1.0, 2.0, 3.0])
    for rule in (sampling.frequency_penalty, sampling.presence_penalty):
        assert rule(logits, [0], 1e300).tolist() == [-math.inf, 2.0, 3.0]
        with pytest.raises(ValueError, match="_penalty must be of a size"):
            rule(logits, [0], -1e300)
    with pytest.raises(ValueError, match="repetition_penalty must be of a size"):
        sampling.repetition_penalty(logits, [0], 1e-40)
    with pytest.raises(ValueError, match="logit_bias must be of a size"):
        sampling.logit_bias(logits, {0: 1e39})


@pytest.mark.parametrize("ids", [5, None, "abc", {0: 1}, [[0], ["a"]], [10**30], [True], [0.5]])
def test_a_history_of_the_wrong_type_is_refused_by_name(ids):
    with pytest.raises(ValueError, match="^ids must be "):
        sampling.frequency_penalty(torch.zeros(3), ids, 1.0)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"top_k": None}, "top_k"),
        ({"top_k": False}, "top_k"),
        ({"top_p": ()}, "top_p"),
        ({"top_p": True}, "top_p"),
        ({"min_p": {}}, "min_p"),
        ({"ban": 0}, "ban"),
        ({"logit_bias": [1]}, "logit_bias"),
        ({"dry_base": math.nan}, "dry_base"),
        ({"dry_last_n": "a"}, "dry_last_n"),
        ({"dry_breakers": "x"}, "dry_breakers"),
        ({"xtc_threshold": 2.0}, "xtc_threshold"),
    ],
)
def test_a_setting_of_the_wrong_type_is_refused_by_name(settings, name):
    with pytest.raises(ValueError, match=f"^{name} must be [^\n]*$"):
        Pipeline("llama.cpp", **settings)


def test_dry_lets_gradients_through():
    logits = torch.zeros(4, requires_grad=True)
    sampling.dry(logits, [0, 1, 2, 0, 1], 1.0).sum().backward()
    assert logits.grad.tolist() == [1, 1, 1, 1]


def test_a_pipeline_returns_new_logits_and_no_negative_zero():
    logits = torch.tensor([1.0, 2.0])
    assert Pipeline()(logits) is not logits
    report = Pipeline("vllm", temperature=0)
    assert str(float(report.report(logits)[-1].entropy)) == "0.0"
    assert sampling.dry(torch.zeros(4), [0, 1, 0, 1, 0, 1], 1e300).softmax(-1)[0] == 0
