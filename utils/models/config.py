"""What the course's transformer is, as numbers: `GPTConfig`, and the width that it fills in."""

from __future__ import annotations

from dataclasses import dataclass

from utils.validate import choice, integer, number, require


@dataclass(frozen=True)
class GPTConfig:
    """What the architecture is.

    n_kv_head: key-value heads, each shared by ``n_head / n_kv_head`` query heads (Ainslie et al.
    2023); None means ``n_head``, none shared. d_ff: width of the feed-forward part; None means
    `default_d_ff`. tie_embeddings: the output head is the token embedding once more.
    rope_theta: rotary positions repeat after about 2π · rope_theta of them, in Llama style only.
    Raises ``ValueError`` for numbers out of range and heads that do not divide.

    >>> config = GPTConfig("llama", n_head=4, d_model=256)
    >>> config.d_head, config.n_kv_head, config.d_ff
    (64, 4, 704)
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
        # A frozen dataclass can set its own fields only through object: numbers of NumPy become
        # Python's own, and what was left out is filled in.
        for name in ("vocab_size", "context_length", "n_layer", "n_head", "d_model"):
            object.__setattr__(self, name, integer(name, getattr(self, name), 1))

        # Heads share the width equally, and rotary positions turn a head's channels in pairs.
        multiple, named = self.n_head, "n_head"
        if self.style == "llama":
            multiple, named = 2 * self.n_head, "2 n_head"
        allowed = f"a multiple of {named} = {multiple}"
        require(self.d_model % multiple == 0, "d_model", allowed, self.d_model)

        d_ff = default_d_ff(self.style, self.d_model) if self.d_ff is None else self.d_ff
        d_ff = integer("d_ff", d_ff, 1)

        n_kv_head = self.n_head if self.n_kv_head is None else self.n_kv_head
        n_kv_head = integer("n_kv_head", n_kv_head, 1, self.n_head)
        allowed = f"a divisor of n_head = {self.n_head}"
        require(self.n_head % n_kv_head == 0, "n_kv_head", allowed, n_kv_head)

        tied = self.tie_embeddings
        require(isinstance(tied, bool), "tie_embeddings", "True or False", tied)
        norm_eps = number("norm_eps", self.norm_eps, 0.0, open_low=True)
        rope_theta = number("rope_theta", self.rope_theta, 1.0, open_low=True)

        object.__setattr__(self, "d_ff", d_ff)
        object.__setattr__(self, "n_kv_head", n_kv_head)
        object.__setattr__(self, "norm_eps", norm_eps)
        object.__setattr__(self, "rope_theta", rope_theta)

    @property
    def d_head(self) -> int:
        """Width of one head."""
        return self.d_model // self.n_head


def default_d_ff(style: str, d_model: int) -> int:
    """Width of the feed-forward part where none is given.

    GPT-2 has two matrices of d_model × 4 d_model. Llama's SwiGLU has three, so 8/3 d_model gives it
    as many parameters (Shazeer 2020); that is rounded up to a multiple of 32, which suits hardware.

    >>> default_d_ff("gpt2", 256)
    1024
    >>> default_d_ff("llama", 256)  # 8/3 · 256 = 682.7, and 704 = 22 · 32
    704
    """
    if style == "gpt2":
        return 4 * d_model
    # In whole numbers: how many times 32 goes into 8/3 d_model, and once more for any rest.
    times, rest = divmod(8 * d_model, 3 * 32)
    if rest > 0:
        times += 1
    return 32 * times
