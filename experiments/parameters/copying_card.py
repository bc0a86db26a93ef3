"""The text of the card of the small model that copies; every number in it comes from the card."""

from __future__ import annotations

from typing import Any

TEXT = """# copy_gpt

A model of two layers that has learned one thing: to say a list of different words again.
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

{segment} different words are drawn afresh and said after {segment} words: after themselves, after
themselves in an order in which no word keeps its follower, or after others.
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

## Where this holds

The same of the stored model, for lists of other lengths. In "any order" the words are shuffled
freely, so that some keep their followers by chance: of n words 1/n on average.

| words | twice | no follower kept | any order | without head {head} | without another |
|---|---|---|---|---|---|
{lengths}

It was trained on 5 to 16 words; of fewer it is less sure. And it needs *different* words: where a
word stands twice in the list, two words have followed it. If each of {segment} words is drawn anew
from only a few, the right word has a probability of {pools}.

## What the shares of layer 2 leave out

The {segment} words are said twice, and the second time is read up to its word {read}, which has
thus stood before. Its first occurrence, or the word after that, is hidden from all later places: in
both layers, in one, or in none. The table has the mean probability that the stored model then gives
to the right next word, and the mean share over the heads of layer 2.

| hidden | its share in layer 2 | in both layers | in layer 1 only | in layer 2 only | nowhere |
|---|---|---|---|---|---|
| the first occurrence | {known} |
| the word after it | {follower} |

The first occurrence has next to no share in layer 2, and without it the model is lost. Hidden in
layer 2 alone it changes nothing, since the word after it has taken it up in layer 1 already. The
shares of both layers, multiplied and added up over the places between (means over the heads), are
largest for it in {named:.0%} of the passages.

"""


def readme(card: dict[str, Any], segment: int, context: int, read: int) -> str:
    """The model card in Markdown.

    segment: words of a measured passage; context: of a training row; read: of the second time,
    where a word is hidden.
    """
    lines = []
    for model in card["models"]:
        numbers = [f"{p:.3f}" for p in model["right"].values()]
        lines.append(f"| {model['layers']} | {model['seed']} | {' | '.join(numbers)} |")
    silenced = []
    for model in card["models"]:
        if model["layers"] == 2:
            silenced.append(_silenced_line(model))
    shares = card["models"][0]["heads"]["previous"][0]  # of the stored model, first layer
    head = shares.index(max(shares))
    pools = []
    for pool, p in card["limits"]["recurring"].items():
        pools.append(f"{p:.2f} (drawn from {pool})")
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
        head=head + 1,
        lengths=_length_lines(card, head),
        pools=" and ".join(pools),
        read=read,
        named=card["hiding"]["named_by_product"],
        known=_hidden_cells(card["hiding"]["known"]),
        follower=_hidden_cells(card["hiding"]["follower"]),
    )


def _length_lines(card: dict[str, Any], head: int) -> str:
    """A line for each length of a list: the right words, and with a head silenced."""
    lines = []
    for length, found in card["limits"]["lengths"].items():
        numbers = " | ".join(f"{p:.3f}" for p in found["right"].values())
        without, span = _without(found["without_head"], head)
        lines.append(f"| {length} | {numbers} | {without} | {span} |")
    return "\n".join(lines)


def _hidden_cells(found: dict[str, Any]) -> str:
    """The share of a word, and the probability of the right one with it hidden."""
    hidden = found["hidden"]
    cells = [f"{hidden[layers]:.3f}" for layers in ("both", "first", "second", "none")]
    return " | ".join([f"{found['share']:.3f}", *cells])


def _without(probabilities: list[float], head: int) -> tuple[str, str]:
    """With this head silenced, and from the least to the most with each of the others."""
    others = list(probabilities)
    without = others.pop(head)
    return f"{without:.3f}", f"{min(others):.3f} to {max(others):.3f}"


def _silenced_line(model: dict[str, Any]) -> str:
    """The head that looks at the word before, and what silencing it or another costs."""
    shares = model["heads"]["previous"][0]  # of each head of the first layer
    head = shares.index(max(shares))
    without, span = _without(model["without_head"], head)
    return f"| {model['seed']} | {head + 1} | {shares[head]:.2f} | {without} | {span} |"
