"""Text from a language model: one token at a time, replayable, stopped where asked.

``generate`` runs a batch, ``stream`` one prompt piece by piece; both work with the course's `GPT` and with a
causal language model of ``transformers``. A `utils.sampling.pipelines.Pipeline` decides what can be drawn. Row i of
seed s always sees the same uniform numbers, whatever else is in the batch and however long the text gets.

Not here: padding (prompts of one length run together, others one group after the other), a window that slides
over the end of the context, beam search (``transformers`` has it), speculative decoding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from utils.models.gpt import GPT, KVCache
from utils.sampling.pipelines import Pipeline
from utils.sampling.stops import StopScanner, stop_strings
from utils.sampling.transforms import ban, sample
from utils.validate import integer, require

Prompt = str | Sequence[int] | Tensor


@dataclass(frozen=True)
class Generation:
    """One continuation."""

    prompt_ids: list[int]
    ids: list[int]  # every token drawn, those of a stop string and the end token included
    text: str | None  # without the stop string and what follows it; None without a tokenizer
    finish_reason: str  # "stop", "eos", "length" (max_tokens) or "context" (the context is full)
    stop: str | None  # the stop string that was found
    logprobs: list[float]  # of each token under the model itself, in nats
    drawn_logprobs: list[float]  # of each token under the distribution that it was drawn from

    @property
    def perplexity(self) -> float:
        """exp(−mean log-probability) of the tokens under the model itself."""
        return math.exp(-sum(self.logprobs) / len(self.logprobs))


@dataclass(frozen=True)
class Piece:
    """A step of `stream`: the token drawn, and the text that can no longer become part of a stop string."""

    token: int
    text: str
    logprob: float
    entropy: float  # of the distribution that the token was drawn from, in nats


class _Decoder:
    """Logits after the last token: the past is kept in a KV cache, or with ``cache=False`` computed again."""

    def __init__(self, model: nn.Module, rows: int, cache: bool) -> None:
        self.model, self.cache, self.seen = model, cache, None
        self.ours = isinstance(model, GPT)
        self.past = KVCache(model, rows) if self.ours and cache else None

    @torch.no_grad()
    def __call__(self, ids: Tensor) -> Tensor:
        """New tokens (B, T) in, logits (B, V) in float32 out."""
        if not self.cache:
            ids = self.seen = ids if self.seen is None else torch.cat((self.seen, ids), dim=1)
        if self.ours:
            logits = self.model(ids, cache=self.past)
        else:
            out = self.model(input_ids=ids, past_key_values=self.past, use_cache=self.cache)
            self.past, logits = (out.past_key_values if self.cache else None), out.logits
        logits = logits[:, -1].float()
        return (
            logits.cpu() if logits.device.type == "mps" else logits
        )  # the draw is float64, MPS has none


@dataclass
class _Row:
    """What is known about one continuation while it grows."""

    index: int
    prompt_ids: list[int]
    scanner: StopScanner | None
    draws: np.random.Generator
    xtc_draws: np.random.Generator
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    drawn_logprobs: list[float] = field(default_factory=list)
    reason: str | None = None

    def result(self) -> Generation:
        text = stop = None
        if self.scanner is not None:
            self.scanner.finish()
            text, stop = self.scanner.text, self.scanner.found
        drawn = (self.logprobs, self.drawn_logprobs)
        return Generation(self.prompt_ids, self.ids, text, self.reason, stop, *drawn)


def _ids(name: str, prompt: Prompt, tokenizer: Any, vocab_size: int, context: int) -> list[int]:
    """A prompt as a list of ids, checked."""
    if isinstance(prompt, str):
        require(tokenizer is not None, "tokenizer", "given when a prompt is text", tokenizer)
        encoded = tokenizer.encode(prompt)
        prompt = getattr(encoded, "ids", encoded)
    given = prompt.tolist() if isinstance(prompt, (Tensor, np.ndarray)) else prompt
    require(
        isinstance(given, (list, tuple, range)), name, "text or a sequence of token ids", prompt
    )
    ids = [integer(f"{name} id", i, 0, vocab_size - 1) for i in given]
    require(len(ids) > 0, name, "at least one token", prompt)
    require(len(ids) <= context, name, f"at most {context} tokens, the context's length", len(ids))
    return ids


@dataclass
class _Run:
    """The checked arguments of `generate` and `stream`, and the loop over tokens."""

    model: nn.Module
    pipeline: Pipeline | None = None
    tokenizer: Any = None
    max_tokens: int = 64
    min_tokens: int = 0
    stop: str | Sequence[str] = ()
    eos: int | Sequence[int] | None = ()
    seed: int = 0
    cache: bool = True

    def __post_init__(self) -> None:
        self.pipeline = Pipeline() if self.pipeline is None else self.pipeline
        require(
            isinstance(self.pipeline, Pipeline), "pipeline", "a Pipeline or None", self.pipeline
        )
        integer("max_tokens", self.max_tokens, 1)
        integer("min_tokens", self.min_tokens, 0, self.max_tokens)
        integer("seed", self.seed, 0)
        self.stop = stop_strings(self.stop)
        require(
            not self.stop or self.tokenizer is not None,
            "tokenizer",
            "given with stop strings",
            None,
        )
        config, self.vocab_size = self.model.config, self.model.config.vocab_size
        limit = getattr(config, "context_length", None) or getattr(
            config, "max_position_embeddings", None
        )
        self.context = limit or 10**9
        eos = (
            () if self.eos is None else self.eos
        )  # None: a transformers configuration without an end token
        eos = eos if isinstance(eos, (list, tuple, set)) else [eos]
        self.eos = [integer("eos", e, 0, self.vocab_size - 1) for e in eos]
        named = isinstance(self.tokenizer, (str, bytes))  # these have the two methods as well
        usable = not named and all(hasattr(self.tokenizer, m) for m in ("encode", "decode"))
        require(
            self.tokenizer is None or usable, "tokenizer", "with encode and decode", self.tokenizer
        )

    def row(self, index: int, prompt: Prompt) -> _Row:
        ids = _ids(f"prompts[{index}]", prompt, self.tokenizer, self.vocab_size, self.context)
        scanner = None
        if self.tokenizer is not None:
            scanner = StopScanner(self.tokenizer, ids, self.stop, self.min_tokens)
        draws = (np.random.default_rng([self.seed, index, which]) for which in (0, 1))
        return _Row(index, ids, scanner, *draws)

    def steps(self, rows: list[_Row]) -> Iterator[list[tuple[_Row, Piece]]]:
        """Draw a token for each row that is not finished, until all are; the prompts have one length."""
        decode, training = _Decoder(self.model, len(rows), self.cache), self.model.training
        device = next(self.model.parameters()).device
        new = torch.tensor([row.prompt_ids for row in rows], device=device)
        room = self.context - len(rows[0].prompt_ids) + 1
        self.model.eval()
        try:
            for n in range(1, min(self.max_tokens, room) + 1):
                tokens, pieces = self._draw(rows, decode(new), n)
                yield pieces
                if all(row.reason for row in rows):
                    return
                new = tokens[:, None].to(device)
            for row in rows:
                row.reason = row.reason or ("length" if n == self.max_tokens else "context")
        finally:
            self.model.train(training)

    def _draw(
        self, rows: list[_Row], logits: Tensor, n: int
    ) -> tuple[Tensor, list[tuple[_Row, Piece]]]:
        model_logp = logits.double().log_softmax(-1)
        if self.eos and n <= self.min_tokens:
            logits = ban(logits, self.eos)
        u, u_xtc = (
            torch.tensor([getattr(row, kind).random() for row in rows], dtype=torch.float64)
            for kind in ("draws", "xtc_draws")
        )
        logits = self.pipeline(
            logits, [row.prompt_ids for row in rows], [row.ids for row in rows], u_xtc
        )
        logp = logits.double().log_softmax(-1)
        tokens = sample(logp.exp(), u)
        entropy = (logp.exp() * -logp.where(logp.isfinite(), 0)).sum(-1).tolist()
        ours, drawn = (x.gather(-1, tokens[:, None])[:, 0].tolist() for x in (model_logp, logp))
        pieces = []
        for i, (row, token) in enumerate(zip(rows, tokens.tolist(), strict=True)):
            if row.reason:
                continue  # its tokens go on in the batch, unrecorded
            row.ids.append(token)
            row.logprobs.append(ours[i])
            row.drawn_logprobs.append(drawn[i])
            text = ""
            if token in self.eos:
                row.reason = "eos"
            elif row.scanner is not None:
                text = row.scanner.push(token)
                row.reason = "stop" if row.scanner.found else None
            pieces.append((row, Piece(token, text, ours[i], entropy[i])))
        return tokens, pieces


def generate(
    model: nn.Module,
    prompts: Prompt | Sequence[Prompt],
    pipeline: Pipeline | None = None,
    *,
    tokenizer: Any = None,
    max_tokens: int = 64,
    min_tokens: int = 0,
    stop: str | Sequence[str] = (),
    eos: int | Sequence[int] | None = (),
    seed: int = 0,
    cache: bool = True,
) -> list[Generation]:
    """Continue each prompt by at most ``max_tokens`` tokens; one `Generation` a prompt, in order.

    A prompt is text (needs ``tokenizer``, with ``encode`` and ``decode``) or token ids. ``pipeline`` None
    draws from the model's own distribution: everything off, temperature 1. The text ends before a ``stop``
    string. An ``eos`` token ends it too, and cannot be drawn among the first ``min_tokens``. ``cache=False``
    computes the past again at every token: slower, and the same text up to rounding.

    Raises ``ValueError`` for an empty prompt, one longer than the context, an id outside the vocabulary, an
    empty stop string, a number out of range, and what `Pipeline` refuses.
    """
    run = _Run(model, pipeline, tokenizer, max_tokens, min_tokens, stop, eos, seed, cache)
    one = isinstance(prompts, str) or getattr(prompts, "ndim", 2) == 1
    several = isinstance(prompts, (list, tuple, range)) or getattr(prompts, "ndim", 0) in (1, 2)
    require(one or several, "prompts", "a text, token ids, or a list of these", prompts)
    prompts = (
        [prompts] if one or (len(prompts) > 0 and isinstance(prompts[0], Integral)) else prompts
    )
    require(len(prompts) > 0, "prompts", "at least one prompt", prompts)
    rows = [run.row(i, prompt) for i, prompt in enumerate(prompts)]
    for length in dict.fromkeys(len(row.prompt_ids) for row in rows):
        for _ in run.steps([row for row in rows if len(row.prompt_ids) == length]):
            pass
    return [row.result() for row in rows]


def stream(
    model: nn.Module, prompt: Prompt, pipeline: Pipeline | None = None, **options: Any
) -> Iterator[Piece]:
    """Continue one prompt, a `Piece` at a time: the texts join to `generate`'s text. Options as there.

    After the last token comes one more piece, with token −1, if text was still held back.
    """
    run = _Run(model, pipeline, **options)
    row = run.row(
        0, prompt
    )  # here, not in the generator: a bad prompt is refused by the call itself

    def pieces() -> Iterator[Piece]:
        for drawn in run.steps([row]):
            yield drawn[0][1]
        if row.scanner is not None and (rest := row.scanner.finish()):
            yield Piece(-1, rest, 0.0, 0.0)

    return pieces()
