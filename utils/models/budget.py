"""What an architecture costs before anything is trained: parameters, bytes, floating-point operations.

Closed forms over six numbers of the architecture; nothing is built, so a 70-billion-parameter model is
as quick to count as a small one. The page's explorer (``utils/widgets/parameter_budget.mjs``) computes
the same in JavaScript, and the tests hold the two equal. Not here: activations, quantization scales,
communication between devices.

Every ``config`` may be a `Shape`, a ``utils.models.gpt.GPTConfig``, or anything with the same attributes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from utils.validate import choice, integer, number, require

if TYPE_CHECKING:
    import torch

PARTS = (
    "token_embedding",
    "position_embedding",
    "attention",
    "feed_forward",
    "norms",
    "output_head",
)
PRECISIONS = {"fp32": 32, "bf16": 16, "int8": 8, "int4": 4}  # bits a number
SECONDS_A_DAY = 86_400

# Peak dense rates in FLOP/s for 16-bit tensor cores and for float32, and memory in bytes, from NVIDIA's
# data sheets (T4 2019, V100 SXM2 2020, A100 80 GB SXM 2021, H100 SXM 2023). T4 and V100 have fp16, no bf16.
GPUS = {
    "T4": {"peak16": 65e12, "peak32": 8.1e12, "memory": 16e9},
    "V100": {"peak16": 125e12, "peak32": 15.7e12, "memory": 32e9},
    "A100": {"peak16": 312e12, "peak32": 19.5e12, "memory": 80e9},
    "H100": {"peak16": 989e12, "peak32": 67e12, "memory": 80e9},
}
# The same 16-bit peak for GPUs that a run may find itself on and no page offers to choose.
PEAK16 = {name: gpu["peak16"] for name, gpu in GPUS.items()} | {
    "H200": 989e12,
    "L40S": 362e12,
    "L4": 121e12,
}


@dataclass(frozen=True)
class Shape:
    """The numbers that fix every count. ``n_kv_head=None`` means as many as ``n_head``.

    ``style``: "gpt2" (learned positions, LayerNorm, biases, two feed-forward matrices) or "llama" (rotary
    positions, RMSNorm, no biases, three feed-forward matrices).
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
        require(
            self.d_model % self.n_head == 0,
            "n_head",
            f"a divisor of d_model = {self.d_model}",
            self.n_head,
        )
        groups = (
            self.n_head
            if self.n_kv_head is None
            else integer("n_kv_head", self.n_kv_head, 1, self.n_head)
        )
        require(
            self.n_head % groups == 0, "n_kv_head", f"a divisor of n_head = {self.n_head}", groups
        )
        require(
            isinstance(self.tie_embeddings, bool),
            "tie_embeddings",
            "True or False",
            self.tie_embeddings,
        )
        object.__setattr__(self, "n_kv_head", groups)


def parameter_counts(config: Any) -> dict[str, int]:
    """Trainable numbers by part, keys `PARTS`; biases count with the matrix they belong to.

    A tied output head costs nothing: it is the token embedding once more.
    """
    c, gpt2 = config, config.style == "gpt2"
    d, kv = c.d_model, c.d_model // c.n_head * c.n_kv_head  # width of all keys, and of all values
    attention = 2 * d * d + 2 * d * kv + (2 * d + 2 * kv if gpt2 else 0)
    feed_forward = 2 * d * c.d_ff + c.d_ff + d if gpt2 else 3 * d * c.d_ff
    norm = 2 * d if gpt2 else d  # LayerNorm has gain and bias, RMSNorm a gain
    return {
        "token_embedding": c.vocab_size * d,
        "position_embedding": c.context_length * d if gpt2 else 0,
        "attention": c.n_layer * attention,
        "feed_forward": c.n_layer * feed_forward,
        "norms": (2 * c.n_layer + 1) * norm,
        "output_head": 0 if c.tie_embeddings else c.vocab_size * d,
    }


def count_parameters(config: Any) -> int:
    """All trainable numbers of the model."""
    return sum(parameter_counts(config).values())


