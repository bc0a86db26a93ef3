"""Two sizes of a language model, two kinds of text: who pays for being a specialist?

    python -m experiments.myths.specialists --time-budget 1800

A small and a large model are trained on documentation, on code, or on a mixture of both, each run
with the same number of floating-point operations. So the small model reads more text. Every model
is then asked for its loss on held-out documentation and on held-out code, in bits per byte.

Besides these runs there are three kinds of controls: other learning rates; generalists with twice
the compute, who read as much of each domain as a specialist does; and specialists with twice the
compute who spend it on reading the same documentation again.
"""

from __future__ import annotations

import math
import platform
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from experiments.runner import Experiment, Plan, Run
from experiments.settings import distinct
from utils.data.books import train_tokenizer
from utils.data.text import python_docs
from utils.models.budget import matmul_flops_per_token
from utils.models.config import GPTConfig
from utils.models.gpt import GPT
from utils.runtime import generator
from utils.training.config import TrainConfig
from utils.training.loop import evaluate, train
from utils.validate import choice, integer, number, require

DOMAINS = ("documentation", "code")
FIRST = (*DOMAINS, "mixture")
AGAIN = "documentation again"  # as much of it as a specialist reads, in two passes
DATA = (*FIRST, AGAIN)
TWICE = 2  # the generalist's compute, to read as much of each domain as a specialist
PIECE = 8  # windows that stay together when documentation to be read again is drawn


@dataclass(frozen=True)
class Settings:
    """What fixes the outcome. Raises ``ValueError`` for a setting that is out of its range.

    widths: d_model of the small and of the large model. rates: the learning rate of each.
    other_rates: factors on these; for the small model with the first seed only. flops: of each run.
    documentation: the parts of `utils.data.text.python_docs` that it consists of.
    domain_bytes, held_out_bytes: text of each domain, at most. tokenizer_bytes: of that, what the
    tokenizer learns from.
    """

    widths: tuple[int, ...] = (64, 144)
    rates: tuple[float, ...] = (0.008, 0.006)
    other_rates: tuple[float, ...] = (0.5, 2.0)
    seeds: tuple[int, ...] = (0, 1, 2)
    documentation: tuple[str, ...] = ("topics", "docstrings")
    flops: float = 2e11
    domain_bytes: int = 2_000_000
    held_out_bytes: int = 200_000
    tokenizer_bytes: int = 500_000
    vocab_size: int = 512
    context_length: int = 64
    n_layer: int = 2
    n_head: int = 4
    batch_size: int = 8
    eval_windows: int = 150

    def __post_init__(self) -> None:
        distinct("widths", self.widths)
        require(len(self.widths) == 2, "widths", "a small and a large one", self.widths)
        for width in self.widths:
            integer("widths", width, 1)
        fits = len(self.rates) == len(self.widths)
        require(fits, "rates", "one for each of the widths", self.rates)
        for rate in (*self.rates, *self.other_rates):
            number("rates", rate, 0.0, open_low=True)
        for seed in distinct("seeds", self.seeds):
            integer("seeds", seed, 0)
        for part in distinct("documentation", self.documentation):
            choice("documentation", part, ("topics", "docstrings"))
        number("flops", self.flops, 0.0, open_low=True)
        for name in ("domain_bytes", "held_out_bytes", "tokenizer_bytes", "context_length"):
            integer(name, getattr(self, name), 1)
        for name in ("n_layer", "n_head", "batch_size", "eval_windows"):
            integer(name, getattr(self, name), 1)
        integer("vocab_size", self.vocab_size, 257)

    def model(self, width: int) -> GPTConfig:
        """The shape of the model of this width."""
        return GPTConfig(
            vocab_size=self.vocab_size,
            context_length=self.context_length,
            n_layer=self.n_layer,
            n_head=self.n_head,
            d_model=width,
        )

    def steps(self, width: int, times: int = 1) -> int:
        """How many optimizer steps ``times`` the budget pays for.

        >>> Settings().steps(64), Settings().steps(144)
        (417, 107)
        """
        per_step = self.batch_size * self.context_length * matmul_flops_per_token(self.model(width))
        return max(1, round(times * self.flops / per_step))


# ---- text ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Texts:
    """Tokens to train on, (n_tokens,) for each of `FIRST`, and held-out ones for each domain.

    bits: what one nat per token is in bits per byte, on each domain's held-out text.
    """

    train: dict[str, np.ndarray]
    held_out: dict[str, np.ndarray]
    bits: dict[str, float]


def read_texts(settings: Settings) -> Texts:
    """Documentation, code and their mixture, in the tokens of one tokenizer.

    The documents are shuffled, so that the first bytes come from many modules. A module's
    docstrings and its source are on the same side. The mixture and the tokenizer's training text
    hold as many bytes of one domain as of the other.
    """
    train_texts: dict[str, str] = {}
    held_out_texts: dict[str, str] = {}
    for domain, parts in zip(DOMAINS, (settings.documentation, ("sources",)), strict=True):
        train_side, held_out_side = python_docs(parts).split(validation_fraction=0.1)
        train_texts[domain] = joined(train_side, settings.domain_bytes)
        held_out_texts[domain] = joined(held_out_side, settings.held_out_bytes)

    # One tokenizer for all, so that no model has it easier.
    tokenizer = train_tokenizer(
        [text[: settings.tokenizer_bytes] for text in train_texts.values()], settings.vocab_size
    )
    tokens = {name: np.array(tokenizer.encode(t).ids) for name, t in train_texts.items()}
    tokens["mixture"] = np.concatenate([tokens[domain] for domain in DOMAINS])
    held_out = {name: np.array(tokenizer.encode(t).ids) for name, t in held_out_texts.items()}
    bits = {}
    for domain, text in held_out_texts.items():
        bits[domain] = len(held_out[domain]) / len(text.encode()) / math.log(2)
    return Texts(tokens, held_out, bits)


