"""Text from a language model: one token at a time, replayable, stopped where asked.

``generate`` runs a batch, ``stream`` one prompt piece by piece; both work with the course's `GPT`
and with a causal language model of ``transformers``. A `utils.sampling.pipelines.Pipeline` decides
what can be drawn. Row i of seed s always sees the same uniform numbers, whatever else is in the
batch and however long the text gets.

Not here: padding (prompts of one length run together, others one group after the other), a window
that slides over the end of the context, beam search (``transformers`` has it), speculative
decoding.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from utils.models.gpt import GPT, KVCache
from utils.runtime import generator
from utils.sampling import penalties
from utils.sampling.inputs import NoTokenLeftError, check_left
from utils.sampling.pipelines import Pipeline
from utils.sampling.stops import StopScanner, stop_strings
from utils.sampling.transforms import sample
from utils.validate import encodable, integer, require

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
    """A step of `stream`: a token, and the text that can no longer be part of a stop string."""

    token: int
    text: str
    logprob: float
    entropy: float  # of the distribution that the token was drawn from, in nats


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
    """Continue each prompt by at most ``max_tokens`` tokens; one `Generation` per prompt, in order.

    A prompt is text (needs ``tokenizer``, with ``encode`` and ``decode``) or token ids.
    ``pipeline`` None draws from the model's own distribution: everything off, temperature 1. The
    text ends before a ``stop`` string. An ``eos`` token ends it too, and cannot be drawn among the
    first ``min_tokens``. ``cache=False`` computes the past again at every token: slower, and the
    same text up to rounding.

    Raises ``ValueError`` for an empty prompt, one longer than the context or with half a character,
    an id outside the vocabulary, a stop string that is empty or holds U+FFFD, a number out of
    range, settings that leave no token to draw, and what `Pipeline` refuses.
    """
    run = _Run(model, pipeline, tokenizer, max_tokens, min_tokens, stop, eos, seed, cache)
    listed = _prompt_list(prompts)
    rows = [run.row(i, prompt) for i, prompt in enumerate(listed)]

    # Rows of one length share a batch; what they draw does not depend on it.
    by_length: dict[int, list[_Row]] = {}
    for row in rows:
        by_length.setdefault(len(row.prompt_ids), []).append(row)
    for batch in by_length.values():
        for _ in run.steps(batch):
            pass  # each row keeps what it has drawn
    return [row.result() for row in rows]


def stream(
    model: nn.Module, prompt: Prompt, pipeline: Pipeline | None = None, **options: Any
) -> Iterator[Piece]:
    """Continue one prompt, a `Piece` at a time: the texts join to `generate`'s text.

    The options are those of `generate`. After the last token comes one more piece, with token −1,
    if text was still held back. Raises as `generate`, at the call itself rather than at the first
    piece.
    """
    run = _Run(model, pipeline, **options)
    row = run.row(0, prompt)
    return _pieces(run, row)


def _pieces(run: _Run, row: _Row) -> Iterator[Piece]:
    """The pieces of one row; a function of its own, so that `stream` itself is no generator."""
    for drawn in run.steps([row]):
        _, piece = drawn[0]
        yield piece
    if row.scanner is not None:
        rest = row.scanner.finish()
        if rest:
            yield Piece(-1, rest, 0.0, 0.0)


def _prompt_list(prompts: Any) -> list[Any]:
    """What `generate` was given, as a list of prompts: a text or a list of ids is one prompt."""
    n_dims = getattr(prompts, "ndim", None)
    is_text = isinstance(prompts, str)
    is_list = isinstance(prompts, (list, tuple, range)) or n_dims in (1, 2)
    require(is_text or is_list, "prompts", "a text, token ids, or a list of these", prompts)
    if is_text or n_dims == 1:
        return [prompts]
    require(len(prompts) > 0, "prompts", "at least one prompt", prompts)
    if isinstance(prompts[0], Integral):
        return [prompts]
    return list(prompts)


class _Run:
    """The checked arguments of `generate` and `stream`, and the loop over tokens."""

    def __init__(
        self,
        model: nn.Module,
        pipeline: Pipeline | None = None,
        tokenizer: Any = None,
        max_tokens: int = 64,
        min_tokens: int = 0,
        stop: str | Sequence[str] = (),
        eos: int | Sequence[int] | None = (),
        seed: int = 0,
        cache: bool = True,
    ) -> None:
        pipeline = Pipeline() if pipeline is None else pipeline
        require(isinstance(pipeline, Pipeline), "pipeline", "a Pipeline or None", pipeline)
        self.model = model
        self.pipeline = pipeline
        self.tokenizer = tokenizer
        self.cache = cache
        self.max_tokens = integer("max_tokens", max_tokens, 1)
        self.min_tokens = integer("min_tokens", min_tokens, 0, max_tokens)
        self.seed = integer("seed", seed, 0)
        self.stop = stop_strings(stop)
        has_text = not self.stop or tokenizer is not None
        require(has_text, "tokenizer", "given with stop strings", None)

        config: Any = model.config
        self.vocab_size: int = config.vocab_size
        self.context = _context_length(config)

        # A configuration of transformers without an end token has None.
        ends = () if eos is None else eos
        listed = ends if isinstance(ends, (list, tuple, set)) else [ends]
        largest_id = self.vocab_size - 1
        self.eos = [integer("eos", end, 0, largest_id) for end in listed]

        is_text = isinstance(tokenizer, (str, bytes))  # these have the two methods as well
        usable = hasattr(tokenizer, "encode") and hasattr(tokenizer, "decode") and not is_text
        require(tokenizer is None or usable, "tokenizer", "with encode and decode", tokenizer)

    def row(self, index: int, prompt: Prompt) -> _Row:
        """The start of one continuation. Raises ``ValueError`` for a prompt that cannot be used."""
        prompt_ids = self._prompt_ids(f"prompts[{index}]", prompt)
        scanner = None
        if self.tokenizer is not None:
            scanner = StopScanner(self.tokenizer, prompt_ids, self.stop, self.min_tokens)
        return _Row(
            f"prompts[{index}]",
            prompt_ids,
            scanner,
            draws=generator([self.seed, index, 0]),
            xtc_draws=generator([self.seed, index, 1]),
        )

    def _prompt_ids(self, name: str, prompt: Any) -> list[int]:
        """A prompt as a list of ids, checked."""
        if isinstance(prompt, str):
            known = self.tokenizer is not None
            require(known, "tokenizer", "given when a prompt is text", self.tokenizer)
            encoded = self.tokenizer.encode(encodable(name, prompt))
            prompt = getattr(encoded, "ids", encoded)
        # Whatever it came as, a list of whole numbers in the vocabulary.
        given = prompt.tolist() if isinstance(prompt, (Tensor, np.ndarray)) else prompt
        listed = isinstance(given, (list, tuple, range))
        require(listed, name, "text or a sequence of token ids", prompt)
        largest_id = self.vocab_size - 1
        ids = [integer(f"{name} id", i, 0, largest_id) for i in given]
        require(len(ids) > 0, name, "at least one token", prompt)
        allowed = f"at most {self.context} tokens, the context's length"
        require(len(ids) <= self.context, name, allowed, len(ids))
        return ids

    def steps(self, rows: list[_Row]) -> Iterator[list[tuple[_Row, Piece]]]:
        """Draw a token for each row in progress until none is; the prompts have one length."""
        next_logits = _NextLogits(self.model, len(rows), self.cache)
        device = next(self.model.parameters()).device
        new = torch.tensor([row.prompt_ids for row in rows], device=device)  # (B, T)
        # The last token is drawn from a full context, and is not read any more.
        n_fitting = self.context - new.shape[1] + 1
        n_steps = min(self.max_tokens, n_fitting)

        was_training = self.model.training
        self.model.eval()  # no dropout; what the mode was comes back whatever happens
        try:
            for n in range(1, n_steps + 1):
                logits = next_logits(new)  # (B, V)
                tokens, pieces = self._draw(rows, logits, n)
                yield pieces
                if all(row.reason for row in rows):
                    return
                new = tokens[:, None].to(device)  # (B, 1)
            # What did not end by itself has met one of the two limits.
            limit = "length" if n_steps == self.max_tokens else "context"
            for row in rows:
                row.reason = row.reason or limit
        finally:
            self.model.train(was_training)

    def _draw(
        self, rows: list[_Row], logits: Tensor, n: int
    ) -> tuple[Tensor, list[tuple[_Row, Piece]]]:
        """Draw the n-th token of each row, (B,), from the model's logits, (B, V), and record it."""
        model_logp = logits.double().log_softmax(-1)  # (B, V)

        # What can be drawn. A row has its own generators: its numbers do not depend on the others.
        u_xtc = _next_uniforms([row.xtc_draws for row in rows])  # (B,)
        logits = self._left(rows, logits, n, u_xtc)  # (B, V)

        # The draw itself.
        logp = logits.double().log_softmax(-1)  # (B, V)
        probs = logp.exp()  # (B, V)
        u = _next_uniforms([row.draws for row in rows])  # (B,)
        tokens = sample(probs, u)  # (B,)

        # What the draw was like, for the record.
        surprise = -logp.where(logp.isfinite(), 0)  # (B, V) 0 where nothing can be drawn
        entropy = (probs * surprise).sum(-1).tolist()
        at = tokens[:, None]  # (B, 1)
        logprobs = model_logp.gather(-1, at)[:, 0].tolist()
        drawn_logprobs = logp.gather(-1, at)[:, 0].tolist()

        pieces = []
        for i, (row, token) in enumerate(zip(rows, tokens.tolist(), strict=True)):
            if row.reason is not None:
                continue  # its tokens go on in the batch, unrecorded
            text = row.take(token, logprobs[i], drawn_logprobs[i], self.eos)
            pieces.append((row, Piece(token, text, logprobs[i], entropy[i])))
        return tokens, pieces

    def _left(self, rows: list[_Row], logits: Tensor, n: int, u_xtc: Tensor) -> Tensor:
        """The logits, (B, V), of what can be drawn as the n-th token: the others are −inf."""
        held_back: dict[str, Any] = {}  # what keeps the text from ending before it has min_tokens
        if self.eos and n <= self.min_tokens:
            held_back = {"min_tokens": self.min_tokens, "eos": self.eos}
        prompts = [row.prompt_ids for row in rows]
        outputs = [row.ids for row in rows]
        try:
            if held_back:
                logits = check_left(penalties._ban(logits, self.eos), held_back)  # (B, V)
            return self.pipeline(logits, prompts, outputs, u_xtc)  # (B, V)
        except NoTokenLeftError as error:
            place = f"after {rows[error.row].name}"
            raise NoTokenLeftError(held_back | error.settings, error.row, place) from None


