"""The sizes of published language models, and of the course's own: where every count begins.

Building the book reads this file, so it needs neither torch nor NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from utils.validate import choice, integer, require


@dataclass(frozen=True)
class Shape:
    """The numbers that fix every count of `utils.models.budget`.

    style: "gpt2" has learned positions, LayerNorm, biases and two feed-forward matrices; "llama"
    has rotary positions, RMSNorm, no biases and three feed-forward matrices.
    n_kv_head: heads for keys and values; None means as many as ``n_head``.
    Raises ``ValueError`` when a number is out of range or the heads do not divide.
    """

    style: str
    n_layer: int
    d_model: int
    n_head: int
    d_ff: int
    vocab_size: int
    context_length: int
    n_kv_head: int | None = None
    tie_embeddings: bool = True

    def __post_init__(self) -> None:
        choice("style", self.style, ("gpt2", "llama"))
        for name in ("n_layer", "d_model", "n_head", "d_ff", "vocab_size", "context_length"):
            integer(name, getattr(self, name), 1)

        allowed = f"a divisor of d_model = {self.d_model}"
        require(self.d_model % self.n_head == 0, "n_head", allowed, self.n_head)

        n_kv_head = self.n_head
        if self.n_kv_head is not None:
            n_kv_head = integer("n_kv_head", self.n_kv_head, 1, self.n_head)
        allowed = f"a divisor of n_head = {self.n_head}"
        require(self.n_head % n_kv_head == 0, "n_kv_head", allowed, n_kv_head)

        tied = self.tie_embeddings
        require(isinstance(tied, bool), "tie_embeddings", "True or False", tied)

        # A frozen dataclass can fill in its own default only through object.
        object.__setattr__(self, "n_kv_head", n_kv_head)


class Preset(TypedDict):
    """A model to start from.

    published: the parameters of the released checkpoint, or the paper's rounded figure.
    tokens: how many it was trained on. Both are None where no source states them.
    """

    label: str
    shape: Shape
    published: float | None
    tokens: int | None


# Sizes: Radford et al. 2019 and the released checkpoint; Brown et al. 2020, table 2.1; Touvron et
# al. 2023; Llama Team 2024, table 3, and Meta's model cards. GPT-3 was never released: its
# "published" is the paper's figure.
PRESETS: dict[str, Preset] = {
    "course": {
        "label": "The course's own model",
        "shape": Shape(
            "llama",
            n_layer=6,
            d_model=256,
            n_head=4,
            d_ff=704,
            vocab_size=4096,
            context_length=256,
        ),
        "published": None,
        "tokens": None,
    },
    "gpt2": {
        "label": "GPT-2 (small)",
        "shape": Shape(
            "gpt2",
            n_layer=12,
            d_model=768,
            n_head=12,
            d_ff=3072,
            vocab_size=50_257,
            context_length=1024,
        ),
        "published": 124_439_808,
        "tokens": None,
    },
    "gpt2-xl": {
        "label": "GPT-2 XL",
        "shape": Shape(
            "gpt2",
            n_layer=48,
            d_model=1600,
            n_head=25,
            d_ff=6400,
            vocab_size=50_257,
            context_length=1024,
        ),
        "published": 1_557_611_200,
        "tokens": None,
    },
    "gpt3": {
        "label": "GPT-3",
        "shape": Shape(
            "gpt2",
            n_layer=96,
            d_model=12_288,
            n_head=96,
            d_ff=49_152,
            vocab_size=50_257,
            context_length=2048,
        ),
        "published": 175e9,
        "tokens": 300_000_000_000,
    },
    "llama2-7b": {
        "label": "Llama 2 7B",
        "shape": Shape(
            "llama",
            n_layer=32,
            d_model=4096,
            n_head=32,
            d_ff=11_008,
            vocab_size=32_000,
            context_length=4096,
            tie_embeddings=False,
        ),
        "published": 6_738_415_616,
        "tokens": 2_000_000_000_000,
    },
    "llama3-8b": {
        "label": "Llama 3 8B",
        "shape": Shape(
            "llama",
            n_layer=32,
            d_model=4096,
            n_head=32,
            n_kv_head=8,
            d_ff=14_336,
            vocab_size=128_256,
            context_length=8192,
            tie_embeddings=False,
        ),
        "published": 8_030_261_248,
        "tokens": 15_000_000_000_000,
    },
    "llama3-70b": {
        "label": "Llama 3 70B",
        "shape": Shape(
            "llama",
            n_layer=80,
            d_model=8192,
            n_head=64,
            n_kv_head=8,
            d_ff=28_672,
            vocab_size=128_256,
            context_length=8192,
            tie_embeddings=False,
        ),
        "published": 70_553_706_496,
        "tokens": 15_000_000_000_000,
    },
    "llama3.2-1b": {
        "label": "Llama 3.2 1B",
        "shape": Shape(
            "llama",
            n_layer=16,
            d_model=2048,
            n_head=32,
            n_kv_head=8,
            d_ff=8192,
            vocab_size=128_256,
            context_length=131_072,
        ),
        "published": 1_235_814_400,
        "tokens": 9_000_000_000_000,
    },
}
