"""The course's decoder-only transformer: GPT-2 style and Llama style from one configuration.

``GPT(GPTConfig(style="gpt2"))`` has learned positions, LayerNorm, GELU and biases (Radford et al. 2019);
``style="llama"`` has rotary positions, RMSNorm, SwiGLU and no biases (Touvron et al. 2023).
Weights go to and from ``transformers`` in `utils.models.interop`; `utils.training.loop` trains, `utils.sampling.generation`
draws text. Not here: dropout (one pass over the data needs none), sliding windows, rotary rescaling.

Shapes: B sequences, T positions, C = d_model, H query heads, G key-value heads, D = C / H, V = vocab_size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from utils.validate import choice, integer, number, require


@dataclass(frozen=True)
class GPTConfig:
    """What the architecture is. Raises ``ValueError`` for numbers out of range and heads that do not divide.

    ``n_kv_head`` (default ``n_head``) below ``n_head`` shares each key-value head among several query heads
    (Ainslie et al. 2023). ``d_ff`` defaults to 4 d_model for GPT-2 and, since SwiGLU has three matrices where
    GELU has two, to 8/3 d_model rounded up to a multiple of 32 for Llama.
    """

    style: str = "llama"
    vocab_size: int = 4096
    context_length: int = 256
    n_layer: int = 6
    n_head: int = 4
    d_model: int = 256
    n_kv_head: int | None = None
    d_ff: int | None = None
    tie_embeddings: bool = True
    norm_eps: float = 1e-5
    rope_theta: float = 10_000.0

    def __post_init__(self) -> None:
        choice("style", self.style, ("gpt2", "llama"))
        for name in ("vocab_size", "context_length", "n_layer", "n_head", "d_model"):
            integer(name, getattr(self, name), 1)
        step, named = (
            (2 * self.n_head, "2 n_head") if self.style == "llama" else (self.n_head, "n_head")
        )
        require(
            self.d_model % step == 0, "d_model", f"a multiple of {named} = {step}", self.d_model
        )
        d_ff = 4 * self.d_model if self.style == "gpt2" else -(-8 * self.d_model // 96) * 32
        object.__setattr__(
            self, "d_ff", integer("d_ff", d_ff if self.d_ff is None else self.d_ff, 1)
        )
        groups = self.n_head if self.n_kv_head is None else self.n_kv_head
        object.__setattr__(self, "n_kv_head", integer("n_kv_head", groups, 1, self.n_head))
        require(
            self.n_head % groups == 0, "n_kv_head", f"a divisor of n_head = {self.n_head}", groups
        )
        require(
            isinstance(self.tie_embeddings, bool),
            "tie_embeddings",
            "True or False",
            self.tie_embeddings,
        )
        number("norm_eps", self.norm_eps, 0.0, open_low=True)
        number("rope_theta", self.rope_theta, 1.0, open_low=True)

    @property
    def d_head(self) -> int:
        """Width of one head."""
        return self.d_model // self.n_head


class KVCache:
    """Keys and values of the positions seen so far: 2 · n_layer · B · G · context_length · D numbers."""

    def __init__(self, model: GPT, batch_size: int = 1) -> None:
        c = model.config
        shape = (
            c.n_layer,
            2,
            integer("batch_size", batch_size, 1),
            c.n_kv_head,
            c.context_length,
            c.d_head,
        )
        self.kv, self.length = model.tok.weight.new_zeros(shape), 0

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store this layer's k and v (B, G, T, D); return all up to now. ``GPT.forward`` moves ``length``."""
        end = self.length + k.shape[2]
        self.kv[layer, :, :, :, self.length : end] = torch.stack((k.detach(), v.detach()))
        return self.kv[layer, 0, :, :, :end], self.kv[layer, 1, :, :, :end]


