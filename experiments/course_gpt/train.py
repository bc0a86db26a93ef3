"""Train the course's own language model, or its judge, on a corpus of books.

    python -m experiments.course_gpt.train --corpus classic_books.jsonl.xz --work run/ --until 08:20
    python -m experiments.course_gpt.train --corpus classic_books.jsonl.xz --work run/ --steps 20000   # a GPU

The same command goes on where it was stopped. `experiments.course_gpt.card` evaluates and stores the result.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from utils.data.books import (
    encode_books,
    halves,
    open_tokens,
    read_books,
    train_tokenizer,
    write_tokens,
)
from utils.data.fetch import file_sha256
from utils.files import write_whole
from utils.models.gpt import GPT, GPTConfig
from utils.records import write_json
from utils.runtime import generator
from utils.training.config import TrainConfig, TrainState
from utils.training.loop import train
from utils.validate import require


@dataclass(frozen=True)
class Recipe:
    """An architecture and the half of the books that it may see."""

    gpt: GPTConfig
    half: int


RECIPES = {
    "course_gpt": Recipe(GPTConfig(n_layer=6, d_model=256, n_head=4), half=0),
    "judge_gpt": Recipe(GPTConfig(n_layer=4, d_model=192, n_head=3), half=1),
}


def prepared(corpus: Path, work: Path) -> str | None:
    """The SHA-256 of ``corpus`` if ``work`` was prepared from it, None if from nothing yet.

    Raises ``ValueError`` where it was prepared from another corpus.
    """
    stamp, digest = work / "corpus.json", file_sha256(corpus)
    if not stamp.exists():
        return None
    try:
        same = json.loads(stamp.read_text(encoding="utf-8"))["sha256"] == digest
    except (ValueError, KeyError, TypeError):
        same = False
    require(
        same,
        "corpus",
        f"the one that {work} was prepared from (or take another --work)",
        corpus.name,
    )
    return digest


def prepare(corpus: Path, work: Path) -> None:
    """Write tokenizer and token files into ``work``, unless they are there; ``corpus.json`` is the last.

    The tokenizer learns from the course model's half alone, so that no judge's text shapes its vocabulary.
    Raises ``ValueError`` when ``work`` was prepared from another corpus, or this one is too small.
    """
    if prepared(corpus, work):
        return
    books = read_books(corpus)
    texts = {name: halves(books)[recipe.half] for name, recipe in RECIPES.items()}
    texts["validation"] = [b for b in books if b.split == "validation"]
    allowed = "one with training books of at least two authors and validation books"
    require(all(texts.values()), "corpus", allowed, corpus.name)
    size = RECIPES["course_gpt"].gpt.vocab_size
    tokenizer = train_tokenizer((b.text for b in texts["course_gpt"]), size)
    found = tokenizer.get_vocab_size()
    require(
        found == size,
        "corpus",
        f"large enough for a vocabulary of {size}",
        f"{corpus.name} with {found}",
    )
    tokens = {name: encode_books(tokenizer, part) for name, part in texts.items()}
    for name in (
        "words",
        *(f"{name}-baselines" for name in RECIPES),
    ):  # what `experiments.course_gpt.card` keeps here
        (work / f"{name}.json").unlink(missing_ok=True)
    write_whole(work / "tokenizer.json", tokenizer.to_str(pretty=True).encode())
    for name, ids in tokens.items():
        write_tokens(work / f"{name}.npy", ids)
    write_json(work / "corpus.json", {"sha256": file_sha256(corpus)})


def train_command(args: argparse.Namespace) -> TrainState:
    """Prepare the data and train one model, resuming from its checkpoint in ``args.work``."""
    until = None if args.until is None else _moment(args.until)
    recipe = RECIPES[args.name]
    config = TrainConfig(
        steps=args.steps,
        batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        schedule="wsd",
        decay=args.decay,
        seed=args.seed,
        precision=args.precision,
        eval_every=500,
        eval_windows=160,
        checkpoint_every=250,
    )
    prepare(args.corpus, args.work)
    generator(args.seed, "global")
    model = GPT(recipe.gpt)
    return train(
        model,
        open_tokens(args.work / f"{args.name}.npy"),
        config,
        validation=open_tokens(args.work / "validation.npy"),
        checkpoint=args.work / f"{args.name}.safetensors",
        until=until,
    )


def _moment(clock: str) -> float:
    """The next time it is ``clock`` ("HH:MM", UTC), in seconds since 1970."""
    hour, _, minute = clock.partition(":")
    ok = hour.isdigit() and minute.isdigit() and int(hour) < 24 and int(minute) < 60
    require(ok, "until", "a time of day as HH:MM in UTC", clock)
    now = datetime.now(UTC)
    then = now.replace(hour=int(hour), minute=int(minute), second=0)
    return (then if then > now else then + timedelta(days=1)).timestamp()


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.course_gpt.train", description=__doc__
    )
    parser.add_argument(
        "--corpus", type=Path, required=True, help="books as JSON lines (plain, .gz or .xz)"
    )
    parser.add_argument(
        "--work", type=Path, required=True, help="folder for tokens and checkpoints"
    )
    parser.add_argument("--name", choices=RECIPES, default="course_gpt")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument(
        "--until", help="end about this time of day (HH:MM, UTC), with the decay before it"
    )
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--decay", type=float, default=0.4)
    parser.add_argument("--precision", default="auto", help="auto, fp32, bf16 or fp16")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    try:
        train_command(args)
    except (ValueError, OSError, MemoryError, FloatingPointError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
