"""What connects images with captions: two encoders, rivals with labels, and a layer that is added.

Shapes: B images or captions, T tokens of a caption, H heads of width D. All vectors have `WIDTH`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.applications.captioned_digits import (
    DIGITS,
    LENGTH,
    N_COMPOSITIONS,
    PARTS,
    START,
    TEMPLATES,
    WORD_ID,
    WORDS,
    World,
    caption,
    encode,
    parts_of,
)
from utils.models.config import GPTConfig
from utils.models.gpt import GPT
from utils.validate import choice

WIDTH = 64  # of both encoders, of their common space, and of the language model
PROMPTS = ("word", "one caption", "all captions")
CELLS = 16  # parts of an image that attention can choose between, in 4 rows of 4


# ---- two encoders, and rivals that learn from labels ---------------------------------------------


class ImageEncoder(nn.Module):
    """Two convolutions, then one vector of length 1 for the whole image: (B, WIDTH)."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.out = nn.Linear(WIDTH * CELLS, WIDTH)

    def cells(self, images: Tensor) -> Tensor:
        """What the convolutions find in each part of the image, (B, CELLS, WIDTH)."""
        found = self.convolutions(images)  # (B, WIDTH, 4, 4)
        return found.flatten(2).transpose(1, 2)

    def forward(self, images: Tensor) -> Tensor:
        vector = self.out(self.convolutions(images).flatten(1))  # (B, WIDTH)
        return F.normalize(vector, dim=-1)


class TextEncoder(nn.Module):
    """A transformer of one layer; the last position stands for the caption: (B, WIDTH).

    bag: add up one vector per word instead, in whatever order they come.
    """

    def __init__(self, bag: bool = False) -> None:
        super().__init__()
        self.bag = bag
        self.gpt = GPT(language_config(n_layer=1))
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.gpt.tok(ids).mean(1) if self.bag else hidden(self.gpt, ids)[:, -1]  # (B, WIDTH)
        return F.normalize(self.out(x), dim=-1)


def language_config(n_layer: int) -> GPTConfig:
    """The shape of a model of captions."""
    return GPTConfig(
        "gpt2", len(WORDS), LENGTH, n_layer=n_layer, n_head=4, d_model=WIDTH, d_ff=2 * WIDTH
    )


def hidden(
    gpt: GPT,
    ids: Tensor,
    layer: nn.Module | None = None,
    cells: Tensor | None = None,
    before: int = -1,
) -> Tensor:
    """What a GPT-2-style model computes in front of its head, (B, T, WIDTH).

    layer: one more layer, ``layer(x, cells)``, in front of the model's own block ``before``, by
    default the last one.
    """
    assert gpt.pos is not None
    x = gpt.tok(ids) + gpt.pos.weight[: ids.shape[1]]  # (B, T, WIDTH)
    for i, block in enumerate(gpt.blocks):
        if layer is not None and i == before % len(gpt.blocks):
            x = layer(x, cells)
        x = block(x, None, None)
    return gpt.norm(x)


class TwoEncoders(nn.Module):
    """One space for images and captions; ``forward`` gives the score of each with each."""

    def __init__(self, bag: bool = False) -> None:
        super().__init__()
        self.image = ImageEncoder()
        self.text = TextEncoder(bag)
        self.log_scale = nn.Parameter(torch.tensor(1 / 0.07).log())  # the start in CLIP

    def forward(self, images: Tensor, captions: Tensor) -> Tensor:
        """Scores (images, captions): the cosine of the two vectors, times a learned scale."""
        cosines = self.image(images) @ self.text(captions).T
        return self.log_scale.exp().clamp(max=100) * cosines


def contrastive_loss(scores: Tensor) -> Tensor:
    """Each image must find its caption among the batch's, and each caption its image: ().

    scores: (B, B), of image i with caption j; the pairs stand on the diagonal.
    """
    pairs = torch.arange(len(scores))
    find_caption = F.cross_entropy(scores, pairs)
    find_image = F.cross_entropy(scores.T, pairs)
    return (find_caption + find_image) / 2


class Labelled(nn.Module):
    """The same image encoder, and a classifier of about as many numbers as the text encoder.

    heads: one classifier per part, 10 + 2 + 4 + 2 numbers; otherwise one of 160 classes.
    """

    def __init__(self, heads: bool) -> None:
        super().__init__()
        self.heads = heads
        n_out = sum(map(len, PARTS)) if heads else N_COMPOSITIONS
        n_hidden = sum(p.numel() for p in TextEncoder().parameters()) // (WIDTH + n_out + 1)
        self.image = ImageEncoder()
        self.top = nn.Sequential(nn.Linear(WIDTH, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_out))

    def forward(self, images: Tensor) -> Tensor:
        """Log-probability of each composition, (B, 160)."""
        logits = self.top(8 * self.image(images))  # (B, n_out)
        if not self.heads:
            return logits.log_softmax(-1)
        sizes = [len(words) for words in PARTS]
        parts = [part.log_softmax(-1) for part in logits.split(sizes, dim=-1)]
        codes = parts_of(torch.arange(N_COMPOSITIONS))  # (160, 4)
        return torch.stack([p[:, codes[:, k]] for k, p in enumerate(parts)]).sum(0)


