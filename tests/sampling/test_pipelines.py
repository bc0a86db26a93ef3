"""utils.sampling.pipelines: equal to transformers' own generate, and to readings of the others."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from utils import sampling as S
from utils.runtime import generator
from utils.sampling import penalties, pipelines, transforms
from utils.sampling.pipelines import Pipeline
from utils.sampling.settings import ENGINES, OFF

pytestmark = pytest.mark.usefixtures("one_thread")
VOCAB = 40


def draw_settings(rng: np.random.Generator, engine: str, share: float = 0.5) -> dict:
    """A random share of the engine's settings, with the rest off."""
    choices = {
        "temperature": rng.uniform(0.3, 2.5),
        "top_k": int(rng.integers(1, VOCAB + 5)),
        "top_p": rng.uniform(0.05, 0.99),
        "min_p": rng.uniform(0.01, 0.4),
        "typical_p": rng.uniform(0.1, 0.95),
        "top_n_sigma": rng.uniform(0.3, 3),
        "repetition_penalty": rng.uniform(0.6, 2),
        "frequency_penalty": rng.uniform(-2, 2),
        "presence_penalty": rng.uniform(-2, 2),
        "no_repeat_ngram": int(rng.integers(1, 4)),
        "ban": [int(i) for i in rng.integers(0, VOCAB, 2)],
        "logit_bias": {int(rng.integers(0, VOCAB)): float(rng.uniform(-3, 3))},
        "dry": rng.uniform(0.1, 2),
        "xtc": 0.5,
    }
    return {name: choices[name] for name in ENGINES[engine].order if rng.random() < share}


@pytest.fixture(scope="module")
def tiny_gpt2():
    generator(0, "global")
    config = GPT2Config(
        vocab_size=VOCAB,
        n_embd=16,
        n_layer=1,
        n_head=2,
        n_positions=32,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config).eval()
    torch.nn.init.normal_(model.transformer.wte.weight, std=1.0)
    return model


def test_transformers_generate_gives_the_same_distribution_on_a_thousand_rows(tiny_gpt2):
    rng = generator(0)
    for _ in range(500):
        settings = draw_settings(rng, "transformers")
        ids = torch.from_numpy(rng.integers(0, VOCAB, (2, 9)))
        theirs = {"top_k": 0, "temperature": 1.0} | settings  # top_k is 50 there if left out
        renamed = {"no_repeat_ngram": "no_repeat_ngram_size"}
        theirs = {renamed.get(k, k): v for k, v in theirs.items() if k not in ("ban", "logit_bias")}
        if "ban" in settings:
            theirs["bad_words_ids"] = [[i] for i in dict.fromkeys(settings["ban"])]
        if "logit_bias" in settings:
            theirs["sequence_bias"] = [[[i], b] for i, b in settings["logit_bias"].items()]
        out = tiny_gpt2.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            **theirs,
            do_sample=True,
            max_new_tokens=1,
            pad_token_id=0,
            eos_token_id=None,
            return_dict_in_generate=True,
            output_scores=True,
            output_logits=True,
        )
        pipeline = Pipeline("transformers", **settings)
        # Half the prompt is passed as output: the line between them does not matter here.
        ours = pipeline(out.logits[0], ids[:, :5], ids[:, 5:])
        torch.testing.assert_close(ours.softmax(-1), out.scores[0].softmax(-1), rtol=0, atol=1e-6)


def read_vllm(z, prompt, output, s):
    """vLLM V1: bad words, bias, penalties, temperature, min_p, top_k, top_p."""
    z = z.copy()
    z[s.get("ban", [])] = -math.inf
    for i, b in s.get("logit_bias", {}).items():
        z[i] += b
    rep, seen, said = s.get("repetition_penalty", 1), set(prompt) | set(output), Counter(output)
    for i in range(len(z)):
        if i in seen:
            z[i] = z[i] / rep if z[i] > 0 else z[i] * rep
        z[i] -= s.get("frequency_penalty", 0) * said[i]
        z[i] -= s.get("presence_penalty", 0) * (said[i] > 0)
    z /= s.get("temperature", 1)
    live = {i: v for i, v in enumerate(z) if v > -math.inf}
    if "min_p" in s:
        live = keep_min_p(live, s["min_p"])
    if "top_k" in s and s["top_k"] < len(live):
        cut = sorted(live.values())[-s["top_k"]]
        live = {i: v for i, v in live.items() if v >= cut}
    if "top_p" in s:
        live = keep_top_p(live, s["top_p"])
    return probabilities(live)


