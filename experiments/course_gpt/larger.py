"""A GPT of tens of millions of parameters on public-domain books, which a notebook trains on a GPU.

The books, the tokenizer and the loop are the course model's own (`experiments.course_gpt.train`)
where its corpus is at hand. Only the shape is larger then, so the loss on the held-out books may be
set beside that on its card. Without that corpus, `experiments.course_gpt.gutenberg` brings another.
`train_on_books` makes the real run. `rehearse` takes three steps of a reduced model on synthetic
tokens by the same loop, where there is no GPU or there are no books.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from experiments.course_gpt import gutenberg
from experiments.course_gpt import train as training
from utils.data.books import open_tokens
from utils.models.budget import matmul_flops_per_token
from utils.models.gpt import GPT, GPTConfig
from utils.models.ngram import bits_per_byte, token_bytes
from utils.runtime import cache_dir, generator, repo_root
from utils.training.config import TrainConfig, TrainState
from utils.training.loop import evaluate, train

BOOKS = "course_gpt"  # whose half of the books, and whose tokenizer
BYTES_PER_PARAMETER = 16  # weight, gradient and AdamW's two averages, in float32


@dataclass(frozen=True)
class Size:
    """A shape, how it is trained, and after how many minutes the run ends at the latest."""

    gpt: GPTConfig
    training: TrainConfig
    minutes: float

    @property
    def tokens(self) -> int:
        """Tokens of the whole run, if time allows."""
        return self.training.steps * self.training.batch_size * self.gpt.context_length

    @property
    def flops(self) -> int:
        """Operations of its matrix products, forward and backward."""
        return self.tokens * matmul_flops_per_token(self.gpt)

    def gigabytes(self) -> float:
        """Weights and optimizer, without activations. Nothing is built in memory to count them."""
        with torch.device("meta"):
            return BYTES_PER_PARAMETER * GPT(self.gpt).num_parameters() / 1e9


# "auto" computes in float16 on a T4, which has no bfloat16, and in bfloat16 on newer cards. Nothing
# is compiled: that would take a minute of a run of ten.
_SETTINGS = TrainConfig(
    steps=2000,
    batch_size=64,
    accumulate=2,
    learning_rate=1e-3,
    schedule="wsd",
    decay=0.4,
    compile=False,
    eval_every=250,
    checkpoint_every=250,
)
SIZES = {
    # 27 million parameters, 33 million tokens: sized for a T4.
    "colab": Size(GPTConfig(n_layer=8, n_head=8, d_model=512), _SETTINGS, minutes=15.0),
    # 88 million parameters, 98 million tokens: sized for a data-centre GPU.
    "full": Size(
        GPTConfig(context_length=512, n_layer=12, n_head=12, d_model=768),
        replace(_SETTINGS, steps=3000, learning_rate=6e-4),
        minutes=20.0,
    ),
}
REDUCED = Size(
    GPTConfig(vocab_size=256, context_length=32, n_layer=2, n_head=2, d_model=32),
    replace(_SETTINGS, steps=3, batch_size=4, warmup=1, log_every=1, eval_every=0),
    minutes=1.0,
)


@dataclass(frozen=True)
class Result:
    """A run: ``state.history`` is its loss curve, ``bits_per_byte`` None without held-out books."""

    size: Size
    model: GPT
    state: TrainState
    bits_per_byte: float | None

    @property
    def tokens(self) -> int:
        """Tokens that were read."""
        return self.state.step * self.size.training.batch_size * self.size.gpt.context_length


@dataclass(frozen=True)
class Corpus:
    """Books to train on. path: None where there are none. told: which they are, or why none.

    is_ours: whether it is the corpus of the course's own model, so that losses may be compared.
    """

    path: Path | None
    told: str
    is_ours: bool = False


def find_corpus(*, fetch: bool) -> Corpus:
    """The course's corpus in the folder that ``COURSE_BOOKS`` names, else other books.

    fetch: whether those may be brought from the network into the course's cache, which takes some
    100 MB. A machine that cannot reach it has no books.
    """
    card = json.loads((repo_root() / "records/course_gpt/card.json").read_text(encoding="utf-8"))
    folder = os.environ.get("COURSE_BOOKS")
    if folder:
        path = Path(folder) / card["data"]["corpus"]
        if path.is_file():
            return Corpus(path, "the books of the course's own model", is_ours=True)
        return Corpus(None, f"COURSE_BOOKS holds no {path.name}")
    if not fetch:
        return Corpus(None, "there is no GPU, or the scale is cpu")
    try:
        path = gutenberg.fetch(cache_dir() / "gutenberg.jsonl.gz")
    except OSError as error:
        return Corpus(None, str(error))
    return Corpus(path, f"books of {gutenberg.DATASET}, others than the course's model read")


def train_on_books(size: Size, corpus: Path, work: Path | None = None) -> Result:
    """Train ``size`` on the course model's half of ``corpus``, on the course's device.

    work: where tokens and the checkpoint lie, by default a folder of the course's cache that is
    named after the corpus. The same call goes on where it was stopped.

    Raises what `experiments.course_gpt.train.prepare` and `utils.training.loop.train` raise.
    """
    work = work or cache_dir() / "larger_gpt" / corpus.name.partition(".")[0]
    work.mkdir(parents=True, exist_ok=True)
    training.prepare(corpus, work)
    tokens = open_tokens(training.tokens_file(work, BOOKS))
    validation = open_tokens(training.tokens_file(work, "validation"))
    tokenizer = Tokenizer.from_file(str(work / "tokenizer.json"))

    model = fresh(size)
    millions = round(model.num_parameters() / 1e6)
    state = train(
        model,
        tokens,
        size.training,
        validation=validation,
        checkpoint=work / f"larger-{millions}M.safetensors",
        until=time.time() + 60 * size.minutes,
    )
    bits = held_out_bits(model, validation, token_bytes(tokenizer))
    return Result(size, model, state, bits)


def rehearse(device: Any = None) -> Result:
    """Three steps of ``REDUCED`` on synthetic tokens: shows that the path works, and nothing else.

    >>> rehearse("cpu").state.step
    3
    """
    V = REDUCED.gpt.vocab_size
    tokens = generator(0).integers(0, V, 2000).astype(np.uint16)
    model = fresh(REDUCED)
    state = train(model, tokens, REDUCED.training, device=device)
    return Result(REDUCED, model, state, None)


def fresh(size: Size) -> GPT:
    """The model before any training; the caller's random numbers go on as if nothing was drawn."""
    with torch.random.fork_rng():
        generator(size.training.seed, "global")
        return GPT(size.gpt)


def held_out_bits(model: GPT, validation: np.ndarray, sizes: np.ndarray) -> float:
    """Bits per byte on whole windows of the held-out books.

    validation: token ids (n_validation,). sizes: bytes of each token id (V,). Windows do not
    overlap, as on the course model's card.
    """
    T = model.config.context_length
    n_scored = (len(validation) - 1) // T * T
    n_bytes = int(sizes[validation[1 : n_scored + 1]].sum())
    nats = evaluate(model, validation, precision="auto")
    return bits_per_byte(nats * n_scored, n_bytes)
