"""The transformer equals the published ones, is causal, its cache changes nothing; errors are one line."""

import json
import random

import pytest
import torch
from safetensors.torch import load_file, save_file

from utils.models.gpt import GPT, GPTConfig, KVCache
from utils.models.interop import (
    from_config,
    from_transformers,
    load_pretrained,
    save_pretrained,
    to_config,
    to_transformers,
)


def some_config(seed: int, **fixed) -> GPTConfig:
    r = random.Random(seed)
    style = ("gpt2", "llama")[seed % 2]
    n_head = r.choice([1, 2, 4])
    fields = dict(
        style=style,
        vocab_size=r.randint(20, 300),
        context_length=r.randint(4, 40),
        n_layer=r.randint(1, 3),
        n_head=n_head,
        d_model=n_head * r.choice([8, 16]),
        n_kv_head=n_head
        if style == "gpt2"
        else r.choice([k for k in (1, 2, 4) if n_head % k == 0]),
        d_ff=r.choice([None, 24]),
        tie_embeddings=r.random() < 0.5,
        norm_eps=r.choice([1e-5, 1e-6]),
        rope_theta=r.choice([1e4, 5e5]),
    )
    return GPTConfig(**fields | fixed)


def shaken(config: GPTConfig, seed: int = 0) -> GPT:
    """A model away from its initialisation, where zero projections would hide a mistake."""
    torch.manual_seed(seed)
    model = GPT(config).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return model


def some_ids(config: GPTConfig, rows: int = 2) -> torch.Tensor:
    return torch.randint(0, config.vocab_size, (rows, config.context_length))


@pytest.mark.parametrize("seed", range(24))
def test_logits_equal_transformers_both_ways(seed, tmp_path):
    transformers = pytest.importorskip("transformers")
    model = shaken(some_config(seed), seed)
    ids = some_ids(model.config)
    theirs = to_transformers(model)
    save_pretrained(model, tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    with torch.no_grad():
        expected = theirs(ids).logits
        read_by_them = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours").eval()
        others = [
            model(ids),
            from_transformers(theirs)(ids),
            load_pretrained(tmp_path / "ours")(ids),
            load_pretrained(tmp_path / "theirs")(ids),
            read_by_them(ids).logits,
        ]
    for logits in others:
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)
    assert model.num_parameters() == theirs.num_parameters()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("cut", ["one by one", "in chunks"])
def test_the_cache_changes_nothing(seed, cut):
    model = shaken(some_config(seed, context_length=24), seed)
    ids = some_ids(model.config)
    cache = KVCache(model, len(ids))
    assert cache.kv.shape[3] == model.config.n_kv_head
    with torch.no_grad():
        parts = [
            model(part, cache=cache) for part in ids.split(1 if cut == "one by one" else 7, dim=1)
        ]
        torch.testing.assert_close(torch.cat(parts, dim=1), model(ids), rtol=0, atol=1e-5)


@pytest.mark.parametrize("style", ["gpt2", "llama"])
def test_greedy_text_is_the_same_with_and_without_cache(style):
    model = shaken(
        GPTConfig(style=style, vocab_size=90, context_length=32, n_layer=2, n_head=4, d_model=32)
    )
    plain = cached = some_ids(model.config)[:, :5]
    cache, new = KVCache(model, len(plain)), cached
    with torch.no_grad():
        for _ in range(27):
            plain = torch.cat((plain, model(plain)[:, -1].argmax(-1, keepdim=True)), dim=1)
            new = model(new, cache=cache)[:, -1].argmax(-1, keepdim=True)
            cached = torch.cat((cached, new), dim=1)
    assert torch.equal(plain, cached)


@pytest.mark.parametrize("seed", range(4))
def test_a_future_token_changes_nothing_before_it(seed):
    model = shaken(some_config(seed, context_length=16), seed)
    ids = some_ids(model.config)
    other = ids.clone()
    other[:, 9] = (other[:, 9] + 1) % model.config.vocab_size
    with torch.no_grad():
        difference = (model(ids) - model(other)).abs().amax(dim=(0, 2))  # (T,)
    assert (difference[:9] == 0).all()
    assert (difference[9:] > 0).all()


def test_initialisation_is_uniform_where_it_matters():
    torch.manual_seed(0)
    model = GPT(GPTConfig(n_layer=2, d_model=64, n_head=4, vocab_size=512))
    for name, p in model.named_parameters():
        if name.endswith(("attn.out.weight", "mlp.down.weight")):
            assert (p == 0).all(), name
        elif p.dim() == 2:
            assert p.std().item() == pytest.approx(p.shape[1] ** -0.5, rel=0.05), name


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (GPTConfig("gpt2", 50257, 1024, 12, 12, 768), 124_439_808),
        (GPTConfig("gpt2", 50257, 1024, 48, 25, 1600), 1_557_611_200),
        (GPTConfig("llama", 128_256, 8192, 32, 32, 4096, 8, 14_336, False), 8_030_261_248),
        (GPTConfig("llama", 128_256, 8192, 16, 32, 2048, 8, 8192, True), 1_235_814_400),
    ],
)
def test_counts_of_released_checkpoints(config, count):
    with torch.device("meta"):
        assert GPT(config).num_parameters() == count


