"""Train the small model that copies, and models of one layer to compare it with.

    python -m experiments.parameters.copying_model   # about three minutes; goes on where it stopped

writes ``records/copy_gpt/``: the weights in float16, ``config.json`` as ``transformers`` keeps it,
``words.json`` with the text of each token, ``card.json`` with every number and ``README.md`` made
from it.

A training row draws 5 to 16 different words of 64 and says them again and again. Nothing about the
words themselves can be learned, so what a model can get better at is to find where the present
word stood before, and to say the word that followed it there. That takes two layers: a head of the
first marks each place with the word before it, and a head of the second looks for that mark
(Olsson et al. 2022, arXiv:2209.11895). Each seed is therefore trained with one layer too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from experiments.parameters.copying_card import readme
from experiments.settings import add_settings, distinct, one_line_errors, parser, take_settings
from utils.files import write_text
from utils.models.gpt import GPT, Block, GPTConfig
from utils.models.interop import load_pretrained, save_pretrained
from utils.records import write_json
from utils.runtime import generator, repo_root
from utils.tensors import read_header
from utils.training.config import TrainConfig
from utils.training.loop import train
from utils.validate import integer
from utils.widgets.attention_explorer.shares import attention_shares, shares_of_layer

COMMAND = "experiments.parameters.copying_model"
# fmt: off
WORDS = [
    "ant", "arm", "axe", "ball", "bat", "bear", "bed", "bell", "bird", "boat", "book", "bowl",
    "box", "bread", "brush", "cake", "cat", "chair", "clock", "cloud", "coat", "coin", "cow",
    "crow", "cup", "deer", "desk", "dog", "door", "drum", "duck", "egg", "fig", "fish", "flag",
    "fork", "frog", "goat", "hat", "hen", "horse", "ice", "jar", "key", "kite", "lamp", "leaf",
    "lemon", "lion", "map", "milk", "moon", "mouse", "nest", "owl", "pear", "pen", "plum", "ring",
    "rose", "ship", "shoe", "star", "tree",
]
# fmt: on
SHORTEST, LONGEST = 5, 16  # words of a segment in training
CONTEXT = 40  # words of a training row
SEGMENT = 8  # words of a segment in the measurements
CASES = ("twice", "shuffled", "others")  # what comes before the words that are to be said again
LENGTHS = (3, 5, 8, 12, 16, 20)  # words of the segments on which the stored model is measured
POOLS = (4, 8)  # of how many words a segment is drawn in which words recur
READ = 5  # words of the second time that are read when a place is hidden
HELD_OUT = 1000  # plus the number of a row: seeds that no training row has


@dataclass(frozen=True)
class Settings:
    """How the models are trained. The weights of the first seed are stored."""

    steps: int = 2000
    batch_size: int = 32
    learning_rate: float = 3e-3
    seeds: tuple[int, ...] = (0, 1, 2)
    rows: int = 200  # segments that a model is measured on

    def __post_init__(self) -> None:
        for seed in distinct("seeds", self.seeds):
            integer("seeds", seed, 0)
        integer("steps", self.steps, 1)
        integer("batch_size", self.batch_size, 1)
        integer("rows", self.rows, 1)


# ---- texts ---------------------------------------------------------------------------------------


def training_rows(n: int, seed: int) -> np.ndarray:
    """``n`` rows (n, CONTEXT) of token ids, each a segment of different words, said repeatedly."""
    chance = generator(seed)
    rows = np.empty((n, CONTEXT), np.uint16)
    for row in rows:
        length = chance.integers(SHORTEST, LONGEST + 1)
        segment = chance.permutation(len(WORDS))[:length]  # (length,)
        row[:] = np.resize(segment, CONTEXT)  # from its beginning again, until the row is full
    return rows


def passage(seed: int, case: str, length: int = SEGMENT) -> list[int]:
    """Token ids of ``length`` words, said after ``length`` words that depend on the ``case``.

    twice: the same words. shuffled: the same, in an order in which none follows the word that it
    follows afterwards. others: words that are not among them. any order: the same, in an order in
    which some may follow the words that they follow afterwards.
    """
    chance = generator(HELD_OUT + seed)
    drawn = chance.permutation(len(WORDS))
    segment = drawn[:length]  # (length,)
    before = {
        "twice": segment,
        "shuffled": _without_old_neighbours(segment, chance),  # (length,)
        "others": drawn[length : 2 * length],  # (length,)
        "any order": chance.permutation(segment),  # (length,)
    }
    return [*before[case].tolist(), *segment.tolist()]


def recurring_passage(seed: int, pool: int) -> list[int]:
    """Token ids of `SEGMENT` words, drawn from ``pool`` so that some recur, and said twice."""
    chance = generator(HELD_OUT + seed)
    words = chance.permutation(len(WORDS))[:pool]  # (pool,)
    segment = words[chance.integers(pool, size=SEGMENT)].tolist()
    return [*segment, *segment]


def _without_old_neighbours(segment: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """The words of ``segment`` in an order in which none follows the word that it followed."""
    pairs = set(pairwise(segment.tolist()))
    while True:
        order = chance.permutation(segment)  # (length,)
        if not pairs & set(pairwise(order.tolist())):
            return order


# ---- training and measuring ----------------------------------------------------------------------


def trained(layers: int, seed: int, settings: Settings, work: Path) -> GPT:
    """A model of ``layers`` layers, trained on rows of its own; goes on from its checkpoint."""
    generator(seed, "global")  # the initial weights are drawn from it
    config = GPTConfig(
        vocab_size=len(WORDS),
        context_length=CONTEXT,
        n_layer=layers,
        n_head=4,
        d_model=48,
        d_ff=48,
        tie_embeddings=False,
    )
    model = GPT(config)
    rows = training_rows(settings.steps * settings.batch_size, seed)
    tokens = np.append(rows.reshape(-1), rows[0, 0])  # the last word is asked for one more
    train(
        model,
        tokens,
        TrainConfig(
            steps=settings.steps,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            warmup=50,
            final_lr=0.1,
            weight_decay=0.01,
            beta2=0.98,
            seed=seed,
            precision="fp32",
            log_every=200,
        ),
        checkpoint=work / f"copying-{layers}-{seed}.safetensors",
    )
    return model.eval()


def right_words(model: GPT, case: str, rows: int, length: int = SEGMENT) -> float:
    """Mean probability of the second to the last word of a segment, after what ``case`` says."""
    return mean_right(model, [passage(row, case, length) for row in range(rows)])


@torch.no_grad()
def mean_right(model: GPT, passages: list[list[int]]) -> float:
    """Mean probability of each word of the second half but its first."""
    ids = torch.tensor(passages)  # (rows, 2 · length)
    length = ids.shape[1] // 2
    p = model(ids[:, :-1]).softmax(-1)  # (rows, 2 · length - 1, V)
    right = p.gather(2, ids[:, 1:, None])[:, length:, 0]  # (rows, length - 1)
    return float(right.mean())


def looks(model: GPT, rows: int) -> dict[str, list[list[float]]]:
    """What each head of each layer looks at while a segment is said again: two mean shares.

    previous: the share that goes to the place before. followers: the share that goes to the word
    after the earlier occurrence of the present one.
    """
    total = torch.stack([_looks_in(model, row) for row in range(rows)])  # (rows, 2, L, H)
    previous, followers = total.mean(0)  # (L, H) each
    return {"previous": previous.tolist(), "followers": followers.tolist()}


def _looks_in(model: GPT, row: int) -> Tensor:
    """The two mean shares (2, L, H) in one passage."""
    shares = attention_shares(model, passage(row, "twice"))  # (L, H, T, T)
    again = torch.arange(SEGMENT, 2 * SEGMENT - 1)  # places whose next word can be known
    previous = shares[:, :, again, again - 1].mean(-1)  # (L, H)
    followers = shares[:, :, again, again - SEGMENT + 1].mean(-1)  # (L, H)
    return torch.stack((previous, followers))


@contextlib.contextmanager
def silenced(model: GPT, layer: int, head: int) -> Iterator[None]:
    """What this head has gathered does not reach the residual stream. Counted from 0."""
    attention = cast("Block", model.blocks[layer]).attn
    weight = attention.out.weight  # (C, H · D)
    columns = slice(head * attention.d_head, (head + 1) * attention.d_head)
    kept = weight[:, columns].detach().clone()  # (C, D)
    with torch.no_grad():
        weight[:, columns] = 0
        try:
            yield
        finally:
            weight[:, columns] = kept


def right_without(model: GPT, rows: int, length: int = SEGMENT) -> list[float]:
    """`right_words` of passages said twice, with each head of the first layer silenced in turn."""
    found = []
    for head in range(model.config.n_head):
        with silenced(model, 0, head):
            found.append(right_words(model, "twice", rows, length))
    return found


def limits(model: GPT, rows: int) -> dict[str, Any]:
    """How well the model copies segments of other lengths, and such in which words recur."""
    lengths = {}
    for length in LENGTHS:
        cases = ("twice", "shuffled", "any order")
        right = {case: right_words(model, case, rows, length) for case in cases}
        without = right_without(model, rows, length)
        lengths[str(length)] = {"right": right, "without_head": without}
    recurring = {}
    for pool in POOLS:
        passages = [recurring_passage(row, pool) for row in range(rows)]
        recurring[str(pool)] = mean_right(model, passages)
    return {"lengths": lengths, "recurring": recurring}


@torch.no_grad()
def chances_with_hidden(model: GPT, ids: list[int], place: int, layers: tuple[int, ...]) -> Tensor:
    """Probabilities (V,) of the next word if no later place looks at ``place`` in these layers.

    Both are counted from 0. Its share goes to the other places, in proportion to theirs.
    """
    T = len(ids)
    rope = (model.cos[:T], model.sin[:T])  # (T, D/2) each
    x = model.tok(torch.tensor([ids]))  # (1, T, C)
    for number, part in enumerate(model.blocks):
        block = cast("Block", part)
        attention = block.attn
        normed = block.norm1(x)  # (1, T, C)
        shares = shares_of_layer(attention, normed, rope)  # (H, T, T)
        if number in layers:
            shares[:, place + 1 :, place] = 0
            shares = shares / shares.sum(-1, keepdim=True)  # (H, T, T)

        # The values are the last of the rows that one product makes of each place.
        width = attention.n_head * attention.d_head
        values = attention.qkv(normed)[0, :, -width:]  # (T, H · D)
        values = values.view(T, attention.n_head, attention.d_head)  # (T, H, D)
        mixed = torch.einsum("hij,jhd->ihd", shares, values)  # (T, H, D)
        x = x + attention.out(mixed.reshape(1, T, width))  # (1, T, C)
        x = x + block.mlp(block.norm2(x))  # (1, T, C)
    return model.head(model.norm(x))[0, -1].softmax(-1)  # (V,)


def hiding(model: GPT, rows: int) -> dict[str, Any]:
    """What two words do for the next one, in passages said twice and read up to a repeated word.

    known: the first occurrence of the word that was read last. follower: the word after it, which
    is to come next. Of each: the mean share that the heads of layer 2 give it, and the mean
    probability of the right word if it is hidden in some layers. named_by_product: in which share
    of the passages the shares of both layers, multiplied, are largest for the known word.
    """
    last = SEGMENT + READ - 1
    places = {"known": READ - 1, "follower": READ}
    layers = {"both": (0, 1), "first": (0,), "second": (1,), "none": ()}
    found: dict[str, Any] = {}
    for name, place in places.items():
        shares, right = [], {which: [] for which in layers}
        for row in range(rows):
            ids = passage(row, "twice")[: last + 1]
            shares.append(float(attention_shares(model, ids)[1, :, last, place].mean()))
            for which, hidden in layers.items():
                p = chances_with_hidden(model, ids, place, hidden)
                right[which].append(float(p[ids[READ]]))
        means = {which: float(np.mean(values)) for which, values in right.items()}
        found[name] = {"share": float(np.mean(shares)), "hidden": means}

    # Through both layers: what layer 2 looks at, times what that place looked at in layer 1.
    named = 0
    for row in range(rows):
        first, second = attention_shares(model, passage(row, "twice")[: last + 1]).mean(1)
        through_both = second[last] @ first  # (T,)
        named += int(through_both.argmax()) == places["known"]
    return found | {"named_by_product": named / rows}


def measured(model: GPT, layers: int, seed: int, rows: int) -> dict[str, Any]:
    """What the card says of one model."""
    right = {case: right_words(model, case, rows) for case in CASES}
    return {
        "layers": layers,
        "seed": seed,
        "right": right,
        "without_head": right_without(model, rows),
        "heads": looks(model, rows),
    }


# ---- the command ---------------------------------------------------------------------------------


def stored(model: GPT, folder: Path) -> GPT:
    """Write the model in float16, with its words, and return it as it is read from there."""
    write_json(folder / "words.json", WORDS)
    save_pretrained(model, folder, torch.float16, beside=("words.json",))
    return load_pretrained(folder).eval()


def make(settings: Settings, folder: Path, work: Path) -> dict[str, Any]:
    """Train, store the first model of two layers in ``folder``, measure all, return the card."""
    torch.set_num_threads(1)  # one order of additions, so the same bytes each time
    work.mkdir(parents=True, exist_ok=True)
    models = []
    for seed in settings.seeds:
        for layers in (2, 1):
            model = trained(layers, seed, settings, work)
            if not models:
                model = stored(model, folder)  # measured as it is stored
            models.append(measured(model, layers, seed, settings.rows))
    model = load_pretrained(folder).eval()
    card = {
        "parameters": model.num_parameters(),
        "sha256": read_header(folder / "model.safetensors").sha256,
        "settings": asdict(settings),
        "models": models,
        "limits": limits(model, settings.rows),
        "hiding": hiding(model, settings.rows),
        "torch": torch.__version__,
        "how": f"python -m {COMMAND}",
    }
    write_json(folder / "card.json", card)
    write_text(folder / "README.md", readme(card, SEGMENT, CONTEXT, READ))
    return card


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    command = parser(COMMAND, __doc__)
    root = repo_root()
    command.add_argument("--out", type=Path, default=root / "records" / "copy_gpt")
    command.add_argument("--work", type=Path, default=root / "runs", help="folder for checkpoints")
    add_settings(command, Settings)
    options = vars(command.parse_args(arguments))
    with one_line_errors(command):
        settings = take_settings(options, Settings)
        card = make(settings, options["out"], options["work"])
    for model in card["models"]:
        right = ", ".join(f"{case} {p:.3f}" for case, p in model["right"].items())
        print(f"{model['layers']} layers, seed {model['seed']}: {right}")


if __name__ == "__main__":
    main()
