"""The transformer is causal, its cache changes nothing, its size is the published one."""

import pytest
import torch

from tests.models.cases import shaken, some_config, some_ids
from utils.models.gpt import GPT, GPTConfig, KVCache
from utils.runtime import generator


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
    generator(0, "global")
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
