"""The transforms of `utils.sampling.transforms` in the order, and with the penalty scope, of four real engines.

The same settings give different text in different engines: each fixes its own order, some let penalties
see the prompt, and each offers only some of the settings. What is written here was read in

* transformers 5.23: ``generation/utils.py``, ``GenerationMixin._get_logits_processor``;
* vLLM V1: ``vllm/v1/sample/sampler.py`` at 3e342658b2e9c85a30a54d19e64e5ad77b8a26a6, ``apply_penalties`` in
  ``vllm/model_executor/layers/utils.py`` at 00358600ed52e00c3c99b35e54aa916f900c4c15, and
  ``vllm/sampling_params.py`` at db573835d3ef40643442e0817059e087355cf458;
* llama.cpp: ``common/sampling.cpp`` at 3b3f5fed31ab654c4ed858b98b70df1b9855a2aa, the default chain in
  ``common/common.h`` at de93b991682fa46acabb813641f7f6b884ad5dd0; the rest as in `utils.sampling.transforms`;
* mlx-lm: ``make_sampler`` and ``make_logits_processors`` in ``mlx_lm/sample_utils.py`` at
  037c9b3f420538b61594aa730d201e604b572cf7.

Not here: settings that only one engine has (top-h, eta and epsilon cut-offs, mirostat, dynamic
temperature, grammars), and multi-token biases and bad words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from utils.sampling import transforms
from utils.sampling.transforms import Ids, check_logits, histories
from utils.validate import choice, integer, number, require


@dataclass(frozen=True)
class Engine:
    """What an engine fixes. ``order`` names its settings in the order in which they act."""

    order: tuple[str, ...]
    ties: str  # its rule at top_k, see `utils.sampling.transforms.top_k`
    last_n: int | None = (
        None  # default window of the penalties, in tokens; None: it has no such setting
    )
    output_only: frozenset[str] = frozenset()  # penalties that do not see the prompt


ENGINES = {
    # do_sample=True. Temperature 0 is refused: greedy decoding is do_sample=False there.
    "transformers": Engine(
        order=(
            *("logit_bias", "repetition_penalty", "no_repeat_ngram", "ban"),
            *("temperature", "top_k", "top_p", "min_p", "typical_p"),
        ),
        ties="keep",
    ),
    # Temperature 0 is greedy and ignores truncation; one in (0, 0.01) is raised to 0.01.
    "vllm": Engine(
        order=(
            *("ban", "logit_bias", "repetition_penalty", "frequency_penalty", "presence_penalty"),
            *("temperature", "min_p", "top_k", "top_p"),
        ),
        ties="keep",
        output_only=frozenset({"frequency_penalty", "presence_penalty"}),
    ),
    # The prompt is fed to the samplers, so penalties see it. A ban is a logit bias of −inf.
    "llama.cpp": Engine(
        order=(
            *(
                "ban",
                "logit_bias",
                "repetition_penalty",
                "frequency_penalty",
                "presence_penalty",
                "dry",
            ),
            *("top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "xtc", "temperature"),
        ),
        ties="exact",
        last_n=64,
    ),
    # Temperature 0 is greedy and ignores truncation; top_p = 0 is off. A ban is a logit bias of −inf. In
    # batches and in the server penalties see the prompt, as here; `generate_step` of 0.31.3 showed them only
    # its last token (ml-explore/mlx-lm issue 1773).
    "mlx": Engine(
        order=(
            *("ban", "logit_bias", "repetition_penalty", "presence_penalty", "frequency_penalty"),
            *("top_p", "min_p", "xtc", "top_k", "temperature"),
        ),
        ties="exact",
        last_n=20,
    ),
}
TRUNCATIONS = frozenset({"top_k", "top_p", "min_p", "typical_p", "top_n_sigma", "xtc"})


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
    """Every setting of `utils.sampling.transforms`, applied as ``engine`` would; each default is off.

    ``last_n`` is the window of the three penalties in llama.cpp and mlx-lm: None is the engine's default (64
    and 20 tokens), −1 is everything. ``temperature`` is applied where the engine applies it; 0 is greedy, but
    transformers refuses it. Raises ``ValueError`` for a value out of range, an unknown engine, and a
    setting that the engine does not have, unless ``ignore_unsupported``, which leaves such a setting out.

    >>> Pipeline("vllm", temperature=2.0, top_p=0.9).order
    ('temperature', 'top_p')
    >>> Pipeline("llama.cpp", temperature=2.0, top_p=0.9).order
    ('top_p', 'temperature')
    """

    engine: str = "transformers"
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    top_n_sigma: float = 0.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    no_repeat_ngram: int = 0
    ban: Sequence[int] = ()
    logit_bias: Mapping[int, float] | None = None
    dry: float = 0.0  # its multiplier
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_last_n: int = -1
    dry_breakers: Sequence[int] = ()
    xtc: float = 0.0  # its probability
    xtc_threshold: float = 0.1
    last_n: int | None = None
    ignore_unsupported: bool = False

    def __post_init__(self) -> None:
        engine = ENGINES[choice("engine", self.engine, tuple(ENGINES))]
        t = number("temperature", self.temperature, 0.0)
        refused = self.engine == "transformers" and t == 0
        require(
            not refused,
            "temperature",
            "above 0 in transformers (greedy is do_sample=False there)",
            t,
        )
        if self.engine == "vllm" and 0 < t < 0.01:
            object.__setattr__(self, "temperature", 0.01)
        self._check_values()
        if self.last_n is not None:
            integer("last_n", self.last_n, -1)
            require(
                engine.last_n is not None,
                "last_n",
                f"None: {self.engine} has no such setting",
                self.last_n,
            )
        for name in self._changed():
            if name not in engine.order and not self.ignore_unsupported:
                off = DEFAULTS[name]
                require(
                    False, name, f"{off!r}: {self.engine} has no such setting", getattr(self, name)
                )
            if name not in (
                "ban",
                "logit_bias",
            ):  # their ids can be checked only against a vocabulary
                self._apply(name, torch.zeros(2), [], [], 0.0)

    def _check_values(self) -> None:
        """Refuse a wrong value also where its setting is off, or equals the default, as False does 0."""
        for name, default in DEFAULTS.items():
            if isinstance(default, float):
                number(name, getattr(self, name))
            elif isinstance(default, int):
                integer(name, getattr(self, name))
        transforms.check_breakers(self.dry_breakers)
        number("xtc_threshold", self.xtc_threshold, 0.0, 0.5 if self.engine == "mlx" else 1.0)
        number("dry_base", self.dry_base, 0.0)
        integer("dry_allowed_length", self.dry_allowed_length, 1)
        integer("dry_last_n", self.dry_last_n, -1)
        listed = (
            isinstance(self.ban, Collection)
            and getattr(self.ban, "ndim", 1) == 1
            and not isinstance(self.ban, (str, bytes, Mapping))
        )
        require(listed, "ban", "a list of token ids", self.ban)
        ids = self.ban.tolist() if hasattr(self.ban, "tolist") else self.ban
        object.__setattr__(self, "ban", tuple(integer("ban id", i, 0) for i in ids))
        mapped = self.logit_bias is None or isinstance(self.logit_bias, Mapping)
        require(
            mapped, "logit_bias", "a mapping from token ids to numbers, or None", self.logit_bias
        )

    def _changed(self) -> list[str]:
        """The settings that are not at their default. mlx-lm takes top_p = 0 for off as well."""
        values = {name: getattr(self, name) for name in DEFAULTS}
        off_in_mlx = self.engine == "mlx" and values["top_p"] == 0
        values["logit_bias"] = values["logit_bias"] or None  # an empty mapping adds nothing
        return [
            name
            for name, value in values.items()
            if not (value == DEFAULTS[name] or (name == "top_p" and off_in_mlx))
        ]

    @property
    def greedy(self) -> bool:
        """Whether the most likely token is always taken."""
        return self.temperature == 0

    @property
    def order(self) -> tuple[str, ...]:
        """The settings that are on, in the order in which they act."""
        changed = self._changed()
        # vLLM and mlx-lm take the maximum at once; llama.cpp runs its chain first, where XTC may remove it.
        skip = TRUNCATIONS if self.greedy and self.engine in ("vllm", "mlx") else frozenset()
        return tuple(
            name for name in ENGINES[self.engine].order if name in changed and name not in skip
        )

    def _apply(
        self, name: str, logits: Tensor, prompt: list, output: list, u: float | Tensor | None
    ) -> Tensor:
        engine, value = ENGINES[self.engine], getattr(self, name)
        if name in ("top_k", "typical_p"):
            return getattr(transforms, name)(logits, value, engine.ties)
        if name == "xtc":
            require(u is not None, "u", "a uniform draw in [0, 1) for xtc", u)
            ties = "keep" if self.engine == "mlx" else "exact"
            return transforms.xtc(logits, value, self.xtc_threshold, u, ties)
        if name in ("repetition_penalty", "frequency_penalty", "presence_penalty"):
            ids = output if name in engine.output_only else _joined(prompt, output)
            last_n = engine.last_n if self.last_n is None else self.last_n
            ids = (
                ids
                if last_n is None or last_n < 0
                else [row[max(len(row) - last_n, 0) :] for row in ids]
            )
            return getattr(transforms, name)(logits, ids, value)
        if name == "no_repeat_ngram":
            return transforms.no_repeat_ngram(logits, _joined(prompt, output), value)
        if name == "dry":
            dry = (self.dry_base, self.dry_allowed_length, self.dry_last_n, self.dry_breakers)
            return transforms.dry(logits, _joined(prompt, output), value, *dry)
        return getattr(transforms, name)(logits, value)

    def _run(
        self, logits: Tensor, prompt: Ids, output: Ids, u: float | Tensor | None
    ) -> Iterator[tuple[str, Tensor]]:
        check_logits(logits)
        before, after = histories(prompt, logits), histories(output, logits)
        for name in self.order:
            logits = self._apply(name, logits, before, after, u)
            yield name, logits

    def __call__(
        self, logits: Tensor, prompt: Ids = (), output: Ids = (), u: float | Tensor | None = None
    ) -> Tensor:
        """Logits (..., V) with everything applied; a removed token is −inf.

        ``prompt`` and ``output``: the ids given and those generated so far, as ``ids`` in `utils.sampling.transforms`.
        ``u`` in [0, 1) decides whether XTC fires; only XTC needs it.
        """
        original = logits
        for _, changed in self._run(logits, prompt, output, u):
            logits = changed
        return logits.clone() if logits is original else check_logits(logits)

    def report(
        self, logits: Tensor, prompt: Ids = (), output: Ids = (), u: float | Tensor | None = None
    ) -> list[Step]:
        """One `Step` for the model's own distribution and one for each setting that is on, in order."""
        steps: list[Step] = []
        for name, now in (("model", logits), *self._run(logits, prompt, output, u)):
            kept, logp = now > transforms.NEG_INF, check_logits(now).double().log_softmax(-1)
            before = steps[-1].logits if steps else now
            removed = before.double().softmax(-1).where(~kept, 0).sum(-1)
            entropy = (
                -(logp.exp() * logp.where(kept, 0)).sum(-1) + 0.0
            )  # a sure token's is 0, not -0
            steps.append(Step(name, now, kept, removed, entropy))
        return steps


_OPTIONS = ("engine", "last_n", "ignore_unsupported", "xtc_threshold")
DEFAULTS = {
    f.name: f.default for f in fields(Pipeline) if f.name not in _OPTIONS and "dry_" not in f.name
}


def _joined(prompt: list[Tensor], output: list[Tensor]) -> list[Tensor]:
    return [torch.cat(pair) for pair in zip(prompt, output, strict=True)]
