"""Attention, a linear recurrence and short convolutions, and models that are made of them.

Many networks are computed at once: every tensor has a leading dimension of M networks, and all
parameters of a network stand in one vector. A GPU takes hardly longer for twenty networks of this
size than for one.

Shapes: M networks, B texts, T positions, H heads, C = d_model, K = d_key, D = C / H, P pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from utils.models.gpt import rotary_tables, rotate
from utils.runtime import generator
from utils.validate import integer, require

# What a letter stands for: what one layer moves between positions, its mixer. A small letter has no
# convolution.
LAYERS = {
    "a": "attention",
    "A": "attention behind a convolution",
    "N": "attention behind a convolution, without positions and with keys of width d_key",
    "r": "recurrence",
    "R": "recurrence behind a convolution",
}
CONV_WIDTH = 3  # positions: the one before the last, the last, and this one
ROPE_THETA = 10_000.0


@dataclass(frozen=True)
class Shape:
    """What a network is made of. Raises ``ValueError`` for a number that is out of its range.

    mixer: a letter of `LAYERS` for each layer. d_key: width of a recurrent head's keys, so that its
    state holds d_key times d_head numbers. n_symbols: how many keys there are, and how many values.
    """

    mixer: str
    d_key: int = 16
    n_symbols: int = 32
    d_model: int = 64
    d_ff: int = 128
    n_head: int = 4

    def __post_init__(self) -> None:
        known = set(self.mixer) <= LAYERS.keys() and len(self.mixer) > 0
        require(known, "mixer", f"made of the letters {', '.join(LAYERS)}", self.mixer)
        for name in ("d_key", "n_symbols", "d_ff", "n_head"):
            integer(name, getattr(self, name), 1)
        multiple = 2 * self.n_head
        allowed = f"a multiple of 2 n_head = {multiple}"
        require(self.d_model % multiple == 0, "d_model", allowed, self.d_model)

    @property
    def d_head(self) -> int:
        """Width of one head's values, and of attention's keys."""
        return self.d_model // self.n_head

    def parameters(self) -> dict[str, tuple[int, ...]]:
        """The shape of each parameter, by name.

        Where a mixer needs fewer than attention, the feed-forward part gets the rest.
        """
        C, H = self.d_model, self.n_head
        vocab = 2 * self.n_symbols
        sizes: dict[str, tuple[int, ...]] = {"embedding": (vocab, C)}
        for i, letter in enumerate(self.mixer):
            width_k = H * (self.d_key if letter in "NrR" else self.d_head)  # of all heads' keys
            width = 2 * width_k + C  # queries, keys and values side by side
            sizes[f"{i}.qkv"] = (C, width)
            if letter in "ANR":
                sizes[f"{i}.conv"] = (CONV_WIDTH, width)
            if letter in "rR":
                sizes[f"{i}.decay"] = (H, 1)
            spare = C * (3 * C - width)
            d_ff = max(1, self.d_ff + round(spare / (2 * C)))
            sizes[f"{i}.out"] = (C, C)
            sizes[f"{i}.up"] = (C, d_ff)
            sizes[f"{i}.down"] = (d_ff, C)
        sizes["head"] = (C, vocab)
        return sizes

    def n_parameters(self) -> int:
        """Trainable numbers of one network.

        >>> [Shape(mixer).n_parameters() for mixer in ("aa", "AA", "RR", "Ra")]
        [73728, 74880, 74888, 74308]
        >>> Shape("RR", d_key=2).n_parameters()
        74216
        """
        return sum(math.prod(shape) for shape in self.parameters().values())

    def n_state(self) -> int:
        """Numbers that the recurrent layers carry from one position to the next, all together.

        >>> Shape("RR").n_state()  # two layers of four heads with 16 x 16 numbers
        2048
        """
        n_recurrent = sum(letter in "rR" for letter in self.mixer)
        return n_recurrent * self.n_head * self.d_key * self.d_head

    def n_cached(self, T: int) -> int:
        """Keys and values that the attention layers keep after ``T`` positions, all together.

        >>> Shape("Ra").n_cached(T=48)  # one layer, 48 positions, a key and a value of 64 numbers
        6144
        """
        per_position = 0
        for letter in self.mixer:
            if letter in "aA":
                per_position += 2 * self.d_model
            elif letter == "N":
                per_position += self.n_head * self.d_key + self.d_model
        return T * per_position


# ---- the task ------------------------------------------------------------------------------------


def draw_texts(n: int, pairs: int, n_symbols: int, chance: torch.Generator) -> Tensor:
    """Texts of ``pairs`` pairs and as many questions with their answers: (n, 4 · pairs) token ids.

    Tokens below ``n_symbols`` are keys, the others values. The keys of a text all differ; values
    are drawn freely, and the keys are asked in a random order.
    """
    where = chance.device
    order = torch.rand(n, n_symbols, generator=chance, device=where).argsort(1)
    keys = order[:, :pairs]  # (n, P)
    values = torch.randint(n_symbols, (n, pairs), generator=chance, device=where) + n_symbols
    asked = torch.rand(n, pairs, generator=chance, device=where).argsort(1)
    shown = torch.stack([keys, values], dim=2)  # (n, P, 2)
    questions = torch.stack([keys.gather(1, asked), values.gather(1, asked)], dim=2)
    return torch.cat([shown.flatten(1), questions.flatten(1)], dim=1)  # (n, 4P)


# ---- the mixers ----------------------------------------------------------------------------------


@cache
def positions(T: int, d_head: int, where: torch.device) -> tuple[Tensor, Tensor]:
    """The tables for rotary positions, (T, D/2) each, on the device that needs them."""
    cos, sin = rotary_tables(T, d_head, ROPE_THETA)
    return cos.to(where), sin.to(where)


def attend(q: Tensor, k: Tensor, v: Tensor, rotary: bool) -> Tensor:
    """Causal softmax attention: q and k (M, B, H, T, K), v (M, B, H, T, D), to (M, B, H, T, D)."""
    if rotary:
        cos, sin = positions(q.shape[-2], q.shape[-1], q.device)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
    # The kernel wants four dimensions: the networks and their texts become one.
    q, k, flat_v = q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)
    y = F.scaled_dot_product_attention(q, k, flat_v, is_causal=True)
    return y.view(v.shape)


def remember(q: Tensor, k: Tensor, v: Tensor, decay: Tensor) -> Tensor:
    """A linear recurrence, in one go: q and k (…, T, K), v (…, T, D), to (…, T, D).

    The state S (K, D) of a head starts at zero. At each position S = decay · S + k vᵀ, and the
    result is q S. Written out, position t takes the value of each position s up to t, with the
    weight decay^(t − s) q_t · k_s. decay: (…, 1, 1), between 0 and 1.
    """
    T = q.shape[-2]
    position = torch.arange(T, device=q.device)
    gap = position[:, None] - position  # (T, T), negative for positions yet to come
    weight = decay ** gap.clamp(min=0)  # (…, T, T)
    weight = weight.tril()
    return (q @ k.transpose(-1, -2) * weight) @ v  # (…, T, D)


def convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """A causal convolution, each channel on its own: (M, B, T, W) and (M, CONV_WIDTH, W).

    The kernel's last row weighs the position itself, the one before it the position before, …
    """
    T = x.shape[2]
    padded = F.pad(x, (0, 0, CONV_WIDTH - 1, 0))  # zeros before the text begins
    total = torch.zeros_like(x)
    for j in range(CONV_WIDTH):
        total = total + padded[:, :, j : j + T] * kernel[:, None, j : j + 1]
    return total  # (M, B, T, W)


# ---- the model -----------------------------------------------------------------------------------


def initial(shape: Shape, seed: int, head_start: bool = False, outputs: float = 0.0) -> Tensor:
    """All parameters of one network, one after the other.

    As in `utils.models.gpt`, what is added to the residual stream starts at zero, and matrices keep
    the size of what goes through them. A convolution starts as "this position", a little disturbed.

    outputs: the size with which the matrices that write into the stream begin, as a share of that
    of the other matrices.

    head_start: let queries begin as keys do, and the keys' convolution as "the position before", so
    that a layer looks for what stood behind an earlier copy of its token from the first step on.
    """
    chance = generator(seed, "torch")
    parts = []
    for name, size in shape.parameters().items():
        kind = name.split(".")[-1]
        drawn = torch.randn(size, generator=chance)
        if kind in ("out", "down"):
            drawn = outputs * drawn / math.sqrt(size[0])
        elif kind == "decay":
            drawn = torch.linspace(2.0, 6.0, shape.n_head)[:, None]  # sigmoids of .88 to .998
        elif kind == "conv":
            drawn = 0.02 * drawn
            drawn[-1] += 1.0
            if head_start:
                keys = key_columns(size[1], shape.d_model)
                drawn[-1, keys] -= 1.0
                drawn[-2, keys] += 1.0
        elif kind == "embedding":
            drawn = 2 * drawn / math.sqrt(shape.d_model)
        else:
            drawn = drawn / math.sqrt(size[0])
            if head_start and kind == "qkv":
                keys = key_columns(size[1], shape.d_model)
                drawn[:, keys] = drawn[:, : keys.start]
        parts.append(drawn.flatten())
    return torch.cat(parts)


def key_columns(width: int, d_model: int) -> slice:
    """Which of the columns of queries, keys and values are keys."""
    width_k = (width - d_model) // 2
    return slice(width_k, 2 * width_k)


def named(flat: Tensor, shape: Shape) -> dict[str, Tensor]:
    """The parameters of M networks (M, all) as tensors (M, …) by name: views, nothing is copied."""
    sizes = shape.parameters()
    pieces = flat.split([math.prod(size) for size in sizes.values()], dim=1)
    found = {}
    for (name, size), piece in zip(sizes.items(), pieces, strict=True):
        found[name] = piece.view(len(flat), *size)
    return found


def normalised(x: Tensor) -> Tensor:
    """Divided by the root of the mean square over the last dimension."""
    return F.rms_norm(x, x.shape[-1:])


def mix(p: dict[str, Tensor], i: int, shape: Shape, x: Tensor) -> Tensor:
    """What layer ``i`` moves between positions: (M, B, T, C) to (M, B, T, C)."""
    letter = shape.mixer[i]
    C = shape.d_model
    qkv = x @ p[f"{i}.qkv"][:, None]  # (M, B, T, 2HK + C)
    if letter in "ANR":
        qkv = convolve(qkv, p[f"{i}.conv"])
    width_k = (qkv.shape[-1] - C) // 2
    parts = qkv.split([width_k, width_k, C], dim=-1)
    heads = [part.unflatten(-1, (shape.n_head, -1)).transpose(2, 3) for part in parts]
    q, k, v = heads  # (M, B, H, T, K) twice, (M, B, H, T, D)
    if letter in "aAN":
        y = attend(q, k, v, rotary=letter != "N")
    else:
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        decay = p[f"{i}.decay"].sigmoid()  # (M, H, 1)
        y = normalised(remember(q, k, v, decay[:, None, :, :, None]))
    y = y.transpose(2, 3).flatten(3)  # (M, B, T, C)
    return y @ p[f"{i}.out"][:, None]


def answers(flat: Tensor, shape: Shape, texts: Tensor, pairs: int) -> Tensor:
    """Logits at the positions of the questions: texts (M, B, T) to (M, B, P, vocabulary).

    flat: the parameters of M networks. texts: of `draw_texts`, with or without the last answer.
    """
    p = named(flat, shape)
    M, B, T = texts.shape
    ids = texts.flatten(1)[:, :, None].expand(-1, -1, shape.d_model)
    x = p["embedding"].gather(1, ids)  # (M, B · T, C)
    x = x.view(M, B, T, -1)
    for i in range(len(shape.mixer)):
        x = x + mix(p, i, shape, normalised(x))
        hidden = F.gelu(normalised(x) @ p[f"{i}.up"][:, None])  # (M, B, T, d_ff)
        x = x + hidden @ p[f"{i}.down"][:, None]
    asked = normalised(x[:, :, 2 * pairs :: 2])  # (M, B, P, C)
    return asked @ p["head"][:, None]
