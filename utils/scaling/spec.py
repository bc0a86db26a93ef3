"""What one run of a scaling study is: a model, how much text it sees, and how it is trained.

A spec fixes the outcome and nothing else: where the run is computed, and when, stands in its
record. `utils.scaling.training` trains one, `utils.scaling.runs` a whole grid of them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

import numpy as np

from utils.models.budget import count_parameters
from utils.models.config import GPTConfig
from utils.validate import choice, integer, number, require

SCHEDULES = ("linear", "cooldown", "constant")
WARMUP = 0.05  # share of the steps
COOLDOWN = 0.2  # share of the steps over which "cooldown" falls


@dataclass(frozen=True)
class RunSpec:
    """One training run. Raises ``ValueError`` for a setting that is out of its range.

    Parameters
    ----------
    d_model, n_layer, n_head, vocab_size, context_length : the shape of a Llama-style model with
        tied embeddings; see `utils.models.config.GPTConfig`.
    tokens : training tokens D; the run takes ``tokens / batch_tokens`` steps, rounded, at least 1.
    batch_tokens : tokens of one step, a multiple of ``context_length``.
    learning_rate : the peak of the schedule.
    schedule : after a warm-up over the first twentieth of the steps, "linear" falls to zero over
        the rest, "constant" stays, and "cooldown" stays until the last fifth of the steps and then
        falls to zero (Hägele et al. 2024, arXiv:2405.18392).
    seed : draws the first weights and the order of the text.
    unique_tokens : train on so many tokens from the front of the text, again and again; all of it
        if it is None.

    >>> spec = RunSpec(d_model=64, n_layer=3, tokens=1_000_000, learning_rate=0.01)
    >>> spec.n_params, spec.steps
    (225728, 1953)
    """

    d_model: int
    n_layer: int
    tokens: int
    learning_rate: float
    n_head: int = 4
    vocab_size: int = 1024
    context_length: int = 128
    batch_tokens: int = 512
    weight_decay: float = 0.1
    schedule: str = "linear"
    seed: int = 0
    unique_tokens: int | None = None

    def __post_init__(self) -> None:
        self.gpt()  # raises for a shape that is no model
        integer("tokens", self.tokens, 1)
        integer("batch_tokens", self.batch_tokens, 1)
        whole = f"a multiple of context_length = {self.context_length}"
        require(
            self.batch_tokens % self.context_length == 0, "batch_tokens", whole, self.batch_tokens
        )
        number("learning_rate", self.learning_rate, 0.0, open_low=True)
        number("weight_decay", self.weight_decay, 0.0)
        choice("schedule", self.schedule, SCHEDULES)
        integer("seed", self.seed, 0, 2**62)
        if self.unique_tokens is not None:
            integer("unique_tokens", self.unique_tokens, self.context_length + 1)

    def gpt(self) -> GPTConfig:
        """The model's configuration."""
        return GPTConfig(
            style="llama",
            vocab_size=self.vocab_size,
            context_length=self.context_length,
            n_layer=self.n_layer,
            n_head=self.n_head,
            d_model=self.d_model,
        )

    @property
    def n_params(self) -> int:
        """All parameters N, the tied embedding counted once."""
        return count_parameters(self.gpt())

    @property
    def n_non_embedding(self) -> int:
        """Parameters without the embedding, which is also the head."""
        return self.n_params - self.vocab_size * self.d_model

    @property
    def steps(self) -> int:
        """Optimizer steps of the run."""
        return max(1, round(self.tokens / self.batch_tokens))

    @property
    def batch_size(self) -> int:
        """Sequences of one step."""
        return self.batch_tokens // self.context_length

    @property
    def flops(self) -> float:
        """6ND operations, with the tokens that are really trained on."""
        return 6.0 * self.n_params * self.steps * self.batch_tokens

    @property
    def name(self) -> str:
        """A name that no other spec has: the width, the tokens and a digest.

        >>> RunSpec(d_model=64, n_layer=3, tokens=1_000_000, learning_rate=0.01).name
        'd64-1.00M-8395ca35'
        """
        text = json.dumps(asdict(self), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"d{self.d_model}-{self.tokens / 1e6:.2f}M-{digest}"

    def learning_rates(self) -> np.ndarray:
        """The learning rate of each step, (steps,).

        >>> spec = RunSpec(d_model=64, n_layer=3, tokens=20 * 512, learning_rate=1.0)
        >>> spec.learning_rates().round(2)[[0, 1, 10, 19]]  # one step of warm-up, then a line
        array([1.  , 1.  , 0.53, 0.05])
        """
        step = np.arange(self.steps)  # (steps,)
        warmup = max(1, round(WARMUP * self.steps))
        rising = np.minimum(1.0, (step + 1) / warmup)

        # The height of the fall: 1 until it starts, 0 at the end.
        if self.schedule == "constant":
            return self.learning_rate * rising
        start = warmup
        if self.schedule == "cooldown":
            start = max(warmup, round((1 - COOLDOWN) * self.steps))
        left = (self.steps - step) / max(1, self.steps - start)
        return self.learning_rate * rising * np.minimum(1.0, left)
