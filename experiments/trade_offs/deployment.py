"""What compression does to the time of a token, and what it costs in bits per byte.

    python -m experiments.trade_offs.deployment   # three minutes on one CPU core
    python -m experiments.trade_offs.deployment --corpus classic_books.jsonl.xz   # ten more

writes ``records/trade_offs/deployment.json``. The models are ``course_gpt`` and one of GPT-2's
published shape with random weights, whose time does not depend on what they are. Of each there are
these forms:

float32, bfloat16   the same weights in 32 and in 16 bits
int8, arithmetic    weights and activations in 8 bits, multiplied as whole numbers
int8, kernel        weights in 8 bits with a scale per row, widened inside the processor
int4, unpacked      weights in 4 bits, made a float32 matrix anew at each call
int4, kernel        weights in 4 bits, widened inside the processor
half zeros          the smaller half of the weights set to zero
half units zero     the weights of half of the MLPs' hidden units set to zero
half units gone     the same units removed, so that the matrices become smaller

Four lists: "latency", milliseconds for one token more of each of so many texts; "quality", what a
form of ``course_gpt`` adds in bits per byte on the stored passages; "sharing", the same for "int8,
arithmetic" by how many tokens share one scale of their activations; and "tuned", with a corpus,
what fine-tuning makes of the model with half of its units, and of the whole one as the control.

On a GPU the clock is the GPU's own (events), and the forms that need a kernel of the CPU are left
out. On the CPU it counts the seconds of this process, so that others do not count; what they do to
the shared cache and memory does, so that the forms take turns and a median is taken.
"""

from __future__ import annotations

import copy
import dataclasses
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.runner import Experiment, Plan, Run
from experiments.settings import distinct
from experiments.trade_offs.forms import form_bytes, forms_of, half_width, milliseconds, step
from utils.compression.structured import remove_units, unit_scores, units_to_keep
from utils.data.books import encode_books, halves, read_books
from utils.data.fetch import file_sha256
from utils.models.budget import matmul_flops_per_token
from utils.models.config import GPTConfig
from utils.models.course import load
from utils.models.gpt import GPT, KVCache
from utils.models.ngram import token_bytes
from utils.models.presets import PRESETS
from utils.runtime import device, generator, single_thread
from utils.sampling.passages import held_out_ids
from utils.validate import choice, integer, number, require

SHAPES = ("course", "gpt2")
KEPT = ("all", "score", "random")  # the units that a fine-tuned model has: all, or half of them
CONTEXT = 256  # of course_gpt
WARMUP = 4  # steps
MIX = 16  # every sixteenth book of the model's own half is tuned on


@dataclass(frozen=True)
class Settings:
    """What fixes the outcome.

    shapes: of `SHAPES`. batches: texts that are continued together. past: tokens behind each.
    repeats: of each timing. seeds, steps, batch_size, rate: of the fine-tuning, a line of falling
    learning rates on windows of 256 tokens.
    """

    shapes: tuple[str, ...] = SHAPES
    batches: tuple[int, ...] = (1, 4, 16, 64)
    past: int = 64
    repeats: int = 11
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 24
    batch_size: int = 4
    rate: float = 1e-3

    def __post_init__(self) -> None:
        for shape in distinct("shapes", self.shapes):
            choice("shapes", shape, SHAPES)
        for batch in distinct("batches", self.batches):
            integer("batches", batch, 1)
        integer("past", self.past, 0, 255)
        for name in ("repeats", "steps", "batch_size"):
            integer(name, getattr(self, name), 1)
        for seed in distinct("seeds", self.seeds):
            integer("seeds", seed, 0)
        number("rate", self.rate, 0.0, open_low=True)


# ---- time ----------------------------------------------------------------------------------------


@cache
def model_of(shape: str) -> GPT:
    """The course's model, or one of GPT-2's shape with random weights and as short a context."""
    if shape == "course":
        return load("course_gpt")[0].to(device())
    generator(0, "global")
    published = GPTConfig(**dataclasses.asdict(PRESETS["gpt2"]["shape"]))
    config = dataclasses.replace(published, context_length=CONTEXT)
    return GPT(config).eval().to(device())


