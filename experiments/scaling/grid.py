"""The runs behind the chapter on scaling laws: some two hundred small language models.

    python -m experiments.scaling.grid --corpus classic_books.jsonl.xz --work runs/ --device cuda

The stages, in the order in which they are made:

rate      three widths at five learning rates: the constant c of the rule "rate = c / width".
isoflop   at each of four budgets, models of seven sizes that share the budget (6ND operations).
ladder    models of six sizes, each on 20 tokens per parameter, with the rule and with one rate.
repeat    one size on 16 million tokens, of which fewer and fewer are different ones.
cooldown  one size at four lengths: a falling rate, a constant one, and a constant one that falls
          at the end.
game      very small models on the standard library's code, as the notebook trains them on a CPU.
steps     one size on one million tokens, cut into 122 to 1953 steps.
narrow    one small size on two million tokens, fresh or eight times the first quarter of a million.
scattered the same eight passes over a quarter of a million tokens from all over the text.

Each run has a record of its own in ``records/scaling/STAGE/``; a command that was stopped goes on
with those that lack one. About six minutes on one data-centre GPU; on a CPU only ``game`` and
the three last are for an afternoon. How long the text of the books is, stands in
``records/scaling/text.json``.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from experiments.scaling.corpus import prepare_books, prepare_sources
from experiments.settings import one_line_errors, parser
from utils import records
from utils.data.books import end_id, tokens_digest
from utils.runtime import generator, named_device, repo_root
from utils.scaling.runs import load_runs, run_grid
from utils.scaling.spec import RunSpec
from utils.validate import number, require

# Width and layers of the models on books, each about 1.5 times as large as the one before.
SHAPES = (
    (64, 2),
    (64, 3),
    (96, 3),
    (128, 3),
    (160, 4),
    (192, 4),
    (224, 5),
    (288, 5),
    (352, 6),
    (448, 6),
    (576, 7),
)
D_HEAD = 32
# For each budget, in operations, the first of its seven shapes.
BUDGETS = {3e13: 0, 1e14: 1, 3e14: 2, 1e15: 4}
N_SIZES = 7
SEEDS = (0, 1, 2)
THREE_SEEDS_UP_TO = 3e14

RATE_CONSTANTS = (0.25, 0.5, 1.0, 2.0, 4.0)
RATE_SHAPES = ((64, 3), (128, 3), (224, 5))
RATE_TOKENS = 8_000_000

LADDER_SHAPES = SHAPES[:6]
TOKENS_PER_PARAMETER = 20

REPEAT_TOKENS = 16_000_000
UNIQUE_TOKENS = (None, 4_000_000, 2_000_000, 1_000_000, 400_000, 200_000)
COOLDOWN_TOKENS = (4_000_000, 8_000_000, 16_000_000, 32_000_000)

GAME_WIDTHS = (16, 24, 32, 48, 64, 96)
GAME_TOKENS = (64_000, 128_000, 256_000, 512_000, 1_024_000, 2_048_000)
GAME_CONSTANTS = (0.125, 0.25, 0.5, 1.0, 2.0)

STEPS_TOKENS = 1_000_000
STEPS_BATCHES = (512, 1024, 2048, 4096, 8192)

NARROW_TOKENS = 2_000_000
NARROW_UNIQUE = 250_000
PIECE = 2_048  # tokens of the scattered text that stay together

STAGES = (
    "rate",
    "isoflop",
    "ladder",
    "repeat",
    "cooldown",
    "game",
    "steps",
    "narrow",
    "scattered",
)


def batch_tokens(tokens: float) -> int:
    """Tokens of one step for a run of so many: a power of two that grows with the root.

    A short run needs many small steps, a long one may take larger ones; 16,384 at 50 million.

    >>> batch_tokens(3e6), batch_tokens(50e6), batch_tokens(200e6)
    (4096, 16384, 32768)
    """
    wanted = 16_384 * np.sqrt(tokens / 50e6)
    return int(2 ** np.clip(np.round(np.log2(wanted)), 11, 16))


def book_run(shape: tuple[int, int], tokens: float, constant: float, **other: Any) -> RunSpec:
    """A run on books: a model of ``shape`` (width, layers) with the learning rate c / width."""
    d_model, n_layer = shape
    settings: dict[str, Any] = {
        "d_model": d_model,
        "n_layer": n_layer,
        "n_head": d_model // D_HEAD,
        "tokens": round(tokens),
        "learning_rate": constant / d_model,
        "context_length": 256,
        "batch_tokens": batch_tokens(tokens),
    }
    return RunSpec(**(settings | other))


def n_params(shape: tuple[int, int]) -> int:
    """All parameters of a model of this shape."""
    return book_run(shape, 1e6, 1.0).n_params


# ---- the stages ----------------------------------------------------------------------------------


def specs_of(stage: str, constant: float) -> list[RunSpec]:
    """The runs of a stage, the most needed first. constant: c of the rule, where it is used."""
    return {
        "rate": rate_runs,
        "isoflop": isoflop_runs,
        "ladder": ladder_runs,
        "repeat": repeat_runs,
        "cooldown": cooldown_runs,
        "game": game_runs,
        "steps": steps_runs,
        "narrow": narrow_runs,
        "scattered": lambda constant: narrow_runs(constant)[1:],
    }[stage](constant)


def rate_runs(constant: float) -> list[RunSpec]:
    """Three widths, five constants; ``constant`` itself is what they are to find."""
    runs = []
    for shape in RATE_SHAPES:
        for c in RATE_CONSTANTS:
            runs.append(book_run(shape, RATE_TOKENS, c))
    return runs


def isoflop_runs(constant: float) -> list[RunSpec]:
    """The grid of budgets and sizes: first all budgets with one seed, then the other seeds."""
    runs = []
    for seed in SEEDS:
        for budget, first in BUDGETS.items():
            if seed > 0 and budget > THREE_SEEDS_UP_TO:
                continue
            for shape in SHAPES[first : first + N_SIZES]:
                tokens = budget / (6 * n_params(shape))
                runs.append(book_run(shape, tokens, constant, seed=seed))
    return runs


def ladder_runs(constant: float) -> list[RunSpec]:
    """The same tokens per parameter at every size, with the rule and with the middle one's rate."""
    common = constant / LADDER_SHAPES[2][0]
    runs = []
    for seed in SEEDS[:2]:
        for shape in LADDER_SHAPES:
            tokens = TOKENS_PER_PARAMETER * n_params(shape)
            runs.append(book_run(shape, tokens, constant, seed=seed))
            other = book_run(shape, tokens, constant, seed=seed, learning_rate=common)
            if other not in runs:  # at the middle width the two are one
                runs.append(other)
    return runs


