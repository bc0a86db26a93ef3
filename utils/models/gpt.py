"""The course's decoder-only transformer: GPT-2 style and Llama style from one configuration.

``GPT(GPTConfig(style="gpt2"))`` has learned positions, LayerNorm, GELU and biases (Radford et al.
2019); ``style="llama"`` has rotary positions, RMSNorm, SwiGLU and no biases (Touvron et al. 2023).
Weights go to and from ``transformers`` in `utils.models.interop`; `utils.training.loop` trains,
`utils.sampling.generation` draws text. Not here: dropout (one pass over the data needs none),
sliding windows, rotary rescaling.

Shapes: B sequences, T positions, S = past + T positions with those in the cache, C = d_model,
H query heads, G key-value heads, D = C / H, V = vocab_size.
"""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from utils.models.config import GPTConfig
from utils.validate import integer, require

Rope = tuple[Tensor, Tensor]  # cosine and sine of the positions' angles, (T, D/2) each


# ---- The past


class KVCache:
    """Keys and values of the positions seen so far, so that each is computed once.

    ``kv`` holds 2 · n_layer · B · G · context_length · D numbers, shape (n_layer, 2, B, G,
    context_length, D); the first ``length`` positions are filled.
    """

    def __init__(self, model: GPT, batch_size: int = 1) -> None:
        c = model.config
        B = integer("batch_size", batch_size, 1)
        assert c.n_kv_head is not None  # GPTConfig has filled it in
        shape = (c.n_layer, 2, B, c.n_kv_head, c.context_length, c.d_head)
        self.kv = model.tok.weight.new_zeros(shape)
        self.length = 0

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store one layer's new k and v (B, G, T, D); return all up to now (B, G, S, D).

        ``length`` stays: `GPT.forward` moves it once every layer has stored its own.
        """
        start = self.length
        end = start + k.shape[2]
        keys = self.kv[layer, 0]  # (B, G, context_length, D)
        values = self.kv[layer, 1]  # (B, G, context_length, D)
        keys[:, :, start:end] = k.detach()
        values[:, :, start:end] = v.detach()
        keys = keys[:, :, :end]  # (B, G, S, D)
        values = values[:, :, :end]  # (B, G, S, D)
        return keys, values


# ---- Rotary positions


def rotary_tables(context_length: int, d_head: int, theta: float) -> Rope:
    """Cosine and sine of every position's angles, (context_length, D/2) each.

    Su et al. 2021: pair i of a head turns by theta^(-2i/D) radians per position, so the first pair
    tells neighbours apart and the last one distant positions.
    """
    exponent = torch.arange(0, d_head, 2, dtype=torch.float32) / d_head  # (D/2,)
    rate = theta**-exponent  # (D/2,) radians per position
    position = torch.arange(context_length, dtype=torch.float32)  # (T,)
    angle = torch.outer(position, rate)  # (T, D/2)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair of channels (i, i + D/2) of ``x`` (B, H, T, D) by its angle in the tables.

    The product of two turned vectors depends only on how far apart their positions are.

    >>> x = torch.tensor([1.0, 0.0])  # one pair, and a quarter turn
    >>> rotate(x, cos=torch.tensor([0.0]), sin=torch.tensor([1.0]))
    tensor([0., 1.])
    """
    left, right = x.chunk(2, dim=-1)  # (B, H, T, D/2) each
    turned_left = left * cos - right * sin  # (B, H, T, D/2)
    turned_right = right * cos + left * sin  # (B, H, T, D/2)
    return torch.cat((turned_left, turned_right), dim=-1)  # (B, H, T, D)


# ---- One layer


def causal_mask(T: int, past: int, device: torch.device | str = "cpu") -> Tensor:
    """Which of past + T positions each of T new ones may see: the past, and up to itself.

    Two new positions after a past of two:

    >>> causal_mask(2, 2).int()
    tensor([[1, 1, 1, 0],
            [1, 1, 1, 1]], dtype=torch.int32)
    """
    everything = torch.ones(T, past + T, dtype=torch.bool, device=device)  # (T, S)
    return everything.tril(past)  # (T, S)