def test_counting_without_embeddings():
    config = GPTConfig("gpt2", 100, 16, 2, 2, 8, tie_embeddings=False)
    model = GPT(config)
    assert model.num_parameters() - model.num_parameters(embeddings=False) == 100 * 8 * 2 + 16 * 8


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (dict(d_model=30, n_head=4), "d_model must be a multiple of 2 n_head = 8, got 30"),
        (
            dict(style="gpt2", d_model=30, n_head=4),
            "d_model must be a multiple of n_head = 4, got 30",
        ),
        (dict(n_head=4, n_kv_head=3), "n_kv_head must be a divisor of n_head = 4, got 3"),
        (dict(n_layer=0), "n_layer must be a whole number of at least 1, got 0"),
        (dict(style="bert"), "style must be one of 'gpt2', 'llama', got 'bert'"),
        (dict(tie_embeddings="no"), "tie_embeddings must be True or False, got 'no'"),
        (dict(vocab_size=1.5), "vocab_size must be a whole number"),
    ],
)
def test_bad_configurations_are_refused_in_one_line(fields, line):
    with pytest.raises(ValueError, match=line) as error:
        GPTConfig(**fields)
    assert "\n" not in str(error.value)


def test_bad_ids_are_refused_in_one_line():
    model = GPT(GPTConfig(vocab_size=50, context_length=8, n_layer=1, n_head=2, d_model=16))
    with pytest.raises(ValueError, match=r"ids must be at most context_length = 8 long, got 9"):
        model(torch.zeros(1, 9, dtype=torch.long))
    for wrong in (50, -1):
        with pytest.raises(ValueError, match=rf"ids must be in \[0, 49\], got {wrong}"):
            model(torch.tensor([[0, wrong]]))
    for wrong in (50, -1, -100):  # -100 is what cross_entropy would leave out
        with pytest.raises(ValueError, match=rf"targets must be in \[0, 49\], got {wrong}"):
            model(torch.tensor([[0, 1]]), torch.tensor([[1, wrong]]))
    cache = KVCache(model)
    model(torch.zeros(1, 8, dtype=torch.long), cache=cache)
    with pytest.raises(ValueError, match="at most context_length = 8 long, got 9"):
        model(torch.zeros(1, 1, dtype=torch.long), cache=cache)


def test_corrupt_and_foreign_folders_are_refused_in_one_line(tmp_path):
    model = shaken(some_config(1))
    save_pretrained(model, tmp_path)
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    good, settings = weights.read_bytes(), json.loads(config.read_text())

    def refused(line):
        with pytest.raises(ValueError, match=line) as error:
            load_pretrained(tmp_path)
        assert "\n" not in str(error.value)

    weights.write_bytes(good[: len(good) // 2])
    refused("is not a readable checkpoint")
    weights.write_bytes(b"not safetensors at all")
    refused("is not a readable checkpoint")
    weights.write_bytes(good)
    state = load_file(weights)
    save_file({name: w for name, w in state.items() if "norm" not in name}, weights)
    refused("checkpoint must be one that holds")
    weights.write_bytes(good)
    for change, line in [
        ({"model_type": "bert"}, "model_type must be 'gpt2' or 'llama', got 'bert'"),
        ({"hidden_act": "relu"}, "hidden_act must be one of"),
        ({"rope_parameters": {"rope_type": "llama3"}}, "rope_type must be 'default', got 'llama3'"),
        (
            {"vocab_size": settings["vocab_size"] + 1},
            "shape of model.embed_tokens.weight must be as in config",
        ),
        ({"hidden_size": None}, "d_model|hidden_size must be given"),
    ]:
        config.write_text(json.dumps(settings | change))
        refused(line)
    config.write_text("{")
    refused("is not a readable checkpoint")


def test_gpt2_has_no_grouped_heads_in_transformers():
    config = GPTConfig("gpt2", 50, 8, 1, 4, 32, n_kv_head=2)
    GPT(config)(torch.zeros(1, 8, dtype=torch.long))
    with pytest.raises(
        ValueError, match="n_kv_head must be n_head = 4 for transformers' GPT-2, got 2"
    ):
        to_config(config)


@pytest.mark.parametrize("seed", range(6))
def test_configurations_survive_the_round_trip(seed):
    config = some_config(seed)
    back = from_config(to_config(config))
    fixed = {} if config.style == "llama" else {"rope_theta": back.rope_theta}
    assert vars(back) == vars(config) | fixed
