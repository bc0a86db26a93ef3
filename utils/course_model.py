"""The course's own language model and its judge: load them, train them.

``load("course_gpt")`` gives the model and its tokenizer. It needs no corpus and no network.

    python -m utils.course_model train --corpus classic_books.jsonl.xz --work run/ --until 08:20
    python -m utils.course_model train --corpus classic_books.jsonl.xz --work run/ --steps 20000   (a GPU)

trains; the same command goes on where it was stopped. `utils.course_card` evaluates and stores the result.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import torch
from tokenizers import Tokenizer

from utils.checkpoints import write_whole
from utils.corpus import encode_books, halves, open_tokens, read_books, train_tokenizer, write_tokens
from utils.data import file_sha256
from utils.gpt import GPT, GPTConfig
from utils.gpt_interop import load_pretrained
from utils.records import write_json
from utils.runtime import repo_root
from utils.training import TrainConfig, TrainState, train
from utils.validate import choice, require


@dataclass(frozen=True)
class Recipe:
    """An architecture and the half of the books that it may see."""

    gpt: GPTConfig
    half: int


RECIPES = {
    "course_gpt": Recipe(GPTConfig(n_layer=6, d_model=256, n_head=4), half=0),
    "judge_gpt": Recipe(GPTConfig(n_layer=4, d_model=192, n_head=3), half=1),
}


def load(name: str = "course_gpt", folder: str | Path | None = None) -> tuple[GPT, Tokenizer]:
    """The stored model in evaluation mode, on the CPU in float32, and its tokenizer.

    name: "course_gpt", or "judge_gpt", which was trained on other books. folder: look there instead of in
    the course's records. Raises ``FileNotFoundError`` or ``ValueError`` in one line.
    """
    choice("name", name, tuple(RECIPES))
    shown = f"records/{name}" if folder is None else str(folder)
    folder = repo_root() / "records" / name if folder is None else Path(folder)
    for file in ("model.safetensors", "config.json", "tokenizer.json"):
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{shown} holds no {file}: train it with utils.course_model")
    model, tokenizer = load_pretrained(folder).eval(), load_tokenizer(folder / "tokenizer.json")
    size, fits = tokenizer.get_vocab_size(), f"of the model's {model.config.vocab_size} tokens"
    require(size == model.config.vocab_size, f"{shown}/tokenizer.json", fits, size)
    return model, tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """A stored tokenizer. Raises ``ValueError`` in one line for a file that is none."""
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing more precise
        reason = " ".join(str(error).split())
        raise ValueError(f"{path.name} is not a readable tokenizer: {reason}") from None


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
    require(same, "corpus", f"the one that {work} was prepared from (or take another --work)", corpus.name)
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
        found == size, "corpus", f"large enough for a vocabulary of {size}", f"{corpus.name} with {found}"
    )
    tokens = {name: encode_books(tokenizer, part) for name, part in texts.items()}
    for name in ("words", *(f"{name}-baselines" for name in RECIPES)):  # what `utils.course_card` keeps here
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
    torch.manual_seed(args.seed)
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
    parser = argparse.ArgumentParser(prog="python -m utils.course_model", description=__doc__)
    commands = parser.add_subparsers(required=True)
    p = commands.add_parser("train", help="train one of the two models, or go on training it")
    p.add_argument("--corpus", type=Path, required=True, help="books as JSON lines (plain, .gz or .xz)")
    p.add_argument("--work", type=Path, required=True, help="folder for tokens and checkpoints")
    p.add_argument("--name", choices=RECIPES, default="course_gpt")
    p.add_argument("--steps", type=int, default=20_000)
    p.add_argument("--until", help="end about this time of day (HH:MM, UTC), with the decay before it")
    p.add_argument("--batch-size", type=int, default=16)
    p.add_argument("--learning-rate", type=float, default=2e-3)
    p.add_argument("--decay", type=float, default=0.4)
    p.add_argument("--precision", default="auto", help="auto, fp32, bf16 or fp16")
    p.add_argument("--seed", type=int, default=0)
    p.set_defaults(run=train_command)
    args = parser.parse_args(arguments)
    try:
        args.run(args)
    except (ValueError, OSError, MemoryError, FloatingPointError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
