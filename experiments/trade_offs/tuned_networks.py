"""Small networks with every knob against overfitting, trained side by side on digits.

A network has one hidden layer. Each has its own setting: size, weight decay, dropout, shifts of the
images, learning rate and batch size. Those of the same shapes share every operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from utils.data.labelled import digits
from utils.runtime import generator
from utils.training.ensembles.batch import BETA1, BETA2, EPS, initial_parameters, n_parameters

N_TRAIN, N_VAL, N_FRESH, N_TEST = 400, 200, 597, 600
EXAMPLES = 40_960  # images that a run sees, one after the other: about a hundred passes
MOMENTS = 20  # how often a run is measured
BATCHES = (32, 64, 256)
STEP_OF_EXAMPLES = 5_120  # examples are a multiple: whole batches between two moments
KNOBS = ("size", "weight decay", "dropout", "shifts", "step")


@dataclass(frozen=True)
class Setting:
    """One position of every knob; the defaults are those of somebody who turns none.

    width : hidden units. decay : weight decay, per unit of learning rate. dropout : the share of
    hidden units that are silenced. shifts : the probability that an image is moved by a pixel.
    rate, batch : learning rate and batch size, together the knob "step".
    """

    width: int = 128
    decay: float = 0.0
    dropout: float = 0.0
    shifts: float = 0.0
    rate: float = 0.002
    batch: int = 64


DEFAULT = Setting()


def draw(rng: np.random.Generator, knobs: Sequence[str] = KNOBS) -> Setting:
    """A setting with these knobs at random and the others at their defaults.

    All knobs are drawn whatever ``knobs`` says, so that one generator gives two arms the same
    positions of the knobs that both of them turn.

    >>> draw(generator(0), ["size"])
    Setting(width=256, decay=0.0, dropout=0.0, shifts=0.0, rate=0.002, batch=64)
    """
    size = {"width": int(2 ** rng.integers(3, 9))}  # 8 to 256
    decay = {"decay": 0.03 * 10 ** rng.uniform(0, 2.5)}  # 0.03 to 9.5
    dropout = {"dropout": rng.uniform(0, 0.9)}
    shifts = {"shifts": rng.uniform(0, 1)}
    rate = 0.0005 * 10 ** rng.uniform(0, 1.6)  # 0.0005 to 0.02
    step = {"rate": rate, "batch": BATCHES[rng.integers(len(BATCHES))]}
    chosen: dict[str, Any] = {}
    for knob, drawn in zip(KNOBS, (size, decay, dropout, shifts, step), strict=True):
        if knob in knobs:
            chosen |= drawn
    return Setting(**chosen)


def flops_of(width: int, examples: int, moments: int = MOMENTS) -> float:
    """What one run takes: 6 per parameter and image seen, 2 where it is only measured.

    >>> flops_of(128, 40_960)
    2438633600.0
    """
    n_params = n_parameters(width, n_features=64, n_classes=10)
    return float(n_params * (6 * examples + 2 * moments * N_VAL))


def draws(knobs: Sequence[str], budget: float, examples: int, seed: int) -> list[Setting]:
    """Settings drawn one after the other until the next would exceed the budget, in FLOPs."""
    rng = generator([seed, 1])
    found = []
    left = budget
    while True:
        setting = draw(rng, knobs)
        left -= flops_of(setting.width, examples)
        if left < 0:
            return found
        found.append(setting)


# ---- the data ------------------------------------------------------------------------------------


class Part(NamedTuple):
    """Images X (n, 64) and labels y (n,)."""

    X: Tensor
    y: Tensor


@dataclass(frozen=True)
class Parts:
    """One draw of the digits. Only the labels of ``test`` are all right."""

    train: Part
    val: Part
    fresh: Part
    test: Part


def parts_of(noise: float, seed: int, *, val_in_training: bool = False) -> Parts:
    """400 images to learn from, 200 to choose by, 597 like these, and 600 for the test.

    val_in_training : learn from the 200 images to choose by as well.
    """
    split = digits(N_TRAIN + N_VAL + N_FRESH, noise, seed)
    X, y = torch.tensor(split.x_train), torch.tensor(split.y_train)
    first = N_TRAIN + N_VAL if val_in_training else N_TRAIN
    train = Part(X[:first], y[:first])
    val = Part(X[N_TRAIN : N_TRAIN + N_VAL], y[N_TRAIN : N_TRAIN + N_VAL])
    fresh = Part(X[N_TRAIN + N_VAL :], y[N_TRAIN + N_VAL :])
    return Parts(train, val, fresh, Part(torch.tensor(split.x_test), torch.tensor(split.y_test)))


def nine_shifts(images: Tensor) -> Tensor:
    """All moves by −1, 0 or 1 pixels both ways: (n, 64) → (9, n, 64); number 4 moves nothing."""
    wide = pad(images.view(-1, 8, 8), (1, 1, 1, 1))
    moved = [wide[:, r : r + 8, c : c + 8] for r in range(3) for c in range(3)]
    return torch.stack(moved).view(9, *images.shape)


# ---- training ------------------------------------------------------------------------------------


class Tried(NamedTuple):
    """What was measured of C tries, in images misread, (moments, C) each.

    votes, votes_end : probabilities (C, 600, 10) of the test images, at the moment of the lowest
        ``val`` and at the end.
    """

    val: np.ndarray
    fresh: np.ndarray
    test: np.ndarray
    votes: np.ndarray
    votes_end: np.ndarray


def train(
    settings: Sequence[Setting], parts: Parts, examples: int, seed: int, moments: int = MOMENTS
) -> Tried:
    """Train a network with each of the settings; those of the same shapes train side by side.

    seed : of the batches; the weights of try i follow from the width and 1000·seed + i.
    """
    C = len(settings)
    val, fresh, test = (np.empty((moments, C), dtype=int) for _ in range(3))
    votes, votes_end = (np.empty((C, N_TEST, 10), dtype=np.float32) for _ in range(2))
    shapes = sorted({(setting.width, setting.batch) for setting in settings})
    for width, batch in shapes:
        own = [i for i, s in enumerate(settings) if (s.width, s.batch) == (width, batch)]
        starts = [1000 * seed + i for i in own]
        group = [settings[i] for i in own]
        found = _train_group(group, starts, parts, examples, moments)
        val[:, own], fresh[:, own], test[:, own] = found.val, found.fresh, found.test
        votes[own], votes_end[own] = found.votes, found.votes_end
    return Tried(val, fresh, test, votes, votes_end)


def _train_group(
    settings: list[Setting], starts: list[int], parts: Parts, examples: int, moments: int
) -> Tried:
    """Train C networks of one width and batch size, each with its own rate and remedies."""
    C, batch = len(settings), settings[0].batch
    net = _start(settings[0].width, starts)
    optimizer = AdamW(net, _column(settings, "rate"), _column(settings, "decay"))
    dropout, shifts = _column(settings, "dropout"), _column(settings, "shifts")
    moved = nine_shifts(parts.train.X)  # (9, n, 64)
    n = len(parts.train.y)
    rng = generator(starts[0], "torch")

    measured = []
    votes = torch.zeros(C, N_TEST, 10)
    lowest = torch.full((C,), N_VAL + 1)
    for step in range(1, examples // batch + 1):
        # A batch for each network, its images moved or not.
        chosen = torch.randint(0, n, (C, batch), generator=rng)
        move = torch.randint(0, 9, (C, batch), generator=rng)
        stays = torch.rand(C, batch, generator=rng) >= shifts[:, 0]
        move[stays] = 4
        x, y = moved[move, chosen], parts.train.y[chosen]  # (C, batch, 64), (C, batch)
        optimizer.step(net, gradient(net, x, y, dropout, rng))

        if step * batch % (examples // moments) == 0:
            row = [_misread(net, part) for part in (parts.val, parts.fresh, parts.test)]
            measured.append([wrong.numpy() for wrong in row])
            better = row[0] < lowest  # (C,)
            lowest = torch.where(better, row[0], lowest)
            votes[better] = torch.softmax(_scores(net, parts.test.X), 2)[better]
    votes_end = torch.softmax(_scores(net, parts.test.X), 2)  # (C, 600, 10)
    val, fresh, test = np.array(measured).transpose(1, 0, 2)  # (moments, C) each
    return Tried(val, fresh, test, votes.numpy(), votes_end.numpy())


def _start(width: int, starts: list[int]) -> list[Tensor]:
    """W1 (C, 64, H), b1 (C, 1, H), W2 (C, H, 10) and b2 (C, 1, 10)."""
    begins = [initial_parameters(width, start, n_features=64, n_classes=10) for start in starts]
    W1, b1, W2, b2 = (
        torch.stack([b[name].float() for b in begins]) for name in ("W1", "b1", "W2", "b2")
    )
    return [W1.mT.contiguous(), b1[:, None], W2.mT.contiguous(), b2[:, None]]


def _column(settings: list[Setting], name: str) -> Tensor:
    """One number of each setting, (C, 1, 1)."""
    return torch.tensor([float(getattr(setting, name)) for setting in settings]).view(-1, 1, 1)


def _scores(net: list[Tensor], X: Tensor) -> Tensor:
    """Outputs (C, n, 10) of every network for the same images (n, 64)."""
    W1, b1, W2, b2 = net
    hidden = torch.baddbmm(b1, X.expand(len(W1), -1, -1), W1).relu_()  # (C, n, H)
    return torch.baddbmm(b2, hidden, W2)


def _misread(net: list[Tensor], part: Part) -> Tensor:
    """How many images of a part each network misreads, (C,)."""
    return (_scores(net, part.X).argmax(2) != part.y).sum(1)


def gradient(
    net: list[Tensor], x: Tensor, y: Tensor, dropout: Tensor, rng: torch.Generator
) -> list[Tensor]:
    """The slope of every network's mean cross-entropy in its parameters, by hand.

    x : images (C, batch, 64). y : labels (C, batch). dropout : (C, 1, 1).
    """
    W1, b1, W2, b2 = net
    hidden = torch.baddbmm(b1, x, W1).relu_()  # (C, batch, H)
    kept = (torch.rand(hidden.shape, generator=rng) >= dropout) / (1 - dropout)
    hidden = hidden * kept  # the mean stays what it was
    scores = torch.baddbmm(b2, hidden, W2)  # (C, batch, 10)

    # The slope in the scores is (softmax − one-hot) / batch.
    slope = torch.softmax(scores, 2)
    slope.scatter_add_(2, y[..., None], torch.full((*y.shape, 1), -1.0))
    slope /= y.shape[1]
    g_hidden = torch.bmm(slope, W2.mT) * kept * (hidden > 0)  # (C, batch, H)
    g_W1, g_b1 = torch.bmm(x.mT, g_hidden), g_hidden.sum(1, keepdim=True)
    g_W2, g_b2 = torch.bmm(hidden.mT, slope), slope.sum(1, keepdim=True)
    return [g_W1, g_b1, g_W2, g_b2]


class AdamW:
    """AdamW (arXiv:1711.05101) with a rate and a decay of its own for each network, (C, 1, 1)."""

    def __init__(self, net: list[Tensor], rate: Tensor, decay: Tensor) -> None:
        self.rate, self.keep = rate, 1 - rate * decay
        self.mean = [torch.zeros_like(p) for p in net]
        self.square = [torch.zeros_like(p) for p in net]
        self.t = 0

    def step(self, net: list[Tensor], gradients: list[Tensor]) -> None:
        """Update the parameters in place."""
        self.t += 1
        for p, g, mean, square in zip(net, gradients, self.mean, self.square, strict=True):
            p.mul_(self.keep)
            mean.lerp_(g, 1 - BETA1)
            square.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
            size = (square / (1 - BETA2**self.t)).sqrt_().add_(EPS)
            p.sub_(self.rate * mean / (1 - BETA1**self.t) / size)
