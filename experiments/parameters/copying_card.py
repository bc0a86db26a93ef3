"""The text of the card of the small model that copies; every number in it comes from the card."""

from __future__ import annotations

from typing import Any

TEXT = """# copy_gpt

A model of two layers that has learned one thing: to say again what was said before.
The attention explorer of the book shows where its heads look.

Llama style, {parameters:,} parameters: width 48, 4 heads per layer, feed-forward width 48, 64 words
(`words.json`), a context of {context} words, input and output tables of their own.
`model.safetensors` (float16) and `config.json` are in the layout of `transformers`;
`utils.models.interop.load_pretrained` reads this folder and proves that no byte has changed.
The `sha256` of the weights is `{sha256}`.

It was trained for {steps:,} steps of {batch_size} rows.
Each row draws 5 to 16 different words and says them again and again until it is full.
The rows are drawn by the command, which needs no data:

    {how}

## What was measured

{segment} words are drawn afresh and said after {segment} words: after themselves, after themselves
in another order, or after others.
The table has the mean probability of the right word, from the second of the {segment} on, over
{rows} such passages.
A guess among 64 words would be right with probability {chance:.3f}.

| layers | seed | after themselves | in another order | after other words |
|---|---|---|---|---|
{table}

The stored model is the one in the first line; the others were trained by the same command, those of
one layer to compare with.

In each model of two layers one head of the first looks at the word just before.
Below: how large a share it gives to that word, and the probability of the right word after
themselves with each head of the first layer silenced in turn.

| seed | head | its share to the word before | without it | without one of the others |
|---|---|---|---|---|
{silenced}
"""


def readme(card: dict[str, Any], segment: int, context: int) -> str:
    """The model card in Markdown. segment: words of a measured passage; context: of a row."""
    lines = []
    for model in card["models"]:
        numbers = [f"{p:.3f}" for p in model["right"].values()]
        lines.append(f"| {model['layers']} | {model['seed']} | {' | '.join(numbers)} |")
    silenced = []
    for model in card["models"]:
        if model["layers"] == 2:
            silenced.append(_silenced_line(model))
    return TEXT.format(
        **card["settings"],
        parameters=card["parameters"],
        sha256=card["sha256"],
        how=card["how"],
        segment=segment,
        context=context,
        chance=1 / 64,
        table="\n".join(lines),
        silenced="\n".join(silenced),
    )


def _silenced_line(model: dict[str, Any]) -> str:
    """The head that looks at the word before, and what silencing it or another costs."""
    shares = model["heads"]["previous"][0]  # of each head of the first layer
    head = shares.index(max(shares))
    others = list(model["without_head"])
    without = others.pop(head)
    span = f"{min(others):.3f} to {max(others):.3f}"
    return f"| {model['seed']} | {head + 1} | {shares[head]:.2f} | {without:.3f} | {span} |"
