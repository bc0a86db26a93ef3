"""utils.sampling.generation: replayable, the same with a cache or a batch and without, stopped."""

from __future__ import annotations

import math
import re
import types
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from tests.sampling.scripted import written
from utils.models.gpt import GPT, GPTConfig
from utils.runtime import generator
from utils.sampling.generation import cache_argument, generate, stream
from utils.sampling.pipelines import Pipeline

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module", params=["gpt2", "llama", "transformers"])
def model(request, tokenizer) -> nn.Module:
    generator(0, "global")
    vocab = tokenizer.get_vocab_size()
    if request.param == "transformers":
        config = GPT2Config(
            vocab_size=vocab,
            n_embd=32,
            n_layer=2,
            n_head=2,
            n_positions=48,
            bos_token_id=0,
            eos_token_id=0,
        )
        net = GPT2LMHeadModel(config).eval()
    else:
        net = GPT(
            GPTConfig(request.param, vocab, context_length=48, n_layer=2, n_head=2, d_model=32)
        )
    for p in net.parameters():
        if p.dim() == 2:
            nn.init.normal_(p, std=0.3)
    return net


def test_cache_batch_seed_and_stream_agree(model, tokenizer):
    prompts = ["the cat", "they said the end", [5, 6, 7], "the mat"]
    pipeline = Pipeline("vllm", temperature=1.3, top_p=0.9, frequency_penalty=0.3)
    options = {"tokenizer": tokenizer, "max_tokens": 25, "seed": 7}
    batch = generate(model, prompts, pipeline, **options)
    assert [g.ids for g in generate(model, prompts, pipeline, **options)] == [g.ids for g in batch]
    assert [g.ids for g in generate(model, prompts, pipeline, cache=False, **options)] == [
        g.ids for g in batch
    ]
    assert [g.ids for g in generate(model, prompts, pipeline, **options | {"seed": 8})] != [
        g.ids for g in batch
    ]
    first = generate(model, prompts[0], pipeline, **options)[
        0
    ]  # alone: the same draws, the same text
    assert first.ids == batch[0].ids
    shorter = generate(model, prompts, pipeline, **options | {"max_tokens": 10})
    assert [g.ids for g in shorter] == [g.ids[:10] for g in batch]
    pieces = list(stream(model, prompts[0], pipeline, **options))
    assert "".join(p.text for p in pieces) == batch[0].text
    assert [p.token for p in pieces if p.token >= 0] == batch[0].ids
    assert all(g.finish_reason == "length" for g in batch)
    assert batch[1].text == tokenizer.decode(batch[1].ids)


def test_log_probabilities_are_the_model_s(model):
    g = generate(model, [[1, 2, 3]], Pipeline("vllm", temperature=0.7, top_k=5), max_tokens=12)[0]
    with torch.no_grad():
        out = model(torch.tensor([g.prompt_ids + g.ids]))
    logits = (out if isinstance(out, torch.Tensor) else out.logits)[0, 2:-1].double()
    at = torch.tensor(g.ids)[:, None]
    expected = logits.log_softmax(-1).gather(-1, at)[:, 0]
    np.testing.assert_allclose(g.logprobs, expected, atol=1e-4)
    top = logits.topk(5).values / 0.7
    drawn = logits.gather(-1, at)[:, 0] / 0.7 - top.logsumexp(-1)
    np.testing.assert_allclose(g.drawn_logprobs, drawn, atol=1e-4)
    assert g.perplexity == pytest.approx(math.exp(-np.mean(g.logprobs)))


def test_greedy_equals_transformers_generate(tokenizer):
    generator(1, "global")
    config = GPT2Config(
        vocab_size=320,
        n_embd=32,
        n_layer=2,
        n_head=2,
        n_positions=48,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config).eval()
    ids = torch.tensor([[3, 1, 4, 1, 5]])
    theirs = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=20,
        pad_token_id=0,
        eos_token_id=None,
    )
    ours = generate(model, ids, Pipeline("vllm", temperature=0), max_tokens=20)[0]
    assert ours.ids == theirs[0, 5:].tolist()
    assert sum(ours.drawn_logprobs) == 0


def test_training_mode_comes_back(model):
    model.train()
    generate(model, [[1, 2]], max_tokens=2)
    assert model.training
    pieces = stream(model, [1, 2], max_tokens=5)
    next(pieces)
    pieces.close()  # abandoned half-way
    assert model.training
    model.eval()


