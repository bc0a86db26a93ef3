"""Train the course's own language model, or its judge, on a corpus of books.

    python -m experiments.course_gpt.train --corpus classic_books.jsonl.xz --work run/ --until 08:20
    python -m experiments.course_gpt.train --corpus classic_books.jsonl.xz --work run/   # a GPU

The same command goes on where it was stopped. `experiments.course_gpt.card` evaluates and stores
the result.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from experiments.settings import add_settings, one_line_errors, parser, take_settings
from utils.data.books import (
    Book,
    encode_books,
    halves,
    open_tokens,
    read_books,
    train_tokenizer,
    write_tokens,
)
from utils.data.fetch import file_sha256
from utils.files import locked, write_whole
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


@dataclass(frozen=True)
class Settings:
    """What the command line can change of the training; `TrainConfig` explains and checks it."""

    steps: int = 20_000
    batch_size: int = 16
    learning_rate: float = 2e-3
    decay: float = 0.4
    precision: str = "auto"
    seed: int = 0


# ---- the data ------------------------------------------------------------------------------------


def prepare(corpus: Path, work: Path) -> None:
    """Write tokenizer and token files into ``work``, unless they are there; the last is a stamp.

    The tokenizer learns from the course model's half alone, so that no judge's text shapes its
    vocabulary. Raises ``ValueError`` when ``work`` was prepared from another corpus, or this one is
    too small.
    """
    if prepared(corpus, work) is not None:
        return
    texts = _texts(corpus)
    vocab_size = RECIPES["course_gpt"].gpt.vocab_size
    tokenizer = train_tokenizer((book.text for book in texts["course_gpt"]), vocab_size)
    found = tokenizer.get_vocab_size()
    allowed = f"large enough for a vocabulary of {vocab_size}"
    require(found == vocab_size, "corpus", allowed, f"{corpus.name} with {found}")
    tokens = {name: encode_books(tokenizer, books) for name, books in texts.items()}

    # The other model's training may prepare the same folder at the same time: one after the other.
    stamp = work / "corpus.json"
    with locked(stamp, wait=True):
        if prepared(corpus, work) is not None:
            return
        # What was measured on an earlier corpus must not survive it.
        words_file(work).unlink(missing_ok=True)
        for name in RECIPES:
            baselines_file(work, name).unlink(missing_ok=True)
        write_whole(work / "tokenizer.json", tokenizer.to_str(pretty=True).encode())
        for name, ids in tokens.items():
            write_tokens(tokens_file(work, name), ids)
        write_json(stamp, {"sha256": file_sha256(corpus)})


def prepared(corpus: Path, work: Path) -> str | None:
    """The SHA-256 of ``corpus`` if ``work`` was prepared from it, None if from nothing yet.

    Raises ``ValueError`` where it was prepared from another corpus.
    """
    digest = file_sha256(corpus)
    stamp = work / "corpus.json"
    written = [stamp] + [tokens_file(work, name) for name in (*RECIPES, "validation")]
    if not all(file.exists() for file in written):
        return None
    try:
        same = json.loads(stamp.read_text(encoding="utf-8"))["sha256"] == digest
    except (ValueError, KeyError, TypeError):
        same = False
    allowed = f"the one that {work} was prepared from (or take another --work)"
    require(same, "corpus", allowed, corpus.name)
    return digest


def tokens_file(work: Path, name: str) -> Path:
    """Where the tokens lie that the model ``name`` may see; "validation" is a name too."""
    return work / f"{name}-tokens.safetensors"


def words_file(work: Path) -> Path:
    """Where `experiments.course_gpt.card` keeps the words of the training books."""
    return work / "words.json"


def baselines_file(work: Path, name: str) -> Path:
    """Where `experiments.course_gpt.card` keeps what it measured of n-gram models."""
    return work / f"{name}-baselines.json"


def _texts(corpus: Path) -> dict[str, list[Book]]:
    """The books of each recipe's half, by its name, and those held out under "validation"."""
    books = read_books(corpus)
    parts = halves(books)
    texts = {name: parts[recipe.half] for name, recipe in RECIPES.items()}
    texts["validation"] = [book for book in books if book.split == "validation"]
    allowed = "one with training books of at least two authors and validation books"
    require(all(texts.values()), "corpus", allowed, corpus.name)
    return texts


# ---- the training --------------------------------------------------------------------------------


def train_model(
    corpus: Path, work: Path, name: str, settings: Settings, until: str | None = None
) -> TrainState:
    """Prepare the data and train the model ``name``, resuming from its checkpoint in ``work``.

    ``until`` ("HH:MM", UTC) ends the training about then. Raises ``ValueError`` for a setting, a
    corpus or a checkpoint that does not fit, and what `utils.training.loop.train` raises.
    """
    end = None if until is None else _moment(until)
    config = TrainConfig(
        **asdict(settings),
        schedule="wsd",
        eval_every=500,
        eval_windows=160,
        checkpoint_every=250,
    )
    prepare(corpus, work)
    generator(settings.seed, "global")  # the initial weights are drawn from it
    model = GPT(RECIPES[name].gpt)
    return train(
        model,
        open_tokens(tokens_file(work, name)),
        config,
        validation=open_tokens(tokens_file(work, "validation")),
        checkpoint=work / f"{name}.safetensors",
        until=end,
    )


def _moment(clock: str) -> float:
    """The next time it is ``clock`` ("HH:MM", UTC), in seconds since 1970."""
    hour, _, minute = clock.partition(":")
    ok = hour.isdigit() and minute.isdigit() and int(hour) < 24 and int(minute) < 60
    require(ok, "until", "a time of day as HH:MM in UTC", clock)
    now = datetime.now(UTC)
    moment = now.replace(hour=int(hour), minute=int(minute), second=0)
    if moment <= now:
        moment += timedelta(days=1)
    return moment.timestamp()


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    command = parser("experiments.course_gpt.train", __doc__)
    command.add_argument(
        "--corpus", type=Path, required=True, help="books as JSON lines (plain, .gz or .xz)"
    )
    command.add_argument(
        "--work", type=Path, required=True, help="folder for tokens and checkpoints"
    )
    command.add_argument("--name", choices=RECIPES, default="course_gpt")
    command.add_argument(
        "--until", help="end about this time of day (HH:MM, UTC), with the decay before it"
    )
    add_settings(command, Settings)
    options = vars(command.parse_args(arguments))
    with one_line_errors(command):
        settings = take_settings(options, Settings)
        train_model(**options, settings=settings)


if __name__ == "__main__":
    main()