def repeat_runs(constant: float) -> list[RunSpec]:
    """From fresh text to 80 passes over the same 200,000 tokens."""
    runs = []
    for unique in UNIQUE_TOKENS:
        runs.append(book_run((128, 3), REPEAT_TOKENS, constant, unique_tokens=unique))
    return runs


def cooldown_runs(constant: float) -> list[RunSpec]:
    """Three schedules at four lengths, all with the same tokens per step."""
    runs = []
    for schedule in ("linear", "cooldown", "constant"):
        for tokens in COOLDOWN_TOKENS:
            how = {"schedule": schedule, "batch_tokens": 8192}
            runs.append(book_run((128, 3), tokens, constant, **how))
    return runs


def game_runs(constant: float) -> list[RunSpec]:
    """Every width, length and learning rate that a player may choose; ``constant`` is not used."""
    runs = []
    for tokens in GAME_TOKENS:
        for width in GAME_WIDTHS:
            for c in GAME_CONSTANTS:
                runs.append(RunSpec(width, n_layer=3, tokens=tokens, learning_rate=c / width))
    return runs


def steps_runs(constant: float) -> list[RunSpec]:
    """The same model and the same amount of text, in fewer and larger or more and smaller steps."""
    runs = []
    for batch in STEPS_BATCHES:
        runs.append(book_run((96, 3), STEPS_TOKENS, constant, batch_tokens=batch))
    return runs


