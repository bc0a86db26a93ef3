"""Weights to and from ``transformers``: `GPT2LMHeadModel` and `LlamaForCausalLM`, in memory and on disk.

A folder written by `save_pretrained` holds ``config.json`` and ``model.safetensors`` in the layout that
``transformers`` writes and reads. `load_pretrained` reads such folders without importing ``transformers``.
Not here: rotary rescaling, and variants with other activations or scalings; they are refused by name.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from utils.checkpoints import write_tensors
from utils.gpt import GPT, GPTConfig
from utils.records import write_json
from utils.validate import require

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Our field, transformers' field: the same number under two names.
FIELDS = {
    "gpt2": {
        "n_layer": "n_layer",
        "n_head": "n_head",
        "d_model": "n_embd",
        "d_ff": "n_inner",
        "context_length": "n_positions",
        "norm_eps": "layer_norm_epsilon",
    },
    "llama": {
        "n_layer": "num_hidden_layers",
        "n_head": "num_attention_heads",
        "n_kv_head": "num_key_value_heads",
        "d_model": "hidden_size",
        "d_ff": "intermediate_size",
        "context_length": "max_position_embeddings",
        "norm_eps": "rms_norm_eps",
    },
}
SHARED = {"vocab_size": "vocab_size", "tie_embeddings": "tie_word_embeddings"}
# What our architecture takes for granted, and the values under which transformers computes the same.
ASSUMED: dict[str, dict[str, tuple[Any, ...]]] = {
    "gpt2": {
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
    },
    "llama": {"hidden_act": ("silu", "swish"), "attention_bias": (False,), "mlp_bias": (False,)},
}
# Block parts, ours and theirs. GPT-2 keeps its matrices transposed; Llama keeps q, k, v and gate, up apart.
BLOCK = {
    "gpt2": {
        "norm1": "ln_1",
        "attn.qkv": "attn.c_attn",
        "attn.out": "attn.c_proj",
        "norm2": "ln_2",
        "mlp.up": "mlp.c_fc",
        "mlp.down": "mlp.c_proj",
    },
    "llama": {
        "norm1": "input_layernorm",
        "attn.qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        "attn.out": "self_attn.o_proj",
        "norm2": "post_attention_layernorm",
        "mlp.up": ("mlp.gate_proj", "mlp.up_proj"),
        "mlp.down": "mlp.down_proj",
    },
}
TRUNK = {
    "gpt2": {"tok": "wte", "pos": "wpe", "norm": "ln_f"},
    "llama": {"tok": "embed_tokens", "norm": "norm"},
}


def _names(c: GPTConfig) -> dict[str, tuple[str, ...]]:
    """Every one of our parameters, and the one or more of theirs that stand side by side in it."""
    gpt2 = c.style == "gpt2"
    trunk, layers = ("transformer", "transformer.h") if gpt2 else ("model", "model.layers")
    modules = {ours: (f"{trunk}.{theirs}",) for ours, theirs in TRUNK[c.style].items()}
    for i in range(c.n_layer):
        for ours, theirs in BLOCK[c.style].items():
            several = (theirs,) if isinstance(theirs, str) else theirs
            modules[f"blocks.{i}.{ours}"] = tuple(f"{layers}.{i}.{name}" for name in several)
    if not c.tie_embeddings:
        modules["head"] = ("lm_head",)
    kinds = {ours: ("weight",) for ours in modules}
    if gpt2:
        kinds |= {ours: ("weight", "bias") for ours in modules if ours not in ("tok", "pos", "head")}
    return {f"{o}.{kind}": tuple(f"{t}.{kind}" for t in modules[o]) for o in modules for kind in kinds[o]}


def _turned(c: GPTConfig, ours: str) -> bool:
    return c.style == "gpt2" and ours.endswith(("qkv.weight", "out.weight", "up.weight", "down.weight"))


def to_state_dict(model: GPT) -> dict[str, Tensor]:
    """The weights under ``transformers``' names and in its shapes; a tied head is left out, as it does."""
    c, state, result = model.config, model.state_dict(), {}
    for ours, theirs in _names(c).items():
        w = state[ours].detach()
        if "qkv" in ours and len(theirs) > 1:
            parts = w.split([c.n_head * c.d_head, c.n_kv_head * c.d_head, c.n_kv_head * c.d_head])
        else:
            parts = w.chunk(len(theirs))
        result |= {
            name: (p.T if _turned(c, ours) else p).contiguous() for name, p in zip(theirs, parts, strict=True)
        }
    return result


def from_state_dict(config: GPTConfig, state: dict[str, Tensor]) -> GPT:
    """A `GPT` with ``transformers``' weights. Raises ``ValueError`` naming a tensor that does not fit."""
    model = GPT(config)
    if config.style == "gpt2" and "wte.weight" in state:  # the first published checkpoints lack the prefix
        state = {f"transformer.{name}": w for name, w in state.items()}
    own = dict(model.named_parameters())
    with torch.no_grad():
        for ours, theirs in _names(config).items():
            for name in theirs:
                require(name in state, "checkpoint", f"one that holds {name}", sorted(state)[:2])
            w = torch.cat([state[name] for name in theirs]) if len(theirs) > 1 else state[theirs[0]]
            w = w.T if _turned(config, ours) else w
            fits = w.shape == own[ours].shape
            require(
                fits, f"shape of {theirs[0]}", f"as in config.json ({tuple(own[ours].shape)})", tuple(w.shape)
            )
            own[ours].copy_(w)
    return model


