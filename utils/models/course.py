"""The course's own language models, stored under ``records/``, and a few from the hub to put in their place.

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
MODELS = {
    "course": "course_gpt",
    "gpt2": "openai-community/gpt2",
    "smollm2": "HuggingFaceTB/SmolLM2-135M",
    "qwen": "Qwen/Qwen2.5-0.5B",
}


def load(name: str = "course_gpt", folder: str | Path | None = None) -> tuple[GPT, Tokenizer]:
    """The stored model in evaluation mode, on the CPU in float32, and its tokenizer.

    name: "course_gpt", or "judge_gpt", which was trained on other books. folder: look there instead of in
    the course's records. Raises ``FileNotFoundError`` or ``ValueError`` in one line.
    """
    choice("name", name, NAMES)
    shown = f"records/{name}" if folder is None else str(folder)
    folder = repo_root() / "records" / name if folder is None else Path(folder)
    for file in ("model.safetensors", "config.json", "tokenizer.json"):
        if not (folder / file).is_file():
            raise FileNotFoundError(
                f"{shown} holds no {file}: train it with experiments.course_gpt.train"
            )
    model, tokenizer = load_pretrained(folder).eval(), load_tokenizer(folder / "tokenizer.json")
    size, fits = tokenizer.get_vocab_size(), f"of the model's {model.config.vocab_size} tokens"
    require(size == model.config.vocab_size, f"{shown}/tokenizer.json", fits, size)
    return model, tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """A stored tokenizer. Raises ``ValueError`` in one line for a file that is none."""
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing more precise
        reason = " ".join(str(error).split())
        raise ValueError(f"{path.name} is not a readable tokenizer: {reason}") from None


def choose_model(name: str = "course") -> tuple[nn.Module, Any]:
    """A model and its tokenizer: the course's own, or one of ``MODELS`` from the Hugging Face hub.

    Without a network, the course's model takes the place of one that cannot be fetched, and a line says so.
    Raises ``ValueError`` for a name that is not in ``MODELS``.
    """
    address = MODELS[choice("name", name, tuple(MODELS))]
    if name != "course":
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(address)
            return AutoModelForCausalLM.from_pretrained(
                address, dtype=torch.float32
            ).eval(), tokenizer
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            print(f"{address} could not be fetched, so this is the course's own model. ({reason})")
    return load(MODELS["course"])
