"""Fine-tune the course's model on one author: what is gained there, and what is lost elsewhere.

    python -m experiments.myths.one_author --corpus classic_books.jsonl.xz --time-budget 1800

Each run starts from the stored weights of ``course_gpt`` and takes forty steps on one author's
books, or on books by many others. Full fine-tuning changes every weight; LoRA (Hu et al. 2021,
arXiv:2106.09685) adds a product of two thin matrices to each weight matrix of the blocks and trains
those alone. Before and after, the model is asked for its loss, in bits per byte, on

- a book by each of the authors (the longest, which nobody trains on): "home" of that author;
- held-out books by other authors: "others";
- books that the model was trained on: "trained".

The authors are from the half of the corpus that the model has not read. After a run the model is
also asked with only a share of the change of its weights. A smaller share gains less and loses
less, so that two methods can be compared where they have lost the same.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from experiments.runner import Experiment, Plan, Run
from experiments.settings import distinct
from utils.data.books import Book, encode_books, halves, read_books
from utils.data.fetch import file_sha256
from utils.models.budget import matmul_flops_per_token
from utils.models.course import load
from utils.models.gpt import GPT
from utils.runtime import generator
from utils.training.loop import evaluate
from utils.validate import integer, number, require

MIXED = "mixed"  # in place of an author: books by many others
FULL = 0  # in place of a rank: every weight is trained
WARMUP = 4  # steps
SCALE = 2.0  # of LoRA's product; alpha / rank in the paper
LENGTH = 200_000  # characters of a book that are used
THIN = 12  # of the books that the model was trained on, every twelfth is asked for
MIX = 4  # of the books by many others, every fourth is trained on


@dataclass(frozen=True)
class Settings:
    """What fixes the outcome. Raises ``ValueError`` for a setting that is out of its range.

    full_rate, lora_rate: learning rate of either method. other_rates: factors on these, on the
    first author, with the first seed only. rank: LoRA's, on every author. other_ranks:
    further ones, on the first author only. shares: of the whole change of the weights, at which the
    model is asked. windows: of 256 tokens, from each text that it is asked for.
    """

    authors: tuple[str, ...] = ("Lucy Maud Montgomery", "Jane Austen")
    seeds: tuple[int, ...] = (0, 1, 2)
    full_rate: float = 3e-4
    lora_rate: float = 3e-3
    other_rates: tuple[float, ...] = (0.3, 3.0)
    rank: int = 8
    other_ranks: tuple[int, ...] = (1, 64)
    steps: int = 40
    shares: tuple[float, ...] = (0.5, 1.0)
    batch_size: int = 2
    windows: int = 16

    def __post_init__(self) -> None:
        distinct("authors", self.authors)
        for seed in distinct("seeds", self.seeds):
            integer("seeds", seed, 0)
        for name in ("full_rate", "lora_rate"):
            number(name, getattr(self, name), 0.0, open_low=True)
        for factor in distinct("other_rates", self.other_rates):
            number("other_rates", factor, 0.0, open_low=True)
        for rank in distinct("other_ranks", (self.rank, *self.other_ranks)):
            integer("rank", rank, 1)
        for share in distinct("shares", self.shares):
            number("shares", share, 0.0, 1.0, open_low=True)
        integer("steps", self.steps, 1)
        integer("batch_size", self.batch_size, 1)
        integer("windows", self.windows, 1)


# ---- text ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Text:
    """Tokens (n_tokens,) and what one nat per token is in bits per byte."""

    tokens: np.ndarray
    bits: float


def encoded(tokenizer: Any, books: list[Book]) -> Text:
    """The middle parts of the books as one row of tokens.

    The first pages would not do: they introduce the characters, as do those of other books.
    """
    books = [replace(book, text=middle(book.text)) for book in books]
    tokens = encode_books(tokenizer, books)
    n_bytes = sum(len(book.text.encode()) for book in books)
    return Text(tokens, len(tokens) / n_bytes / math.log(2))


def middle(text: str) -> str:
    """The `LENGTH` characters in the middle of a text, or all of a shorter one."""
    start = max(0, (len(text) - LENGTH) // 2)
    return text[start : start + LENGTH]


def choose_books(books: list[Book], authors: tuple[str, ...]) -> dict[str, dict[str, list[Book]]]:
    """``chosen["train"]`` and ``chosen["asked"]``: books by what the runs and results call them.

    Raises ``ValueError`` for an author with fewer than two books that the model has not read.
    """
    read, unread = halves(books)
    train: dict[str, list[Book]] = {}
    asked: dict[str, list[Book]] = {}
    for author in authors:
        works = [book for book in unread if book.author == author]
        require(len(works) > 1, "authors", "with two books that the model has not read", author)
        works.sort(key=lambda book: len(book.text))
        train[author] = works[:-1]
        asked[author] = works[-1:]

    held_out = [book for book in books if book.split == "validation"]
    known = {*authors, *(book.author for book in held_out)}
    others = [book for book in unread if book.author not in known]
    train[MIXED] = others[::MIX]
    asked["others"] = [book for book in held_out if book.author not in authors]
    asked["trained"] = read[::THIN]
    return {"train": train, "asked": asked}


def training_rows(tokens: np.ndarray, n_rows: int, length: int, seed: int) -> Tensor:
    """Windows that begin at places drawn from the seed: (n_rows, length)."""
    starts = generator([seed, 1]).integers(0, len(tokens) - length + 1, n_rows)
    rows = np.stack([tokens[start : start + length] for start in starts])
    return torch.from_numpy(rows.astype(np.int64))


# ---- the two methods -----------------------------------------------------------------------------


class LoRA(nn.Module):
    """A linear layer whose weights W stay, plus SCALE · B A, with A (rank, in) and B (out, rank).

    B begins at zero, so that the layer begins as it was.
    """

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        self.A = nn.Parameter(torch.randn(rank, base.in_features) / math.sqrt(base.in_features))
        self.B = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) to (…, out)."""
        low = x @ self.A.T  # (…, rank)
        return self.base(x) + SCALE * (low @ self.B.T)  # (…, out)