class Attention(nn.Module):
    """Causal multi-head attention (Vaswani et al. 2017), with grouped key-value heads."""

    def __init__(self, c: GPTConfig, layer: int) -> None:
        super().__init__()
        assert c.n_kv_head is not None  # GPTConfig has filled it in
        self.layer = layer
        self.n_head = c.n_head
        self.n_kv_head = c.n_kv_head
        self.d_head = c.d_head
        bias = c.style == "gpt2"
        # Queries, keys and values of all heads side by side, in one matrix.
        n_heads = c.n_head + 2 * c.n_kv_head
        width = n_heads * c.d_head
        self.qkv = nn.Linear(c.d_model, width, bias=bias)
        # Mixes what the heads have found.
        self.out = nn.Linear(c.d_model, c.d_model, bias=bias)

    def forward(self, x: Tensor, rope: Rope | None, cache: KVCache | None) -> Tensor:
        """What each position takes from those it may see: (B, T, C) to (B, T, C)."""
        B, T, C = x.shape
        H = self.n_head
        G = self.n_kv_head
        D = self.d_head

        # One matrix product gives the queries, keys and values of every head.
        qkv = self.qkv(x)  # (B, T, (H + 2G) · D)
        heads = qkv.view(B, T, H + 2 * G, D)  # (B, T, H + 2G, D)
        heads = heads.transpose(1, 2)  # (B, H + 2G, T, D)
        qk, v = heads.split((H + G, G), dim=1)  # (B, H + G, T, D), (B, G, T, D)

        # A position turns queries and keys alike, so they turn together and are told apart after.
        if rope is not None:
            cos, sin = rope  # (T, D/2) each
            cos = cos.to(qk.dtype)  # mixed precision computes in 16 bits
            sin = sin.to(qk.dtype)
            qk = rotate(qk, cos, sin)  # (B, H + G, T, D)
        q, k = qk.split((H, G), dim=1)  # (B, H, T, D), (B, G, T, D)

        # The past comes from the cache: only the T new positions have been computed here.
        past = 0
        if cache is not None:
            past = cache.length
            k, v = cache.append(self.layer, k, v)  # (B, G, S, D) each

        # Grouped heads: each key-value head is repeated for the query heads that share it.
        if G < H:
            sharing = H // G
            k = k.repeat_interleave(sharing, dim=1)  # (B, H, S, D)
            v = v.repeat_interleave(sharing, dim=1)  # (B, H, S, D)

        # No position sees a later one. A single new position is the last and may see them all.
        mask = None
        is_causal = False
        if T > 1 and past == 0:
            is_causal = True  # the kernel knows this triangle and skips the half that is hidden
        elif T > 1:
            mask = causal_mask(T, past, x.device)  # (T, S)

        # y = softmax(q kᵀ / √D) v, (B, H, T, D): one kernel, which need not store all weights.
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=is_causal)

        # The heads' results side by side, then mixed.
        y = y.transpose(1, 2)  # (B, T, H, D)
        y = y.reshape(B, T, C)
        return self.out(y)  # (B, T, C)