def latency(shape: str, batch: int, settings: Settings, deadline: float) -> dict[str, Any]:
    """Milliseconds of a step of every form, in turns: medians, and the least."""
    model = model_of(shape)
    n_steps = settings.repeats + 1
    result: dict[str, Any] = {"flops": 0.0}
    if time.monotonic() > deadline:
        return result | {"finished": False}
    # One cache for all forms of a number format: 64 texts of GPT-2's shape take gigabytes.
    works = {}
    known: dict[torch.dtype, KVCache] = {}
    for name, form in forms(shape).items():
        kind = form.tok.weight.dtype
        if kind not in known:
            known[kind] = KVCache(form, batch)
        works[name] = step(form, batch, settings.past, known[kind])
    for work in works.values():
        work()  # the first time is slower: memory is found, code is loaded
    took: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(settings.repeats):
        for name, work in works.items():
            took[name].append(milliseconds(work))
    result["ms"] = {name: round(statistics.median(times), 4) for name, times in took.items()}
    result["least_ms"] = {name: round(min(times), 4) for name, times in took.items()}
    forward = matmul_flops_per_token(model.config) / 3  # that count is of training
    return result | {"flops": forward * batch * n_steps * len(works), "finished": True}


@cache
def forms(shape: str) -> dict[str, GPT]:
    """`forms_of` one of the two models, made once."""
    return forms_of(model_of(shape))


# ---- quality -------------------------------------------------------------------------------------


@cache
def passages() -> tuple[Tensor, Tensor]:
    """Token ids (16, 257) of two stored passages per book, and the bytes (16,) of what follows."""
    _, tokenizer = load("course_gpt")
    by_book = held_out_ids(tokenizer).view(8, 5, -1)  # (8, 5, 257)
    ids = by_book[:, :2].flatten(0, 1)  # (16, 257)
    sizes = torch.from_numpy(token_bytes(tokenizer))  # (V,)
    return ids.to(device()), sizes[ids[:, 1:]].sum(1).double()


@torch.no_grad()
def bits_by_book(read: Callable[[Tensor], Tensor], together: int) -> list[float]:
    """Bits per byte on each of the eight books.

    read: token ids (B, 256) to logits (B, 256, V). together: passages that it is given at once.
    """
    ids, n_bytes = passages()
    bits = []
    for part in ids.split(together):
        logits = read(part[:, :-1]).float()  # (B, 256, V)
        nats = F.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(), reduction="none")
        bits.append(nats.view(len(part), -1).sum(1).double().cpu() / np.log(2))  # (B,)
    by_book = torch.cat(bits).view(8, 2).sum(1) / n_bytes.view(8, 2).sum(1)  # (8,)
    return [round(float(value), 5) for value in by_book]


def token_by_token(model: GPT) -> Callable[[Tensor], Tensor]:
    """How a model reads (B, T) as if it wrote it: one position of every text at a time."""

    def read(ids: Tensor) -> Tensor:
        known = KVCache(model, len(ids))
        rows = [model(ids[:, i : i + 1], cache=known) for i in range(ids.shape[1])]
        return torch.cat(rows, dim=1)  # (B, T, V)

    return read


def quality(form: str, deadline: float) -> dict[str, Any]:
    """Bits per byte of a form by book, read in windows, eight at a time."""
    del deadline  # a few seconds
    model = model_of("course")
    return {
        "bits_per_byte": bits_by_book(forms("course")[form], together=8),
        "bytes": form_bytes(model, form),
        "flops": reading_flops(model),
        "finished": True,
    }


def reading_flops(model: GPT) -> float:
    """Operations of reading all passages once."""
    ids, _ = passages()
    return matmul_flops_per_token(model.config) / 3 * ids[:, 1:].numel()


def sharing(tokens: int, deadline: float) -> dict[str, Any]:
    """Bits per byte with integer arithmetic where so many tokens share a scale.

    Up to 16, so many texts are continued together, a token of each at a time. Beyond, windows of
    256 tokens are read whole.
    """
    result: dict[str, Any] = {"flops": reading_flops(model_of("course"))}
    if time.monotonic() > deadline:
        return result | {"finished": False}
    model = forms("course")["int8, arithmetic"]
    if tokens <= 16:
        read, together = token_by_token(model), tokens
    else:
        read, together = model, tokens // 256
    return result | {"bits_per_byte": bits_by_book(read, together), "finished": True}