def memory_bytes(config: Any, precision: str = "bf16", batch_size: int = 1) -> dict[str, float]:
    """Bytes for running and for training the model.

    Running: ``weights`` at ``precision`` and ``kv_cache``, 2 · n_layer · n_kv_head · d_head numbers for each
    of batch_size · context_length positions; the cache stays at 16 bits when weights have fewer.
    Training with AdamW: ``train_weights`` and ``gradients`` at ``precision`` and ``optimizer``, two float32
    moments and, below float32, a float32 master copy (Rajbhandari et al. 2020, section 3.1). int8 and int4
    are formats for running, so training then counts 16 bits.
    """
    bits = PRECISIONS[choice("precision", precision, tuple(PRECISIONS))]
    batch_size, n = integer("batch_size", batch_size, 1), count_parameters(config)
    cached = 2 * config.n_layer * config.n_kv_head * (config.d_model // config.n_head)
    wide = max(bits, 16)
    return {
        "weights": n * bits / 8,
        "kv_cache": cached * batch_size * config.context_length * wide / 8,
        "train_weights": n * wide / 8,
        "gradients": n * wide / 8,
        "optimizer": float(n * (8 if wide == 32 else 12)),
    }


def nominal_flops_per_token(config: Any) -> dict[str, int]:
    """FLOPs of training on one token, as papers count them: ``{"weights": 6N, "attention": 12·L·d·T}``.

    Forward takes two (a multiply and an add) for each weight, backward four; the second term is the product
    of queries with keys and of weights with values, over a full context, as Chowdhery et al. 2022 (PaLM,
    appendix B) count it. N is every parameter, as in the papers' 6ND; an untied input table is only looked
    up, so this is a little high for it. Recomputation is not counted; causal attention could skip half of
    the second term. Generating one token at a full context takes a third of each.
    """
    attention = 12 * config.n_layer * config.d_model * config.context_length
    return {"weights": 6 * count_parameters(config), "attention": attention}


def matmul_flops_per_token(config: Any) -> int:
    """FLOPs of training on one token, counting a weight where it multiplies: what MFU is measured against.

    Unlike `nominal_flops_per_token` it leaves out tables that are only looked up (the input embedding, learned
    positions). The head multiplies, tied or not. Chowdhery et al. 2022, appendix B, without a discount for
    the causal half.
    """
    counts = parameter_counts(config)
    blocks = counts["attention"] + counts["feed_forward"] + counts["norms"]
    head = config.vocab_size * config.d_model
    attention = 12 * config.n_layer * config.d_model * config.context_length
    return 6 * (blocks + head) + attention


def training_flops(config: Any, tokens: int) -> int:
    """D · (6N + 12·L·d·T) operations for ``tokens`` = D training tokens."""
    return sum(nominal_flops_per_token(config).values()) * integer("tokens", tokens, 1)


def training_days(
    flops: float, gpu: str, *, n_gpu: int = 1, utilisation: float = 0.4, precision: str = "bf16"
) -> float:
    """Days that ``flops`` take on ``n_gpu`` GPUs at the share ``utilisation`` in (0, 1] of their peak."""
    choice("gpu", gpu, tuple(GPUS))
    flops = number("flops", flops, 0.0)
    choice("precision", precision, tuple(PRECISIONS))
    utilisation = number("utilisation", utilisation, 0.0, 1.0, open_low=True)
    peak = GPUS[gpu]["peak32" if precision == "fp32" else "peak16"]
    return flops / (integer("n_gpu", n_gpu, 1) * peak * utilisation) / SECONDS_A_DAY


def peak_flops(device: torch.device) -> float | None:
    """The 16-bit peak of this GPU in FLOP/s, or None where it is not known (any CPU): then there is no MFU."""
    import torch  # building the book counts parameters and has no torch

    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    longest_first = sorted(PEAK16, key=len, reverse=True)  # an L40S is no L4
    return next((PEAK16[gpu] for gpu in longest_first if gpu in name), None)


def _preset(
    label: str,
    style: str,
    sizes: tuple[int, ...],
    *,
    tied: bool = True,
    n_kv_head: int | None = None,
    **facts: Any,
) -> dict[str, Any]:
    n_layer, d_model, n_head, d_ff, vocab_size, context_length = sizes
    shape = Shape(
        style, n_layer, d_model, n_head, d_ff, vocab_size, context_length, n_kv_head, tied
    )
    return {"label": label, "shape": shape, **facts}


# Sizes: Radford et al. 2019 and the released checkpoint; Brown et al. 2020, table 2.1; Touvron et al. 2023;
# Llama Team 2024, table 3, and Meta's model cards. "published": the parameters of the released checkpoint,
# or the paper's rounded figure (GPT-3 was never released). "tokens": None where no source states them.
PRESETS = {
    "course": _preset(
        "The course's own model", "llama", (6, 256, 4, 704, 4096, 256), published=None, tokens=None
    ),
    "gpt2": _preset(
        "GPT-2 (small)",
        "gpt2",
        (12, 768, 12, 3072, 50257, 1024),
        published=124_439_808,
        tokens=None,
    ),
    "gpt2-xl": _preset(
        "GPT-2 XL", "gpt2", (48, 1600, 25, 6400, 50257, 1024), published=1_557_611_200, tokens=None
    ),
    "gpt3": _preset(
        "GPT-3",
        "gpt2",
        (96, 12288, 96, 49152, 50257, 2048),
        published=175e9,
        tokens=300_000_000_000,
    ),
    "llama2-7b": _preset(
        "Llama 2 7B",
        "llama",
        (32, 4096, 32, 11008, 32000, 4096),
        tied=False,
        published=6_738_415_616,
        tokens=2_000_000_000_000,
    ),
    "llama3-8b": _preset(
        "Llama 3 8B",
        "llama",
        (32, 4096, 32, 14336, 128256, 8192),
        tied=False,
        n_kv_head=8,
        published=8_030_261_248,
        tokens=15_000_000_000_000,
    ),
    "llama3-70b": _preset(
        "Llama 3 70B",
        "llama",
        (80, 8192, 64, 28672, 128256, 8192),
        tied=False,
        n_kv_head=8,
        published=70_553_706_496,
        tokens=15_000_000_000_000,
    ),
    "llama3.2-1b": _preset(
        "Llama 3.2 1B",
        "llama",
        (16, 2048, 32, 8192, 128256, 131072),
        n_kv_head=8,
        published=1_235_814_400,
        tokens=9_000_000_000_000,
    ),
}