def read_llama(z, prompt, output, s):
    """llama.cpp's default chain, over a shrinking list of candidates."""
    z = z.copy()
    z[s.get("ban", [])] = -math.inf
    for i, b in s.get("logit_bias", {}).items():
        z[i] += b
    window = Counter([*prompt, *output][-64:])
    for i, n in window.items():
        z[i] = (
            z[i] * s.get("repetition_penalty", 1)
            if z[i] <= 0
            else z[i] / s.get("repetition_penalty", 1)
        )
        z[i] -= n * s.get("frequency_penalty", 0) + s.get("presence_penalty", 0)
    if "dry" in s:  # tested by itself
        z = S.dry(torch.from_numpy(z), [*prompt, *output], s["dry"]).numpy()
    live = {i: v for i, v in enumerate(z) if v > -math.inf}
    if "top_n_sigma" in s:
        values = np.array(list(live.values()))
        live = {
            i: v for i, v in live.items() if v >= values.max() - s["top_n_sigma"] * values.std()
        }
    if "top_k" in s:
        live = dict(sorted(live.items(), key=lambda item: -item[1])[: s["top_k"]])
    if "typical_p" in s:
        p = probabilities(live)
        entropy = -sum(p[i] * math.log(p[i]) for i in live)
        order = sorted(live, key=lambda i: abs(-math.log(p[i]) - entropy))
        mass = np.cumsum([p[i] for i in order])
        live = {i: live[i] for i in order[: int((mass < s["typical_p"]).sum()) + 1]}
    if "top_p" in s:
        live = keep_top_p(live, s["top_p"])
    if "min_p" in s:
        live = keep_min_p(live, s["min_p"])
    if "xtc" in s and s["u"] <= s["xtc"]:
        live = keep_xtc(live)
    return probabilities({i: v / s.get("temperature", 1) for i, v in live.items()})


def read_mlx(z, prompt, output, s):
    """mlx-lm: bias, repetition, presence, frequency, top_p, min_p, XTC, top_k, temperature."""
    z = z.copy()
    z[s.get("ban", [])] = -math.inf
    for i, b in s.get("logit_bias", {}).items():
        z[i] += b
    window = Counter([*prompt, *output][-20:])
    for i, n in window.items():
        z[i] = (
            z[i] * s.get("repetition_penalty", 1)
            if z[i] < 0
            else z[i] / s.get("repetition_penalty", 1)
        )
        z[i] -= s.get("presence_penalty", 0) + n * s.get("frequency_penalty", 0)
    live = {i: v for i, v in enumerate(z) if v > -math.inf}
    if "top_p" in s:
        live = keep_top_p(live, s["top_p"])
    if "min_p" in s:
        live = keep_min_p(live, s["min_p"])
    if "xtc" in s and s["u"] <= s["xtc"]:
        live = keep_xtc(live)
    if "top_k" in s:
        live = dict(sorted(live.items(), key=lambda item: -item[1])[: s["top_k"]])
    return probabilities({i: v / s.get("temperature", 1) for i, v in live.items()})


def probabilities(live):
    top = max(live.values())
    weights = {i: math.exp(v - top) for i, v in live.items()}
    return np.array([weights.get(i, 0.0) for i in range(VOCAB)]) / sum(weights.values())


def keep_top_p(live, p):
    order = sorted(live, key=lambda i: -live[i])
    mass = np.cumsum(probabilities(live)[order])
    return {i: live[i] for i in order[: int((mass < p).sum()) + 1]}


def keep_min_p(live, p):
    return {i: v for i, v in live.items() if v >= max(live.values()) + math.log(p)}


def keep_xtc(live, threshold=0.1):
    p = probabilities(live)
    above = [i for i in live if p[i] >= threshold]
    return {i: v for i, v in live.items() if i not in above or p[i] == min(p[above])}


@pytest.mark.parametrize(
    ("engine", "read"), [("vllm", read_vllm), ("llama.cpp", read_llama), ("mlx", read_mlx)]
)
def test_the_other_engines_equal_a_plain_reading_of_their_source(engine, read):
    rng = generator(1)
    for _ in range(1000):
        settings = draw_settings(rng, engine)
        z = rng.normal(size=VOCAB) * rng.uniform(0.5, 4)
        prompt = rng.integers(0, 15, int(rng.integers(0, 70))).tolist()
        output = rng.integers(0, 15, int(rng.integers(0, 30))).tolist()
        u = rng.random()
        ours = Pipeline(engine, **settings)(torch.from_numpy(z), prompt, output, u)
        expected = read(z, prompt, output, settings | {"u": u})
        np.testing.assert_allclose(ours.softmax(-1).numpy(), expected, atol=1e-9)


