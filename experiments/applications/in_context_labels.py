"""A model that names pictures: from its prompt, or from what it has learned by heart.

The setting of Chan et al. 2022 (arXiv:2205.05055), made small. In training every class has one
label for good, so that its label can be learned, and it may stand in the prompt, so that it can be
read off there. Two tests tell which of the two a model does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.models.gpt import GPT, GPTConfig
from utils.runtime import generator

TEST = 30_000  # plus a number: seeds that no training has
PIXELS = 32  # numbers of a picture
LABELS = 16
SHOWN = 4  # pictures with their labels in a prompt
BLUR = 0.1  # how much two pictures of one class differ


class Labeller(nn.Module):
    """Says the label of a picture after SHOWN pictures with labels."""

    def __init__(self, layers: int = 2, width: int = 64) -> None:
        super().__init__()
        self.core = GPT(
            GPTConfig(
                "gpt2",
                vocab_size=1,
                context_length=2 * SHOWN + 1,
                n_layer=layers,
                n_head=2,
                d_model=width,
                d_ff=2 * width,
            )
        )
        self.picture = nn.Linear(PIXELS, width)
        self.label = nn.Embedding(LABELS, width)
        self.say = nn.Linear(width, LABELS)
        nn.init.normal_(self.label.weight, std=width**-0.5)

    def forward(self, shown: Tensor, labels: Tensor, asked: Tensor, right: Tensor) -> Tensor:
        """Mean cross-entropy of the ``right`` labels (B,)."""
        return F.cross_entropy(self.predict(shown, labels, asked), right)

    def predict(self, shown: Tensor, labels: Tensor, asked: Tensor) -> Tensor:
        """Pictures (B, SHOWN, PIXELS), labels (B, SHOWN), asked (B, PIXELS): logits (B, LABELS)."""
        both = torch.stack([self.picture(shown), self.label(labels)], 2)  # (B, SHOWN, 2, C)
        last = self.picture(asked)[:, None]  # (B, 1, C)
        x = torch.cat([both.flatten(1, 2), last], 1)  # (B, 2 · SHOWN + 1, C)
        assert self.core.pos is not None
        x = x + self.core.pos.weight
        for block in self.core.blocks:
            x = block(x, None, None)  # (B, T, C)
        return self.say(self.core.norm(x)[:, -1])


@dataclass(frozen=True)
class Album:
    """Classes of pictures with fixed labels, and how often each class is seen.

    bursty : share of prompts in which the class that is asked for is among those shown. zipf : the
    class of rank r is seen in proportion to r to the power of minus this.
    """

    classes: int
    bursty: float
    zipf: float
    seed: int

    def _tables(self) -> tuple[Tensor, Tensor, Tensor]:
        """Prototypes (classes, PIXELS), labels (classes,), probabilities (classes,)."""
        chance = generator(2000 + self.seed, "torch")
        prototypes = torch.randn(self.classes, PIXELS, generator=chance) / math.sqrt(PIXELS)
        labels = torch.randint(LABELS, (self.classes,), generator=chance)
        seen = torch.arange(1, self.classes + 1) ** -self.zipf
        return prototypes, labels, seen / seen.sum()

    def prompts(self, n: int, chance: torch.Generator) -> tuple[Tensor, ...]:
        """Training prompts: what `Labeller.forward` takes."""
        prototypes, labels, seen = self._tables()
        shown = seen.multinomial(n * SHOWN, True, generator=chance).view(n, SHOWN)
        alone = seen.multinomial(n, True, generator=chance)  # (n,)
        which = torch.randint(SHOWN, (n, 1), generator=chance)
        among = shown.gather(1, which)[:, 0]  # (n,)
        bursts = torch.rand(n, generator=chance) < self.bursty
        asked = torch.where(bursts, among, alone)  # (n,)
        pictures = _pictures(prototypes[shown], chance), labels[shown]
        return *pictures, _pictures(prototypes[asked], chance), labels[asked]

    def from_weights(self, n: int, chance: torch.Generator, *, evenly: bool = False):
        """Prompts whose answer only the weights can know: neither class nor label is shown.

        evenly : ask for rare classes as often as for frequent ones.
        """
        prototypes, labels, seen = self._tables()
        if evenly:
            seen = torch.ones_like(seen)
        asked = seen.multinomial(n, True, generator=chance)  # (n,)
        right = labels[asked]  # (n,)
        shown = torch.randint(self.classes, (n, SHOWN), generator=chance)
        given = labels[shown]  # (n, SHOWN)
        given = torch.where(given == right[:, None], (given + 1) % LABELS, given)
        same = shown == asked[:, None]
        other = torch.where(same, (shown + 1) % self.classes, shown)
        pictures = _pictures(prototypes[other], chance)
        return pictures, given, _pictures(prototypes[asked], chance), right


def from_prompt(n: int, chance: torch.Generator) -> tuple[Tensor, ...]:
    """Prompts whose answer only the prompt can know: new classes, with labels at random."""
    prototypes = torch.randn(n, SHOWN, PIXELS, generator=chance) / math.sqrt(PIXELS)
    labels = torch.rand(n, LABELS, generator=chance).argsort(1)[:, :SHOWN]  # different ones
    which = torch.randint(SHOWN, (n, 1), generator=chance)
    asked = prototypes[torch.arange(n), which[:, 0]]  # (n, PIXELS)
    right = labels.gather(1, which)[:, 0]  # (n,)
    return _pictures(prototypes, chance), labels, _pictures(asked, chance), right


def _pictures(prototypes: Tensor, chance: torch.Generator) -> Tensor:
    """A picture of each class: its prototype and some noise, at the same mean size."""
    noise = torch.randn(prototypes.shape, generator=chance) / math.sqrt(PIXELS)
    return (prototypes + BLUR * noise) / math.sqrt(1 + BLUR**2)


@torch.no_grad()
def share_right(model: Labeller, prompts: tuple[Tensor, ...]) -> float:
    """How many of the prompts get the right answer."""
    *shown, right = prompts
    return float((model.predict(*shown).argmax(-1) == right).float().mean())


# ---- one run -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Labels:
    """A labeller: what its training prompts are like; see `Album`.

    Its result, at each moment: the share of right answers that only the prompt can give
    (``prompt``), that only the weights can give (``weights``; ``evenly`` over all classes), and on
    prompts like those of its training (``training``).
    """

    bursty: float = 1.0
    classes: int = 1024
    zipf: float = 0.0
    seed: int = 0

    def model(self) -> Labeller:
        generator(self.seed, "global")
        return Labeller()

    def album(self) -> Album:
        return Album(self.classes, self.bursty, self.zipf, self.seed)

    def draw(self) -> Callable[[int], tuple[Tensor, ...]]:
        chance = generator(500 + self.seed, "torch")
        return lambda n: self.album().prompts(n, chance)


def label_dials(seed: int) -> list[Labels]:
    """One dial is moved at a time, away from bursty 1 and 1,024 classes, or from bursty 0.9."""
    bursty = [Labels(bursty=b, seed=seed) for b in (0.0, 0.5, 0.75, 0.9, 1.0)]
    classes = [Labels(classes=c, seed=seed) for c in (16, 32, 64, 128, 256, 512)]
    zipf = [Labels(bursty=0.9, zipf=z, seed=seed) for z in (0.5, 1.0, 1.5)]
    return bursty + classes + zipf


def measured_labeller(one: Labels, model: nn.Module, rows: int) -> dict[str, float]:
    """The shares of right answers."""
    assert isinstance(model, Labeller)
    where = model.say.weight.device
    album = one.album()
    chances = [generator(TEST + 10 * one.seed + j, "torch") for j in range(4)]
    tests = {
        "prompt": from_prompt(rows, chances[0]),
        "weights": album.from_weights(rows, chances[1]),
        "evenly": album.from_weights(rows, chances[2], evenly=True),
        "training": album.prompts(rows, chances[3]),
    }
    found = {}
    for name, prompts in tests.items():
        found[name] = round(share_right(model, tuple(part.to(where) for part in prompts)), 4)
    return found
