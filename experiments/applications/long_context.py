"""Train the course's model on at four times its length, and ask whether it then uses the rest.

    python -m experiments.applications.long_context --corpus classic_books.jsonl.xz

Each run starts from the stored weights of ``course_gpt``, which has read 256 tokens at a time, and
goes on training on the books of its own half, for the same number of tokens:

- "short": windows of 256 tokens, as before. This is the control: what more training does by itself;
- "plain": windows of 1,024 tokens, whose positions go on counting where they ended;
- "interpolated": windows of 1,024 tokens, with all positions divided by four (Chen et al. 2023,
  arXiv:2306.15595).

Before and after, the model predicts the same tokens of held-out books from windows of 64, 128, 256,
512 and 1,024 tokens, as far as it was trained: what a longer window gains is what it uses. In a
further control the text more than 256 tokens back comes from another book. The loss is also told
for those tokens alone that have occurred in the last 1,024 tokens but not in the last 256.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.runner import Experiment, Plan, Run
from experiments.settings import distinct
from utils.data.books import Book, encode_books, halves, read_books
from utils.data.fetch import file_sha256
from utils.models.budget import matmul_flops_per_token
from utils.models.course import load
from utils.models.gpt import GPT
from utils.runtime import device
from utils.training.config import TrainConfig
from utils.training.loop import train
from utils.validate import choice, integer, number, require

ARMS = ("short", "plain", "interpolated")
STRIDE = 64  # tokens that are predicted from one window
NEAR = 256  # tokens; what is further back may come from another book
FOREIGN = "foreign"  # in place of a window: the longest one, with another book's text far back
WARMUP = 50  # steps


@dataclass(frozen=True)
class Settings:
    """What fixes the outcome. Raises ``ValueError`` for a setting that is out of its range.

    length: of the long windows in tokens. rate: the peak of the learning rate. other_rates: factors
    on it, with the first seed only. tokens_per_step: of every arm, so that a step has four times as
    many windows of 256. thin: of the books of the model's half, every so-manieth is trained on.
    texts: of each held-out book.
    """

    arms: tuple[str, ...] = ARMS
    seeds: tuple[int, ...] = (0, 1, 2)
    length: int = 1024
    rate: float = 1e-3
    other_rates: tuple[float, ...] = (0.3, 3.0)
    steps: int = 1200
    tokens_per_step: int = 16_384
    thin: int = 2
    texts: int = 2

    def __post_init__(self) -> None:
        for arm in distinct("arms", self.arms):
            choice("arms", arm, ARMS)
        for seed in distinct("seeds", self.seeds):
            integer("seeds", seed, 0)
        number("rate", self.rate, 0.0, open_low=True)
        for factor in distinct("other_rates", self.other_rates):
            number("other_rates", factor, 0.0, open_low=True)
        integer("steps", self.steps, 1)
        integer("thin", self.thin, 1)
        integer("texts", self.texts, 1)
        integer("length", self.length, 2 * NEAR)
        require(self.length % NEAR == 0, "length", f"a multiple of {NEAR}", self.length)
        integer("tokens_per_step", self.tokens_per_step, self.length)
        even = self.tokens_per_step % self.length == 0
        allowed = f"a multiple of length = {self.length}"
        require(even, "tokens_per_step", allowed, self.tokens_per_step)

    @property
    def windows(self) -> tuple[int, ...]:
        """The lengths of window to predict from: 64, and its doubles up to ``length``.

        >>> Settings().windows
        (64, 128, 256, 512, 1024)
        """
        found = [STRIDE]
        while 2 * found[-1] <= self.length:
            found.append(2 * found[-1])
        return tuple(found)


# ---- the model -----------------------------------------------------------------------------------


def starting_model(arm: str, length: int) -> GPT:
    """The stored model, with the positions of this arm."""
    model, _ = load("course_gpt")
    if arm == "short":
        return model
    trained = model.config.context_length
    longer = GPT(replace(model.config, context_length=length))
    longer.load_state_dict(model.state_dict())
    if arm == "interpolated":
        # Rotation is linear in the position: a table for positions 0, 1/4, 2/4, …
        c = model.config
        exponent = torch.arange(0, c.d_head, 2, dtype=torch.float32) / c.d_head  # (D/2,)
        position = torch.arange(length, dtype=torch.float32) * (trained / length)  # (T,)
        angle = torch.outer(position, c.rope_theta**-exponent)  # (T, D/2)
        longer.cos = angle.cos()
        longer.sin = angle.sin()
    return longer.eval()


# ---- what it is asked ----------------------------------------------------------------------------


def texts_of(tokens: np.ndarray, n: int, length: int) -> np.ndarray:
    """``n`` texts of 2 · length + 1 tokens, from all over a book: (n, 2 · length + 1)."""
    shares = (np.arange(n) + 0.5) / n
    starts = (shares * (len(tokens) - 2 * length - 1)).round().astype(int)
    return np.stack([tokens[start : start + 2 * length + 1] for start in starts]).astype(np.int64)


def far_recurrences(texts: Tensor, length: int) -> Tensor:
    """Which targets have occurred in the last ``length`` tokens but not in the last `NEAR`.

    texts: (N, 2 · length + 1). The result is (N, length), for the targets of the second half.
    """
    found = []
    for place in range(length + 1, 2 * length + 1):
        target = texts[:, place, None]  # (N, 1)
        near = (texts[:, place - NEAR : place] == target).any(1)  # (N,)
        far = (texts[:, place - length : place - NEAR] == target).any(1)  # (N,)
        found.append(far & ~near)
    return torch.stack(found, dim=1)


@torch.no_grad()
def losses(model: GPT, texts: Tensor, window: int, foreign: Tensor | None = None) -> Tensor:
    """Nats of every target in the second half, from windows that end `STRIDE` targets apart.

    texts: (N, 2 · length + 1); the result is (N, length). A target sees window − STRIDE + 1 to
    ``window`` tokens. foreign: other texts, of the same shape, that stand where the window goes
    back further than `NEAR` tokens.
    """
    length = (texts.shape[1] - 1) // 2
    found = []
    for end in range(length + STRIDE, 2 * length + 1, STRIDE):
        rows = texts[:, end - window : end + 1]  # (N, window + 1)
        if foreign is not None:
            elsewhere = foreign[:, end - window : end - NEAR]  # (N, window − NEAR)
            rows = torch.cat([elsewhere, rows[:, window - NEAR :]], dim=1)  # (N, window + 1)
        for part in rows.split(32):
            logits = model(part[:, :-1])[:, -STRIDE:]  # (n, STRIDE, V)
            targets = part[:, -STRIDE:]  # (n, STRIDE)
            nats = F.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
            found.append(nats.cpu())
    per_end = torch.cat(found).view(length // STRIDE, len(texts), STRIDE)
    return per_end.transpose(0, 1).reshape(len(texts), length)


def ask(model: GPT, texts: Tensor, n_books: int, settings: Settings) -> dict[str, Any]:
    """The loss of each book, and that of far recurrences, by the window it is predicted from.

    texts: (n_books · settings.texts, 2 · length + 1), the texts of a book one after the other.
    """
    model.eval()
    longest = model.config.context_length
    recurs = far_recurrences(texts.cpu(), settings.length)  # (N, length)
    foreign = texts.roll(settings.texts, 0)  # those of the book before

    by_window: dict[str, Any] = {}
    recurring: dict[str, float | None] = {}
    windows: list[int | str] = [window for window in settings.windows if window <= longest]
    if longest == settings.length:
        windows.append(FOREIGN)
    for window in windows:
        if window == FOREIGN:
            nats = losses(model, texts, settings.length, foreign)  # (N, length)
        else:
            nats = losses(model, texts, int(window))  # (N, length)
        of_books = nats.view(n_books, -1).mean(1)  # (n_books,)
        by_window[str(window)] = [round(x, 4) for x in of_books.tolist()]
        again = nats[recurs]  # (n_recurring,)
        recurring[str(window)] = round(again.mean().item(), 4) if len(again) else None
    return {"loss": by_window, "recurring": recurring}


# ---- one run -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Data:
    """Tokens (n_tokens,) to train on, and texts (n_books · texts, 2 · length + 1) to ask for."""

    tokens: np.ndarray
    texts: Tensor
    titles: tuple[str, ...]


def tune(data: Data, settings: Settings, key: dict[str, Any], deadline: float) -> dict[str, Any]:
    """Go on training one arm and ask it; a run is too short to stop half-way."""
    model = starting_model(key["arm"], settings.length)
    n_tokens = settings.steps * settings.tokens_per_step
    flops = matmul_flops_per_token(model.config) * n_tokens
    result: dict[str, Any] = {"tokens": n_tokens, "flops": float(flops)}
    if time.monotonic() > deadline:
        return result | {"finished": False}

    began = time.monotonic()
    config = TrainConfig(
        steps=settings.steps,
        batch_size=settings.tokens_per_step // model.config.context_length,
        learning_rate=key["rate"],
        warmup=min(WARMUP, settings.steps // 4),
        seed=key["seed"],
        compile=False,
    )
    state = train(model, data.tokens, config)
    result["seconds"] = round(time.monotonic() - began, 1)
    if state.history:
        result["train_loss"] = round(state.history[-1]["train_loss"], 4)
    result |= ask(model, data.texts.to(device()), len(data.titles), settings)
    return result | {"finished": True}


def before(data: Data, settings: Settings, key: dict[str, Any], deadline: float) -> dict[str, Any]:
    """What the stored model says with the positions of this arm, without any training."""
    model = starting_model(key["arm"], settings.length).to(device())
    answers = ask(model, data.texts.to(device()), len(data.titles), settings)
    return answers | {"flops": 0.0, "finished": True}


def keys(settings: Settings) -> list[dict[str, Any]]:
    """What tells the runs apart: every arm with each seed, then other rates with the first seed."""
    found = []
    for seed in settings.seeds:
        for arm in settings.arms:
            found.append({"arm": arm, "rate": settings.rate, "seed": seed})
    for factor in settings.other_rates:
        rate = round(settings.rate * factor, 10)
        for arm in settings.arms:
            found.append({"arm": arm, "rate": rate, "seed": settings.seeds[0]})
    return found


# ---- the experiment ------------------------------------------------------------------------------


def read_data(corpus: Path, settings: Settings) -> Data:
    """Books of the model's half to train on, and the held-out books that are long enough."""
    _, tokenizer = load("course_gpt")
    books = read_books(corpus)
    half, _ = halves(books)
    tokens = encode_books(tokenizer, half[:: settings.thin])

    texts = []
    titles = []
    for book in books:
        if book.split == "validation":
            ids = _tokens_of(tokenizer, book)
            if len(ids) > 2 * settings.length:
                texts.append(texts_of(ids, settings.texts, settings.length))
                titles.append(f"{book.author}, {book.title}")
    allowed = "one with held-out books that are long enough"
    require(len(titles) > 1, "corpus", allowed, len(titles))
    return Data(tokens, torch.from_numpy(np.concatenate(texts)), tuple(titles))


