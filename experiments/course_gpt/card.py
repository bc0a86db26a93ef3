"""Measure a trained course model, and store it with a model card.

    python -m experiments.course_gpt.card --corpus classic_books.jsonl.xz --work run/ --name course_gpt

writes ``records/course_gpt/``: weights in float16 and ``config.json`` as ``transformers`` keeps them, the
tokenizer, ``card.json`` with every number, and ``README.md`` made from it. What is measured is the stored
float16 model. No number in a card is typed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from experiments.course_gpt.readme import readme
from experiments.course_gpt.train import RECIPES, prepared
from utils.data.books import Book, checked_tokens, halves, open_tokens, read_books, tokens_digest
from utils.files import write_whole
from utils.models import ngram
from utils.models.budget import matmul_flops_per_token
from utils.models.course import load
from utils.models.gpt import GPT, KVCache
from utils.models.interop import save_pretrained
from utils.records import write_json
from utils.runtime import repo_root
from utils.sampling import passages
from utils.training.checkpoints import load_checkpoint
from utils.training.config import TrainState
from utils.training.loop import evaluate
from utils.validate import integer, require

PROMPT, SAMPLES, SUBSET = (
    32,
    32,
    128,
)  # tokens of a prompt; texts a temperature; windows of the quick measure
TEMPERATURES = (0.8, 1.0)


@torch.no_grad()
def sample(model: GPT, prompts: Tensor, n: int, temperature: float, seed: int = 0) -> Tensor:
    """Continue ``prompts`` (B, T) by ``n`` tokens drawn at ``temperature``; returns the (B, n) new ones."""
    draw, cache, new, out = (
        torch.Generator().manual_seed(seed),
        KVCache(model, len(prompts)),
        prompts,
        [],
    )
    for _ in range(n):
        p = torch.softmax(model(new, cache=cache)[:, -1] / temperature, dim=-1)  # (B, V)
        new = torch.multinomial(p, 1, generator=draw)
        out.append(new)
    return torch.cat(out, dim=1)


def measure_loss(model: GPT, validation: np.ndarray, sizes: np.ndarray) -> dict[str, float]:
    """Nats a token and bits a byte on all held-out books, and nats a token on `SUBSET` windows of them.

    sizes: bytes of each token id. Windows do not overlap, so a token sees half a context on average.
    """
    T = model.config.context_length
    scored = validation[1 : (len(validation) - 1) // T * T + 1]  # what the windows predict
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
    """n-gram models of the same training tokens, on the same held-out tokens, and ``xz``."""
    V, n_bytes, result = len(sizes), int(sizes[validation].sum()), {}
    for order, name in ((1, "unigram"), (2, "bigram"), (3, "trigram"), (4, "4-gram")):
        nats = ngram.KneserNey(tokens, order, V).nats(validation)
        bits = ngram.bits_per_byte(float(nats.sum()), n_bytes)
        result[name] = {"nats_per_token": float(nats.mean()), "bits_per_byte": bits}
    result["xz -9e"] = {"nats_per_token": None, "bits_per_byte": ngram.xz_bits_per_byte(text)}
    return result


def measure_samples(
    model: GPT, tokenizer: Tokenizer, validation: np.ndarray, known: set[str]
) -> dict[str, Any]:
    """Real words and repeated 4-grams of continuations, beside the held-out text's own continuation."""
    T = model.config.context_length
    starts = np.linspace(0, len(validation) - T - 1, SAMPLES).astype(int)
    windows = np.stack([validation[s : s + T] for s in starts]).astype(np.int64)  # (SAMPLES, T)
    texts = {"held-out text": windows[:, PROMPT:]}
    for t in TEMPERATURES:
        texts[f"T = {t:g}"] = sample(
            model, torch.from_numpy(windows[:, :PROMPT]), T - PROMPT, t
        ).numpy()
    result = {}
    for name, ids in texts.items():
        decoded = [tokenizer.decode(row.tolist()) for row in ids]
        result[name] = {
            "real_word_rate": passages.real_word_rate(decoded, known),
            "repeated_4gram_rate": passages.repeated_ngram_rate(ids.tolist()),
            "example_prompt": tokenizer.decode(windows[SAMPLES // 2, :PROMPT].tolist()),
            "example": decoded[SAMPLES // 2],
        }
    return result


def _titles(books: list[Book]) -> list[str]:
    return [f"{b.author}: {b.title}" for b in books]


def _kept(path: Path, compute: Callable[[], Any]) -> Any:
    """Compute what does not depend on the model once."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # not there yet, or damaged
        write_json(path, compute())
    return json.loads(path.read_text(encoding="utf-8"))


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (s.partition(":")[2].strip() for s in lines if s.startswith("model name")),
        platform.machine(),
    )


def make_card(name: str, corpus: Path, work: Path, folder: Path, note: str = "") -> dict[str, Any]:
    """Store the checkpoint in ``work`` under ``folder``, measure what was stored, and return the card.

    ``folder`` changes only once everything is measured. Raises ``ValueError`` where corpus, tokens and
    checkpoint do not belong together, ``OSError`` for a missing or unwritable file.
    """
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        card = _measured(name, corpus, work, part, note)
        write_json(part / "card.json", card)
        write_whole(part / "README.md", readme(card).encode())
        folder.mkdir(parents=True, exist_ok=True)
        for file in (
            "model.safetensors",
            "config.json",
            "tokenizer.json",
            "README.md",
            "card.json",
        ):
            os.replace(part / file, folder / file)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return card


def _measured(name: str, corpus: Path, work: Path, folder: Path, note: str) -> dict[str, Any]:
    """Store weights and tokenizer under ``folder``, and measure them."""
    digest = prepared(corpus, work)
    require(
        digest is not None, "work", "a folder prepared by experiments.course_gpt.train", str(work)
    )
    recipe, books = RECIPES[name], read_books(corpus)
    tokens, validation = (open_tokens(work / f"{part}.npy") for part in (name, "validation"))
    for part, ids in ((name, tokens), ("validation", validation)):
        checked_tokens(part, ids, recipe.gpt.vocab_size)
    held_out = [b for b in books if b.split == "validation"]
    own = halves(books)[recipe.half]
    years = [b.year for b in own if b.year]
    require(len(years) > 0, "corpus", "one that knows the year of a training book", corpus.name)
    model, path = GPT(recipe.gpt), work / f"{name}.safetensors"
    counters = load_checkpoint(path, model)
    fixed, state = counters["fixed"], asdict(TrainState.stored(path.name, counters["state"]))
    same = fixed.get("model") == asdict(recipe.gpt) and fixed.get("n_tokens") == len(tokens)
    same = same and fixed.get("tokens", "") in ("", tokens_digest(tokens))
    require(
        same,
        path.name,
        f"a checkpoint of {name} on the tokens of {work}",
        "another model or other tokens",
    )
    integer("batch_size", fixed.get("batch_size"), 1)
    save_pretrained(model, folder, torch.float16)
    shutil.copyfile(work / "tokenizer.json", folder / "tokenizer.json")
    model, tokenizer = load(name, folder)

    validation = np.asarray(validation)
    sizes = ngram.token_bytes(tokenizer)
    seen = state["step"] * fixed["batch_size"] * recipe.gpt.context_length
    trained = [b.text for b in books if b.split == "train"]
    known = set(_kept(work / "words.json", lambda: sorted(passages.vocabulary(trained))))
    text = "".join(b.text for b in held_out)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "name": name,
        "finished": state["step"] == state["steps"],
        "parameters": model.num_parameters(),
        "parameters_without_embeddings": model.num_parameters(embeddings=False),
        "architecture": fixed["model"],
        "bytes_of_weights": (folder / "model.safetensors").stat().st_size,
        "training": {
            "steps": state["step"],
            "tokens": seen,
            "epochs": seen / len(tokens),
            "flops": seen * matmul_flops_per_token(recipe.gpt),
            "minutes": state["seconds"] / 60,
            "hardware": gpu or f"CPU ({_cpu()})",
            "note": note,
            "decay_from_step": state["decay_start"],
            "settings": {
                k: v for k, v in fixed.items() if k not in ("model", "n_tokens", "tokens", "steps")
            },
            "torch": torch.__version__,
            "date": datetime.now(UTC).date().isoformat(),
            "history": state["history"],
        },
        "evaluation": measure_loss(model, validation, sizes),
        "baselines": _kept(
            work / f"{name}-baselines.json",
            lambda: measure_baselines(np.asarray(tokens), validation, sizes, text),
        ),
        "samples": measure_samples(model, tokenizer, validation, known),
        "sampling": {
            "prompts": SAMPLES,
            "prompt_tokens": PROMPT,
            "new_tokens": recipe.gpt.context_length - PROMPT,
        },
        "data": {
            "corpus": corpus.name,
            "sha256": digest,
            "licence": "public domain in the United States; the youngest book of this half appeared in "
            + str(max(years)),
            "train_tokens": len(tokens),
            "train_bytes": sum(len(b.text.encode()) for b in own),
            "train_titles": _titles(own),
            "validation_titles": _titles(held_out),
        },
    }


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.course_gpt.card", description=__doc__
    )
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder that holds the checkpoint")
    parser.add_argument("--name", choices=RECIPES, default="course_gpt")
    parser.add_argument("--out", type=Path, default=repo_root() / "records")
    parser.add_argument("--note", default="", help="a sentence on the hardware for the card")
    args = parser.parse_args(arguments)
    folder = args.out / args.name
    try:
        card = make_card(args.name, args.corpus, args.work, folder, args.note)
    except (ValueError, OSError, MemoryError) as error:
        parser.error(str(error))
    e = card["evaluation"]
    print(
        f"{args.name}: {e['nats_per_token']:.4f} nats a token, {e['bits_per_byte']:.4f} bits a byte"
    )


if __name__ == "__main__":
    main()
