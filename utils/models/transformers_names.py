"""What ``transformers`` calls the fields and the weights of our two styles, as tables.

`utils.models.interop` converts with them.
"""

from __future__ import annotations

from typing import Any

from utils.models.config import GPTConfig

# ---- config.json

# Our field of GPTConfig, and the one of config.json that holds the same number.
FIELDS = {
    "gpt2": {
        "n_layer": "n_layer",
        "n_head": "n_head",
        "d_model": "n_embd",
        "d_ff": "n_inner",
        "context_length": "n_positions",
        "norm_eps": "layer_norm_epsilon",
        "vocab_size": "vocab_size",
        "tie_embeddings": "tie_word_embeddings",
    },
    "llama": {
        "n_layer": "num_hidden_layers",
        "n_head": "num_attention_heads",
        "n_kv_head": "num_key_value_heads",
        "d_model": "hidden_size",
        "d_ff": "intermediate_size",
        "context_length": "max_position_embeddings",
        "norm_eps": "rms_norm_eps",
        "vocab_size": "vocab_size",
        "tie_embeddings": "tie_word_embeddings",
    },
}

# What transformers takes where config.json leaves a field of ours out: None is GPTConfig's default.
# A field that is not listed must be there.
DEFAULTS: dict[str, dict[str, Any]] = {
    "gpt2": {"d_ff": None, "norm_eps": 1e-5, "tie_embeddings": True},
    "llama": {"n_kv_head": None, "norm_eps": 1e-6, "tie_embeddings": False},
}

# What our architecture takes for granted: a field of theirs, and the values under which it computes
# the same. The first is what transformers takes where the field is left out.
ASSUMED: dict[str, dict[str, tuple[Any, ...]]] = {
    "gpt2": {
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
    },
    "llama": {
        "hidden_act": ("silu", "swish"),
        "attention_bias": (False,),
        "mlp_bias": (False,),
    },
}

# ---- Weights

# Where everything but the head lies in their models, and within it the list of layers.
PREFIX = {"gpt2": "transformer", "llama": "model"}
LAYERS = {"gpt2": "transformer.h", "llama": "model.layers"}

# Our module, and theirs, outside the layers.
TRUNK = {
    "gpt2": {"tok": "wte", "pos": "wpe", "norm": "ln_f"},
    "llama": {"tok": "embed_tokens", "norm": "norm"},
}

# Our module of a layer, and theirs. Llama keeps apart what we hold side by side in one matrix.
BLOCK: dict[str, dict[str, tuple[str, ...]]] = {
    "gpt2": {
        "norm1": ("ln_1",),
        "attn.qkv": ("attn.c_attn",),
        "attn.out": ("attn.c_proj",),
        "norm2": ("ln_2",),
        "mlp.up": ("mlp.c_fc",),
        "mlp.down": ("mlp.c_proj",),
    },
    "llama": {
        "norm1": ("input_layernorm",),
        "attn.qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        "attn.out": ("self_attn.o_proj",),
        "norm2": ("post_attention_layernorm",),
        "mlp.up": ("mlp.gate_proj", "mlp.up_proj"),
        "mlp.down": ("mlp.down_proj",),
    },
}


def their_names(config: GPTConfig) -> dict[str, tuple[str, ...]]:
    """Every one of our parameters, and the one or more of theirs that stand side by side in it.

    >>> names = their_names(GPTConfig("llama", n_layer=1))
    >>> names["tok.weight"]
    ('model.embed_tokens.weight',)
    >>> names["blocks.0.mlp.up.weight"]
    ('model.layers.0.mlp.gate_proj.weight', 'model.layers.0.mlp.up_proj.weight')
    """
    names: dict[str, tuple[str, ...]] = {}
    for ours, theirs in _their_modules(config).items():
        names[f"{ours}.weight"] = tuple(f"{module}.weight" for module in theirs)
        if _has_bias(config, ours):
            names[f"{ours}.bias"] = tuple(f"{module}.bias" for module in theirs)
    return names


def _their_modules(config: GPTConfig) -> dict[str, tuple[str, ...]]:
    """Every one of our modules that has parameters, and theirs."""
    style = config.style
    modules: dict[str, tuple[str, ...]] = {}
    for ours, theirs in TRUNK[style].items():
        modules[ours] = (f"{PREFIX[style]}.{theirs}",)
    for i in range(config.n_layer):
        for ours, several in BLOCK[style].items():
            in_layer = tuple(f"{LAYERS[style]}.{i}.{theirs}" for theirs in several)
            modules[f"blocks.{i}.{ours}"] = in_layer
    if not config.tie_embeddings:
        modules["head"] = ("lm_head",)
    return modules


def _has_bias(config: GPTConfig, module: str) -> bool:
    return config.style == "gpt2" and module not in ("tok", "pos", "head")


def transposed(config: GPTConfig, ours: str) -> bool:
    """Whether they store our parameter ``ours`` (out, in) the other way round, as (in, out).

    GPT-2 does for every matrix in its layers: its ``Conv1D`` multiplies from the right.

    >>> transposed(GPTConfig("gpt2"), "blocks.0.mlp.up.weight")
    True
    >>> transposed(GPTConfig("gpt2"), "tok.weight")
    False
    """
    matrices = ("qkv.weight", "out.weight", "up.weight", "down.weight")
    return config.style == "gpt2" and ours.endswith(matrices)


def part_heights(config: GPTConfig, ours: str) -> tuple[int, ...]:
    """Rows of each of their matrices that stand side by side in our ``attn.qkv`` or ``mlp.up``.

    >>> config = GPTConfig("llama", d_model=256, n_head=4, n_kv_head=2)
    >>> part_heights(config, "blocks.0.attn.qkv.weight")  # queries, keys, values
    (256, 128, 128)
    """
    assert config.n_kv_head is not None  # GPTConfig has filled in both
    assert config.d_ff is not None
    if "attn.qkv" in ours:
        queries = config.n_head * config.d_head
        keys = config.n_kv_head * config.d_head
        return (queries, keys, keys)
    return (config.d_ff, config.d_ff)  # gate and value


def holds_nothing(config: GPTConfig, name: str) -> bool:
    """Whether ``name`` is a tensor that some versions store and that follows from the others."""
    if config.tie_embeddings and name == "lm_head.weight":
        return True
    return name.endswith((".attn.bias", ".attn.masked_bias", "rotary_emb.inv_freq"))