def _tokens_of(tokenizer: Any, book: Book) -> np.ndarray:
    return np.array(tokenizer.encode(book.text).ids)  # (n_tokens,)


def plan(settings: Settings, corpus: Path | None) -> Plan:
    """Every run, on the books of ``corpus``."""
    require(corpus is not None, "corpus", "a file of books, see utils.data.books", corpus)
    assert corpus is not None
    data = read_data(corpus, settings)
    runs = []
    for arm in settings.arms:
        key = {"arm": arm}
        runs.append(Run(key, partial(before, data, settings, key), group="start"))
    for key in keys(settings):
        runs.append(Run(key, partial(tune, data, settings, key)))
    return Plan(
        runs,
        told=told,
        source={"corpus_sha256": file_sha256(corpus)},
        notes={"books": list(data.titles), "train_tokens": len(data.tokens)},
    )


def told(result: dict[str, Any]) -> str:
    """The mean loss over the books, for each window."""
    parts = [f"{window}: {np.mean(of_books):.4f}" for window, of_books in result["loss"].items()]
    return ", ".join(parts)


EXPERIMENT = Experiment(
    command="experiments.applications.long_context",
    about=__doc__,
    record="applications/long_context",
    settings=Settings,
    plan=plan,
    inputs={"corpus": "books, one JSON line each (see utils.data.books)"},
)
measure = EXPERIMENT.measure
main = EXPERIMENT.main

if __name__ == "__main__":
    main()
