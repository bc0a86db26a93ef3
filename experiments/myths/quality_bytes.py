"""Quality against bytes: does a large model of few bits beat a small one of many?

    python -m experiments.myths.quality_bytes --corpus classic_books.jsonl.xz --work runs/

Language models of four widths read equally many tokens. Each is then stored in many ways: in
float16, or with 8, 4, 3 or 2 bits per weight of its blocks, rounded to nearest or with GPTQ, and
with its embedding in float16, 8 or 4 bits. The record holds, for each, the exact bytes and the
bits per byte of every held-out book. Three groups of runs:

family   every width, with every seed, in every form of storage;
rates    other learning rates, so that neither side wins by a better tuned one;
compute  a smaller model that reads more tokens, until it has cost as much as a larger one.

About half an hour on one core. Finished models are kept in ``--work``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.myths.quality_models import model_of, nats_per_token, rate_run
from experiments.myths.quality_text import Texts
from experiments.runner import Experiment, Plan, Run
from experiments.settings import distinct
from utils.compression.calibrated import gptq_model
from utils.compression.quantized_model import dequantize_model, model_bytes, quantize_model
from utils.compression.rounding import Quantized
from utils.data.fetch import file_sha256
from utils.models.gpt import GPT
from utils.models.ngram import bits_per_byte
from utils.scaling.spec import RunSpec
from utils.validate import integer, number, require

CONTEXT_LENGTH = 128
GROUP_SIZE = 32  # weights that share a scale, where rows are divided
CALIBRATION = 32  # windows of training text for GPTQ


@dataclass(frozen=True)
class Form:
    """A way to store a model. bits: of the blocks' weights; 16 is float16, without scales.

    scales: how they are chosen, for the blocks and for the embedding, see `rounding.quantize`.
    """

    bits: int
    embedding_bits: int
    granularity: str = "channel"
    method: str = "nearest"
    scales: str = "largest"


def forms() -> list[Form]:
    """Every form of the group "family"."""
    listed = [Form(16, 16), Form(16, 8), Form(8, 8), Form(4, 16)]
    for bits in (4, 3, 2):
        listed.append(Form(bits, 8))
        listed.append(Form(bits, 8, method="gptq"))
        listed.append(Form(bits, 8, "group", "gptq"))
        listed.append(Form(bits, 8, scales="searched"))
        listed.append(Form(bits, 8, method="gptq", scales="searched"))
        listed.append(Form(bits, 8, "group", "gptq", "searched"))
    listed.append(Form(4, 4, method="gptq"))
    return listed


FORMS = forms()
PLAIN = [Form(16, 16), Form(16, 8), Form(8, 8), Form(4, 8)]


@dataclass(frozen=True)
class Settings:
    """What fixes the outcome.

    widths: d_model of the family. tokens: how many each of its models reads. constant: the learning
    rate is ``constant`` / d_model. other_constants: those of the group "rates", at ``rate_widths``
    with the first seed. rival: the width of the group "compute". costs: the widths whose training
    cost it is given. windows: of 128 tokens, of each held-out book.
    """

    widths: tuple[int, ...] = (48, 64, 96, 128)
    tokens: int = 512_000
    constant: float = 0.5
    other_constants: tuple[float, ...] = (0.25, 1.0)
    rate_widths: tuple[int, ...] = (64, 128)
    rival: int = 64
    costs: tuple[int, ...] = (96,)
    windows: int = 6
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        for name in ("widths", "rate_widths", "costs"):
            for width in distinct(name, getattr(self, name)):
                integer(name, width, 8)
                require(width % 8 == 0, name, "multiples of 8", width)
        integer("tokens", self.tokens, 512)
        number("constant", self.constant, 0.0, open_low=True)
        for constant in distinct("other_constants", self.other_constants):
            number("other_constants", constant, 0.0, open_low=True)
        integer("rival", self.rival, 8)
        integer("windows", self.windows, 1)
        for seed in distinct("seeds", self.seeds):
            integer("seeds", seed, 0)


Matrices = dict[str, Quantized]  # by the name of their layer


def stored_as(model: GPT, form: Form, matrices: Matrices | None = None) -> GPT:
    """A copy of ``model`` in this form. matrices: those of its blocks, if they are quantized."""
    return quantize_model(
        model,
        form.bits,
        form.granularity,
        GROUP_SIZE,
        scales=form.scales,
        embedding_bits=form.embedding_bits,
        weights=matrices,
    )


def measure_forms(
    model: GPT, listed: list[Form], texts: Texts, calibration: Tensor
) -> list[dict[str, Any]]:
    """The exact bytes of each form, and the bits per byte of each held-out book.

    calibration: (n, T) ids of training text, for GPTQ.
    """
    calibrated: dict[tuple[int, str, str], Matrices] = {}  # by bits, granularity and scales
    found = []
    for form in listed:
        matrices = None
        if form.method == "gptq":
            key = (form.bits, form.granularity, form.scales)
            if key not in calibrated:
                calibrated[key] = calibrate(model, form, calibration)
            matrices = calibrated[key]
        found.append(measure_form(stored_as(model, form, matrices), form, texts))
    return found


def calibrate(model: GPT, form: Form, calibration: Tensor) -> Matrices:
    """The matrices of the blocks by GPTQ."""
    return gptq_model(
        model, calibration, form.bits, form.granularity, GROUP_SIZE, scales=form.scales
    )


def measure_form(small: GPT, form: Form, texts: Texts) -> dict[str, Any]:
    """What the record holds of a model that is stored in ``form``."""
    fast = dequantize_model(small)  # the same numbers, unpacked once
    books = []
    for book in texts.held_out:
        nats = nats_per_token(fast, book.rows).sum()
        books.append(round(bits_per_byte(float(nats), book.n_bytes), 5))
    return {
        "bits": form.bits,
        "embedding_bits": form.embedding_bits,
        "granularity": form.granularity,
        "method": form.method,
        "scales": form.scales,
        "n_bytes": model_bytes(small),
        "bits_per_byte": books,
    }


def train_and_store(
    spec: RunSpec, listed: list[Form], texts: Texts, work: Path | None, deadline: float
) -> dict[str, Any]:
    """Train one model, or take it from ``work``, and measure it in the ``listed`` forms."""
    model = model_of(spec, texts, work, deadline)
    if model is None:
        return {"finished": False, "flops": 0.0}
    windows = CALIBRATION * CONTEXT_LENGTH
    tokens = texts.training(spec.seed, windows)
    calibration = torch.from_numpy(tokens.astype("int64")).view(CALIBRATION, CONTEXT_LENGTH)
    return {
        "n_params": spec.n_params,
        "n_non_embedding": spec.n_non_embedding,
        "forms": measure_forms(model, listed, texts, calibration),
        "finished": True,
        "flops": spec.flops,
    }


def plan(settings: Settings, corpus: Path | None = None, work: Path | None = None) -> Plan:
    """The runs, those of the first seed first."""
    if corpus is None:
        raise ValueError("corpus must be a file of books, got 'none'")
    texts = Texts(corpus, n_windows=settings.windows, context_length=CONTEXT_LENGTH)
    s = settings

    def run(group: str, width: int, tokens: int, constant: float, seed: int) -> Run:
        spec = rate_run(width, tokens, constant, seed)
        listed = FORMS if group == "family" else PLAIN
        key = {"d_model": width, "tokens": tokens, "constant": constant, "seed": seed}
        return Run(key, partial(train_and_store, spec, listed, texts, work), group)

    runs = []
    for seed in s.seeds:
        for width in s.widths:
            runs.append(run("family", width, s.tokens, s.constant, seed))
    for width in s.rate_widths:
        for constant in s.other_constants:
            runs.append(run("rates", width, s.tokens, constant, s.seeds[0]))
    for cost in s.costs:
        for seed in s.seeds:
            tokens = equal_cost_tokens(s.rival, cost, s.tokens)
            runs.append(run("compute", s.rival, tokens, s.constant, seed))

    books = [f"{book.author}, {book.title}" for book in texts.held_out]
    source = {"corpus": corpus.name, "sha256": file_sha256(corpus)}
    notes = {"books": books, "window_tokens": CONTEXT_LENGTH}
    return Plan(runs, told=told, source=source, notes=notes)


def equal_cost_tokens(rival: int, cost: int, tokens: int) -> int:
    """Tokens on which width ``rival`` costs what width ``cost`` does on ``tokens`` (6ND).

    >>> equal_cost_tokens(64, 96, 512_000)
    977038
    """
    n_large = rate_run(cost, tokens, 1.0, 0).n_params
    n_small = rate_run(rival, tokens, 1.0, 0).n_params
    return int(tokens * n_large / n_small)


def told(result: dict[str, Any]) -> str:
    """The first form and the last, as printed when a run has finished."""
    shown = []
    for form in (result["forms"][0], result["forms"][-1]):
        mean = sum(form["bits_per_byte"]) / len(form["bits_per_byte"])
        kilobytes = form["n_bytes"] / 1000
        shown.append(f"{form['bits']} bits {kilobytes:.0f} kB {mean:.3f} bits per byte")
    return ", ".join(shown)


EXPERIMENT = Experiment(
    command="experiments.myths.quality_bytes",
    about=__doc__,
    record="myths/quality_bytes",
    settings=Settings,
    plan=plan,
    inputs={"corpus": "books as JSON lines", "work": "folder for finished models"},
)
measure = EXPERIMENT.measure
main = EXPERIMENT.main

if __name__ == "__main__":
    main()