@dataclass
class _Row:
    """What is known about one continuation while it grows."""

    name: str  # of its prompt, for a message
    prompt_ids: list[int]
    scanner: StopScanner | None
    draws: np.random.Generator
    xtc_draws: np.random.Generator
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    drawn_logprobs: list[float] = field(default_factory=list)
    reason: str | None = None  # why it has ended; None while it has not

    def take(self, token: int, logprob: float, drawn_logprob: float, eos: list[int]) -> str:
        """Record a token, and whether it ends the text. Returns the text that it releases."""
        self.ids.append(token)
        self.logprobs.append(logprob)
        self.drawn_logprobs.append(drawn_logprob)
        if token in eos:
            self.reason = "eos"
            return ""
        if self.scanner is None:
            return ""
        text = self.scanner.push(token)
        if self.scanner.found is not None:
            self.reason = "stop"
        return text

    def result(self) -> Generation:
        """The continuation, which has ended."""
        assert self.reason is not None
        text, stop = None, None
        if self.scanner is not None:
            self.scanner.finish()
            text = self.scanner.text
            stop = self.scanner.found
        return Generation(
            self.prompt_ids,
            self.ids,
            text,
            finish_reason=self.reason,
            stop=stop,
            logprobs=self.logprobs,
            drawn_logprobs=self.drawn_logprobs,
        )


