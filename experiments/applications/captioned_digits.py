"""A small world of images and captions: handwritten digits, drawn in 16 ways each.

It has 160 compositions: ten digits, thin or thick, at one of four places of a 16 × 16 image,
upright or turned by a right angle. Some compositions are *held out*: no image of them is trained
on. The digits of the test images are never trained on either. A composition's code is
16 · digit + 8 · stroke + 2 · place + turn.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from utils.data.labelled import N_DIGITS
from utils.runtime import generator
from utils.validate import integer, require

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
STROKES = ("thin", "thick")
PLACES = ("left", "right", "top", "bottom")
TURNS = ("upright", "turned")
PARTS = (DIGITS, STROKES, PLACES, TURNS)
N_COMPOSITIONS = 160
TEMPLATES = (
    "a {stroke} {turn} {digit} at the {place}",
    "at the {place} is a {stroke} {turn} {digit}",
    "the image shows a {digit} , {turn} and {stroke} , at the {place}",
    "this {digit} is {stroke} and {turn} and stands at the {place}",
)
START, END = 0, 1
FRAME = ("a", "at", "the", "is", "image", "shows", ",", "and", "this", "stands")
WORDS = ("<start>", "<end>", *FRAME, *DIGITS, *STROKES, *PLACES, *TURNS)
WORD_ID = {word: i for i, word in enumerate(WORDS)}
LENGTH = 15  # tokens of a caption with both ends; what is left is filled with END
N_TRAIN = 1300  # digits that may be trained on; the other 497 are for tests


# ---- the world: compositions, captions, images ---------------------------------------------------


def parts_of(codes: Tensor) -> Tensor:
    """The digit, stroke, place and turn of compositions (n,), as numbers (n, 4).

    >>> parts_of(torch.tensor([0, 159])).tolist()
    [[0, 0, 0, 0], [9, 1, 3, 1]]
    """
    return torch.stack([codes // 16, codes // 8 % 2, codes // 2 % 4, codes % 2], dim=-1)


def caption(code: int, template: int = 0) -> str:
    """One of the four captions of a composition.

    >>> caption(7 * 16 + 8 + 1)
    'a thick turned seven at the left'
    """
    names = [
        words[i] for words, i in zip(PARTS, parts_of(torch.tensor(code)).tolist(), strict=True)
    ]
    fields = dict(zip(("digit", "stroke", "place", "turn"), names, strict=True))
    return TEMPLATES[template].format(**fields)


def encode(text: str) -> list[int]:
    """A caption as `LENGTH` token ids, from START through END to the filling."""
    ids = [START, *(WORD_ID[word] for word in text.split()), END]
    return ids + [END] * (LENGTH - len(ids))


def all_captions() -> Tensor:
    """Every caption of every composition, (160, 4, LENGTH)."""
    rows = []
    for code in range(N_COMPOSITIONS):
        rows.append([encode(caption(code, template)) for template in range(len(TEMPLATES))])
    return torch.tensor(rows)


def draw_images(digits: Tensor) -> Tensor:
    """Every digit (n, 8, 8) in all 16 variants of stroke, place and turn: (n, 16, 16, 16)."""
    images = digits.new_zeros(len(digits), 16, 16, 16)
    corners = ((4, 0), (4, 8), (0, 4), (8, 4))  # first row and column of each place
    thick = F.max_pool2d(digits[:, None], 2, stride=1, padding=1)[:, 0, :8, :8]  # (n, 8, 8)
    for variant, (_, stroke, place, turn) in enumerate(parts_of(torch.arange(16)).tolist()):
        shape = thick if stroke else digits
        if turn:
            shape = torch.rot90(shape, 1, dims=(1, 2))
        row, column = corners[place]
        images[:, variant, row : row + 8, column : column + 8] = shape
    return images


@dataclass(frozen=True)
class World:
    """Images, captions, and which compositions are held out, all drawn from one seed.

    train, test: images (n, 16, 16, 16), the variants of each digit, sorted by digit.
    counts: how many images each digit has in them, (10,) each.
    captions: (160, 4, LENGTH). seen, held: compositions, (n_seen,) and (n_held,).
    """

    train: Tensor
    test: Tensor
    train_counts: Tensor
    test_counts: Tensor
    captions: Tensor
    seen: Tensor
    held: Tensor

    def images(self, codes: Tensor, rng: torch.Generator, *, test: bool = False) -> Tensor:
        """An image of each composition (n,), of a digit drawn at random: (n, 1, 16, 16)."""
        images, counts = self.train, self.train_counts
        if test:
            images, counts = self.test, self.test_counts
        digit = codes // 16  # (n,)
        first = counts.cumsum(0) - counts  # (10,)
        place = torch.rand(len(codes), generator=rng) * counts[digit]  # (n,)
        chosen = images[first[digit] + place.long(), codes % 16]  # (n, 16, 16)
        return chosen[:, None]

    def texts(self, codes: Tensor, rng: torch.Generator) -> Tensor:
        """A caption of each composition (n,), of a template drawn at random: (n, LENGTH)."""
        template = torch.randint(len(TEMPLATES), (len(codes),), generator=rng)
        return self.captions[codes, template]

    def batch(self, size: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """``size`` different compositions that are seen, (size,), and an image of each."""
        order = torch.randperm(len(self.seen), generator=rng)[:size]
        codes = self.seen[order]
        return codes, self.images(codes, rng)


def make_world(
    seed: int, held_out: int = 40, n_train: int = N_TRAIN, without: int | None = None
) -> World:
    """The world of a seed: which digits are for tests, and which compositions are held out.

    n_train: digits to train on, of the `N_TRAIN`. The test digits do not depend on it.
    without: hold out all 16 compositions of this digit instead.
    """
    from sklearn.datasets import load_digits

    integer("held_out", held_out, 1, N_COMPOSITIONS - 1)
    integer("n_train", n_train, 10, N_TRAIN)
    pixels, labels = load_digits(return_X_y=True)
    digits = torch.tensor(pixels / 16, dtype=torch.float32).view(N_DIGITS, 8, 8)
    label = torch.tensor(labels)

    rng = generator(seed, "torch")
    order = torch.randperm(N_DIGITS, generator=rng)
    compositions = torch.randperm(N_COMPOSITIONS, generator=rng)
    train = order[:n_train]
    test = order[N_TRAIN:]
    train = train[label[train].argsort(stable=True)]
    test = test[label[test].argsort(stable=True)]
    train_counts = label[train].bincount(minlength=10)  # (10,)
    require(bool((train_counts > 0).all()), "n_train", "enough for all ten digits", n_train)
    held = compositions[:held_out].sort().values
    seen = compositions[held_out:].sort().values
    if without is not None:
        codes = torch.arange(N_COMPOSITIONS)
        held, seen = codes[codes // 16 == without], codes[codes // 16 != without]
    return World(
        train=draw_images(digits[train]),
        test=draw_images(digits[test]),
        train_counts=train_counts,
        test_counts=label[test].bincount(minlength=10),
        captions=all_captions(),
        seen=seen,
        held=held,
    )
