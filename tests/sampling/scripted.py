"""A model that writes a given text, for the tests of generation and stop strings."""

from __future__ import annotations

import math
import types

import torch
from torch import nn

from utils.sampling.generation import generate, stream

CORPUS = (
    "the cat sat on the mat and then the café 😀 was closed; 'the end' was near, they said. " * 20
)


class Scripted(nn.Module):
    """Writes a given list of tokens, whatever it is drawn with: all mass on the next one."""

    def __init__(self, script: list[int], vocab_size: int) -> None:
        super().__init__()
        self.script, self.config = script, types.SimpleNamespace(vocab_size=vocab_size)
        self.anchor = nn.Parameter(torch.zeros(1))

    def forward(self, input_ids, past_key_values=None, use_cache=True):
        at = 0 if past_key_values is None else past_key_values
        logits = torch.full((*input_ids.shape, self.config.vocab_size), -math.inf)
        logits[:, -1, self.script[at]] = 0.0
        return types.SimpleNamespace(logits=logits, past_key_values=at + 1)


def written(tokenizer, text: str, stop, **options):
    """Let a scripted model write ``text``; return generate's result and stream's pieces."""
    ids = tokenizer.encode(text).ids
    model = Scripted(ids, tokenizer.get_vocab_size())
    options = {"tokenizer": tokenizer, "max_tokens": len(ids), "stop": stop} | options
    return generate(model, ["the"], **options)[0], list(stream(model, "the", **options))
