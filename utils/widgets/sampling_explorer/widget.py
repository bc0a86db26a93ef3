"""The sampling explorer in a notebook, with the learner's own model; on the pages the ``.mjs`` runs alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import traitlets as t
from torch import nn

from experiments.sampling.explorer_data import NAME
from utils import records
from utils.sampling.pipelines import ENGINES
from utils.validate import choice, require
from utils.widgets.sampling_explorer.positions import position, token_texts
from utils.widgets.shared.base import CourseWidget


class SamplingExplorer(CourseWidget):
    """What each decoding setting does to a model's next token, in each engine's order.

    ``SamplingExplorer(model, tokenizer, ["Once upon a"], temperature=0.7)`` shows what this model says after
    these prompts; a prompt may be a pair of texts, the second written by the model, which is what some
    penalties see. The model is a `utils.models.gpt.GPT` or a causal language model of ``transformers``. Without a
    model, the recorded prompts are shown. ``None`` for a setting is "off"; a slider changes the traits.

    Raises ``ValueError`` for a model without a tokenizer or prompts (or these without a model), an empty
    prompt, and a setting that the sliders do not reach; a ``TraitError`` for one of the wrong type.
    """

    module = "sampling_explorer"
    label = "Sampling explorer"
    record = f"{NAME}.json"
    limits: ClassVar = {
        **{
            "temperature": (0.0, 3.0),
            "top_p": (0.0, 1.0),
            "min_p": (0.0, 1.0),
            "repetition_penalty": (0.5, 2.0),
        },
        **{"frequency_penalty": (-2.0, 2.0), "presence_penalty": (-2.0, 2.0)},
        **{"top_k": (0, 262144), "seed": (0, 2**31 - 1), "draws": (0, 1000)},
    }

    engine = t.Enum(tuple(ENGINES), None, allow_none=True).tag(sync=True, page=True)
    temperature, top_p, min_p = (
        t.Float(None, allow_none=True).tag(sync=True, page=True) for _ in range(3)
    )
    repetition_penalty, frequency_penalty, presence_penalty = (
        t.Float(None, allow_none=True).tag(sync=True, page=True) for _ in range(3)
    )
    top_k, seed, draws = (t.Int(None, allow_none=True).tag(sync=True, page=True) for _ in range(3))
    prompt = t.Unicode(None, allow_none=True).tag(
        sync=True
    )  # a key; not for the page, which has its own prompts
    prompts = t.List(t.Dict()).tag(sync=True)
    vocab = t.List(t.Unicode()).tag(sync=True)

    def __init__(
        self,
        model: nn.Module | None = None,
        tokenizer: Any = None,
        prompts: Sequence[str | tuple[str, str]] = (),
        **settings: Any,
    ) -> None:
        require(isinstance(prompts, Sequence), "prompts", "a list of at least one text", prompts)
        if model is None:
            require(
                tokenizer is None and len(prompts) == 0,
                "model",
                "given with a tokenizer or prompts",
                model,
            )
            data = records.load(NAME).data
            self._start(data["prompts"], data["vocab"], settings)
            return
        require(tokenizer is not None, "tokenizer", "given with a model", tokenizer)
        require(
            len(prompts) > 0 and not isinstance(prompts, str),
            "prompts",
            "a list of at least one text",
            prompts,
        )
        items = []
        for given in prompts:
            pair = (given, "") if isinstance(given, str) else given
            texts = (
                isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(x, str) for x in pair)
            )
            require(texts, "prompts", "made of texts, or of pairs of texts", given)
        for prompt, output in ((p, "") if isinstance(p, str) else p for p in prompts):
            encoded = tokenizer.encode(output)
            require(prompt != "", "prompts", "made of non-empty texts", prompt)
            items.append(position(model, tokenizer, prompt, getattr(encoded, "ids", encoded)))
        for i, item in enumerate(items):  # two prompts may differ in punctuation alone
            item["key"] = f"{i + 1}-{item['key']}"
        self._start(items, token_texts(tokenizer, model.config.vocab_size), settings)

    def _start(self, prompts: list[dict], vocab: list[str], settings: dict[str, Any]) -> None:
        if settings.get("prompt") is not None:
            choice("prompt", settings["prompt"], tuple(item["key"] for item in prompts))
        super().__init__(prompts=prompts, vocab=vocab, **settings)
