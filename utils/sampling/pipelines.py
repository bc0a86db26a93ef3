"""All settings of sampling together, applied as a real engine applies them.

The order of the steps, and what each penalty sees, are facts about four real engines; they stand
with their sources in `utils.sampling.settings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from utils.sampling import penalties, transforms
from utils.sampling.inputs import (
    NEG_INF,
    Ids,
    NoTokenLeftError,
    check_logits,
    counts,
    has_tokens,
    histories,
    id_list,
)
from utils.sampling.settings import DEFAULTS, ENGINES, OFF, SETTINGS, TRUNCATIONS, Engine, check
from utils.validate import choice, integer, number, require


@dataclass(frozen=True)
class Step:
    """What one setting did. ``logits`` and ``kept`` are (..., V), the other two (...)."""

    name: str
    logits: Tensor
    kept: Tensor  # bool: which tokens can still be drawn
    removed_mass: Tensor  # probability, just before this step, of the tokens that it removed
    entropy: Tensor  # of the distribution after this step, in nats

    @property
    def kept_count(self) -> Tensor:
        """How many tokens can still be drawn."""
        return self.kept.sum(-1)

    @property
    def perplexity(self) -> Tensor:
        """exp(entropy): the number of equally likely tokens that would be as uncertain."""
        return self.entropy.exp()


@dataclass(frozen=True)
class Pipeline:
    """Every setting of `utils.sampling.settings`, applied as ``engine`` would; each default is off.

    ``last_n`` is the window of the three penalties in llama.cpp and mlx-lm: None is the engine's
    default (64 and 20 tokens), −1 is everything. ``temperature`` is applied where the engine
    applies it; 0 is greedy, but transformers refuses it. Raises ``ValueError`` for a value out of
    range, an unknown engine, and a setting that the engine does not have, unless
    ``ignore_unsupported``, which leaves such a setting out.

    >>> Pipeline("vllm", temperature=2.0, top_p=0.9).order
    ('temperature', 'top_p')
    >>> Pipeline("llama.cpp", temperature=2.0, top_p=0.9).order
    ('top_p', 'temperature')

    The order decides: temperature 2 first makes the four probabilities 0.46, 0.28, 0.17 and 0.10,
    of which it takes three to reach 0.8; untouched they are 0.64, 0.24, 0.09 and 0.03, and two
    suffice.

    >>> logits = torch.tensor([3.0, 2.0, 1.0, 0.0])
    >>> Pipeline("vllm", temperature=2.0, top_p=0.8)(logits).tolist()
    [1.5, 1.0, 0.5, -inf]
    >>> Pipeline("llama.cpp", temperature=2.0, top_p=0.8)(logits).tolist()
    [1.5, 1.0, -inf, -inf]
    """

    engine: str = "transformers"
    temperature: float = DEFAULTS["temperature"]
    top_k: int = DEFAULTS["top_k"]
    top_p: float = DEFAULTS["top_p"]
    min_p: float = DEFAULTS["min_p"]
    typical_p: float = DEFAULTS["typical_p"]
    top_n_sigma: float = DEFAULTS["top_n_sigma"]
    repetition_penalty: float = DEFAULTS["repetition_penalty"]
    frequency_penalty: float = DEFAULTS["frequency_penalty"]
    presence_penalty: float = DEFAULTS["presence_penalty"]
    no_repeat_ngram: int = DEFAULTS["no_repeat_ngram"]
    ban: Sequence[int] = DEFAULTS["ban"]
    logit_bias: Mapping[int, float] | None = DEFAULTS["logit_bias"]
    dry: float = DEFAULTS["dry"]  # its multiplier
    dry_base: float = DEFAULTS["dry_base"]
    dry_allowed_length: int = DEFAULTS["dry_allowed_length"]
    dry_last_n: int = DEFAULTS["dry_last_n"]
    dry_breakers: Sequence[int] = DEFAULTS["dry_breakers"]
    xtc: float = DEFAULTS["xtc"]  # its probability
    xtc_threshold: float = DEFAULTS["xtc_threshold"]
    last_n: int | None = DEFAULTS["last_n"]
    ignore_unsupported: bool = False

    def __post_init__(self) -> None:
        # An array would be compared entry by entry.
        is_text = isinstance(self.engine, str)
        require(is_text, "engine", f"one of {', '.join(ENGINES)}", self.engine)
        choice("engine", self.engine, tuple(ENGINES))
        is_flag = isinstance(self.ignore_unsupported, bool)
        require(is_flag, "ignore_unsupported", "True or False", self.ignore_unsupported)
        self._check_temperature()
        self._check_kinds()
        self._check_details()
        for name in OFF:
            self._check_support(name)
            if SETTINGS[name].kind in ("number", "whole"):
                check(name, getattr(self, name))

    def _check_temperature(self) -> None:
        """Refuse 0 where the engine does, and raise a small one to the lowest that it allows."""
        rules = ENGINES[self.engine]
        t = check("temperature", self.temperature)
        refused = t == 0 and rules.greedy == "refused"
        allowed = f"above 0 in {self.engine} (greedy is do_sample=False there)"
        require(not refused, "temperature", allowed, t)
        if 0 < t < rules.lowest_temperature:
            object.__setattr__(self, "temperature", rules.lowest_temperature)

    def _check_kinds(self) -> None:
        """Refuse a value of the wrong kind, also one that equals the default, as False does 0."""
        for name in OFF:
            value = getattr(self, name)
            if SETTINGS[name].kind == "number":
                number(name, value)
            elif SETTINGS[name].kind == "whole":
                integer(name, value)
        object.__setattr__(self, "ban", id_list("ban", self.ban))
        mapped = self.logit_bias is None or isinstance(self.logit_bias, Mapping)
        allowed = "a mapping from token ids to numbers, or None"
        require(mapped, "logit_bias", allowed, self.logit_bias)

    def _check_details(self) -> None:
        """Check the settings that only refine others, also where those are off."""
        rules = ENGINES[self.engine]
        check("dry_base", self.dry_base)
        check("dry_allowed_length", self.dry_allowed_length)
        check("dry_last_n", self.dry_last_n)
        object.__setattr__(self, "dry_breakers", id_list("dry_breakers", self.dry_breakers))
        number("xtc_threshold", self.xtc_threshold, 0.0, rules.highest_xtc_threshold)
        if self.last_n is not None:
            check("last_n", self.last_n)
            allowed = f"None: {self.engine} has no such setting"
            require(rules.has("last_n"), "last_n", allowed, self.last_n)

    def _check_support(self, name: str) -> None:
        """Refuse a setting that is on and that the engine does not have."""
        can_be_left_out = self._is_off(name) or self.ignore_unsupported
        supported = ENGINES[self.engine].has(name) or can_be_left_out
        allowed = f"{OFF[name]!r}: {self.engine} has no such setting"
        require(supported, name, allowed, getattr(self, name))

    def _is_off(self, name: str) -> bool:
        """Whether a setting changes nothing."""
        value = getattr(self, name)
        if name == "logit_bias":
            return not value  # an empty mapping adds nothing
        if name == "top_p" and value == 0:
            return ENGINES[self.engine].zero_top_p_is_off
        return bool(value == OFF[name])

    @property
    def greedy(self) -> bool:
        """Whether the most likely token is always taken."""
        return self.temperature == 0

    @property
    def order(self) -> tuple[str, ...]:
        """The settings that are on, in the order in which they act."""
        rules = ENGINES[self.engine]
        on = [name for name in rules.order if not self._is_off(name)]
        # Some engines take the maximum at once. llama.cpp runs its chain, where XTC may remove it.
        if self.greedy and rules.greedy == "at_once":
            on = [name for name in on if name not in TRUNCATIONS]
        return tuple(on)

    def _steps(
        self, logits: Tensor, prompt: Ids, output: Ids, u: float | Tensor | None
    ) -> Iterator[tuple[str, Tensor]]:
        """Check the arguments once, then give each setting's name and the logits that it leaves."""
        check_logits(logits)
        at = _Position(
            rules=ENGINES[self.engine],
            last_n=self.last_n,
            prompt=histories(prompt, logits),
            output=histories(output, logits),
            u=u,
        )
        for name in self.order:
            logits = _APPLY[name](logits, self, at)
            yield name, logits

    def __call__(
        self, logits: Tensor, prompt: Ids = (), output: Ids = (), u: float | Tensor | None = None
    ) -> Tensor:
        """Logits (..., V) with everything applied; a removed token is −inf.

        ``prompt`` and ``output``: the ids given and those generated so far, as ``ids`` in
        `utils.sampling.penalties`. ``u`` in [0, 1) decides whether XTC fires; only XTC needs it.
        """
        changed = logits
        for _, left in self._steps(logits, prompt, output, u):
            changed = left
        if changed is logits:
            return logits.clone()
        if not has_tokens(changed):
            # Looking after each step which setting it was takes time: only now that one is sought.
            self.report(logits, prompt, output, u)
        return changed

    def report(
        self, logits: Tensor, prompt: Ids = (), output: Ids = (), u: float | Tensor | None = None
    ) -> list[Step]:
        """One `Step` for the model's own distribution, then one per setting that is on."""
        check_logits(logits)
        steps = [_step("model", logits, before=logits)]
        for name, left in self._steps(logits, prompt, output, u):
            steps.append(_step(name, left, before=steps[-1].logits))
            self._check_left(steps)
        return steps

    def _check_left(self, steps: list[Step]) -> None:
        """Name the settings that have emptied a row, if the latest of ``steps`` has done so."""
        empty = steps[-1].kept_count.flatten() == 0  # (rows,)
        if not bool(empty.any()):
            return
        row = int(empty.nonzero()[0])
        left = [int(step.kept_count.flatten()[row]) for step in steps]
        emptying = {
            step.name: getattr(self, step.name)
            for step, before, after in zip(steps[1:], left, left[1:], strict=False)
            if after < before
        }
        raise NoTokenLeftError(emptying, row)


