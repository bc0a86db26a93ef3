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

from utils.models.gpt import GPT, GPTConfig
from utils.records import write_json
from utils.tensors import write_tensors
from utils.validate import number, require

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
        kinds |= {
            ours: ("weight", "bias") for ours in modules if ours not in ("tok", "pos", "head")
        }
    return {
        f"{o}.{kind}": tuple(f"{t}.{kind}" for t in modules[o])
        for o in modules
        for kind in kinds[o]
    }


def _turned(c: GPTConfig, ours: str) -> bool:
    return c.style == "gpt2" and ours.endswith(
        ("qkv.weight", "out.weight", "up.weight", "down.weight")
    )


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
            name: (p.T if _turned(c, ours) else p).contiguous()
            for name, p in zip(theirs, parts, strict=True)
        }
    return result


def from_state_dict(config: GPTConfig, state: dict[str, Tensor]) -> GPT:
    """A `GPT` with ``transformers``' weights, in float32.

    Raises ``ValueError`` naming a tensor that is missing, not part of this architecture, of another shape,
    not floating-point or not finite.
    """
    if (
        config.style == "gpt2" and "wte.weight" in state
    ):  # the first published checkpoints lack the prefix
        state = {
            name if name == "lm_head.weight" else f"transformer.{name}": w
            for name, w in state.items()
        }
    # A config.json may ask for anything: compare it with the weights before memory is taken for it.
    require(
        config.n_layer <= len(state),
        "n_layer",
        f"at most {len(state)}, the tensors here",
        config.n_layer,
    )
    names = _names(config)
    for name in (name for theirs in names.values() for name in theirs):
        require(name in state, "checkpoint", f"one that holds {name}", sorted(state)[:2])
    known = {name for theirs in names.values() for name in theirs}
    extra = sorted(name for name in set(state) - known if not _ignored(config, name))
    require(not extra, "checkpoint", "one whose every tensor config.json accounts for", extra[:2])
    try:
        with torch.device("meta"):
            shapes = {name: tuple(p.shape) for name, p in GPT(config).named_parameters()}
        for ours, theirs in names.items():
            _require_fit(config, ours, theirs, [state[name] for name in theirs], shapes[ours])
        model = GPT(config)
    except (RuntimeError, MemoryError) as error:
        raise ValueError(
            f"config.json asks for a model too large to build: {_line(error)}"
        ) from None
    own = dict(model.named_parameters())
    with torch.no_grad():
        for ours, theirs in names.items():
            w = torch.cat([state[name] for name in theirs]) if len(theirs) > 1 else state[theirs[0]]
            own[ours].copy_(w.T if _turned(config, ours) else w)
            bad = own[ours].numel() - int(torch.isfinite(own[ours]).sum())
            require(
                bad == 0, theirs[0], "finite", f"{bad} entries that are NaN or infinite in float32"
            )
    return model


def _ignored(config: GPTConfig, name: str) -> bool:
    """Tensors that some versions of ``transformers`` store and that hold nothing of their own."""
    tied = config.tie_embeddings and name == "lm_head.weight"
    return tied or name.endswith((".attn.bias", ".attn.masked_bias", "rotary_emb.inv_freq"))


def _require_fit(
    config: GPTConfig,
    ours: str,
    names: tuple[str, ...],
    parts: list[Tensor],
    shape: tuple[int, ...],
) -> None:
    """Refuse their tensors unless they are floating-point and make up our parameter ``ours``."""
    for name, part in zip(names, parts, strict=True):
        require(part.is_floating_point(), f"dtype of {name}", "floating-point", str(part.dtype))
    allowed = f"as in config.json ({shape})"
    if len(parts) == 1:
        got = tuple(reversed(parts[0].shape)) if _turned(config, ours) else tuple(parts[0].shape)
        require(got == shape, f"shape of {names[0]}", allowed, got)
        return
    # q, k, v or gate, up: each has its own height, so that no two wrong ones add up to a right sum.
    heads = config.d_head * config.n_kv_head
    heights = (shape[0] - 2 * heads, heads, heads) if "qkv" in ours else (config.d_ff, config.d_ff)
    for name, part, height in zip(names, parts, heights, strict=True):
        wanted = (height, *shape[1:])
        require(
            tuple(part.shape) == wanted,
            f"shape of {name}",
            f"as in config.json ({wanted})",
            part.shape,
        )


def _line(error: BaseException) -> str:
    """The first line of an error that may have many."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


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
        result |= {
            "architectures": ["LlamaForCausalLM"],
            "head_dim": c.d_head,
            "rope_parameters": rope,
        }
        result["rope_theta"] = c.rope_theta  # where transformers 4 looks
    return result


def from_config(theirs: dict[str, Any]) -> GPTConfig:
    """Our configuration for a ``config.json``. Raises ``ValueError`` for an architecture that is not ours."""
    require(isinstance(theirs, dict), "config.json", "a JSON object", theirs)
    style = theirs.get("model_type")
    require(isinstance(style, str) and style in FIELDS, "model_type", "'gpt2' or 'llama'", style)
    for name, allowed in ASSUMED[style].items():
        require(
            theirs.get(name, allowed[0]) in allowed, name, f"one of {allowed}", theirs.get(name)
        )
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
    tied = fields["tie_embeddings"]  # any text would count as true
    require(isinstance(tied, bool), "tie_word_embeddings", "true or false", tied)
    if style == "llama":
        rope = theirs.get("rope_parameters") or theirs.get("rope_scaling") or {}
        require(isinstance(rope, dict), "rope_parameters", "a JSON object", rope)
        kind = rope.get("rope_type", rope.get("type", "default"))
        require(kind == "default", "rope_type", "'default'", kind)
        theta = rope.get("rope_theta") or theirs.get("rope_theta") or 10_000.0
        fields["rope_theta"] = number("rope_theta", theta, 1.0, open_low=True)
    config = GPTConfig(style=style, **fields)
    width = theirs.get("head_dim") or config.d_head
    require(
        width == config.d_head,
        "head_dim",
        f"hidden_size / num_attention_heads = {config.d_head}",
        width,
    )
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
    lost = [
        name for name in missing if not (name == "lm_head.weight" and model.config.tie_embeddings)
    ]
    if lost or unknown:
        raise RuntimeError(
            f"transformers names its weights differently here: {lost + list(unknown)}"
        )
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
    config = from_config(_read_object(folder / "config.json"))
    index, names = folder / "model.safetensors.index.json", ["model.safetensors"]
    if index.exists():
        shards = _read_object(index).get("weight_map")
        good = isinstance(shards, dict) and len(shards) > 0
        # A name with folders in it would read outside this one.
        good = good and all(
            isinstance(n, str) and n not in ("", "..") and Path(n).name == n
            for n in shards.values()
        )
        require(good, f"weight_map in {index.name}", "an object of plain file names", shards)
        names = sorted(set(shards.values()))
    state: dict[str, Tensor] = {}
    for name in names:
        try:
            state |= load_file(folder / name)
        except FileNotFoundError:
            raise FileNotFoundError(f"{folder.name} holds no {name}") from None
        except (SafetensorError, OSError) as error:
            raise ValueError(
                f"{folder.name} is not a readable checkpoint: {name}: {_line(error)}"
            ) from None
    return from_state_dict(config, state)


def _read_object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"{path.parent.name} holds no {path.name}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # not JSON, or not even UTF-8
        found = f"{path.parent.name} is not a readable checkpoint: {path.name}: {_line(error)}"
        raise ValueError(found) from None
    require(isinstance(content, dict), path.name, "a JSON object", content)
    return content
