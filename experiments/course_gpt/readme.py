"""The README.md of a stored model, made from its card.json: no number in it is typed."""

# The template's lines are the card's: another break would change the stored cards.
# ruff: noqa: E501

from __future__ import annotations

import json
from typing import Any

ROLE = {
    "course_gpt": "The language model that the course's notebooks and pages sample from.",
    "judge_gpt": "A second, smaller model, trained on other authors' books: it scores the first one's text.",
}
TEMPLATE = """# {name}

{role}
{stage}

## Model

Llama style, {parameters:,} parameters ({parameters_without_embeddings:,} without the embedding table).
It has {n_layer} layers of width {d_model}, {n_head} heads, feed-forward width {d_ff}, and a context of
{context_length} tokens. Its byte-level BPE vocabulary has {vocab_size:,} entries; the head is the embedding.
`model.safetensors` ({megabytes:.1f} MB, float16) and `config.json` are in the layout of `transformers`:
`LlamaForCausalLM.from_pretrained` reads this folder, and so does `utils.models.load("{name}")`,
which also proves that no byte of the weights, of `config.json` or of `tokenizer.json` has changed: the
weights' header holds the hashes. Its own `sha256` is
`{sha256_of_weights}`.

## Training

{steps:,} steps of {batch_size} × {context_length} tokens: {tokens:,} tokens or {epochs:.2f} passes over the
training text, and {flops:.2e} FLOPs.
They took {minutes:.0f} minutes on {hardware} in {precision}, torch {torch}, {date}.
{note}
That is a small budget. Where there is a GPU, this trains the same model for longer:

    python -m experiments.course_gpt.train --corpus PATH --work run/ --name {name} --steps 20000
    python -m experiments.course_gpt.card --corpus PATH --work run/ --name {name}

AdamW; learning rate {learning_rate:g} after {warmup} steps of warm-up, then constant, then falling to zero
in a line {decay_from}; weight decay {weight_decay:g}, gradient norm clipped at {clip:g}, seed {seed}.

| step | training loss | validation loss (a sample of windows) |
|---|---|---|
{curve}

## Evaluation

On {n_validation} held-out books ({scored_tokens:,} tokens, {scored_bytes:,} bytes), none of them trained on,
in windows of {context_length} tokens that do not overlap, so that a token sees half a context on average.
The n-gram models learn from the same training tokens; their smoothing is interpolated Kneser-Ney with one
discount an order. `xz` compresses the held-out text on its own.

| | nats a token | bits a byte |
|---|---|---|
{loss}

Below: text drawn from the model, beside the books' own continuation of the same {prompts} prompts of
{prompt_tokens} tokens. A word is real if it occurs at least twice in the training books of either half.
A 4-gram of tokens is repeated if it occurred earlier in the same sample of {new_tokens} tokens.

| | real words | repeated 4-grams |
|---|---|---|
{text}

The sample in the middle of the list, at T = 0.8, after the prompt {prompt}:

{example}

## Data

{n_train} books ({train_megabytes:.1f} MB, {train_tokens:,} tokens) of `{corpus}`, SHA-256
`{sha256}`.
Licence: {licence}.
The training books of the two models share no author.
The titles, also of the held-out books, are listed in `card.json`.

## Known limits

- It writes the surface of old literary English, grammatical for a clause or two: no facts, no plot.
- It repeats the prejudices of the books it read, among them racist and colonial ones.
- It knows nothing of code, other languages or the present, and follows no instruction.
- It can use no more than {context_length} tokens.
"""


FINISHED = "The run is finished: its learning rate has decayed to zero."
SNAPSHOT = (
    "**A snapshot of a run that goes on**, taken before it was finished: a later one is better."
)
SHARED = "Wall-clock time, on a machine shared with other work."
ROWS = 12  # of the table of losses along training, about


def readme(card: dict[str, Any]) -> str:
    """The model card in Markdown: every number in it comes from ``card``."""
    training, evaluation, data = card["training"], card["evaluation"], card["data"]
    example = card["samples"]["T = 0.8"]
    values = card | card["architecture"] | training["settings"] | training | data | card["sampling"]
    values |= {
        "role": ROLE[card["name"]],
        "stage": FINISHED if card["finished"] else SNAPSHOT,
        "megabytes": card["bytes_of_weights"] / 1e6,
        "train_megabytes": data["train_bytes"] / 1e6,
        "note": training["note"] or SHARED,
        "decay_from": _decay_from(training["decay_from_step"]),
        "curve": _curve(training["history"]),
        "loss": _losses({"this model": evaluation} | card["baselines"]),
        "text": _texts(card["samples"]),
        "n_validation": len(data["validation_titles"]),
        "n_train": len(data["train_titles"]),
        "scored_tokens": evaluation["tokens"],
        "scored_bytes": evaluation["bytes"],
        "prompt": json.dumps(example["example_prompt"], ensure_ascii=False),
        "example": "\n".join(f"> {line}" for line in example["example"].splitlines()),
    }
    return TEMPLATE.format(**values)


def _decay_from(step: int | None) -> str:
    return "(not begun yet)" if step is None else f"from step {step:,} on"


def _curve(history: list[dict[str, Any]]) -> str:
    """Rows of step, training and validation loss: about `ROWS` of them, counted back from the last."""
    points = [point for point in history if "val_loss" in point]
    apart = max(1, len(points) // ROWS)
    last = len(points) - 1
    return "\n".join(
        f"| {point['step']:,} | {point['train_loss']:.3f} | {point['val_loss']:.3f} |"
        for i, point in enumerate(points)
        if (last - i) % apart == 0
    )


def _losses(measured: dict[str, dict[str, Any]]) -> str:
    """A row for each model of nats per token, where it has tokens, and bits per byte."""
    rows = []
    for name, loss in measured.items():
        nats = "" if loss["nats_per_token"] is None else f"{loss['nats_per_token']:.3f}"
        rows.append(f"| {name} | {nats} | {loss['bits_per_byte']:.3f} |")
    return "\n".join(rows)


def _texts(samples: dict[str, dict[str, Any]]) -> str:
    """A row for each kind of text of the shares of real words and repeated 4-grams."""
    return "\n".join(
        f"| {name} | {text['real_word_rate']:.1%} | {text['repeated_4gram_rate']:.2%} |"
        for name, text in samples.items()
    )