def _norm(c: GPTConfig) -> nn.Module:
    return (
        nn.LayerNorm(c.d_model, c.norm_eps)
        if c.style == "gpt2"
        else nn.RMSNorm(c.d_model, c.norm_eps)
    )


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (i, i + D/2) of a head by angles that grow with position (Su et al. 2021): D is even."""
    left, right = x.chunk(2, dim=-1)  # (B, H, T, D/2) each
    return torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1)


class Attention(nn.Module):
    """Causal multi-head attention (Vaswani et al. 2017), with grouped key-value heads."""

    def __init__(self, c: GPTConfig, layer: int) -> None:
        super().__init__()
        self.c, self.layer, bias = c, layer, c.style == "gpt2"
        self.qkv = nn.Linear(c.d_model, (c.n_head + 2 * c.n_kv_head) * c.d_head, bias=bias)
        self.out = nn.Linear(c.d_model, c.d_model, bias=bias)

    def forward(
        self, x: Tensor, rope: tuple[Tensor, Tensor] | None, cache: KVCache | None
    ) -> Tensor:
        (B, T, C), c = x.shape, self.c
        heads = self.qkv(x).view(B, T, c.n_head + 2 * c.n_kv_head, c.d_head).transpose(1, 2)
        qk, v = heads.split(
            (c.n_head + c.n_kv_head, c.n_kv_head), dim=1
        )  # (B, H + G, T, D), (B, G, T, D)
        if rope is not None:
            qk = _rotate(qk, *(t.to(qk.dtype) for t in rope))
        q, k = qk.split((c.n_head, c.n_kv_head), dim=1)
        past, mask = 0 if cache is None else cache.length, None
        if cache is not None:
            k, v = cache.append(self.layer, k, v)  # (B, G, past + T, D)
        if past and T > 1:  # each new position sees the past and the new ones up to itself
            mask = x.new_ones(T, past + T, dtype=torch.bool).tril(past)
        if (times := c.n_head // c.n_kv_head) > 1:  # (B, H, past + T, D) each
            k, v = k.repeat_interleave(times, dim=1), v.repeat_interleave(times, dim=1)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=not past and T > 1)
        return self.out(y.transpose(1, 2).reshape(B, T, C))


class MLP(nn.Module):
    """GELU (tanh form) for GPT-2; SwiGLU (Shazeer 2020), gate and value in one matrix, for Llama."""

    def __init__(self, c: GPTConfig) -> None:
        super().__init__()
        self.gated, bias = c.style == "llama", c.style == "gpt2"
        self.up = nn.Linear(c.d_model, c.d_ff * (2 if self.gated else 1), bias=bias)
        self.down = nn.Linear(c.d_ff, c.d_model, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        h = self.up(x)  # (B, T, d_ff), twice as wide when gated
        if not self.gated:
            return self.down(F.gelu(h, approximate="tanh"))
        gate, value = h.chunk(2, dim=-1)  # (B, T, d_ff) each
        return self.down(F.silu(gate) * value)


class Block(nn.Module):
    """Attention, then the MLP, each reading a normalised residual stream and adding to it."""

    def __init__(self, c: GPTConfig, layer: int) -> None:
        super().__init__()
        self.norm1, self.attn, self.norm2, self.mlp = (
            _norm(c),
            Attention(c, layer),
            _norm(c),
            MLP(c),
        )

    def forward(
        self, x: Tensor, rope: tuple[Tensor, Tensor] | None, cache: KVCache | None
    ) -> Tensor:
        x = x + self.attn(self.norm1(x), rope, cache)
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    """Token ids (B, T) in, logits (B, T, V) out."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = c = config
        self.tok = nn.Embedding(c.vocab_size, c.d_model)
        self.pos = nn.Embedding(c.context_length, c.d_model) if c.style == "gpt2" else None
        self.blocks = nn.ModuleList(Block(c, layer) for layer in range(c.n_layer))
        self.norm, self.head = _norm(c), nn.Linear(c.d_model, c.vocab_size, bias=False)
        for name, p in self.named_parameters():
            if name.endswith(("bias", "attn.out.weight", "mlp.down.weight")):
                nn.init.zeros_(
                    p
                )  # without its output projections, every block starts as the identity
            elif (
                p.dim() == 2
            ):  # keeps activations of size one; the usual 0.02 is far smaller at small widths
                nn.init.normal_(p, std=p.shape[1] ** -0.5)
        if c.tie_embeddings:
            self.head.weight = self.tok.weight
        if c.style == "llama":
            rate = c.rope_theta ** -(torch.arange(0, c.d_head, 2, dtype=torch.float32) / c.d_head)
            angle = torch.outer(
                torch.arange(c.context_length, dtype=torch.float32), rate
            )  # (T, D/2)
            self.register_buffer("cos", angle.cos(), persistent=False)
            self.register_buffer("sin", angle.sin(), persistent=False)

    def num_parameters(self, *, embeddings: bool = True) -> int:
        """Trainable numbers, a tied head counted once; without ``embeddings``, only blocks and norms."""
        parts = self if embeddings else nn.ModuleList([self.blocks, self.norm])
        return sum(p.numel() for p in parts.parameters())

    def forward(
        self, ids: Tensor, targets: Tensor | None = None, cache: KVCache | None = None
    ) -> Tensor:
        """Logits (B, T, V), or with ``targets`` (B, T) the mean cross-entropy in nats a token.

        With a ``cache``, ``ids`` continue what it holds. Raises ``ValueError`` for more positions than
        ``context_length`` or, on the CPU, an id or target not in the vocabulary (a GPU would have to wait).
        """
        c, V, past = self.config, self.config.vocab_size, 0 if cache is None else cache.length
        end = past + ids.shape[1]
        require(
            end <= c.context_length, "ids", f"at most context_length = {c.context_length} long", end
        )
        for name, t in (("ids", ids), ("targets", targets)):
            if (
                t is not None
                and t.device.type == "cpu"
                and (wrong := t[(t < 0) | (t >= V)]).numel()
            ):
                require(False, name, f"in [0, {V - 1}]", int(wrong[0]))
        x, rope = self.tok(ids), None  # (B, T, C)
        if self.pos is not None:
            x = x + self.pos.weight[past:end]
        else:
            rope = self.cos[past:end], self.sin[past:end]  # (T, D/2) each
        for block in self.blocks:
            x = block(x, rope, cache)
        if cache is not None:
            cache.length = end
        x = self.norm(x)
        if targets is None:
            return self.head(x)  # (B, T, V)
        n = (
            512 if x.device.type == "cpu" else 8192
        )  # parts whose logits fit a CPU's cache: a tenth faster
        parts = zip(x.flatten(0, 1).split(n), targets.flatten().split(n), strict=True)
        return (
            sum(F.cross_entropy(self.head(h), y, reduction="sum") for h, y in parts)
            / targets.numel()
        )
