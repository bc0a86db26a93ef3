"""Configurations, models and ids at random, as the tests of this room need them."""

import random

import torch

from utils.models.gpt import GPT, GPTConfig
from utils.runtime import generator


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
    generator(seed, "global")
    model = GPT(config).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return model


def some_ids(config: GPTConfig, rows: int = 2) -> torch.Tensor:
    return torch.randint(0, config.vocab_size, (rows, config.context_length))
