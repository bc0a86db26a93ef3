"""Weights to and from ``transformers``: its GPT-2 and Llama models, in memory and on disk.

A folder written by `save_pretrained` holds ``config.json`` and ``model.safetensors`` in the layout
that ``transformers`` writes and reads. `load_pretrained` reads such folders without importing
``transformers``. The names are tables in `utils.models.transformers_names`. Not here: rotary
rescaling, and variants with other activations or scalings; they are refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from utils.data.fetch import file_sha256
from utils.models.gpt import GPT, GPTConfig
from utils.models.transformers_names import (
    ASSUMED,
    DEFAULTS,
    FIELDS,
    PREFIX,
    holds_nothing,
    part_heights,
    their_names,
    transposed,
)
from utils.records import write_json
from utils.tensors import Header, read_header, write_tensors
from utils.validate import number, require

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HASH_OF = "sha256 of "  # begins an entry of the weights' header: the hash of a file beside them
Names = dict[str, tuple[str, ...]]  # our parameter, and those of theirs that make it up


# ---- Weights


def to_state_dict(model: GPT) -> dict[str, Tensor]:
    """The weights under ``transformers``' names and in its shapes.

    A tied head is left out, as ``transformers`` leaves it out.

    >>> theirs = to_state_dict(GPT(GPTConfig("llama", n_layer=1, d_model=256)))
    >>> theirs["model.layers.0.mlp.gate_proj.weight"].shape
    torch.Size([704, 256])
    """
    config = model.config
    state = model.state_dict()
    result: dict[str, Tensor] = {}
    for ours, theirs in their_names(config).items():
        weight = state[ours].detach()
        if transposed(config, ours):
            weight = weight.T  # (out, in) to (in, out)

        # Llama keeps q, k, v and gate, value apart.
        parts = [weight]
        if len(theirs) > 1:
            parts = weight.split(part_heights(config, ours))

        for name, part in zip(theirs, parts, strict=True):
            result[name] = part.contiguous()
    return result


def from_state_dict(config: GPTConfig, state: dict[str, Tensor]) -> GPT:
    """A `GPT` with ``transformers``' weights, in float32.

    Raises ``ValueError`` naming a tensor that is missing, not part of this architecture, of another
    shape, not floating-point or not finite.
    """
    state = _with_prefix(config, state)

    # A config.json may ask for anything: compare it with the weights before memory is taken for it.
    allowed = f"at most {len(state)}, the tensors here"
    require(config.n_layer <= len(state), "n_layer", allowed, config.n_layer)
    names = their_names(config)
    _require_these_tensors(config, names, state)
    try:
        _require_fitting_tensors(config, names, state)
        model = GPT(config)
    except (RuntimeError, MemoryError) as error:
        reason = f"config.json asks for a model too large to build: {_first_line(error)}"
        raise ValueError(reason) from None

    own = dict(model.named_parameters())
    with torch.no_grad():
        for ours, theirs in names.items():
            # q, k, v and gate, value one above the other, as we keep them.
            parts = [state[name] for name in theirs]
            weight = torch.cat(parts) if len(parts) > 1 else parts[0]
            if transposed(config, ours):
                weight = weight.T  # (in, out) to (out, in)

            # Checked after the copy: a float64 may be finite until it is a float32.
            own[ours].copy_(weight)
            _require_finite(theirs[0], own[ours])
    return model


def _with_prefix(config: GPTConfig, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, with the prefix that the first published GPT-2 checkpoints lack."""
    if config.style != "gpt2" or "wte.weight" not in state:
        return state
    prefixed: dict[str, Tensor] = {}
    for name, weight in state.items():
        if name == "lm_head.weight":  # never had one
            prefixed[name] = weight
        else:
            prefixed[f"{PREFIX['gpt2']}.{name}"] = weight
    return prefixed


def _require_these_tensors(config: GPTConfig, names: Names, state: dict[str, Tensor]) -> None:
    """Refuse a checkpoint that lacks a tensor, or holds one that would go unused."""
    known: set[str] = set()
    for theirs in names.values():
        for name in theirs:
            require(name in state, "checkpoint", f"one that holds {name}", sorted(state)[:2])
            known.add(name)

    extra = sorted(set(state) - known)
    extra = [name for name in extra if not holds_nothing(config, name)]
    require(not extra, "checkpoint", "one whose every tensor config.json accounts for", extra[:2])


def _require_fitting_tensors(config: GPTConfig, names: Names, state: dict[str, Tensor]) -> None:
    """Refuse tensors that are not floating-point or not of the shape that config.json asks for."""
    with torch.device("meta"):  # shapes without memory
        model = GPT(config)
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    for ours, theirs in names.items():
        for name in theirs:
            dtype = state[name].dtype
            require(dtype.is_floating_point, f"dtype of {name}", "floating-point", str(dtype))

        shape = shapes[ours]
        if len(theirs) == 1:
            name = theirs[0]
            got = tuple(state[name].shape)
            if transposed(config, ours):
                got = tuple(reversed(got))
            require(got == shape, f"shape of {name}", f"as in config.json ({shape})", got)
            continue

        # Each part has a height of its own, so that no two wrong ones add up to a right sum.
        heights = part_heights(config, ours)
        for name, height in zip(theirs, heights, strict=True):
            wanted = (height, *shape[1:])
            got = state[name].shape
            require(got == wanted, f"shape of {name}", f"as in config.json ({wanted})", got)


