"""Measure a trained course model, and store it with a model card.

    python -m experiments.course_gpt.card --corpus classic_books.jsonl.xz --work run/

writes ``records/course_gpt/``: weights in float16 and ``config.json`` as ``transformers`` keeps
them, the tokenizer, ``card.json`` with every number, and ``README.md`` made from it. What is
measured is the stored float16 model. No number in a card is typed.
"""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from experiments.course_gpt.readme import readme
from experiments.course_gpt.train import RECIPES, baselines_file, prepared, tokens_file, words_file
from experiments.settings import one_line_errors, parser
from utils.data.books import Book, checked_tokens, halves, open_tokens, read_books, tokens_digest
from utils.files import write_text
from utils.models import ngram
from utils.models.budget import matmul_flops_per_token
from utils.models.course import load
from utils.models.gpt import GPT, KVCache
from utils.models.interop import save_pretrained
from utils.records import write_json
from utils.runtime import generator, repo_root
from utils.sampling import measures
from utils.tensors import read_header
from utils.training.checkpoints import load_checkpoint
from utils.training.config import TrainState
from utils.training.loop import evaluate
from utils.validate import integer, require

PROMPT = 32  # tokens of a prompt
SAMPLES = 32  # texts per temperature
SUBSET = 128  # windows of the quick measure of the loss
TEMPERATURES = (0.8, 1.0)
BASELINES = ("unigram", "bigram", "trigram", "4-gram")  # of order 1, 2, 3, 4
STORED = ("model.safetensors", "config.json", "tokenizer.json", "README.md", "card.json")


# ---- what is measured on -------------------------------------------------------------------------


@dataclass(frozen=True)
class Material:
    """The corpus as one model sees it, and the model that was trained on it."""

    model: GPT  # with the checkpoint's weights, in float32
    fixed: dict[str, Any]  # what the checkpoint says of the architecture and the settings
    state: dict[str, Any]  # how far the training came
    own: list[Book]  # the model's half of the training books
    trained: list[Book]  # both halves
    held_out: list[Book]
    tokens: np.ndarray  # of the model's own books, (n_tokens,)
    validation: np.ndarray  # tokens of the held-out books, (n_validation,)
    sha256: str  # of the corpus file


def read_material(name: str, corpus: Path, work: Path) -> Material:
    """Read what ``work`` holds of the model ``name``.

    Raises ``ValueError`` where corpus, tokens and checkpoint do not belong together, ``OSError``
    for a missing file.
    """
    sha256 = prepared(corpus, work)
    allowed = "a folder prepared by experiments.course_gpt.train"
    require(sha256 is not None, "work", allowed, str(work))
    assert sha256 is not None

    # The text: books, and the tokens that training made of them.
    recipe = RECIPES[name]
    books = read_books(corpus)
    tokens = open_tokens(tokens_file(work, name))
    validation = open_tokens(tokens_file(work, "validation"))
    checked_tokens(name, tokens, recipe.gpt.vocab_size)
    checked_tokens("validation", validation, recipe.gpt.vocab_size)

    own = halves(books)[recipe.half]
    dated = any(book.year for book in own)
    require(dated, "corpus", "one that knows the year of a training book", corpus.name)

    # The model, which must have been trained on these very tokens.
    model = GPT(recipe.gpt)
    path = work / f"{name}.safetensors"
    counters = load_checkpoint(path, model)
    fixed = counters["fixed"]
    state = TrainState.stored(path.name, counters["state"])
    same = fixed.get("model") == asdict(recipe.gpt) and fixed.get("n_tokens") == len(tokens)
    same = same and fixed.get("tokens") == tokens_digest(tokens)
    allowed = f"a checkpoint of {name} on the tokens of {work}"
    require(same, path.name, allowed, "another model or other tokens")
    integer("batch_size", fixed.get("batch_size"), 1)

    return Material(
        model=model,
        fixed=fixed,
        state=asdict(state),
        own=own,
        trained=[book for book in books if book.split == "train"],
        held_out=[book for book in books if book.split == "validation"],
        tokens=tokens,
        validation=np.asarray(validation),
        sha256=sha256,
    )


# ---- measures ------------------------------------------------------------------------------------