class _NextLogits:
    """Calls a model for the logits after the last token.

    With ``cache`` the model keeps keys and values of the past; without, all tokens go in each time.
    """

    def __init__(self, model: nn.Module, n_rows: int, cache: bool) -> None:
        self.model = model
        self.cache = cache
        self.past: Any = None  # the cache, in whatever form the model has it
        self.seen: Tensor | None = None  # (B, T) every token so far, if there is no cache
        if isinstance(model, GPT):
            self.cache_name = "cache"
            if cache:
                self.past = KVCache(model, n_rows)
        else:
            self.cache_name = cache_argument(model)

    @torch.no_grad()
    def __call__(self, new: Tensor) -> Tensor:
        """New tokens (B, T) in, logits (B, V) in float32 out."""
        ids = new
        if not self.cache:
            # Without a cache every token goes in again.
            self.seen = new if self.seen is None else torch.cat((self.seen, new), dim=1)
            ids = self.seen  # (B, T so far)

        if isinstance(self.model, GPT):
            logits = self.model(ids, cache=self.past)  # (B, T, V)
        else:
            options = {self.cache_name: self.past, "use_cache": self.cache}
            out = self.model(input_ids=ids, **options)
            logits = out.logits  # (B, T, V)
            if self.cache:
                self.past = getattr(out, self.cache_name)

        last = logits[:, -1].float()  # (B, V)
        # The draw is in float64, which MPS does not have.
        return last.cpu() if last.device.type == "mps" else last


def cache_argument(model: nn.Module) -> str:
    """What a model of ``transformers`` calls the cache that it takes and returns.

    To version 5.23 that is ``past_key_values``. Since 5.24 it is ``cache``; the old name still
    works there, with a warning, and 5.40 removes it. A wrapper that passes any argument on, and so
    names neither, is given the old one.
    """
    arguments = inspect.signature(model.forward).parameters
    return "cache" if "cache" in arguments else "past_key_values"


def _context_length(config: Any) -> int:
    """How many tokens a model reads at most; a configuration that does not say so sets no limit."""
    ours = getattr(config, "context_length", None)
    theirs = getattr(config, "max_position_embeddings", None)
    return ours or theirs or 10**9


def _next_uniforms(generators: list[np.random.Generator]) -> Tensor:
    """The next uniform number in [0, 1) of each generator: (B,), float64."""
    return torch.tensor([each.random() for each in generators], dtype=torch.float64)