def _require_finite(name: str, weight: Tensor) -> None:
    # A sum takes a fraction of the time, and is finite only if every summand is.
    if bool(weight.sum().isfinite()):
        return
    finite = int(torch.isfinite(weight).sum())
    bad = weight.numel() - finite
    require(bad == 0, name, "finite", f"{bad} entries that are NaN or infinite in float32")


def _first_line(error: BaseException) -> str:
    """The first line of an error that may have many."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]


# ---- config.json


def to_config(config: GPTConfig) -> dict[str, Any]:
    """The ``config.json`` under which ``transformers`` builds the same architecture.

    Raises ``ValueError`` for grouped key-value heads in GPT-2 style, which ``transformers`` does
    not know.

    >>> theirs = to_config(GPTConfig("llama", n_layer=6, d_model=256))
    >>> theirs["num_hidden_layers"], theirs["hidden_size"]
    (6, 256)
    """
    style = config.style
    result: dict[str, Any] = {}

    # The same numbers under their names, and what our architecture takes for granted.
    for ours, name in FIELDS[style].items():
        result[name] = getattr(config, ours)
    for name, values in ASSUMED[style].items():
        result[name] = values[0]
    result |= {"model_type": style, "bos_token_id": 0, "eos_token_id": 0, "dtype": "float32"}

    # What only one of the two models has.
    if style == "gpt2":
        allowed = f"n_head = {config.n_head} for transformers' GPT-2"
        require(config.n_kv_head == config.n_head, "n_kv_head", allowed, config.n_kv_head)
        result["architectures"] = ["GPT2LMHeadModel"]
        result |= {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}
    else:
        result["architectures"] = ["LlamaForCausalLM"]
        result["head_dim"] = config.d_head
        result["rope_parameters"] = {"rope_theta": config.rope_theta, "rope_type": "default"}
        result["rope_theta"] = config.rope_theta  # where transformers 4 looks
    return result


def from_config(theirs: dict[str, Any]) -> GPTConfig:
    """Our configuration for a ``config.json``.

    Raises ``ValueError`` for an architecture that is not ours.

    >>> config = GPTConfig("llama", n_head=4, n_kv_head=2)
    >>> from_config(to_config(config)) == config
    True
    """
    require(isinstance(theirs, dict), "config.json", "a JSON object", theirs)
    style = theirs.get("model_type")
    require(style in ("gpt2", "llama"), "model_type", "'gpt2' or 'llama'", style)
    assert isinstance(style, str)

    # What would compute something else than our architecture.
    for name, values in ASSUMED[style].items():
        value = theirs.get(name, values[0])
        require(value in values, name, f"one of {values}", value)

    # The same numbers under our names.
    fields: dict[str, Any] = {}
    for ours, name in FIELDS[style].items():
        value = theirs.get(name)
        if value is None:
            require(ours in DEFAULTS[style], name, "given in config.json", None)
            value = DEFAULTS[style][ours]
        fields[ours] = value
    tied = fields["tie_embeddings"]  # any text would count as true
    require(isinstance(tied, bool), "tie_word_embeddings", "true or false", tied)
    if style == "llama":
        fields["rope_theta"] = _rope_theta(theirs)

    # Our heads share the width equally, and theirs need not.
    config = GPTConfig(style=style, **fields)
    width = theirs.get("head_dim") or config.d_head
    allowed = f"hidden_size / num_attention_heads = {config.d_head}"
    require(width == config.d_head, "head_dim", allowed, width)
    return config


def _rope_theta(theirs: dict[str, Any]) -> float:
    """The base of rotary positions, which versions of ``transformers`` store in three places."""
    rope = theirs.get("rope_parameters") or theirs.get("rope_scaling") or {}
    require(isinstance(rope, dict), "rope_parameters", "a JSON object", rope)
    kind = rope.get("rope_type", rope.get("type", "default"))
    require(kind == "default", "rope_type", "'default'", kind)
    theta = rope.get("rope_theta") or theirs.get("rope_theta") or 10_000.0
    return number("rope_theta", theta, 1.0, open_low=True)


# ---- Models in memory


def to_transformers(model: GPT) -> PreTrainedModel:
    """A ``GPT2LMHeadModel`` or ``LlamaForCausalLM`` with these weights, in evaluation mode."""
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    fields = to_config(model.config)
    fields.pop("model_type")
    theirs: Any  # their decorators hide from a type checker how .to() is called
    if model.config.style == "gpt2":
        theirs = GPT2LMHeadModel(GPT2Config(**fields))
    else:
        theirs = LlamaForCausalLM(LlamaConfig(**fields))

    missing, unknown = theirs.load_state_dict(to_state_dict(model), strict=False)
    if model.config.tie_embeddings:  # then the head is their embedding, which has been loaded
        missing = [name for name in missing if name != "lm_head.weight"]
    wrong = list(missing) + list(unknown)
    if wrong:
        raise RuntimeError(f"transformers names its weights differently here: {wrong}")
    return theirs.to(model.tok.weight.device).eval()


def from_transformers(theirs: PreTrainedModel) -> GPT:
    """A `GPT` with the weights of a ``GPT2LMHeadModel`` or ``LlamaForCausalLM``.

    In float32 on the CPU. Raises ``ValueError`` as `from_config` and `from_state_dict` do.
    """
    state = {name: weight.detach().cpu() for name, weight in theirs.state_dict().items()}
    config = from_config(theirs.config.to_dict())
    return from_state_dict(config, state)


# ---- Folders on disk


def save_pretrained(
    model: GPT,
    folder: str | Path,
    dtype: torch.dtype = torch.float32,
    beside: Sequence[str] = (),
) -> None:
    """Write ``config.json`` and ``model.safetensors`` as ``transformers`` does.

    dtype: what the weights are stored in. beside: files in the folder that belong to these weights,
    such as "tokenizer.json". Hashes of them and of ``config.json`` are stored with the weights, so
    that `load_pretrained` knows them again. Raises ``OSError`` in one line when the folder cannot
    be written.
    """
    folder = Path(folder)
    state: dict[str, Tensor] = {}
    for name, weight in to_state_dict(model).items():
        state[name] = weight.to("cpu", dtype)
    config = to_config(model.config)
    config["dtype"] = str(dtype).removeprefix("torch.")
    write_json(folder / "config.json", config)
    metadata = {"format": "pt"}
    for name in ("config.json", *beside):
        metadata[HASH_OF + name] = file_sha256(folder / name)
    write_tensors(folder / "model.safetensors", state, metadata)


def load_pretrained(folder: str | Path) -> GPT:
    """Read a folder in ``transformers``' layout, also one of several shards.

    The weights become float32. What `save_pretrained` has written is proven by its hashes. Raises
    ``FileNotFoundError`` or ``ValueError`` in one line for what is missing, damaged or not ours.
    """
    folder = Path(folder)
    state: dict[str, Tensor] = {}
    for name in _weight_files(folder):
        try:
            header = read_header(folder / name, "file of weights", hashed=False)
            state |= load_file(folder / name)
        except FileNotFoundError:
            raise FileNotFoundError(f"{folder.name} holds no {name}") from None
        except (ValueError, SafetensorError, OSError) as error:
            reason = f"{folder.name} is not a readable checkpoint: {_first_line(error)}"
            raise ValueError(reason) from None
        _require_stored_together(folder, name, header)
    config = from_config(_read_object(folder / "config.json"))
    return from_state_dict(config, state)


def _require_stored_together(folder: Path, weights: str, header: Header) -> None:
    """Refuse a folder with another file than the one whose hash the weights' header holds."""
    for key, sha256 in header.metadata.items():
        name = key.removeprefix(HASH_OF)
        if name == key or not _is_plain_name(name):
            continue
        # Whoever stored these hashes has stored one of the weights as well.
        if header.sha256 is None:
            raise ValueError(f"{folder.name}: {weights} is damaged, it has lost its sha256")
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder.name} holds no {name}")
        if file_sha256(folder / name) != sha256:
            raise ValueError(f"{folder.name}: {name} is not the one stored with its weights")


def _weight_files(folder: Path) -> list[str]:
    """The names of the files that hold the weights: a single one, or the shards of an index."""
    index = folder / "model.safetensors.index.json"
    if not index.exists() or (folder / "model.safetensors").exists():
        return ["model.safetensors"]  # of the two, the one that transformers would read
    weight_map = _read_object(index).get("weight_map")
    files = list(weight_map.values()) if isinstance(weight_map, dict) else []
    valid = len(files) > 0 and all(_is_plain_name(name) for name in files)
    allowed = "an object of plain file names"
    require(valid, f"weight_map in {index.name}", allowed, weight_map)
    return sorted(set(files))


def _is_plain_name(name: Any) -> bool:
    """Whether ``name`` is a file's alone: with folders in it, it could lead out of the model's."""
    return isinstance(name, str) and name not in ("", "..") and Path(name).name == name


def _read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a model's folder."""
    if not path.is_file():
        raise FileNotFoundError(f"{path.parent.name} holds no {path.name}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # not JSON, or not even UTF-8
        found = f"{path.parent.name} is not a readable checkpoint: {path.name}"
        raise ValueError(f"{found}: {_first_line(error)}") from None
    require(isinstance(content, dict), path.name, "a JSON object", content)
    return content