def _step(name: str, logits: Tensor, before: Tensor) -> Step:
    """What one setting did, which left ``logits`` of the logits ``before``: (..., V) each."""
    kept = logits > NEG_INF  # (..., V)
    probs_before = before.double().softmax(-1)  # (..., V)
    removed_mass = probs_before.where(~kept, 0).sum(-1)  # (...)
    logp = logits.double().log_softmax(-1)  # (..., V)
    # A removed token has no part in the sum, where 0 · −inf would be NaN.
    summands = logp.exp() * logp.where(kept, 0)  # (..., V)
    entropy = -summands.sum(-1) + 0.0  # (...) a sure token's is 0, not −0
    return Step(name, logits, kept, removed_mass, entropy)


@dataclass(frozen=True)
class _Position:
    """What the steps of a pipeline may look at: the tokens so far, and how much an engine shows."""

    rules: Engine
    last_n: int | None  # the pipeline's window of penalties; None: the engine's own
    prompt: list[Tensor]  # one history per row
    output: list[Tensor]
    u: float | Tensor | None  # the draw that decides whether XTC fires
    # What `said` has counted, as penalties share it: by whether the prompt counts.
    counted: dict[bool, Tensor] = field(default_factory=dict)

    @cached_property
    def everything(self) -> list[Tensor]:
        """The prompt followed by the output, per row."""
        return [torch.cat(pair) for pair in zip(self.prompt, self.output, strict=True)]

    def said(self, penalty: str, logits: Tensor) -> Tensor:
        """How often ``penalty`` sees each token of the vocabulary: (..., V), as `counts` gives."""
        sees_prompt = self.rules.sees_prompt(penalty)
        if sees_prompt not in self.counted:
            pasts = self.everything if sees_prompt else self.output
            last_n = self.rules.last_n if self.last_n is None else self.last_n
            if last_n is not None and last_n >= 0:
                pasts = [_last(past, last_n) for past in pasts]
            self.counted[sees_prompt] = counts(pasts, logits)  # (..., V)
        return self.counted[sees_prompt]