def add_lora(model: GPT, rank: int) -> None:
    """Freeze the model and put a `LoRA` around each matrix of its blocks."""
    model.requires_grad_(False)
    for block in model.blocks:
        for part, name in (("attn", "qkv"), ("attn", "out"), ("mlp", "up"), ("mlp", "down")):
            layer = getattr(block, part)
            setattr(layer, name, LoRA(getattr(layer, name), rank))


# ---- one run -------------------------------------------------------------------------------------


def ask(model: GPT, texts: dict[str, Text], windows: int) -> dict[str, float]:
    """Bits per byte on each text."""
    answers = {}
    for name, text in texts.items():
        nats = evaluate(model, text.tokens, windows=windows, batch_size=8)  # per token
        answers[name] = round(nats * text.bits, 5)
    return answers


def fine_tune(
    train: dict[str, Text],
    asked: dict[str, Text],
    settings: Settings,
    key: dict[str, Any],
    deadline: float,
) -> dict[str, Any]:
    """Train one copy of the model; a run is too short to stop half-way."""
    model, _ = load("course_gpt")
    T = model.config.context_length
    n_rows = settings.steps * settings.batch_size
    n_tokens = n_rows * T
    result: dict[str, Any] = {"flops": float(matmul_flops_per_token(model.config) * n_tokens)}
    if time.monotonic() > deadline:
        return result | {"finished": False}

    # What is trained, and how.
    generator(key["seed"], "global")  # draws LoRA's matrices A
    if key["rank"] != FULL:
        add_lora(model, key["rank"])
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, betas=(0.9, 0.98), weight_decay=0.0)
    tokens = train[key["data"]].tokens
    rows = training_rows(tokens, n_rows, T + 1, key["seed"])

    began = time.process_time()
    start = [p.detach().clone() for p in trained]
    for step, part in enumerate(rows.split(settings.batch_size), start=1):
        warm = min(1.0, step / WARMUP)
        left = 1.0 - (step - 1) / settings.steps  # falls from 1 in a line, to 0 after the last step
        for group in optimizer.param_groups:
            group["lr"] = key["rate"] * warm * left
        loss = model(part[:, :-1], part[:, 1:])  # ()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
    end = [p.detach().clone() for p in trained]

    # What the model says with a share of the change, and with all of it.
    asked_at = []
    for share in settings.shares:
        set_share(model, start, end, share)
        asked_at.append({"share": share} | ask(model, asked, settings.windows))
    result["asked_at"] = asked_at
    result["n_trained"] = sum(p.numel() for p in trained)
    result["cpu_seconds"] = round(time.process_time() - began, 1)
    return result | {"finished": True}