class MLP(nn.Module):
    """Each position on its own: GELU (tanh form) for GPT-2, SwiGLU (Shazeer 2020) for Llama."""

    def __init__(self, c: GPTConfig) -> None:
        super().__init__()
        assert c.d_ff is not None  # GPTConfig has filled it in
        self.gated = c.style == "llama"
        bias = c.style == "gpt2"
        width = 2 * c.d_ff if self.gated else c.d_ff  # gate and value in one matrix
        self.up = nn.Linear(c.d_model, width, bias=bias)
        self.down = nn.Linear(c.d_ff, c.d_model, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) to (B, T, C), through d_ff channels."""
        h = self.up(x)  # (B, T, d_ff), twice as wide when gated
        if self.gated:
            gate, value = h.chunk(2, dim=-1)  # (B, T, d_ff) each
            h = F.silu(gate) * value  # (B, T, d_ff)
        else:
            h = F.gelu(h, approximate="tanh")  # (B, T, d_ff)
        return self.down(h)  # (B, T, C)


def _norm(c: GPTConfig) -> nn.Module:
    if c.style == "gpt2":
        return nn.LayerNorm(c.d_model, c.norm_eps)
    return nn.RMSNorm(c.d_model, c.norm_eps)


class Block(nn.Module):
    """Attention, then the MLP, each reading a normalised residual stream and adding to it."""

    def __init__(self, c: GPTConfig, layer: int) -> None:
        super().__init__()
        self.norm1 = _norm(c)
        self.attn = Attention(c, layer)
        self.norm2 = _norm(c)
        self.mlp = MLP(c)

    def forward(self, x: Tensor, rope: Rope | None, cache: KVCache | None) -> Tensor:
        """The residual stream (B, T, C) with what this layer adds to it."""
        # Between positions: what each takes from those before it.
        attended = self.attn(self.norm1(x), rope, cache)  # (B, T, C)
        x = x + attended

        # Within a position: what it makes of that.
        processed = self.mlp(self.norm2(x))  # (B, T, C)
        return x + processed


# ---- The model


class GPT(nn.Module):
    """Token ids (B, T) in, logits (B, T, V) out.

    >>> model = GPT(GPTConfig(vocab_size=50, context_length=8, n_layer=2, n_head=2, d_model=16))
    >>> ids = torch.tensor([[3, 1, 4, 1]])
    >>> model(ids).shape
    torch.Size([1, 4, 50])
    >>> targets = torch.tensor([[1, 4, 1, 5]])  # the token that follows each
    >>> model(ids, targets).shape  # one number, the mean loss
    torch.Size([])
    """

    cos: Tensor  # rotary table, (context_length, D/2); GPT-2 style has none
    sin: Tensor  # the same

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        c = config
        self.config = config
        self.tok = nn.Embedding(c.vocab_size, c.d_model)
        self.pos = None
        if c.style == "gpt2":
            self.pos = nn.Embedding(c.context_length, c.d_model)
        blocks = [Block(c, layer) for layer in range(c.n_layer)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = _norm(c)
        self.head = nn.Linear(c.d_model, c.vocab_size, bias=False)

        self._init_weights()
        if c.tie_embeddings:
            self.head.weight = self.tok.weight

        if c.style == "llama":
            # Not persistent: they follow from the configuration, so no checkpoint stores them.
            cos, sin = rotary_tables(c.context_length, c.d_head, c.rope_theta)
            self.register_buffer("cos", cos, persistent=False)
            self.register_buffer("sin", sin, persistent=False)

    def _init_weights(self) -> None:
        """Draw the weights so that training gets ahead from its first step.

        Zero output projections make every block start as the identity: it adds nothing to the
        residual stream. All other matrices have standard deviation 1 / √(input width), which keeps
        outputs as large as inputs. The usual 0.02 does so only at widths near 0.02⁻² = 2500. At
        width 32 the two together end 0.6 nats lower than 0.02, and either alone gains far less
        (notebooks/parameters/02_train_a_language_model.ipynb).
        """
        for name, p in self.named_parameters():
            if name.endswith(("attn.out.weight", "mlp.down.weight", "bias")):
                nn.init.zeros_(p)
            elif p.dim() == 2:  # gains of the norms have one dimension, and stay at one
                input_width = p.shape[1]
                nn.init.normal_(p, std=input_width**-0.5)

    def num_parameters(self, *, embeddings: bool = True) -> int:
        """Trainable numbers, a tied head counted once.

        Without ``embeddings`` the head and the tables of tokens and positions do not count.

        >>> model = GPT(GPTConfig("llama", vocab_size=4096, n_layer=6, d_model=256))
        >>> model.num_parameters()
        5868800
        >>> model.num_parameters() - model.num_parameters(embeddings=False) == 4096 * 256
        True
        """
        parts: list[nn.Module] = [self]
        if not embeddings:
            parts = [self.blocks, self.norm]
        total = 0
        for part in parts:
            for p in part.parameters():
                total += p.numel()
        return total

    def forward(
        self,
        ids: Tensor,
        targets: Tensor | None = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        """Logits (B, T, V), or with ``targets`` (B, T) the mean cross-entropy in nats per token.

        With a ``cache``, ``ids`` continue what it holds. Raises ``ValueError`` for more positions
        than ``context_length`` or, on the CPU, an id or target that is not in the vocabulary.
        """
        past = 0 if cache is None else cache.length
        end = past + ids.shape[1]
        self._require_inputs(ids, targets, end)

        # GPT-2 adds a vector for the position; Llama leaves it to attention to turn q and k.
        x = self.tok(ids)  # (B, T, C)
        rope = None
        if self.pos is not None:
            x = x + self.pos.weight[past:end]  # (B, T, C)
        else:
            cos = self.cos[past:end]  # (T, D/2)
            sin = self.sin[past:end]  # (T, D/2)
            rope = (cos, sin)

        for block in self.blocks:
            x = block(x, rope, cache)  # (B, T, C)
        if cache is not None:
            cache.length = end  # every layer has stored the new positions
        x = self.norm(x)  # (B, T, C)

        if targets is None:
            return self.head(x)  # (B, T, V)
        return self._loss(x, targets)

    def _loss(self, x: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of ``targets`` (B, T) given the last layer's ``x`` (B, T, C).

        The logits of a whole batch are its largest tensor by far, V numbers per position, and the
        head would write them to memory for the loss to read back. In parts of 512 positions they
        stay in a CPU's cache: for the course's model (V = 4096, 2048 positions, one core) head and
        loss take 15 to 30 % less time, forward and backward, and a whole step about 5 % less. A GPU
        gets larger parts, which keep it busy.
        """
        size = 512 if x.device.type == "cpu" else 8192
        x_parts = x.flatten(0, 1).split(size)  # (size, C) each
        target_parts = targets.flatten().split(size)  # (size,) each

        total = x.new_zeros(())
        for x_part, target_part in zip(x_parts, target_parts, strict=True):
            logits = self.head(x_part)  # (size, V)
            total = total + F.cross_entropy(logits, target_part, reduction="sum")
        return total / targets.numel()

    def _require_inputs(self, ids: Tensor, targets: Tensor | None, end: int) -> None:
        """Raise ``ValueError`` for positions beyond the context, and ids outside the vocabulary."""
        longest = self.config.context_length
        require(end <= longest, "ids", f"at most context_length = {longest} long", end)
        self._require_in_vocabulary("ids", ids)
        if targets is not None:
            self._require_in_vocabulary("targets", targets)

    def _require_in_vocabulary(self, name: str, ids: Tensor) -> None:
        if ids.device.type != "cpu":
            return  # a GPU would have to stop and wait for the answer
        V = self.config.vocab_size
        outside = (ids < 0) | (ids >= V)  # (B, T)
        wrong = ids[outside]  # (n_wrong,)
        if wrong.numel() > 0:
            first = int(wrong[0])
            require(False, name, f"in [0, {V - 1}]", first)