def to_config(config: GPTConfig) -> dict[str, Any]:
    """The ``config.json`` under which ``transformers`` builds the same architecture.

    Raises ``ValueError`` for grouped key-value heads in GPT-2 style, which ``transformers`` does not know.
    """
    c, style = config, config.style
    common = {ours: getattr(c, ours) for ours in (*FIELDS[style], *SHARED)}
    names = FIELDS[style] | SHARED
    result = {names[ours]: value for ours, value in common.items()}
    result |= {name: values[0] for name, values in ASSUMED[style].items()}
    result |= {"model_type": style, "bos_token_id": 0, "eos_token_id": 0, "dtype": "float32"}
    if style == "gpt2":
        allowed = f"n_head = {c.n_head} for transformers' GPT-2"
        require(c.n_kv_head == c.n_head, "n_kv_head", allowed, c.n_kv_head)
        result |= {
            "architectures": ["GPT2LMHeadModel"],
            "attn_pdrop": 0.0,
            "embd_pdrop": 0.0,
            "resid_pdrop": 0.0,
        }
    else:
        rope = {"rope_theta": c.rope_theta, "rope_type": "default"}
        result |= {"architectures": ["LlamaForCausalLM"], "head_dim": c.d_head, "rope_parameters": rope}
        result["rope_theta"] = c.rope_theta  # where transformers 4 looks
    return result


def from_config(theirs: dict[str, Any]) -> GPTConfig:
    """Our configuration for a ``config.json``. Raises ``ValueError`` for an architecture that is not ours."""
    style = theirs.get("model_type")
    require(style in FIELDS, "model_type", "'gpt2' or 'llama'", style)
    for name, allowed in ASSUMED[style].items():
        require(theirs.get(name, allowed[0]) in allowed, name, f"one of {allowed}", theirs.get(name))
    fields: dict[str, Any] = {}
    for ours, name in (FIELDS[style] | SHARED).items():
        if theirs.get(name) is not None:
            fields[ours] = theirs[name]
        else:
            optional = ours in ("n_kv_head", "norm_eps", "tie_embeddings") or (
                style == "gpt2" and ours == "d_ff"
            )
            require(optional, name, "given in config.json", None)
    # What transformers assumes where config.json is silent.
    fields.setdefault("tie_embeddings", style == "gpt2")
    fields.setdefault("norm_eps", 1e-5 if style == "gpt2" else 1e-6)
    if style == "llama":
        rope = theirs.get("rope_parameters") or theirs.get("rope_scaling") or {}
        kind = rope.get("rope_type", rope.get("type", "default"))
        require(kind == "default", "rope_type", "'default'", kind)
        fields["rope_theta"] = float(rope.get("rope_theta") or theirs.get("rope_theta") or 10_000.0)
    config = GPTConfig(style=style, **fields)
    width = theirs.get("head_dim") or config.d_head
    require(width == config.d_head, "head_dim", f"hidden_size / num_attention_heads = {config.d_head}", width)
    return config


def to_transformers(model: GPT) -> PreTrainedModel:
    """A ``GPT2LMHeadModel`` or ``LlamaForCausalLM`` with this model's weights, in evaluation mode."""
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    kinds = {"gpt2": (GPT2Config, GPT2LMHeadModel), "llama": (LlamaConfig, LlamaForCausalLM)}
    their_config, their_model = kinds[model.config.style]
    fields = to_config(model.config)
    fields.pop("model_type")
    theirs = their_model(their_config(**fields))
    missing, unknown = theirs.load_state_dict(to_state_dict(model), strict=False)
    lost = [name for name in missing if not (name == "lm_head.weight" and model.config.tie_embeddings)]
    if lost or unknown:
        raise RuntimeError(f"transformers names its weights differently here: {lost + list(unknown)}")
    return theirs.to(model.tok.weight.device).eval()


def from_transformers(theirs: PreTrainedModel) -> GPT:
    """A `GPT` with the weights of a ``GPT2LMHeadModel`` or ``LlamaForCausalLM``, in float32 on the CPU."""
    state = {name: w.detach().cpu() for name, w in theirs.state_dict().items()}
    return from_state_dict(from_config(theirs.config.to_dict()), state)


def save_pretrained(model: GPT, folder: str | Path, dtype: torch.dtype = torch.float32) -> None:
    """Write ``config.json`` and ``model.safetensors`` as ``transformers`` does, with weights in ``dtype``."""
    folder = Path(folder)
    state = {name: w.to("cpu", dtype) for name, w in to_state_dict(model).items()}
    config = to_config(model.config) | {"dtype": str(dtype).removeprefix("torch.")}
    write_tensors(folder / "model.safetensors", state, {"format": "pt"})
    write_json(folder / "config.json", config)


def load_pretrained(folder: str | Path) -> GPT:
    """Read a folder in ``transformers``' layout, also one of several shards; weights become float32.

    Raises ``FileNotFoundError`` or ``ValueError`` in one line for what is missing, corrupt or not ours.
    """
    folder = Path(folder)
    try:
        config = from_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
        index = folder / "model.safetensors.index.json"
        names = ["model.safetensors"]
        if index.exists():
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        state: dict[str, Tensor] = {}
        for name in names:
            state |= load_file(folder / name)
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{folder.name} is not a readable checkpoint: {error}") from None
    return from_state_dict(config, state)
