"""Language models with up to 28 parameters per token of their text, read again and again.

    python -m experiments.myths.overparameterized --corpus classic_books.jsonl.xz --time-budget 3600

A text of 8,192 tokens is read twelve times by models of four sizes. Six kinds of runs:

repeated  every size with several strengths of weight decay.
fresh     every size with the usual strength on a text in which every token is new: as many steps,
          no repetition. It tells size and repetition apart.
rates     the largest size at the usual strength with other learning rates, because AdamW shrinks a
          weight by learning rate times strength in each step.
blocks    the largest size with a large strength on the matrices inside the blocks alone. In all
          other runs the embedding, which is the head too, decays as well.
longer    the smallest size with a strength that suits it and three times as many passes: the
          compute that a small model saves, spent on it.
joint     the smallest and the largest size with other learning rates and strengths together, so
          that neither is ahead only because one rate suits it.

A seed draws everything: the first weights, the order, the passages that are trained on, and two
held-out texts by other authors. The stopping text is measured after each pass and says when one
would have stopped; the losses that are reported come from the scoring text, so that stopping early
is not rewarded for luck. About thirty minutes of one quiet core.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from experiments.runner import Experiment, Plan, Run
from experiments.settings import distinct
from utils.data.books import Book, read_books, tokens_digest
from utils.runtime import generator, repo_root
from utils.scaling.spec import RunSpec
from utils.scaling.training import Training
from utils.training.loop import evaluate
from utils.validate import integer, number, require

PASSAGE = 256  # tokens that stay together
EXCERPT = 8 * PASSAGE  # characters that certainly hold so many tokens
CONTEXT = 128  # tokens of a window
N_LAYER = 3
TOGETHER = 16  # steps between two looks at the clock


@dataclass(frozen=True)
class Settings:
    """What fixes the outcome.

    decays: strengths of weight decay for every width, the usual one first. small_decays,
    large_decays, fine_decays: more of them for the smaller half of the widths, for the larger half
    and for the largest width alone.
    fresh_decays: those that are tried on fresh text too. rates: learning rates times width that
    are tried at the usual strength; ``rate`` is that of all other runs. block_decays: those that
    are tried on the blocks alone. long_decays: those of the smallest width's longer runs.
    joint_rates, joint_decays: every pair of these for the smallest and the largest width.
    """

    widths: tuple[int, ...] = (8, 16, 32, 64)
    decays: tuple[float, ...] = (0.1, 1.0, 3.0, 10.0)
    small_decays: tuple[float, ...] = (2.0,)
    large_decays: tuple[float, ...] = (6.0,)
    fine_decays: tuple[float, ...] = (4.0,)
    fresh_decays: tuple[float, ...] = (0.1,)
    block_decays: tuple[float, ...] = (6.0,)
    long_decays: tuple[float, ...] = (1.0,)
    rate: float = 0.5
    rates: tuple[float, ...] = (0.0625, 0.25, 2.0)
    joint_rates: tuple[float, ...] = (0.125, 0.25, 1.0, 2.0)
    joint_decays: tuple[float, ...] = (1.0, 3.0, 10.0)
    seeds: tuple[int, ...] = (0, 1, 2)
    unique_tokens: int = 8_192
    epochs: int = 12
    long_epochs: int = 36
    batch_tokens: int = 512
    stopping_tokens: int = 4_096
    scoring_tokens: int = 16_384

    def __post_init__(self) -> None:
        for width in distinct("widths", self.widths):
            integer("widths", width, 4)
        for seed in distinct("seeds", self.seeds):
            integer("seeds", seed, 0)
        for names in (
            ("decays", "small_decays"),
            ("decays", "large_decays", "fine_decays"),
            ("fresh_decays",),
            ("block_decays",),
            ("long_decays",),
            ("joint_decays",),
        ):
            together = [decay for name in names for decay in getattr(self, name)]
            for decay in distinct(names[-1], together):
                number(names[-1], decay, 0.0)
        for rate in distinct("rates", (self.rate, *self.rates)):
            number("rates", rate, 0.0, open_low=True)
        for rate in distinct("joint_rates", (self.rate, *self.joint_rates)):
            number("joint_rates", rate, 0.0, open_low=True)
        integer("epochs", self.epochs, 1)
        integer("long_epochs", self.long_epochs, 1)
        for name in ("unique_tokens", "stopping_tokens", "scoring_tokens"):
            tokens = integer(name, getattr(self, name), PASSAGE)
            require(tokens % PASSAGE == 0, name, f"a multiple of {PASSAGE}", tokens)
        batch = integer("batch_tokens", self.batch_tokens, CONTEXT)
        whole = f"a divisor of unique_tokens = {self.unique_tokens}"
        require(self.unique_tokens % batch == 0, "batch_tokens", whole, batch)

    def spec(self, group: str, width: int, weight_decay: float, rate: float, seed: int) -> RunSpec:
        """The model and its training. ``rate`` is the learning rate times the width."""
        return RunSpec(
            d_model=width,
            n_layer=N_LAYER,
            n_head=heads(width),
            tokens=self.epochs_of(group) * self.unique_tokens,
            learning_rate=rate / width,
            context_length=CONTEXT,
            batch_tokens=self.batch_tokens,
            weight_decay=weight_decay,
            seed=seed,
            unique_tokens=None if group == "fresh" else self.unique_tokens + 1,  # a last target
        )

    def epochs_of(self, group: str) -> int:
        """How often a run of this group reads its text, or as much fresh text."""
        return self.long_epochs if group == "longer" else self.epochs


def heads(width: int) -> int:
    """Heads of 32 numbers, at least one of them.

    >>> heads(8), heads(32), heads(64)
    (1, 1, 2)
    """
    return max(1, width // 32)


# ---- text ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Texts:
    """The three texts of a seed, as token ids.

    train: the text that is repeated stands in front, and fresh runs read on behind it.
    """

    train: np.ndarray  # (epochs · unique_tokens + PASSAGE,)
    stopping: np.ndarray  # (stopping_tokens + PASSAGE,)
    scoring: np.ndarray  # (scoring_tokens + PASSAGE,)


def passages(
    tokenizer: Tokenizer, books: Sequence[Book], n: int, seed: Sequence[int]
) -> np.ndarray:
    """``n`` passages of ``PASSAGE`` tokens from random places of the books, (n · PASSAGE,)."""
    chance = generator(list(seed))
    places = np.array([max(0, len(book.text) - EXCERPT) for book in books], dtype=float)
    require(bool(places.sum() > 0), "corpus", f"books of more than {EXCERPT} characters", "none")
    drawn = chance.choice(len(books), size=n, p=places / places.sum())
    excerpts = []
    for i in drawn:
        start = int(chance.integers(len(books[i].text) - EXCERPT))
        excerpts.append(books[i].text[start : start + EXCERPT])
    parts = []
    for encoded in tokenizer.encode_batch(excerpts):
        parts.append(np.resize(np.array(encoded.ids, dtype=np.uint16), PASSAGE))
    return np.concatenate(parts)


def texts_of(corpus: Path, settings: Settings) -> dict[int, Texts]:
    """The texts of each seed. Raises ``ValueError`` for a corpus without held-out books."""
    books = read_books(corpus)
    train = [book for book in books if book.split == "train"]
    held_out = [book for book in books if book.split == "validation"]
    require(bool(train and held_out), "corpus", "one with both splits", corpus.name)
    tokenizer = Tokenizer.from_file(str(repo_root() / "records" / "scaling" / "tokenizer.json"))

    texts = {}
    for seed in settings.seeds:
        drawn = []
        kinds = (
            (train, settings.epochs * settings.unique_tokens),
            (held_out, settings.stopping_tokens),
            (held_out, settings.scoring_tokens),
        )
        for kind, (source, tokens) in enumerate(kinds):
            n = tokens // PASSAGE + 1  # one more, for the last window's last target
            drawn.append(passages(tokenizer, source, n, [seed, kind]))
        texts[seed] = Texts(*drawn)
    return texts


# ---- one run -------------------------------------------------------------------------------------


def decay_embedding_too(optimizer: torch.optim.Optimizer) -> None:
    """Move the embedding to the parameters that decay; the gains of the norms stay as they are."""
    decayed, kept = optimizer.param_groups
    decayed["params"] += [p for p in kept["params"] if p.dim() == 2]
    kept["params"] = [p for p in kept["params"] if p.dim() != 2]


def train_one(
    spec: RunSpec, texts: Texts, epochs: int, blocks_only: bool, deadline: float
) -> dict[str, Any]:
    """Train a model and measure it at its end and where its stopping loss was lowest.

    blocks_only: leave the embedding, which is the head too, without decay.

    Losses are in nats per token. "final" and "stopped" are of the scoring text, "train" is of the
    beginning of the training text after the last step, and the curves have a value per pass.
    """
    run = Training(
        spec,
        texts.train,
        texts.stopping,
        device=torch.device("cpu"),
        evaluations=epochs,
        windows=len(texts.stopping) // CONTEXT,
    )
    if not blocks_only:
        decay_embedding_too(run.optimizer)
    lowest = float("inf")
    best: dict[str, torch.Tensor] = {}
    while not run.finished():
        if time.monotonic() > deadline:
            return {"finished": False, "flops": 0.0}
        measured = len(run.val_curve)
        run.advance(TOGETHER)
        # A new lowest loss of the stopping text: keep the weights.
        if len(run.val_curve) > measured and run.val_curve[-1]["val_loss"] < lowest:
            lowest = run.val_curve[-1]["val_loss"]
            best = {name: p.detach().clone() for name, p in run.model.state_dict().items()}

    final = evaluate(run.model, texts.scoring, batch_size=64)
    front = texts.train[: len(texts.stopping)]
    train = evaluate(run.model, front, batch_size=64)
    stopping_curve = [row["val_loss"] for row in run.val_curve]
    stopped_after = int(np.argmin(stopping_curve)) + 1
    stopped = final
    if stopped_after < epochs:
        run.model.load_state_dict(best)
        stopped = evaluate(run.model, texts.scoring, batch_size=64)

    train_curve = run.losses.double().numpy().reshape(epochs, -1).mean(axis=1)  # (epochs,)
    return {
        "n_params": spec.n_params,
        "final": round(final, 5),
        "stopped": round(stopped, 5),
        "stopped_after": stopped_after,
        "train": round(train, 5),
        "stopping_curve": [round(loss, 4) for loss in stopping_curve],
        "train_curve": [round(float(loss), 4) for loss in train_curve],
        "cpu_seconds": round(run.cpu_seconds, 1),
        "flops": spec.flops,
        "finished": True,
    }


# ---- all runs ------------------------------------------------------------------------------------


def wanted(settings: Settings) -> list[tuple[str, dict[str, Any]]]:
    """(group, key) of every run, the most needed first."""
    s = settings
    n_small = len(s.widths) // 2
    widths = sorted(s.widths)
    largest = widths[-1]
    rows: list[tuple[str, int, float, float, int]] = []
    for seed in s.seeds:
        for width in widths:
            rows += [("repeated", width, decay, s.rate, seed) for decay in s.decays]
        for width in widths:
            rows += [("fresh", width, decay, s.rate, seed) for decay in s.fresh_decays]
    for seed in s.seeds:
        for i, width in enumerate(widths):
            more = s.small_decays if i < n_small else s.large_decays
            rows += [("repeated", width, decay, s.rate, seed) for decay in more]
    for seed in s.seeds:
        rows += [("rates", largest, s.decays[0], rate, seed) for rate in s.rates]
        rows += [("blocks", largest, decay, s.rate, seed) for decay in s.block_decays]
        rows += [("longer", widths[0], decay, s.rate, seed) for decay in s.long_decays]
    for seed in s.seeds:
        rows += [("repeated", largest, decay, s.rate, seed) for decay in s.fine_decays]
    for seed in s.seeds:
        for width in (widths[0], largest):
            for rate in s.joint_rates:
                rows += [("joint", width, decay, rate, seed) for decay in s.joint_decays]
    names = ("width", "weight_decay", "rate", "seed")
    return [(group, dict(zip(names, key, strict=True))) for group, *key in rows]


def plan(settings: Settings, corpus: Path | None) -> Plan:
    """The runs, once the books are read."""
    if corpus is None:
        raise ValueError("corpus must be a file of books, got None")
    texts = texts_of(corpus, settings)
    runs = []
    for group, key in wanted(settings):
        spec = settings.spec(group, **key)
        text = texts[key["seed"]]
        epochs = settings.epochs_of(group)
        make = partial(train_one, spec, text, epochs, group == "blocks")
        runs.append(Run(key, make, group))
    digest = tokens_digest(np.concatenate([texts[seed].train for seed in settings.seeds]))
    return Plan(
        runs,
        told=lambda run: f"final {run['final']:.3f}, stopped {run['stopped']:.3f}",
        source={"corpus": corpus.name, "tokens_sha256": digest},
    )


EXPERIMENT = Experiment(
    command="experiments.myths.overparameterized",
    about=__doc__,
    record="myths/overparameterized",
    settings=Settings,
    plan=plan,
    inputs={"corpus": "books as JSON lines"},
)
measure = EXPERIMENT.measure
main = EXPERIMENT.main

if __name__ == "__main__":
    main()
