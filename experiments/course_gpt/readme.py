"""The README.md of a stored model, made from its card.json: no number in it is typed."""

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
`LlamaForCausalLM.from_pretrained` reads this folder, and so does `utils.models.load("{name}")`.

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


def readme(card: dict[str, Any]) -> str:
    """The model card in Markdown: every number in it comes from ``card``."""
    t, e, d = card["training"], card["evaluation"], card["data"]
    finished = "The run is finished: its learning rate has decayed to zero."
    snapshot = (
        "**A snapshot of a run that goes on**, taken before it was finished: a later one is better."
    )
    decay = (
        "(not begun yet)"
        if t["decay_from_step"] is None
        else f"from step {t['decay_from_step']:,} on"
    )
    loss = []
    for name, r in {"this model": e, **card["baselines"]}.items():
        nats = "" if r["nats_per_token"] is None else f"{r['nats_per_token']:.3f}"
        loss.append(f"| {name} | {nats} | {r['bits_per_byte']:.3f} |")
    text = [
        f"| {name} | {r['real_word_rate']:.1%} | {r['repeated_4gram_rate']:.2%} |"
        for name, r in card["samples"].items()
    ]
    points = [r for r in t["history"] if "val_loss" in r]
    points = points[-1 :: -max(1, len(points) // 12)][::-1]
    shown = card["samples"]["T = 0.8"]
    values = {
        **card,
        **card["architecture"],
        **t["settings"],
        **{k: v for k, v in t.items() if k != "note"},
        **d,
        **card["sampling"],
        "role": ROLE[card["name"]],
        "stage": finished if card["finished"] else snapshot,
        "megabytes": card["bytes_of_weights"] / 1e6,
        "train_megabytes": d["train_bytes"] / 1e6,
        "note": t["note"] or "Wall-clock time, on a machine shared with other work.",
        "decay_from": decay,
        "curve": "\n".join(
            f"| {r['step']:,} | {r['train_loss']:.3f} | {r['val_loss']:.3f} |" for r in points
        ),
        "loss": "\n".join(loss),
        "text": "\n".join(text),
        "n_validation": len(d["validation_titles"]),
        "n_train": len(d["train_titles"]),
        "scored_tokens": e["tokens"],
        "scored_bytes": e["bytes"],
        "prompt": json.dumps(shown["example_prompt"], ensure_ascii=False),
        "example": "\n".join(f"> {line}" for line in shown["example"].splitlines()),
    }
    return TEMPLATE.format(**values)