def narrow_runs(constant: float) -> list[RunSpec]:
    """Fresh text, and the same amount as eight passes over its front."""
    runs = []
    for unique in (None, NARROW_UNIQUE):
        how = {"unique_tokens": unique, "batch_tokens": 2048}
        runs.append(book_run(SHAPES[0], NARROW_TOKENS, constant, **how))
    return runs


def scatter(tokens: np.ndarray) -> np.ndarray:
    """The text cut into pieces of ``PIECE`` tokens and put together in another order.

    Its front is then a sample of all books, where the front of the text is a few whole ones.
    """
    n_pieces = len(tokens) // PIECE
    order = generator(0).permutation(n_pieces)
    pieces = np.asarray(tokens)[: n_pieces * PIECE].reshape(n_pieces, PIECE)
    return pieces[order].ravel()


def best_constant(folder: Path) -> float:
    """The c with the lowest held-out loss, averaged over the widths of the stage "rate"."""
    losses: dict[float, list[float]] = {}
    for run in load_runs(folder):
        c = round(run.spec.learning_rate * run.spec.d_model, 6)
        losses.setdefault(c, []).append(run.loss)
    complete = {c: np.mean(found) for c, found in losses.items() if len(found) == len(RATE_SHAPES)}
    require(bool(complete), "stages", "begun with rate, which chooses the learning rate", "none")
    return min(complete, key=lambda c: complete[c])


# ---- the command ---------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    command = parser("experiments.scaling.grid", __doc__)
    command.add_argument("--corpus", type=Path, required=True, help="books as JSON lines")
    command.add_argument("--work", type=Path, required=True, help="folder for the tokens")
    command.add_argument("--out", type=Path, default=repo_root() / "records" / "scaling")
    command.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    command.add_argument("--time-budget", type=float, default=540.0, help="seconds (default 540)")
    command.add_argument("--device", default="cpu", help="cpu or cuda")
    command.add_argument("--at-once", type=int, default=12, help="runs side by side on a GPU")
    command.add_argument("--no-graphs", action="store_true", help="start every kernel by itself")
    options = command.parse_args(arguments)
    with one_line_errors(command):
        deadline = time.monotonic() + number("time-budget", options.time_budget, 0.0)
        how = {
            "device": named_device("device", options.device),
            "at_once": options.at_once if options.device == "cuda" else 1,
            "graphs": not options.no_graphs,
            "deadline": deadline,
            "notes": lambda spec: {"how": "python -m experiments.scaling.grid"},
        }
        for stage in options.stages:
            run_stage(stage, options.corpus, options.work, options.out, how)


def run_stage(stage: str, corpus: Path, work: Path, out: Path, how: dict[str, Any]) -> None:
    """Make the runs that a stage still lacks, and say how many are left."""
    if stage == "game":
        text = "the standard library's source code"
        tokens, validation = prepare_sources(work)
    else:
        text = corpus.name
        tokens, validation = prepare_books(corpus, work)
        describe_text(out / "text.json", tokens, work)
    if stage == "scattered":
        text += ", in scattered pieces"
        tokens = scatter(tokens)
    constant = 1.0 if stage in ("rate", "game") else best_constant(out / "rate")
    evaluations = 24 if stage in ("repeat", "narrow", "scattered") else 1
    specs = specs_of(stage, constant)
    left = run_grid(
        specs, out / stage, tokens, validation, text=text, evaluations=evaluations, **how
    )
    print(f"{stage}: {len(specs) - len(left)} of {len(specs)} runs, c = {constant}", flush=True)


def describe_text(path: Path, tokens: np.ndarray, work: Path) -> None:
    """Store how many tokens and books there are, and how many books the front parts hold."""
    if path.exists():
        return
    began = time.time()
    end = end_id(Tokenizer.from_file(str(work / "tokenizer.json")))
    starts = np.flatnonzero(np.asarray(tokens) == end)  # a book begins with the end token
    parts = [unique for unique in UNIQUE_TOKENS if unique is not None]
    books = {str(unique): int(np.sum(starts < unique)) for unique in parts}
    data = {"tokens": len(tokens), "books": len(starts), "books_in_the_first": books}
    records.save(path, data, started=began, tokens_sha256=tokens_digest(tokens))


if __name__ == "__main__":
    main()
