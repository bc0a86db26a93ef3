"""Repeated, noisy, duplicated and lopsided text, and what each costs a small language model.

    python -m experiments.trade_offs.data   # five minutes on one CPU core; again to go on

writes ``records/trade_offs/data.json``. Every run trains the same model of 80,000 parameters; what
differs is the text. The text is the running Python's own: the code of its standard library, and the
pages of its language reference. A seed draws the weights, the order and which pieces of the text
are taken, so that two seeds share almost nothing.

case       amount                       text of the run
clean      1                            D different tokens of code
passes     how often                    D / amount different tokens, read that often
token      share                        D tokens, this share of them replaced by random ones
window     share                        D tokens, this share of the windows shuffled to no sense
dropped    share                        (1 - share) D different tokens, and no others
refilled   share                        the same, read again until they are D
copies     tokens of the passage        D / 2 different tokens, and one passage again and again
manual     share of the manual          D tokens of code and manual together
alone      share of the manual          that share of D, manual only
reread     how often                    an eighth of D, manual only, read that often
rate       times the learning rate      clean, token and dropped, with other learning rates

Held-out loss is in nats per token; whole files are held out, never a part of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from experiments.runner import Experiment, Plan, Run
from experiments.settings import distinct
from utils.data.books import end_id, tokens_digest, train_tokenizer
from utils.data.text import python_docs
from utils.runtime import generator, single_thread
from utils.scaling.spec import RunSpec
from utils.scaling.training import Training
from utils.training.loop import evaluate
from utils.validate import integer

VOCAB_SIZE = 512
CODE_TOKENS = 600_000  # to draw samples from
HELD_OUT = 40_000
PIECE = 512  # tokens that stay together when a sample is drawn: eight windows
WINDOW = 64
CONSTANT = 0.5  # the learning rate is this over the width
PER_FILE = 4096  # tokens of one file at most, so that no long table stands for all code
TABLES = "sources/encodings/"  # hundreds of pages of hexadecimal numbers
TOKENIZER_FILES = 40

PASSES = (4, 16)
SHARES = (0.25, 0.5)
PASSAGES = (64, 256, 1024, 4096, 16384)
MANUAL = (1 / 32, 1 / 8, 1 / 2, 1.0)
REREAD = (2, 3, 4, 6, 8)
RATES = (0.5, 2.0)


@dataclass(frozen=True)
class Pool:
    """Text to draw from, as token ids: code and manual, and files of both that are held out.

    code, manual, held_code, held_manual : (n_tokens,) uint16 each.
    characters : how many characters a token of the held-out code and manual stands for.
    """

    tokenizer: Tokenizer
    code: np.ndarray
    manual: np.ndarray
    held_code: np.ndarray
    held_manual: np.ndarray
    characters: dict[str, float]


@cache
def pool() -> Pool:
    """The running Python's own text, in about five seconds."""
    train, held = python_docs(("topics", "sources")).split(0.15, seed=0)
    files = {}
    for name, documents in (("train", train), ("held", held)):
        for kind in ("topics", "sources"):
            texts = []
            for title, text in documents:
                if title.startswith(kind) and not title.startswith(TABLES):
                    texts.append(text)
            order = generator(0).permutation(len(texts))
            files[name, kind] = [texts[i] for i in order]

    # As much manual as code, so that neither is cut into smaller tokens than the other.
    manual = files["train", "topics"]
    size = sum(len(text) for text in manual)
    shown = [text[: size // TOKENIZER_FILES] for text in files["train", "sources"]]
    tokenizer = train_tokenizer([*manual, *shown[:TOKENIZER_FILES]], VOCAB_SIZE)

    code, _ = _encoded(tokenizer, files["train", "sources"], CODE_TOKENS, PER_FILE)
    pages, _ = _encoded(tokenizer, manual, CODE_TOKENS)
    held_code, of_code = _encoded(tokenizer, files["held", "sources"], HELD_OUT, PER_FILE)
    held_manual, of_manual = _encoded(tokenizer, files["held", "topics"], HELD_OUT)
    characters = {"code": of_code, "manual": of_manual}
    return Pool(tokenizer, code, pages, held_code, held_manual, characters)


def _encoded(
    tokenizer: Tokenizer, texts: list[str], limit: int, per_file: int = CODE_TOKENS
) -> tuple[np.ndarray, float]:
    """The first ``limit`` tokens of the texts, and the characters that one stands for."""
    ids: list[int] = []
    characters = 0
    for text in texts:
        start = text[: 8 * per_file]  # surely enough characters
        encoded = tokenizer.encode(start).ids[:per_file]
        ids += [end_id(tokenizer), *encoded]
        characters += len(tokenizer.decode(encoded))
        if len(ids) >= limit:
            break
    return np.array(ids[:limit], dtype=np.uint16), characters / len(ids)


# ---- the texts -----------------------------------------------------------------------------------


def sample(text: np.ndarray, n_tokens: int, seed: int) -> np.ndarray:
    """So many tokens of a text, (n_tokens,), in pieces that are drawn from all over it.

    Raises ``ValueError`` for more tokens than the text has.

    >>> sample(np.arange(4 * 512), 600, seed=0)[[0, 511, 512]]
    array([1536, 2047,    0])
    """
    n_pieces = len(text) // PIECE
    integer("n_tokens", n_tokens, 1, n_pieces * PIECE)
    order = generator([seed, 1]).permutation(n_pieces)[: -(-n_tokens // PIECE)]
    pieces = text[: n_pieces * PIECE].reshape(n_pieces, PIECE)[order]
    return pieces.reshape(-1)[:n_tokens]


def token_noise(tokens: np.ndarray, share: float, seed: int) -> np.ndarray:
    """The text with about this share of its tokens replaced by tokens from anywhere in it."""
    rng = generator([seed, 2])
    wrong = rng.random(len(tokens)) < share  # (n_tokens,)
    return np.where(wrong, rng.choice(tokens, len(tokens)), tokens)


def window_noise(tokens: np.ndarray, share: float, seed: int) -> np.ndarray:
    """The text with this share of its windows replaced by tokens from anywhere in it."""
    rng = generator([seed, 3])
    n_windows = len(tokens) // WINDOW
    wrong = np.zeros(n_windows, dtype=bool)
    wrong[rng.permutation(n_windows)[: round(share * n_windows)]] = True
    noise = rng.choice(tokens, len(tokens))
    return np.where(np.repeat(wrong, WINDOW), noise, tokens)


def with_copies(tokens: np.ndarray, passage: int) -> np.ndarray:
    """Half of the text, and its first ``passage`` tokens again and again, as long as the text."""
    half = len(tokens) // 2
    copies = np.resize(tokens[:passage], len(tokens) - half)
    return np.concatenate([tokens[:half], copies])


def text_of(case: str, amount: float, n_tokens: int, seed: int) -> tuple[np.ndarray, int]:
    """The text of a run, and how many tokens of it are read, some of them more than once."""
    found = pool()
    clean = sample(found.code, n_tokens, seed)
    if case == "passes":
        return clean[: round(n_tokens / amount)], n_tokens
    if case == "token":
        return token_noise(clean, amount, seed), n_tokens
    if case == "window":
        return window_noise(clean, amount, seed), n_tokens
    if case in ("dropped", "refilled"):
        left = round((1 - amount) * n_tokens)
        return clean[:left], left if case == "dropped" else n_tokens
    if case == "copies":
        return with_copies(clean, int(amount)), n_tokens
    if case == "reread":
        pages = sample(found.manual, n_tokens // 8, seed)
        return pages, round(amount * len(pages))
    if case in ("manual", "alone"):
        pages = sample(found.manual, round(amount * n_tokens), seed)
        if case == "alone":
            return pages, len(pages)
        return np.concatenate([pages, clean[: n_tokens - len(pages)]]), n_tokens
    return clean, n_tokens


# ---- one run -------------------------------------------------------------------------------------


def spec_of(n_tokens: int, unique: int, seed: int, constant: float = CONSTANT) -> RunSpec:
    """The model of every run, and how it is trained on so many tokens."""
    return RunSpec(
        d_model=48,
        n_layer=2,
        vocab_size=VOCAB_SIZE,
        context_length=WINDOW,
        batch_tokens=8 * WINDOW,
        tokens=n_tokens,
        unique_tokens=unique,
        learning_rate=constant / 48,
        seed=seed,
    )


def trained(text: np.ndarray, n_tokens: int, seed: int, constant: float = CONSTANT) -> Training:
    """The model after so many tokens of a text; one that is shorter is read again."""
    # A window's last target is the first token after it; the text's own start closes its end.
    closed = np.concatenate([text, text[:1]])
    run = Training(spec_of(n_tokens, len(closed), seed, constant), closed, pool().held_code)
    while not run.finished():
        run.advance(run.spec.steps)
    return run


def measure_run(case: str, amount: float, n_tokens: int, seed: int, deadline: float) -> dict:
    """Train one case and measure it on both held-out texts; seconds, so no look at the deadline."""
    constant = CONSTANT
    text_case = case
    if case.startswith("rate "):
        text_case = case.removeprefix("rate ")
        constant = CONSTANT * amount
        amount = 0.25
    text, read = text_of(text_case, amount, n_tokens, seed)
    run = trained(text, read, seed, constant)
    result: dict[str, Any] = {"code": round(run.val_curve[-1]["val_loss"], 5)}
    if case in ("clean", "manual", "alone", "reread"):
        loss = evaluate(run.model, pool().held_manual, batch_size=64)
        result["manual"] = round(loss, 5)
    return result | {
        "train": round(float(run.losses[-20:].mean()), 4),
        "flops": run.spec.flops,
        "finished": True,
    }


# ---- all of them ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """tokens : D, what a run reads unless its case says otherwise. seeds : see the module."""

    tokens: int = 65_536
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        integer("tokens", self.tokens, 16 * PIECE, 150_000)
        for seed in distinct("seeds", self.seeds):
            integer("seeds", seed, 0)


def cases() -> list[tuple[str, float]]:
    """Every case with its amounts, the ones that all others are compared with first."""
    found: list[tuple[str, float]] = [("clean", 1.0)]
    for share in SHARES:
        for case in ("token", "window", "dropped", "refilled"):
            found.append((case, share))
    found += [("copies", float(passage)) for passage in PASSAGES]
    found += [("manual", share) for share in MANUAL]
    found += [("alone", 1 / 8), ("dropped", 0.75)]  # 0.75: a single one of four passes
    found += [("reread", float(times)) for times in REREAD]
    found += [("passes", float(times)) for times in PASSES]
    return found


def plan(settings: Settings) -> Plan:
    """All cases for one seed after the other, then the other learning rates for the first seed."""
    single_thread()
    wanted = []
    for seed in settings.seeds:
        wanted += [(case, amount, seed) for case, amount in cases()]
    for case in ("clean", "token", "dropped"):
        wanted += [(f"rate {case}", times, settings.seeds[0]) for times in RATES]

    runs = []
    for case, amount, seed in wanted:
        key: dict[str, Any] = {"case": case, "amount": amount, "seed": seed}
        runs.append(Run(key, partial(measure_run, case, amount, settings.tokens, seed)))
    digest = tokens_digest(np.concatenate([pool().code, pool().manual]))
    return Plan(
        runs,
        told=lambda run: f"{run['code']:.3f} nats per token of code",
        source={"text": "this Python's standard library and language reference", "sha256": digest},
        notes={"characters_per_token": pool().characters},
    )


EXPERIMENT = Experiment(
    command="experiments.trade_offs.data",
    about=__doc__,
    record="trade_offs/data",
    settings=Settings,
    plan=plan,
)
measure = EXPERIMENT.measure
main = EXPERIMENT.main

if __name__ == "__main__":
    main()