def test_temperature_zero():
    z = torch.tensor([1.0, 3.0, 2.0, 2.5])
    for engine in ("vllm", "llama.cpp", "mlx"):
        pipeline = Pipeline(engine, temperature=0, top_k=2, min_p=0.5)
        assert pipeline.greedy
        assert (pipeline(z) > -math.inf).tolist() == [False, True, False, False]
    # In llama.cpp XTC runs before the temperature: "greedy" is not the most likely token there.
    settings = {"temperature": 0, "xtc": 1.0, "xtc_threshold": 0.1}
    assert Pipeline("llama.cpp", **settings)(z, u=0.0).argmax() == 2
    assert Pipeline("mlx", **settings)(z, u=0.0).argmax() == 1
    assert Pipeline("vllm", temperature=0.001).temperature == 0.01
    with pytest.raises(ValueError, match="temperature must be above 0 in transformers"):
        Pipeline("transformers", temperature=0)


def test_order_and_scope_change_what_is_kept():
    z = torch.randn(500, generator=generator(0, "torch"))
    kept = {e: int((Pipeline(e, temperature=2.0, top_p=0.8)(z) > -math.inf).sum()) for e in ENGINES}
    assert kept["transformers"] == kept["vllm"] > kept["llama.cpp"] == kept["mlx"]
    for engine, sees_prompt in (("vllm", False), ("llama.cpp", True), ("mlx", True)):
        change = Pipeline(engine, frequency_penalty=1.0)(z, prompt=[3, 3], output=[4]) - z
        assert change[[3, 4]].tolist() == pytest.approx([-2.0 * sees_prompt, -1.0])
    long = [3, *[4] * 30]
    for engine, last_n, sees_first in (
        ("llama.cpp", None, 1),
        ("mlx", None, 0),
        ("mlx", -1, 1),
        ("llama.cpp", 5, 0),
    ):
        change = Pipeline(engine, presence_penalty=1.0, last_n=last_n)(z, long) - z
        assert change[[3, 4]].tolist() == pytest.approx([-1.0 * sees_first, -1.0])
    assert Pipeline("mlx", top_p=0).order == ()  # zero is off there
    assert (Pipeline("vllm", top_p=0)(z) > -math.inf).sum() == 1


def test_report():
    z = torch.randn(2, 3, 50, generator=generator(1, "torch"), dtype=torch.float64)
    pipeline = Pipeline("vllm", temperature=1.5, top_k=20, top_p=0.7)
    steps = pipeline.report(z)
    assert [s.name for s in steps] == ["model", "temperature", "top_k", "top_p"]
    assert torch.equal(steps[-1].logits, pipeline(z))
    probs = z.softmax(-1)
    torch.testing.assert_close(steps[0].entropy, -(probs * probs.log()).sum(-1))
    torch.testing.assert_close(steps[0].perplexity, steps[0].entropy.exp())
    assert (steps[0].removed_mass == 0).all()
    assert (steps[1].removed_mass == 0).all()
    warm = (z / 1.5).softmax(-1)
    torch.testing.assert_close(steps[2].removed_mass, 1 - warm.topk(20).values.sum(-1))
    assert (steps[2].kept_count == 20).all()
    assert (steps[3].removed_mass <= 0.3 + 1e-12).all()
    assert (steps[3].kept_count < 20).all()
    assert [s.name for s in Pipeline().report(z)] == ["model"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: Pipeline("openai"),
            ("engine", "'transformers', 'vllm', 'llama.cpp', 'mlx'", "'openai'"),
        ),
        (lambda: Pipeline(temperature=-1), ("temperature", "-1")),
        (lambda: Pipeline(temperature=math.nan), ("temperature", "nan")),
        (lambda: Pipeline(top_k=-1), ("top_k", "-1")),
        (lambda: Pipeline(top_p=1.1), ("top_p", "1.1")),
        (lambda: Pipeline(min_p=2), ("min_p", "2")),
        (
            lambda: Pipeline(frequency_penalty=0.5),
            ("frequency_penalty must be 0.0: transformers has no", "0.5"),
        ),
        (lambda: Pipeline("vllm", dry=1.0), ("dry must be 0.0: vllm has no such setting",)),
        (lambda: Pipeline("vllm", last_n=5), ("last_n", "vllm has no such setting")),
        (lambda: Pipeline("mlx", last_n=-2), ("last_n", "-2")),
        (lambda: Pipeline("llama.cpp", xtc=0.5)(torch.zeros(3)), ("u must be a uniform draw",)),
        (lambda: Pipeline()(torch.tensor([math.nan, 1.0])), ("logits", "NaN")),
        (lambda: Pipeline()(torch.full((3,), -math.inf)), ("logits", "finite")),
        (lambda: Pipeline(ban=[3])(torch.zeros(3)), ("ban", "[0, 2]", "3")),
        (lambda: Pipeline()(torch.zeros(3), prompt=[7]), ("ids", "[0, 2]", "7")),
    ],
)
def test_bad_input_is_refused_in_one_line(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the words below are the match
        call()
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("engine", "settings", "message"),
    [
        ("vllm", {"ban": [0, 1, 2]}, "ban must leave a token in row 0, got ban = (0, 1, 2)"),
        (
            "transformers",
            {"no_repeat_ngram": 1, "ban": [2], "logit_bias": {0: 1.0}, "top_k": 1},
            "no_repeat_ngram and ban must leave a token in row 1, "
            "got no_repeat_ngram = 1, ban = (2,)",
        ),
        (
            "llama.cpp",
            {"ban": [2], "presence_penalty": 1e300, "top_p": 0.5, "xtc": 1.0, "temperature": 0},
            "ban and presence_penalty must leave a token in row 1, "
            "got ban = (2,), presence_penalty = 1e+300",
        ),
    ],
)
@pytest.mark.parametrize("way", ["__call__", "report"])
def test_the_settings_that_take_a_row_s_last_token_are_named(engine, settings, message, way):
    apply = getattr(Pipeline(engine, **settings), way)
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared below
        apply(torch.zeros(3, 3), [[], [0, 1], [0, 1]], u=0.5)
    assert str(error.value) == message


