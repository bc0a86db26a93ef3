"""The sampling explorer in a notebook, with the learner's own model.

On the book's pages ``widget.mjs`` runs alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import traitlets as t

from utils import records
from utils.sampling.settings import ENGINES, PAGE_RANGES
from utils.validate import choice, encodable, require
from utils.widgets.sampling_explorer.positions import RECORD, position, token_ids, token_texts
from utils.widgets.shared.base import CourseWidget, choice_setting, setting

if TYPE_CHECKING:  # the recorded prompts need no torch
    from torch import nn


class SamplingExplorer(CourseWidget):
    """What each decoding setting does to a model's next token, in each engine's order.

    ``SamplingExplorer(model, tokenizer, ["Once upon a"], temperature=0.7)`` shows what this model
    says after these prompts. A prompt may be a pair of texts, the second written by the model,
    which is what some penalties see. The model is a `utils.models.gpt.GPT` or a causal language
    model of ``transformers``. Without a model, the recorded prompts are shown. ``None`` for a
    setting is "off"; a slider changes the traits.

    Raises ``ValueError`` for a model without a tokenizer or prompts (or these without a model), an
    empty prompt or one with half a character, and a setting that the sliders do not reach; a
    ``TraitError`` for one of the wrong type.
    """

    module = "sampling_explorer"
    label = "Sampling explorer"
    record = f"{RECORD}.json"
    limits = PAGE_RANGES

    engine = choice_setting(tuple(ENGINES))
    temperature = setting(t.Float)
    top_k = setting(t.Int)
    top_p = setting(t.Float)
    min_p = setting(t.Float)
    repetition_penalty = setting(t.Float)
    frequency_penalty = setting(t.Float)
    presence_penalty = setting(t.Float)
    seed = setting(t.Int)
    draws = setting(t.Int)
    # The key of the prompt that is shown. It is not for the page, which has its own prompts.
    prompt = t.Unicode(None, allow_none=True).tag(sync=True)
    prompts = t.List(t.Dict()).tag(sync=True)
    vocab = t.List(t.Unicode()).tag(sync=True)

    def __init__(
        self,
        model: nn.Module | None = None,
        tokenizer: Any = None,
        prompts: Sequence[str | tuple[str, str]] = (),
        **settings: Any,
    ) -> None:
        listed = "a list of at least one text"
        require(isinstance(prompts, Sequence), "prompts", listed, prompts)
        if model is None:
            alone = tokenizer is None and len(prompts) == 0
            require(alone, "model", "given with a tokenizer or prompts", model)
            data = records.load(RECORD).data
            positions, vocab = data["prompts"], data["vocab"]
        else:
            require(tokenizer is not None, "tokenizer", "given with a model", tokenizer)
            is_list = len(prompts) > 0 and not isinstance(prompts, str)
            require(is_list, "prompts", listed, prompts)
            positions = positions_after(model, tokenizer, prompts)
            config = cast(
                "Any", model
            ).config  # both kinds of model have one, as no Module need have
            vocab = token_texts(tokenizer, config.vocab_size)

        if settings.get("prompt") is not None:
            choice("prompt", settings["prompt"], tuple(item["key"] for item in positions))
        super().__init__(prompts=positions, vocab=vocab, **settings)


def positions_after(
    model: nn.Module, tokenizer: Any, prompts: Sequence[str | tuple[str, str]]
) -> list[dict[str, Any]]:
    """What ``model`` says after each of ``prompts``: texts, or pairs of a text and its output."""
    pairs = [_pair(given) for given in prompts]
    positions = []
    for number, (prompt, output) in enumerate(pairs, start=1):
        require(prompt != "", "prompts", "made of non-empty texts", prompt)
        encodable("prompts", prompt + output)
        item = position(model, tokenizer, prompt, token_ids(tokenizer, output))
        item["key"] = f"{number}-{item['key']}"  # two prompts may differ in punctuation alone
        positions.append(item)
    return positions


def _pair(given: str | tuple[str, str]) -> tuple[str, str]:
    """A prompt and its output, which may be empty."""
    if isinstance(given, str):
        return given, ""
    allowed = "made of texts, or of pairs of texts"
    require(isinstance(given, tuple) and len(given) == 2, "prompts", allowed, given)
    prompt, output = given
    require(isinstance(prompt, str) and isinstance(output, str), "prompts", allowed, given)
    return prompt, output