@torch.no_grad()
def sample(model: GPT, prompts: Tensor, n: int, temperature: float, seed: int = 0) -> Tensor:
    """Continue ``prompts`` (B, T) by ``n`` tokens drawn at ``temperature``: the new ones (B, n)."""
    draw = generator(seed, "torch")
    cache = KVCache(model, len(prompts))
    new = prompts
    drawn = []
    for _ in range(n):
        # The cache knows everything before ``new``, so only the latest tokens are run.
        logits = model(new, cache=cache)[:, -1]  # (B, V)
        p = torch.softmax(logits / temperature, dim=-1)  # (B, V)
        new = torch.multinomial(p, 1, generator=draw)  # (B, 1)
        drawn.append(new)
    return torch.cat(drawn, dim=1)  # (B, n)


def measure_loss(model: GPT, validation: np.ndarray, sizes: np.ndarray) -> dict[str, float]:
    """The loss on all held-out books, and on `SUBSET` windows of them.

    validation: token ids (n_validation,). sizes: bytes of each token id (V,). Windows do not
    overlap, so a token sees half a context on average.
    """
    T = model.config.context_length
    n_scored = (len(validation) - 1) // T * T  # whole windows, each of which predicts T tokens
    scored = validation[1 : n_scored + 1]
    nats = evaluate(model, validation)
    n_bytes = int(sizes[scored].sum())
    return {
        "tokens": len(scored),
        "bytes": n_bytes,
        "nats_per_token": nats,
        "perplexity": math.exp(nats),
        "bits_per_byte": ngram.bits_per_byte(nats * len(scored), n_bytes),
        "subset_windows": SUBSET,
        "subset_nats_per_token": evaluate(model, validation, windows=SUBSET),
    }


def measure_baselines(
    tokens: np.ndarray, validation: np.ndarray, sizes: np.ndarray, text: str
) -> dict[str, Any]:
    """n-gram models of the training tokens, on the held-out ones, and ``xz`` on ``text``."""
    vocab_size = len(sizes)
    n_bytes = int(sizes[validation].sum())
    result: dict[str, Any] = {}
    for order, name in enumerate(BASELINES, 1):
        nats = ngram.KneserNey(tokens, order, vocab_size).nats(validation)  # (n_validation,)
        bits = ngram.bits_per_byte(float(nats.sum()), n_bytes)
        result[name] = {"nats_per_token": float(nats.mean()), "bits_per_byte": bits}
    result["xz -9e"] = {"nats_per_token": None, "bits_per_byte": ngram.xz_bits_per_byte(text)}
    return result


def measure_samples(
    model: GPT, tokenizer: Tokenizer, validation: np.ndarray, known: set[str]
) -> dict[str, Any]:
    """Real words and repeated 4-grams of the model's continuations and of the books' own.

    known: the words that count as real.
    """
    T = model.config.context_length
    starts = np.linspace(0, len(validation) - T - 1, SAMPLES).astype(int)
    windows = np.stack([validation[start : start + T] for start in starts]).astype(np.int64)
    prompts = windows[:, :PROMPT]  # (SAMPLES, PROMPT)
    continuations = {"held-out text": windows[:, PROMPT:]}  # (SAMPLES, T - PROMPT) each
    for temperature in TEMPERATURES:
        drawn = sample(model, torch.from_numpy(prompts), T - PROMPT, temperature)
        continuations[f"T = {temperature:g}"] = drawn.numpy()

    shown = SAMPLES // 2  # the example in the middle of the list
    result = {}
    for name, ids in continuations.items():
        texts = [tokenizer.decode(row.tolist()) for row in ids]
        result[name] = {
            "real_word_rate": measures.real_word_rate(texts, known),
            "repeated_4gram_rate": measures.repeated_ngram_rate(ids.tolist()),
            "example_prompt": tokenizer.decode(prompts[shown].tolist()),
            "example": texts[shown],
        }
    return result


# ---- the card ------------------------------------------------------------------------------------


def make_card(name: str, corpus: Path, work: Path, folder: Path, note: str = "") -> dict[str, Any]:
    """Store the checkpoint in ``work`` under ``folder``, measure what was stored: the card.

    ``folder`` changes only once everything is measured. Raises ``ValueError`` where corpus, tokens
    and checkpoint do not belong together, ``OSError`` for a missing or unwritable file.
    """
    material = read_material(name, corpus, work)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the folder, and so on the same disk, where a file changes its place in one step.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{name}.") as place:
        part = Path(place)
        shutil.copyfile(work / "tokenizer.json", part / "tokenizer.json")
        save_pretrained(material.model, part, torch.float16, beside=["tokenizer.json"])
        card = _measured(name, corpus.name, work, material, part, note)
        write_json(part / "card.json", card)
        write_text(part / "README.md", readme(card))

        folder.mkdir(exist_ok=True)
        for file in STORED:
            os.replace(part / file, folder / file)
    return card