# ---- fine-tuning ---------------------------------------------------------------------------------


def with_units(model: GPT, kept: str, seed: int) -> GPT:
    """A copy with all hidden units, or with half of them: the best by score, or a random half."""
    if kept == "all":
        return copy.deepcopy(model)
    scores = unit_scores(model)
    if kept == "random":
        rng = generator(seed, "torch")
        scores = [torch.rand(len(score), generator=rng) for score in scores]
    return remove_units(model, units_to_keep(scores, half_width(model)))


def tune(
    tokens: np.ndarray, settings: Settings, key: dict[str, Any], deadline: float
) -> dict[str, Any]:
    """Fine-tune a copy of the course's model; bits per byte after it, and before if drawn."""
    model = with_units(model_of("course"), key["kept"], key["seed"])
    T = model.config.context_length
    n_rows = settings.steps * settings.batch_size
    result: dict[str, Any] = {"flops": float(matmul_flops_per_token(model.config) * n_rows * T)}
    if time.monotonic() > deadline:
        return result | {"finished": False}
    if key["kept"] == "random":  # the others before it are forms of the list "quality"
        result["before"] = bits_by_book(model, together=8)

    # Windows that begin at places drawn from the seed.
    starts = generator([key["seed"], 1]).integers(0, len(tokens) - T, n_rows)
    rows = np.stack([tokens[start : start + T + 1] for start in starts])
    rows = torch.from_numpy(rows.astype(np.int64)).to(device())  # (n_rows, T + 1)

    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.0)
    for number_of, part in enumerate(rows.split(settings.batch_size), start=1):
        warm = min(1.0, number_of / WARMUP)
        left = 1.0 - (number_of - 1) / settings.steps  # falls from 1 in a line
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * warm * left
        loss = model(part[:, :-1], part[:, 1:])  # ()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return result | {"after": bits_by_book(model, together=8), "finished": True}


# ---- all of them ---------------------------------------------------------------------------------


def plan(settings: Settings, corpus: Path | None = None) -> Plan:
    """Times first, while the machine is as it is; fine-tuning last, and only with a corpus."""
    single_thread()
    runs = []
    for shape in settings.shapes:
        for batch in settings.batches:
            key = {"shape": shape, "batch": batch}
            runs.append(Run(key, partial(latency, shape, batch, settings), "latency"))
    course = forms("course")
    for form in course:
        runs.append(Run({"form": form}, partial(quality, form), "quality"))
    if "int8, arithmetic" in course:
        for tokens in (1, 4, 16, 256, 1024, 2048):
            runs.append(Run({"tokens": tokens}, partial(sharing, tokens), "sharing"))

    source = {"corpus_sha256": "none"}
    if corpus is not None:
        source = {"corpus_sha256": file_sha256(corpus)}
        _, tokenizer = load("course_gpt")
        read, _ = halves(read_books(corpus))
        require(len(read) > 0, "corpus", "with books that the model was trained on", corpus.name)
        tokens = encode_books(tokenizer, read[::MIX])
        for seed in settings.seeds:
            for kept in KEPT:
                key = {"kept": kept, "seed": seed}
                runs.append(Run(key, partial(tune, tokens, settings, key), "tuned"))
    return Plan(
        runs,
        told=told,
        source=source,
        notes={"capability": torch.backends.cpu.get_cpu_capability()},
    )


def told(run: dict[str, Any]) -> str:
    """The line about a finished run."""
    if "ms" in run:
        return ", ".join(f"{form} {ms:.2f} ms" for form, ms in run["ms"].items())
    found = run["after"] if "after" in run else run["bits_per_byte"]
    return f"{statistics.mean(found):.4f} bits per byte"


EXPERIMENT = Experiment(
    command="experiments.trade_offs.deployment",
    about=__doc__,
    record="trade_offs/deployment",
    settings=Settings,
    plan=plan,
    inputs={"corpus": "books, one JSON line each (see utils.data.books)"},
)
measure = EXPERIMENT.measure
main = EXPERIMENT.main

if __name__ == "__main__":
    main()