def test_min_and_max_tokens(tokenizer):
    text = "the cat and the mat and the end"
    full = tokenizer.encode(text).ids
    g, _ = written(tokenizer, text, [" and"], min_tokens=0)
    assert g.text == "the cat"
    after = len(tokenizer.encode("the cat and").ids)
    g, _ = written(tokenizer, text, [" and"], min_tokens=after)
    assert g.text == "the cat and the mat"
    g, _ = written(tokenizer, text, [" and"], min_tokens=len(full))
    assert (g.text, g.finish_reason) == (text, "length")
    g, _ = written(tokenizer, text, [], max_tokens=3)
    assert (len(g.ids), g.finish_reason) == (3, "length")


def test_end_token(model, tokenizer):
    likely = generate(model, [[1, 2, 3]], Pipeline("vllm", temperature=0), max_tokens=1)[0].ids[0]
    options = {"eos": likely, "max_tokens": 6, "tokenizer": tokenizer}
    g = generate(model, [[1, 2, 3]], Pipeline("vllm", temperature=0), **options)[0]
    assert (g.ids, g.finish_reason, g.text) == ([likely], "eos", "")
    g = generate(model, [[1, 2, 3]], Pipeline("vllm", temperature=0), min_tokens=6, **options)[0]
    assert likely not in g.ids
    assert g.finish_reason == "length"


def test_the_context_ends_the_text(model):
    g = generate(model, [[1] * 40], max_tokens=100)[0]
    assert g.finish_reason == "context"
    assert len(g.ids) == 48 - 40 + 1  # the last token is drawn from a full context
    assert len(generate(model, [[1] * 48], max_tokens=100)[0].ids) == 1


def test_a_finished_row_does_not_disturb_the_others(model, tokenizer):
    prompts = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    free = generate(model, prompts, max_tokens=15, tokenizer=tokenizer, seed=2)
    stop = free[1].text[2:4]
    cut = generate(model, prompts, max_tokens=15, tokenizer=tokenizer, seed=2, stop=stop)
    for a, b in zip(free, cut, strict=True):
        assert b.text == (a.text.split(stop)[0] if stop in a.text else a.text)
        assert b.ids == a.ids[: len(b.ids)]


def test_xtc_draws_are_apart_from_the_tokens_draws(model):
    same = generate(model, [[1, 2, 3]], Pipeline("llama.cpp"), max_tokens=10)[0]
    off = generate(
        model, [[1, 2, 3]], Pipeline("llama.cpp", xtc=1e-9, xtc_threshold=0.3), max_tokens=10
    )[0]
    assert off.ids == same.ids