def _last(past: Tensor, n: int) -> Tensor:
    """The ``n`` latest tokens of a history, or all if it has fewer."""
    start = max(len(past) - n, 0)
    return past[start:]


def _dry(z: Tensor, p: Pipeline, at: _Position) -> Tensor:
    return penalties._dry(
        z,
        at.everything,
        multiplier=float(p.dry),
        base=float(p.dry_base),
        allowed_length=int(p.dry_allowed_length),
        last_n=int(p.dry_last_n),
        breakers=frozenset(p.dry_breakers),
    )


def _xtc(z: Tensor, p: Pipeline, at: _Position) -> Tensor:
    require(at.u is not None, "u", "a uniform draw in [0, 1) for xtc", at.u)
    assert at.u is not None
    return transforms._xtc(z, float(p.xtc), float(p.xtc_threshold), at.u, at.rules.xtc_ties)


def _repetition_penalty(z: Tensor, p: Pipeline, at: _Position) -> Tensor:
    said = at.said("repetition_penalty", z)
    return penalties._repetition_penalty(z, said, float(p.repetition_penalty))


def _frequency_penalty(z: Tensor, p: Pipeline, at: _Position) -> Tensor:
    said = at.said("frequency_penalty", z)
    return penalties._frequency_penalty(z, said, float(p.frequency_penalty))


def _presence_penalty(z: Tensor, p: Pipeline, at: _Position) -> Tensor:
    said = at.said("presence_penalty", z)
    return penalties._presence_penalty(z, said, float(p.presence_penalty))


# How each setting of a pipeline ``p`` changes the logits ``z``, (..., V), at a position.
_APPLY: dict[str, Callable[[Tensor, Pipeline, _Position], Tensor]] = {
    "temperature": lambda z, p, at: transforms._temperature(z, float(p.temperature)),
    "top_k": lambda z, p, at: transforms._top_k(z, int(p.top_k), at.rules.ties),
    "top_p": lambda z, p, at: transforms._top_p(z, float(p.top_p)),
    "min_p": lambda z, p, at: transforms._min_p(z, float(p.min_p)),
    "typical_p": lambda z, p, at: transforms._typical_p(z, float(p.typical_p), at.rules.ties),
    "top_n_sigma": lambda z, p, at: transforms._top_n_sigma(z, float(p.top_n_sigma)),
    "xtc": _xtc,
    "repetition_penalty": _repetition_penalty,
    "frequency_penalty": _frequency_penalty,
    "presence_penalty": _presence_penalty,
    "no_repeat_ngram": lambda z, p, at: penalties._no_repeat_ngram(
        z, at.everything, int(p.no_repeat_ngram)
    ),
    "dry": _dry,
    "ban": lambda z, p, at: penalties._ban(z, p.ban),
    "logit_bias": lambda z, p, at: penalties._logit_bias(z, p.logit_bias or {}),
}