def joined(documents: list[tuple[str, str]], limit: int) -> str:
    """The documents in an order drawn once, one after the other, cut after ``limit`` characters."""
    order = generator(0).permutation(len(documents))
    return "\n\n".join(documents[i][1] for i in order)[:limit]


# ---- one run -------------------------------------------------------------------------------------


def home_text(tokens: np.ndarray, settings: Settings, width: int, seed: int) -> np.ndarray:
    """As many tokens as a specialist of this width reads, in random pieces of `PIECE` windows.

    Fewer where there are not so many: then nothing is left out.
    """
    piece = PIECE * settings.context_length
    wanted = settings.steps(width) * settings.batch_size * settings.context_length
    n_pieces = len(tokens) // piece
    chosen = generator([seed, 1]).permutation(n_pieces)[: math.ceil(wanted / piece)]
    return tokens[: n_pieces * piece].reshape(n_pieces, piece)[chosen].reshape(-1)[: wanted + 1]


def train_model(
    texts: Texts,
    settings: Settings,
    width: int,
    data: str,
    rate: float,
    seed: int,
    times: int = 1,
) -> GPT:
    """A model of ``width``, trained on ``data`` with ``times`` the compute of the settings."""
    choice("data", data, DATA)
    generator(seed, "global")  # draws the first weights
    model = GPT(settings.model(width))
    steps = settings.steps(width, times)
    config = TrainConfig(
        steps=steps,
        batch_size=settings.batch_size,
        learning_rate=rate,
        warmup=max(1, steps // 10),
        seed=seed,
        precision="fp32",
    )
    if data == AGAIN:
        text = home_text(texts.train["documentation"], settings, width, seed)
    else:
        text = texts.train[data]
    train(model, text, config)
    return model


def bits_per_byte(model: GPT, texts: Texts, domain: str, windows: int) -> float:
    """The model's mean surprise on the held-out text of a domain, in bits per byte of text."""
    nats = evaluate(model, texts.held_out[domain], windows=windows, batch_size=50)  # per token
    return nats * texts.bits[domain]


def run(
    texts: Texts,
    settings: Settings,
    key: dict[str, Any],
    deadline: float,
) -> dict[str, Any]:
    """Train one model and measure it on both domains; a run is too short to stop half-way."""
    width = key["width"]
    steps = settings.steps(width, key["times"])
    read = steps * settings.batch_size * settings.context_length
    per_token = matmul_flops_per_token(settings.model(width))
    result: dict[str, Any] = {"steps": steps, "tokens_read": read, "flops": float(read * per_token)}
    if time.monotonic() > deadline:
        return result | {"finished": False}

    began = time.process_time()
    model = train_model(texts, settings, **key)
    result["cpu_seconds"] = round(time.process_time() - began, 1)
    result["n_params"] = model.num_parameters()
    for domain in DOMAINS:
        bits = bits_per_byte(model, texts, domain, settings.eval_windows)
        result[domain] = round(bits, 5)
    return result | {"finished": True}


def keys(settings: Settings) -> list[dict[str, Any]]:
    """What tells the runs apart: the 2 × 2 of both domains first, then the controls."""
    found = []
    best = dict(zip(settings.widths, settings.rates, strict=True))

    def add(width: int, data: str, seed: int, factor: float = 1.0, times: int = 1) -> None:
        rate = round(best[width] * factor, 10)
        key = {"width": width, "data": data, "times": times, "rate": rate, "seed": seed}
        found.append(key)

    small, large = settings.widths
    for seed in settings.seeds:
        for data in FIRST:
            for width in settings.widths:
                add(width, data, seed)
    for seed in settings.seeds:
        for width in settings.widths:
            add(width, "mixture", seed, times=TWICE)
            add(width, AGAIN, seed, times=TWICE)
    # The large model, whom the small one is to beat, is tuned more thoroughly.
    for factor in settings.other_rates:
        add(small, "mixture", settings.seeds[0], factor)
        for seed in settings.seeds:
            for data in FIRST:
                add(large, data, seed, factor)
    return found


# ---- the experiment ------------------------------------------------------------------------------


def plan(settings: Settings) -> Plan:
    """Every run, on the running Python's own text."""
    texts = read_texts(settings)
    runs = [Run(key, partial(run, texts, settings, key)) for key in keys(settings)]
    sizes = {name: len(tokens) for name, tokens in texts.train.items()}
    told = "documentation {documentation:.3f}, code {code:.3f} bits per byte"
    return Plan(
        runs,
        told=lambda result: told.format(**result),
        source={"python": platform.python_version()},
        notes={"train_tokens": sizes},
    )


EXPERIMENT = Experiment(
    command="experiments.myths.specialists",
    about=__doc__,
    record="myths/specialists",
    settings=Settings,
    plan=plan,
)
measure = EXPERIMENT.measure
main = EXPERIMENT.main

if __name__ == "__main__":
    main()
