"""A model that repeats what stands in its prompt: its data, its heads, and what is measured.

A training row is a random segment that is said again and again. Nothing about its tokens can be
learned, so what a model can get better at is to find where the present token stood before, and to
say the token that followed it there.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.applications.together import rounded
from utils.models.gpt import GPT, Block, GPTConfig
from utils.runtime import generator
from utils.widgets.attention_explorer.shares import shares_of_layer

PREVIOUS = 0.25  # share to the position before, from which on a head is said to look there
TEST = 10_000  # plus a number: seeds that no training has
WORDS = 64  # different tokens
LENGTH = 48  # tokens that a model reads
SHORTEST, LONGEST = 8, 20  # tokens of a segment


class Copier(nn.Module):
    """A language model of random segments that are repeated.

    before : give each position the token before it as well, so that no attention head need fetch
        it.
    """

    def __init__(self, layers: int, width: int, *, before: bool = False) -> None:
        super().__init__()
        self.core = GPT(
            GPTConfig(
                vocab_size=WORDS,
                context_length=LENGTH,
                n_layer=layers,
                n_head=4,
                d_model=width,
                d_ff=width,
                tie_embeddings=False,
            )
        )
        self.before = nn.Embedding(WORDS, width) if before else None
        if self.before is not None:
            nn.init.normal_(self.before.weight, std=width**-0.5)

    def forward(self, rows: Tensor) -> Tensor:
        """Mean cross-entropy in nats of the tokens 1, 2, … of ``rows`` (B, T + 1)."""
        logits = self.logits(rows[:, :-1])  # (B, T, V)
        return F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())

    def logits(self, ids: Tensor) -> Tensor:
        """(B, T) to (B, T, V)."""
        x = self._read(ids)  # (B, T, C)
        for block in self.core.blocks:
            x = block(x, self._rope(ids), None)  # (B, T, C)
        return self.core.head(self.core.norm(x))  # (B, T, V)

    def shares(self, ids: Tensor) -> Tensor:
        """How much each position looks at each: ids (B, T) to (L, B, H, T, T)."""
        rope = self._rope(ids)
        x = self._read(ids)  # (B, T, C)
        found = []
        for part in self.core.blocks:
            block = cast("Block", part)
            normed = block.norm1(x)  # (B, T, C)
            rows = [shares_of_layer(block.attn, row[None], rope) for row in normed]
            found.append(torch.stack(rows))  # (B, H, T, T)
            x = block(x, rope, None)  # (B, T, C)
        return torch.stack(found)

    def _read(self, ids: Tensor) -> Tensor:
        x = self.core.tok(ids)  # (B, T, C)
        if self.before is not None:
            last = self.before(ids[:, :-1])  # (B, T - 1, C)
            x = x + F.pad(last, (0, 0, 1, 0))  # nothing stands before the first
        return x

    def _rope(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        T = ids.shape[1]
        return cast("Tensor", self.core.cos)[:T], cast("Tensor", self.core.sin)[:T]


def segments(n: int, chance: torch.Generator, *, fixed: bool = False) -> tuple[Tensor, Tensor]:
    """Rows (n, LENGTH + 1) of repeated random segments, and the length of each segment (n, 1).

    fixed : all segments have the same length, the mean of the others.

    >>> rows, lengths = segments(5, generator(0, "torch"))
    >>> p = int(lengths[0])
    >>> bool((rows[0, p:] == rows[0, :-p]).all())
    True
    """
    words = torch.randint(WORDS, (n, LENGTH + 1), generator=chance)  # (n, T + 1)
    lengths = torch.randint(SHORTEST, LONGEST + 1, (n, 1), generator=chance)  # (n, 1)
    if fixed:
        lengths = torch.full_like(lengths, (SHORTEST + LONGEST) // 2)
    place = torch.arange(LENGTH + 1) % lengths  # (n, T + 1)
    return words.gather(1, place), lengths


@torch.no_grad()
def copying_losses(model: Copier, rows: Tensor, lengths: Tensor) -> tuple[float, float]:
    """Mean loss in nats of tokens that stand in the first segment, and of those that were seen.

    The first token of the first repetition belongs to neither: nothing tells that it comes.
    """
    place = torch.arange(1, LENGTH + 1, device=rows.device)  # of the token to be said
    logits = model.logits(rows[:, :-1])  # (B, T, V)
    loss = F.cross_entropy(logits.transpose(1, 2), rows[:, 1:], reduction="none")  # (B, T)
    return float(loss[place < lengths].mean()), float(loss[place > lengths].mean())


@torch.no_grad()
def head_scores(model: Copier, rows: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Two mean shares of each head, (L, H) each, where the next token has been seen.

    The first is the share that goes to the position just before. The second is the share that goes
    to positions which follow an earlier occurrence of the present one, one or more segments back.
    """
    ids = rows[:, :-1]  # (B, T)
    shares = model.shares(ids)  # (L, B, H, T, T)
    at = torch.arange(LENGTH, device=rows.device)
    back = at[:, None] - at  # (T, T): how far each position lies behind each
    again = at >= lengths  # (B, T)

    previous = (back == 1).to(shares.dtype)  # (T, T)
    followers = ((back + 1) % lengths[:, :, None] == 0) & (back >= 0)  # (B, T, T)
    to_previous = (shares * previous).sum(-1)  # (L, B, H, T)
    to_followers = (shares * followers[:, None]).sum(-1)  # (L, B, H, T)
    counted = again[:, None].to(shares.dtype)  # (B, 1, T)
    n = counted.sum()
    return (to_previous * counted).sum((1, 3)) / n, (to_followers * counted).sum((1, 3)) / n