# ---- a language model that is shown images -------------------------------------------------------


class GatedCrossAttention(nn.Module):
    """Every word takes from the image's cells what it asks for, times tanh of a gate.

    The gate starts at 0, and the layer then changes nothing. n_inner: width of the attention.
    """

    def __init__(self, n_inner: int = WIDTH, n_head: int = 4) -> None:
        super().__init__()
        self.n_head = n_head
        self.norm = nn.LayerNorm(WIDTH)
        self.cell_norm = nn.LayerNorm(WIDTH)
        self.cell_place = nn.Parameter(0.1 * torch.randn(CELLS, WIDTH))
        self.query = nn.Linear(WIDTH, n_inner)
        self.key_value = nn.Linear(WIDTH, 2 * n_inner)
        self.out = nn.Linear(n_inner, WIDTH)
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, cells: Tensor) -> Tensor:
        """x: (B, T, WIDTH), cells: (B, CELLS, WIDTH); returns (B, T, WIDTH)."""
        cells = self.cell_norm(cells) + self.cell_place
        q = self.query(self.norm(x)).unflatten(-1, (self.n_head, -1))  # (B, T, H, D)
        k, v = self.key_value(cells).unflatten(-1, (2, self.n_head, -1)).unbind(2)
        y = F.scaled_dot_product_attention(*(z.transpose(1, 2) for z in (q, k, v)))
        y = y.transpose(1, 2).flatten(2)  # (B, T, n_inner)
        return x + self.gate.tanh() * self.out(y)


@torch.no_grad()
def write(gpt: GPT, layer: nn.Module | None, cells: Tensor, before: int = -1) -> Tensor:
    """The caption of each image (B, CELLS, WIDTH), the likeliest word each time: (B, LENGTH).

    Without a ``layer`` the model sees no image, and writes the same caption B times.
    """
    ids = torch.full((len(cells), 1), START)
    for _ in range(LENGTH - 1):
        last = hidden(gpt, ids, layer, cells, before)[:, -1]  # (B, WIDTH)
        ids = torch.cat([ids, gpt.head(last).argmax(-1, keepdim=True)], dim=1)
    return ids


def parts_right(ids: Tensor, codes: Tensor) -> Tensor:
    """Whether captions (n, T) say the right word, and no other, of each part: bool (n, 4)."""
    right = []
    for words, part in zip(PARTS, parts_of(codes).T, strict=True):
        word_ids = torch.tensor([WORD_ID[word] for word in words])
        said = (ids[:, :, None] == word_ids).any(1)  # (n, words)
        wanted = F.one_hot(part, len(words)).bool()  # (n, words)
        right.append((said == wanted).all(1))
    return torch.stack(right, dim=1)


# ---- measuring -----------------------------------------------------------------------------------


def several(codes: Tensor, n: int) -> Tensor:
    """About ``n`` compositions, each of ``codes`` equally often."""
    return codes.repeat(math.ceil(n / len(codes)))


@torch.no_grad()
def name_images(
    world: World, model: TwoEncoders | Labelled, codes: Tensor, rng: torch.Generator
) -> Tensor:
    """Which of the 160 compositions the model takes a test image of each of ``codes`` for, (n,)."""
    images = world.images(codes, rng, test=True)
    if isinstance(model, Labelled):
        return model(images).argmax(1)
    captions = world.texts(torch.arange(N_COMPOSITIONS), rng)  # one caption of each
    return model(images, captions).argmax(1)


@torch.no_grad()
def find_images(world: World, model: TwoEncoders, codes: Tensor, rng: torch.Generator) -> Tensor:
    """Which composition the image shows that the model finds for a caption of ``codes``, (n,).

    The gallery holds one test image of each of the 160 compositions.
    """
    gallery = world.images(torch.arange(N_COMPOSITIONS), rng, test=True)
    return model(gallery, world.texts(codes, rng)).argmax(0)


@torch.no_grad()
def digit_by_prompts(model: TwoEncoders, images: Tensor, prompts: list[list[str]]) -> Tensor:
    """Which digit each image shows, by the captions written for each of the ten: (n,)."""
    classes = []
    for texts in prompts:
        vectors = model.text(torch.tensor([encode(text) for text in texts]))  # (texts, WIDTH)
        classes.append(F.normalize(vectors.mean(0), dim=0))
    return (model.image(images) @ torch.stack(classes).T).argmax(1)


def prompts_of(style: str) -> list[list[str]]:
    """Captions for each of the ten digits: "word", "one caption" or "all captions" of the digit."""
    choice("style", style, PROMPTS)
    rows = []
    for digit, name in enumerate(DIGITS):
        captions = [f"a {name}"]
        if style != "word":
            codes = range(16 * digit, 16 * digit + 16)
            captions = [caption(code, k) for code in codes for k in range(len(TEMPLATES))]
        rows.append(captions[:1] if style == "one caption" else captions)
    return rows