def test_settings_an_engine_lacks_can_be_left_out():
    everything = draw_settings(generator(3), "llama.cpp")
    assert set(everything) <= set(OFF)
    pipeline = Pipeline("transformers", frequency_penalty=1.0, top_k=3, ignore_unsupported=True)
    assert pipeline.order == ("top_k",)


def test_ties_at_xtc_and_typical_p_are_the_engine_s():
    assert int(Pipeline("mlx", xtc=1.0)(torch.zeros(4), u=0.3).isfinite().sum()) == 4
    assert int(Pipeline("llama.cpp", xtc=1.0)(torch.zeros(4), u=0.3).isfinite().sum()) == 1
    with pytest.raises(ValueError, match=r"xtc_threshold must be a number in \[0, 0.5\], got 0.6"):
        Pipeline("mlx", xtc=1.0, xtc_threshold=0.6)
    assert int(Pipeline("llama.cpp", typical_p=0.55)(torch.zeros(10)).isfinite().sum()) == 6


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


def test_a_pipeline_returns_new_logits_and_no_negative_zero():
    logits = torch.tensor([1.0, 2.0])
    assert Pipeline()(logits) is not logits
    report = Pipeline("vllm", temperature=0)
    assert str(float(report.report(logits)[-1].entropy)) == "0.0"


def test_logits_are_checked_at_the_door_and_at_the_end_only(monkeypatch):
    checked = []
    for module in (pipelines, transforms, penalties):
        monkeypatch.setattr(module, "check_logits", lambda z: checked.append("door") or z)
    monkeypatch.setattr(pipelines, "has_tokens", lambda z: checked.append("end") or True)
    settings = draw_settings(generator(3), "llama.cpp") | {"dry": 1.0, "top_p": 0.9, "ban": [1]}
    Pipeline("llama.cpp", **settings)(torch.zeros(VOCAB), [1, 2], [3], 0.5)
    assert checked == ["door", "end"]


def test_a_step_is_the_transform_of_its_name():
    """What a pipeline calls, without checks, against the functions that check for themselves."""
    z = torch.randn(VOCAB, generator=generator(0, "torch"), dtype=torch.float64)
    past = [3, 4, 5, 3, 4]
    for name, value in draw_settings(generator(2), "llama.cpp", share=1.0).items():
        rule = getattr(S, name)
        if name in ("top_k", "typical_p"):
            expected = rule(z, value, ties="exact")
        elif name == "xtc":
            expected = rule(z, value, threshold=0.1, u=0.3)
        elif name in ("repetition_penalty", "frequency_penalty", "presence_penalty", "dry"):
            expected = rule(z, past, value)
        else:
            expected = rule(z, value)
        got = Pipeline("llama.cpp", **{name: value})(z, past[:2], past[2:], u=0.3)
        assert torch.equal(got, expected), name
