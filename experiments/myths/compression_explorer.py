"""Record what the compression explorer shows: a map of sizes and qualities, and texts in bits.

    python -m experiments.myths.compression_explorer --corpus classic_books.jsonl.xz

The course model is stored with 16, 8, 4, 3 or 2 bits per weight of its blocks, after a share of
them was set to zero (the smallest of each matrix, without any training afterwards), with one scale
per matrix, per row or per 64 weights. Of each such model the record holds the exact bytes, the bits
per byte of stored passages of eight held-out books, and how it continues a text. It also holds a
few short texts, token by token, in the bits of the model and of its rivals. About seven minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from experiments.myths.token_costs import BookCounts, costs, passages
from experiments.runner import Experiment, Plan, Run
from experiments.settings import distinct
from utils.compression.packing import packed_bytes
from utils.compression.prune import magnitude_masks, masked
from utils.compression.quantized_model import (
    QuantizedLinear,
    dequantize_model,
    model_bytes,
    quantize_model,
)
from utils.compression.rounding import GRANULARITIES
from utils.data.fetch import file_sha256
from utils.models.course import load
from utils.models.gpt import GPT
from utils.models.ngram import bits_per_byte, token_bytes
from utils.sampling.generation import generate
from utils.sampling.passages import held_out_ids
from utils.sampling.pipelines import Pipeline
from utils.validate import choice, integer, number
from utils.widgets.compression_explorer.settings import PROMPT, RECORD

HALF = 16  # bits of a weight that is not quantized
GROUP_SIZE = 64
EMBEDDING_BITS = 8  # wherever the blocks have fewer bits than 16
BOOKS = 8
PER_BOOK = 5  # stored passages of each book
TEMPERATURE = 0.8


@dataclass(frozen=True)
class Settings:
    """Bits, shares of zeros and granularities of the map; passages per book; tokens of a sample."""

    bits: tuple[int, ...] = (16, 8, 4, 3, 2)
    sparsities: tuple[float, ...] = (0.0, 0.3, 0.5, 0.7, 0.9)
    granularities: tuple[str, ...] = GRANULARITIES
    per_book: int = 2
    sample_tokens: int = 36

    def __post_init__(self) -> None:
        for bits in distinct("bits", self.bits):
            if bits != HALF:
                integer("bits", bits, 2, 8)
        for sparsity in distinct("sparsities", self.sparsities):
            number("sparsities", sparsity, 0.0, 1.0, open_high=True)
        for granularity in distinct("granularities", self.granularities):
            choice("granularities", granularity, GRANULARITIES)
        integer("per_book", self.per_book, 1, PER_BOOK)
        integer("sample_tokens", self.sample_tokens, 1)


def stored_bytes(model: nn.Module) -> int:
    """Exact bytes of a model with zeros, each matrix in the smaller of two ways of storing it.

    Either every code is stored, or one bit per weight says whether it is zero and only the codes of
    the others follow. What both have (scales, gains, embeddings) is counted once.

    >>> zeros = nn.Sequential(nn.Linear(64, 64, bias=False))
    >>> _ = zeros[0].weight.data.fill_(0.0)
    >>> stored_bytes(zeros) == 64 * 64 // 8  # a bit for each, and no weight
    True
    """
    saved = 0
    for module in model.modules():
        if isinstance(module, QuantizedLinear):
            matrix = module.matrix.quantized
            saved += saved_by_mask(matrix.codes, matrix.bits)
        elif isinstance(module, nn.Linear):
            saved += saved_by_mask(module.weight, HALF)
    return model_bytes(model) - saved


def saved_by_mask(codes: torch.Tensor, bits: int) -> int:
    """Bytes that a mask of one bit per weight saves, 0 where it would cost some."""
    n = codes.numel()
    kept = int((codes != 0).sum())
    sparse = packed_bytes(n, 1) + packed_bytes(kept, bits)
    return max(0, packed_bytes(n, bits) - sparse)


def compressed(model: GPT, bits: int, sparsity: float, granularity: str) -> nn.Module:
    """The course model without its smallest weights, and with fewer bits for the others."""
    pruned = masked(model, magnitude_masks(model, sparsity, "layer"))
    if bits == HALF:
        return quantize_model(pruned, HALF)
    return quantize_model(pruned, bits, granularity, GROUP_SIZE, embedding_bits=EMBEDDING_BITS)


class Course:
    """The course's model and what it is measured on."""

    def __init__(self, settings: Settings) -> None:
        self.model, self.tokenizer = load()
        self.sample_tokens = settings.sample_tokens
        rows = held_out_ids(self.tokenizer).view(BOOKS, PER_BOOK, -1)
        self.rows = rows[:, : settings.per_book]  # (books, passages, T + 1)
        sizes = torch.from_numpy(token_bytes(self.tokenizer))
        self.n_bytes = sizes[self.rows[..., 1:]].sum((1, 2)).tolist()  # of each book

    def book_bits(self, model: GPT) -> list[float]:
        """Bits per byte of each held-out book."""
        found = []
        for rows, n_bytes in zip(self.rows, self.n_bytes, strict=True):
            with torch.no_grad():
                mean = float(model(rows[:, :-1], rows[:, 1:]))  # nats per token
            found.append(round(bits_per_byte(mean * rows[:, 1:].numel(), n_bytes), 4))
        return found

    def sample(self, model: GPT) -> str:
        """How the model continues the prompt, with the same random numbers for every model."""
        pipeline = Pipeline("vllm", temperature=TEMPERATURE)
        (said,) = generate(
            model, PROMPT, pipeline, tokenizer=self.tokenizer, max_tokens=self.sample_tokens
        )
        assert said.text is not None
        return said.text


