"""The course's own language models, stored under ``records/``, and a few from the hub instead.

``load("course_gpt")`` gives a model and its tokenizer; it needs no corpus and no network.
``python -m experiments.course_gpt.train`` trains them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn

from utils.models.gpt import GPT
from utils.models.interop import load_pretrained
from utils.runtime import repo_root
from utils.validate import choice, require

NAMES = ("course_gpt", "judge_gpt")
FILES = ("model.safetensors", "config.json", "tokenizer.json")  # what a stored model consists of

# What choose_model offers, and where it is: the course's records, or an address on the hub.
MODELS = {
    "course": "course_gpt",
    "gpt2": "openai-community/gpt2",
    "smollm2": "HuggingFaceTB/SmolLM2-135M",
    "qwen": "Qwen/Qwen2.5-0.5B",
}


def load(name: str = "course_gpt", folder: str | Path | None = None) -> tuple[GPT, Tokenizer]:
    """The stored model in evaluation mode, on the CPU in float32, and its tokenizer.

    name: "course_gpt", or "judge_gpt", which was trained on other books. folder: look there instead
    of in the course's records.
    Raises ``FileNotFoundError`` for a file that is missing, or ``ValueError`` for one that is
    damaged or does not belong to the others, in one line.

    >>> model, tokenizer = load("course_gpt")
    >>> model.config.vocab_size == tokenizer.get_vocab_size()
    True
    """
    choice("name", name, NAMES)
    shown = str(folder)
    if folder is None:
        shown = f"records/{name}"
        folder = repo_root() / "records" / name
    folder = Path(folder)

    # Say what is missing, and where it comes from, before anything is read.
    for file in FILES:
        if not (folder / file).is_file():
            advice = "train it with experiments.course_gpt.train"
            raise FileNotFoundError(f"{shown} holds no {file}: {advice}")

    model = load_pretrained(folder)
    model.eval()
    tokenizer = load_tokenizer(folder / "tokenizer.json")

    # A tokenizer of another size would feed ids that this model has no meaning for.
    size = tokenizer.get_vocab_size()
    wanted = model.config.vocab_size
    allowed = f"of the model's {wanted} tokens"
    require(size == wanted, f"{shown}/tokenizer.json", allowed, size)
    return model, tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """A stored tokenizer. Raises ``ValueError`` in one line for a file that is none."""
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing more precise
        reason = " ".join(str(error).split())
        raise ValueError(f"{path.name} is not a readable tokenizer: {reason}") from None


def choose_model(name: str = "course") -> tuple[nn.Module, Any]:
    """A model and its tokenizer: the course's own, or one of `MODELS` from the Hugging Face hub.

    Without a network, the course's model takes the place of one that cannot be fetched, and a line
    says so. Raises ``ValueError`` for a name that is not in `MODELS`.
    """
    address = MODELS[choice("name", name, tuple(MODELS))]
    if name == "course":
        return load(address)
    try:
        return _from_hub(address)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        print(f"{address} could not be fetched, so this is the course's own model. ({reason})")
        return load(MODELS["course"])


def _from_hub(address: str) -> tuple[nn.Module, Any]:
    """A causal language model of ``transformers`` for evaluation in float32, and its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(address)
    model = AutoModelForCausalLM.from_pretrained(address, dtype=torch.float32)
    return model.eval(), tokenizer