@pytest.mark.parametrize(
    ("prompts", "options", "words"),
    [
        ([[]], {}, ("prompts[0]", "at least one token")),
        ("", {}, ("prompts[0]", "at least one token")),
        ([], {}, ("prompts", "at least one prompt")),
        ([[1] * 49], {}, ("prompts[0]", "at most 48 tokens", "49")),
        ([[1], [320]], {}, ("prompts[1] id", "[0, 319]", "320")),
        ([[-1]], {}, ("prompts[0] id", "-1")),
        ([[0.5]], {}, ("prompts[0] id", "0.5")),
        ("the", {"tokenizer": None}, ("tokenizer", "prompt is text")),
        ("the \ud800", {}, ("prompts[0]", "half a character", "'the \\ud800'")),
        ([[1]], {"stop": "\ud800"}, ("stop", "half a character")),
        ([[1]], {"stop": "a\ufffd"}, ("stop", "U+FFFD", "half a character")),
        (
            [[1], [1, 2], [3]],
            {"pipeline": Pipeline("vllm", ban=range(1, 320)), "eos": 0, "min_tokens": 1},
            ("min_tokens and eos and ban must leave a token after prompts[0]", "min_tokens = 1"),
        ),
        (
            [[1], [1, 2], [3]],
            {"eos": list(range(320)), "min_tokens": 1},
            ("min_tokens and eos must leave a token after prompts[0]", "eos = [0, 1, 2"),
        ),
        (
            [[1], [1, 2], [2], [3, 0]],
            {"pipeline": Pipeline(ban=[0, *range(2, 320)], no_repeat_ngram=2), "max_tokens": 9},
            ("no_repeat_ngram and ban must leave a token after prompts[0], got",),
        ),
        ([[1]], {"stop": ""}, ("stop", "non-empty strings", "''")),
        ([[1]], {"stop": ["a", ""]}, ("stop", "non-empty strings")),
        ([[1]], {"stop": "a", "tokenizer": None}, ("tokenizer", "stop strings")),
        ([[1]], {"max_tokens": 0}, ("max_tokens", "0")),
        ([[1]], {"max_tokens": 3, "min_tokens": 4}, ("min_tokens", "[0, 3]", "4")),
        ([[1]], {"seed": -1}, ("seed", "-1")),
        ([[1]], {"eos": 320}, ("eos", "[0, 319]", "320")),
        ([[1]], {"pipeline": "greedy"}, ("pipeline", "'greedy'")),
    ],
)
def test_bad_input_is_refused_in_one_line(tokenizer, prompts, options, words):
    model = GPT(GPTConfig("llama", 320, context_length=48, n_layer=1, n_head=1, d_model=8))
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the words below are the match
        generate(model, prompts, **{"tokenizer": tokenizer} | options)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"prompts": 5}, "prompts"),
        ({"prompts": None}, "prompts"),
        ({"prompts": {1, 2}}, "prompts"),
        ({"prompts": [1.5]}, "prompts[0]"),
        ({"prompts": ["a", 5]}, "prompts[1]"),
        ({"prompts": [["a"]]}, "prompts[0] id"),
        ({"stop": 5}, "stop"),
        ({"stop": None}, "stop"),
        ({"eos": 1.5}, "eos"),
        ({"tokenizer": "x"}, "tokenizer"),
    ],
)
def test_a_wrong_type_is_refused_by_name(model, tokenizer, changed, name):
    arguments = {"prompts": [[1, 2]], "tokenizer": tokenizer, "max_tokens": 2, **changed}
    with pytest.raises(ValueError, match=f"^{re.escape(name)} must be [^\n]*$"):
        generate(model, arguments.pop("prompts"), **arguments)


def test_no_end_token_may_be_none_and_a_stream_refuses_at_once(model):
    assert len(generate(model, [1, 2], max_tokens=3, eos=None)[0].ids) == 3
    with pytest.raises(ValueError, match=r"^prompts\[0\] must be at least one token"):
        stream(model, [])


class Wrapped(nn.Module):
    """A model of ``transformers`` whose cache has the name of a version, and counts its calls."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.config = model, model.config
        self.given = []

    def answer(self, input_ids, cache, use_cache):
        """The model's logits and cache, whatever the installed version calls it."""
        self.given.append(input_ids.shape[1])
        name = cache_argument(self.model)
        out = self.model(input_ids=input_ids, use_cache=use_cache, **{name: cache})
        return out.logits, getattr(out, name) if use_cache else None


class Until523(Wrapped):
    def forward(self, input_ids=None, past_key_values=None, use_cache=None):
        logits, past = self.answer(input_ids, past_key_values, use_cache)
        return types.SimpleNamespace(logits=logits, past_key_values=past)


class Since524(Wrapped):
    def forward(self, input_ids=None, cache=None, use_cache=None):
        logits, past = self.answer(input_ids, cache, use_cache)
        return types.SimpleNamespace(logits=logits, cache=past)


@pytest.mark.parametrize("version", [Until523, Since524])
def test_both_names_of_the_cache_of_transformers(version):
    """Version 5.24 renames ``past_key_values`` to ``cache``, and 5.40 removes the old name."""
    generator(0, "global")
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    config = GPT2Config(vocab_size=40, n_embd=16, n_layer=1, n_head=2, n_positions=32, **ends)
    plain = GPT2LMHeadModel(config).eval()
    model = version(plain)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the installed version must not complain either
        expected = generate(plain, [[1, 2, 3]], max_tokens=6)[0].ids
        assert generate(model, [[1, 2, 3]], max_tokens=6)[0].ids == expected
    assert model.given == [3, 1, 1, 1, 1, 1]  # the past came back: only the new token goes in
    model.given.clear()
    assert generate(model, [[1, 2, 3]], max_tokens=6, cache=False)[0].ids == expected
    assert model.given == [3, 4, 5, 6, 7, 8]