def point(
    course: Course, bits: int, sparsity: float, granularity: str, deadline: float
) -> dict[str, Any]:
    """One point of the map."""
    small = compressed(course.model, bits, sparsity, granularity)
    fast = cast("GPT", dequantize_model(small)).eval()
    return {
        "n_bytes": stored_bytes(small),
        "dense_bytes": model_bytes(small),
        "bits_per_byte": course.book_bits(fast),
        "sample": course.sample(fast),
        "finished": True,
        "flops": 0.0,
    }


def read_text(
    course: Course, books: list[BookCounts], corpus: Path, text: dict[str, str], deadline: float
) -> dict[str, Any]:
    """One text in bits. ``books``: an empty list until the first text has counted them."""
    if not books:
        books.append(BookCounts(corpus, course.tokenizer))
    found = costs(text, course.model, course.tokenizer, books[0])
    found["tokens"] = [course.tokenizer.decode([token]) for token in found["ids"]]
    return found | {"finished": True, "flops": 0.0}


def unigram(course: Course, books: list[BookCounts], corpus: Path, deadline: float) -> dict:
    """How common each token is in the model's books: −log2 in tenths of a bit, (V,).

    Beside it what the tables of these books cost on the passages of the map: bits per byte of each
    held-out book, for how common a token is ("unigram") and for the four-gram ("books").
    """
    if not books:
        books.append(BookCounts(corpus, course.tokenizer))
    counts = books[0]
    by_table: dict[str, list[float]] = {"unigram": [], "books": []}
    for rows, n_bytes in zip(course.rows, course.n_bytes, strict=True):
        ids = rows[:, 1:].flatten().numpy()
        common = -float(counts.log2_unigram[ids].sum())
        in_order = sum(float(counts.bits(row[1:], row[0]).sum()) for row in rows.tolist())
        by_table["unigram"].append(round(common / n_bytes, 4))
        by_table["books"].append(round(in_order / n_bytes, 4))
    tenths = [round(-10 * float(value)) for value in counts.log2_unigram]
    found = {"tenths": tenths, "n_tokens": counts.n_tokens, "bits_per_byte": by_table}
    return found | {"finished": True, "flops": 0.0}


def plan(settings: Settings, corpus: Path | None = None) -> Plan:
    """The map's points, then the texts."""
    if corpus is None:
        raise ValueError("corpus must be a file of books, got 'none'")
    course = Course(settings)
    runs = []
    for bits in settings.bits:
        listed = ("none",) if bits == HALF else settings.granularities
        for sparsity in settings.sparsities:
            for granularity in listed:
                key = {"bits": bits, "sparsity": sparsity, "granularity": granularity}
                make = partial(point, course, bits, sparsity, granularity)
                runs.append(Run(key, make, "points"))

    books: list[BookCounts] = []  # counted when first needed
    for key, text in passages().items():
        runs.append(Run({"key": key}, partial(read_text, course, books, corpus, text), "texts"))
    runs.append(Run({"order": 1}, partial(unigram, course, books, corpus), "unigram"))
    source = {"corpus": corpus.name, "sha256": file_sha256(corpus)}
    return Plan(runs, told=told, source=source, notes={"prompt": PROMPT})


def told(result: dict[str, Any]) -> str:
    """A few words on a point or a text."""
    if "sample" in result:
        mean = sum(result["bits_per_byte"]) / len(result["bits_per_byte"])
        return f"{result['n_bytes'] / 1e6:.2f} MB, {mean:.3f} bits per byte"
    return "counted"


EXPERIMENT = Experiment(
    command="experiments.myths.compression_explorer",
    about=__doc__,
    record=RECORD,
    settings=Settings,
    plan=plan,
    inputs={"corpus": "books as JSON lines"},
)
measure = EXPERIMENT.measure
main = EXPERIMENT.main

if __name__ == "__main__":
    main()