def _measured(
    name: str, corpus: str, work: Path, material: Material, folder: Path, note: str
) -> dict[str, Any]:
    """The card of the weights and tokenizer in ``folder``."""
    model, tokenizer = load(name, folder)
    tokens, validation = material.tokens, material.validation
    sizes = ngram.token_bytes(tokenizer)
    state = material.state

    def all_words() -> list[str]:
        return sorted(measures.vocabulary(book.text for book in material.trained))

    def all_baselines() -> dict[str, Any]:
        text = "".join(book.text for book in material.held_out)
        return measure_baselines(np.asarray(tokens), validation, sizes, text)

    known = set(_kept(words_file(work), all_words))
    return {
        "name": name,
        "finished": state["step"] == state["steps"],
        "parameters": model.num_parameters(),
        "parameters_without_embeddings": model.num_parameters(embeddings=False),
        "architecture": material.fixed["model"],
        "bytes_of_weights": (folder / "model.safetensors").stat().st_size,
        "sha256_of_weights": read_header(folder / "model.safetensors").sha256,
        "training": _of_training(material, note),
        "evaluation": measure_loss(model, validation, sizes),
        "baselines": _kept(baselines_file(work, name), all_baselines),
        "samples": measure_samples(model, tokenizer, validation, known),
        "sampling": {
            "prompts": SAMPLES,
            "prompt_tokens": PROMPT,
            "new_tokens": model.config.context_length - PROMPT,
        },
        "data": _of_data(corpus, material),
    }


def _of_training(material: Material, note: str) -> dict[str, Any]:
    """How the model was trained: what it saw, how long it took, on what, with which settings."""
    fixed, state = material.fixed, material.state
    config = material.model.config
    seen = state["step"] * fixed["batch_size"] * config.context_length
    on_gpu = torch.cuda.is_available()
    elsewhere = ("model", "n_tokens", "tokens", "steps")  # of the checkpoint, told at another place
    return {
        "steps": state["step"],
        "tokens": seen,
        "epochs": seen / len(material.tokens),
        "flops": seen * matmul_flops_per_token(config),
        "minutes": state["seconds"] / 60,
        "hardware": torch.cuda.get_device_name() if on_gpu else f"CPU ({_cpu()})",
        "note": note,
        "decay_from_step": state["decay_start"],
        "settings": {key: value for key, value in fixed.items() if key not in elsewhere},
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
        "history": state["history"],
    }


def _of_data(corpus: str, material: Material) -> dict[str, Any]:
    """Which books the model was trained on and measured on, and under which licence."""
    youngest = max(book.year for book in material.own if book.year)
    return {
        "corpus": corpus,
        "sha256": material.sha256,
        "licence": "public domain in the United States; the youngest book of this half appeared in "
        f"{youngest}",
        "train_tokens": len(material.tokens),
        "train_bytes": sum(len(book.text.encode()) for book in material.own),
        "train_titles": _titles(material.own),
        "validation_titles": _titles(material.held_out),
    }


def _titles(books: list[Book]) -> list[str]:
    return [f"{book.author}: {book.title}" for book in books]


def _kept(path: Path, compute: Callable[[], Any]) -> Any:
    """What ``path`` holds, computed once: it does not depend on the model, and takes minutes."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # not there yet, or damaged
        write_json(path, compute())
    return json.loads(path.read_text(encoding="utf-8"))


def _cpu() -> str:
    """The processor's name, where Linux tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    command = parser("experiments.course_gpt.card", __doc__)
    command.add_argument("--corpus", type=Path, required=True, help="the books it was trained on")
    command.add_argument(
        "--work", type=Path, required=True, help="folder that holds the checkpoint"
    )
    command.add_argument("--name", choices=RECIPES, default="course_gpt")
    command.add_argument(
        "--out", type=Path, default=repo_root() / "records", help="folder of the model's folder"
    )
    command.add_argument("--note", default="", help="a sentence on the hardware for the card")
    options = command.parse_args(arguments)
    with one_line_errors(command):
        folder = options.out / options.name
        card = make_card(options.name, options.corpus, options.work, folder, options.note)
        loss = card["evaluation"]
        nats, bits = loss["nats_per_token"], loss["bits_per_byte"]
        print(f"{options.name}: {nats:.4f} nats per token, {bits:.4f} bits per byte")


if __name__ == "__main__":
    main()