@torch.no_grad()
def set_share(model: GPT, start: list[Tensor], end: list[Tensor], share: float) -> None:
    """Give every weight matrix ``share`` of its change, as in Wortsman et al. 2022.

    LoRA's change is the product of A and B, so that B alone is scaled.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    for (name, p), before_it, after_it in zip(named, start, end, strict=True):
        if not name.endswith(".A"):
            p.copy_(before_it + share * (after_it - before_it))


def before(asked: dict[str, Text], settings: Settings, deadline: float) -> dict[str, Any]:
    """What the model says as it is stored."""
    model, _ = load("course_gpt")
    return {"flops": 0.0, "finished": True, "start": ask(model, asked, settings.windows)}


def keys(settings: Settings) -> list[dict[str, Any]]:
    """What tells the runs apart: the authors and books by others first, then the controls."""
    found = []

    def add(data: str, rank: int, rate: float, seed: int) -> None:
        found.append({"data": data, "rank": rank, "rate": round(rate, 10), "seed": seed})

    first = settings.authors[0]
    for data in settings.authors:
        for seed in settings.seeds:
            add(data, FULL, settings.full_rate, seed)
            add(data, settings.rank, settings.lora_rate, seed)
    for seed in settings.seeds:
        add(MIXED, FULL, settings.full_rate, seed)
    for factor in settings.other_rates:
        add(first, FULL, settings.full_rate * factor, settings.seeds[0])
        add(first, settings.rank, settings.lora_rate * factor, settings.seeds[0])
    for rank in settings.other_ranks:
        for seed in settings.seeds:
            add(first, rank, settings.lora_rate, seed)
    for seed in settings.seeds:
        add(MIXED, settings.rank, settings.lora_rate, seed)
    return found


# ---- the experiment ------------------------------------------------------------------------------


def plan(settings: Settings, corpus: Path | None) -> Plan:
    """Every run, on the books of ``corpus``."""
    require(corpus is not None, "corpus", "a file of books, see utils.data.books", corpus)
    assert corpus is not None
    _, tokenizer = load("course_gpt")
    chosen = choose_books(read_books(corpus), settings.authors)
    texts = {}
    for side, groups in chosen.items():
        texts[side] = {name: encoded(tokenizer, books) for name, books in groups.items()}
    train = texts["train"]
    asked = texts["asked"]

    runs = [Run({"data": "nothing"}, partial(before, asked, settings), group="start")]
    for key in keys(settings):
        runs.append(Run(key, partial(fine_tune, train, asked, settings, key)))
    titles = {}
    for author in settings.authors:
        titles[author] = chosen["asked"][author][0].title
    return Plan(
        runs,
        told=lambda result: str(result.get("asked_at", result.get("start"))),
        source={"corpus_sha256": file_sha256(corpus)},
        notes={"homes": titles},
    )


EXPERIMENT = Experiment(
    command="experiments.myths.one_author",
    about=__doc__,
    record="myths/specialists_author",
    settings=Settings,
    plan=plan,
    inputs={"corpus": "books, one JSON line each (see utils.data.books)"},
)
measure = EXPERIMENT.measure
main = EXPERIMENT.main

if __name__ == "__main__":
    main()