@contextlib.contextmanager
def silenced(model: Copier, layer: int, heads: list[int]) -> Iterator[None]:
    """Let these heads of a layer write nothing, until the block ends."""
    attention = cast("Block", model.core.blocks[layer]).attn
    weight = attention.out.weight  # (C, H · D)
    before = weight.detach().clone()
    with torch.no_grad():
        for head in heads:
            weight[:, head * attention.d_head : (head + 1) * attention.d_head] = 0
    try:
        yield
    finally:
        with torch.no_grad():
            weight.copy_(before)


# ---- one run -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Copying:
    """A copier: its architecture, what it is trained on, and how.

    Its result: ``losses`` of new and of seen tokens at each of the ``moments``, and there the
    largest share of a head to the position before (``previous``) and to the followers of earlier
    occurrences (``followers``). Then of every head at the end, (L, H); and of two layers what the
    loss of seen tokens becomes if heads of the first are silenced: those that look at the position
    before, all others, and each alone.
    """

    layers: int = 2
    width: int = 48
    segments: str = "random"  # lengths; or "fixed"
    before: bool = False
    rate: float = 3e-3
    steps: int = 600
    seed: int = 0

    def model(self) -> Copier:
        generator(self.seed, "global")
        return Copier(self.layers, self.width, before=self.before)

    def draw(self) -> Callable[[int], tuple[Tensor, ...]]:
        chance = generator(100 + self.seed, "torch")
        fixed = self.segments == "fixed"
        return lambda n: segments(n, chance, fixed=fixed)[:1]

    def test(self, rows: int) -> tuple[Tensor, Tensor]:
        chance = generator(TEST + self.seed, "torch")
        return segments(rows, chance, fixed=self.segments == "fixed")


SHAPES = (
    Copying(),
    Copying(rate=1e-3, steps=1800),  # the cliff with another rate
    Copying(layers=1),
    Copying(layers=1, width=72),  # as many parameters as with two layers
    Copying(layers=1, rate=1e-3),
    Copying(layers=1, rate=1e-2),
    Copying(layers=1, steps=2400),
    Copying(layers=1, segments="fixed"),
    Copying(layers=1, before=True),
)


def measured_copier(one: Copying, model: nn.Module) -> list[float]:
    """Losses of new and of seen tokens, and the largest two scores of any head."""
    assert isinstance(model, Copier)
    where = model.core.tok.weight.device
    rows, lengths = (part.to(where) for part in one.test(128))
    losses = copying_losses(model, rows, lengths)
    scores = head_scores(copy.deepcopy(model).cpu(), rows[:16].cpu(), lengths[:16].cpu())
    return [*losses, *(float(score.max()) for score in scores)]


def copier_result(one: Copying, model: nn.Module, history: list[Any]) -> dict[str, Any]:
    """What the record holds of a trained copier."""
    assert isinstance(model, Copier)
    model = model.cpu()
    rows, lengths = one.test(256)
    previous, followers = head_scores(model, rows[:64], lengths[:64])  # (L, H) each
    result: dict[str, Any] = {"parameters": sum(p.numel() for p in model.parameters())}
    columns = zip(*history, strict=True)
    for name, column in zip(("new", "seen", "previous", "followers"), columns, strict=True):
        result[name] = rounded(column)
    result["heads"] = {
        "previous": [rounded(row) for row in previous],
        "followers": [rounded(row) for row in followers],
    }
    if one.layers > 1:
        looking = [h for h in range(len(previous[0])) if previous[0, h] > PREVIOUS]
        others = [h for h in range(len(previous[0])) if h not in looking]
        cases = {"looking": looking, "others": others}
        cases |= {str(h): [h] for h in range(len(previous[0]))}
        result["silenced"] = {}
        for name, heads in cases.items():
            with silenced(model, 0, heads):
                loss = copying_losses(model, rows, lengths)[1]
            result["silenced"][name] = {"heads": heads, "seen": round(loss, 4)}
    return result
