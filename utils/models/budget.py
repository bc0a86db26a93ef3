"""What an architecture costs before anything is trained: parameters, bytes, operations.

Every count is a closed form over a few numbers of the architecture. Nothing is built, so a model of
70 billion parameters is as quick to count as a small one. The page's explorer computes the same in
JavaScript, from the tables of this file, and the tests hold the two equal. Not here: activations,
quantization scales, communication between devices.

Every ``config`` may be a ``utils.models.presets.Shape``, a ``utils.models.gpt.GPTConfig``, or
anything with the same attributes. Building the book counts with this file and has neither torch
nor NumPy, so it imports neither.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from utils.models.presets import PRESETS, Preset, Shape
from utils.validate import choice, integer, number

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
PRECISIONS = {"fp32": 32, "bf16": 16, "int8": 8, "int4": 4}  # bits per number
SECONDS_PER_DAY = 86_400

# Peak dense rates in FLOP/s (16-bit tensor cores, float32) and memory in bytes, from NVIDIA's data
# sheets: T4 2019, V100 SXM2 2020, A100 80 GB SXM 2021, H100 SXM 2023. T4 and V100 have fp16 but no
# bf16.
GPUS = {
    "T4": {"peak16": 65e12, "peak32": 8.1e12, "memory": 16e9},
    "V100": {"peak16": 125e12, "peak32": 15.7e12, "memory": 32e9},
    "A100": {"peak16": 312e12, "peak32": 19.5e12, "memory": 80e9},
    "H100": {"peak16": 989e12, "peak32": 67e12, "memory": 80e9},
}
# The same 16-bit peak for GPUs that a run may find itself on and that no page offers to choose.
PEAK16 = {name: gpu["peak16"] for name, gpu in GPUS.items()} | {
    "H200": 989e12,
    "L40S": 362e12,
    "L4": 121e12,
}


# ---- Parameters


def parameter_counts(config: Any) -> dict[str, int]:
    """Trainable numbers by part, with the keys of `PARTS`; biases count with their matrix.

    A tied output head costs nothing: it is the token embedding once more.

    GPT-2 (small) has a width of 768. Its embedding holds 50257 rows of that width, and each of its
    12 layers four 768 × 768 matrices of attention and, in the feed-forward part, two of 768 × 3072:

    >>> counts = parameter_counts(PRESETS["gpt2"]["shape"])
    >>> counts["token_embedding"], 50257 * 768
    (38597376, 38597376)
    >>> counts["attention"], 12 * (4 * 768 * 768 + 4 * 768)
    (28348416, 28348416)
    >>> counts["feed_forward"], 12 * (2 * 768 * 3072 + 3072 + 768)
    (56669184, 56669184)
    >>> sum(counts.values())  # what the released checkpoint holds
    124439808
    """
    gpt2 = config.style == "gpt2"
    d_model = config.d_model
    d_head = d_model // config.n_head
    d_kv = d_head * config.n_kv_head  # width of all keys together, and of all values

    # Queries and the output are d_model wide, keys and values d_kv.
    attention = 2 * d_model * d_model + 2 * d_model * d_kv
    attention_biases = 2 * d_model + 2 * d_kv

    # A GELU stands between two matrices. SwiGLU has a third one, for its gate.
    matrix = d_model * config.d_ff
    feed_forward = 2 * matrix if gpt2 else 3 * matrix
    feed_forward_biases = config.d_ff + d_model

    # RMSNorm has a gain for each channel, LayerNorm also a bias.
    norm = 2 * d_model if gpt2 else d_model
    n_norm = 2 * config.n_layer + 1  # two in each layer, one before the head

    if gpt2:
        attention += attention_biases
        feed_forward += feed_forward_biases
    table = config.vocab_size * d_model
    return {
        "token_embedding": table,
        "position_embedding": config.context_length * d_model if gpt2 else 0,
        "attention": config.n_layer * attention,
        "feed_forward": config.n_layer * feed_forward,
        "norms": n_norm * norm,
        "output_head": 0 if config.tie_embeddings else table,
    }


def count_parameters(config: Any) -> int:
    """All trainable numbers of the model.

    >>> count_parameters(PRESETS["llama3-8b"]["shape"])
    8030261248
    """
    return sum(parameter_counts(config).values())


# ---- Memory


def memory_bytes(config: Any, precision: str = "bf16", batch_size: int = 1) -> dict[str, float]:
    """Bytes for running and for training the model.

    Running: ``weights`` at ``precision``, and ``kv_cache``: 2 · n_layer · n_kv_head · d_head
    numbers for each of batch_size · context_length positions. The cache stays at 16 bits when the
    weights have fewer.
    Training with AdamW: ``train_weights`` and ``gradients`` at ``precision``, and ``optimizer``:
    two float32 moments and, below float32, a float32 copy of the weights (Rajbhandari et al. 2020,
    section 3.1). int8 and int4 are formats for running, so training then counts 16 bits.
    Raises ``ValueError`` for a precision that is not in `PRECISIONS` or a batch size below 1.

    Llama 3 8B keeps 8 of 32 heads for keys and values, so a full context costs a gigabyte:

    >>> cost = memory_bytes(PRESETS["llama3-8b"]["shape"])
    >>> cost["weights"] / 1e9  # two bytes per parameter
    16.060522496
    >>> cost["kv_cache"] / 2**30
    1.0
    >>> training = cost["train_weights"] + cost["gradients"] + cost["optimizer"]
    >>> training / count_parameters(PRESETS["llama3-8b"]["shape"])  # bytes per parameter
    16.0
    """
    bits = PRECISIONS[choice("precision", precision, tuple(PRECISIONS))]
    batch_size = integer("batch_size", batch_size, 1)
    wide_bits = max(bits, 16)
    n = count_parameters(config)

    d_head = config.d_model // config.n_head
    cached_per_position = 2 * config.n_layer * config.n_kv_head * d_head
    positions = batch_size * config.context_length

    moments = 4 + 4  # bytes: AdamW's two running means, in float32
    master_copy = 0 if wide_bits == 32 else 4
    return {
        "weights": n * bits / 8,
        "kv_cache": cached_per_position * positions * wide_bits / 8,
        "train_weights": n * wide_bits / 8,
        "gradients": n * wide_bits / 8,
        "optimizer": float(n * (moments + master_copy)),
    }


# ---- Floating-point operations


def nominal_flops_per_token(config: Any) -> dict[str, int]:
    """FLOPs of training on one token, as papers count them: ``weights`` 6N, ``attention`` 12·L·d·T.

    The forward pass takes two operations (a multiply and an add) for each weight, the backward pass
    four. N is every parameter, as in the papers' 6ND; an untied input table is only looked up, so
    this is a little high for it. The second term is the product of queries with keys and of weights
    with values over a full context, as Chowdhery et al. 2022 (PaLM, appendix B) count it; causal
    attention could skip half of it. Recomputation is not counted. Generating one token at a full
    context takes a third of each term.

    >>> nominal_flops_per_token(PRESETS["gpt2"]["shape"])  # 6 · 124 439 808, 12 · 12 · 768 · 1024
    {'weights': 746638848, 'attention': 113246208}
    """
    return {
        "weights": 6 * count_parameters(config),
        "attention": _attention_flops_per_token(config),
    }


def matmul_flops_per_token(config: Any) -> int:
    """FLOPs of training on one token, counting each weight where it multiplies.

    Model FLOPs utilisation (MFU) is measured by this count. Unlike `nominal_flops_per_token` it
    leaves out the tables that are only looked up: the input embedding and learned positions. The
    head multiplies, tied or not. Chowdhery et al. 2022, appendix B, without a discount for the
    causal half.

    GPT-2's head is its embedding, which is thus counted once here too; what is left out are its
    learned positions, six operations for each of 1024 · 768 weights:

    >>> gpt2 = PRESETS["gpt2"]["shape"]
    >>> sum(nominal_flops_per_token(gpt2).values()) - matmul_flops_per_token(gpt2)
    4718592
    >>> 6 * 1024 * 768
    4718592
    """
    counts = parameter_counts(config)
    blocks = counts["attention"] + counts["feed_forward"] + counts["norms"]
    head = config.vocab_size * config.d_model
    return 6 * (blocks + head) + _attention_flops_per_token(config)


def _attention_flops_per_token(config: Any) -> int:
    """Queries times keys and weights times values: 4·d·T forward and 8·d·T backward per layer."""
    return 12 * config.n_layer * config.d_model * config.context_length


def forward_flops_per_sequence(config: Any) -> dict[str, int]:
    """FLOPs of the forward pass over one full sequence, part by part, with nothing left out.

    The list of Hoffmann et al. 2022, appendix F, for T = ``context_length`` positions: two
    operations for each multiply-add, three for each entry of the softmax, and the embedding as if
    it were a matrix product with one-hot vectors. A backward pass takes twice as much. Norms,
    biases and activations are not counted.

    At GPT-2's full context, what has no weights takes 18 % of the work within the layers:

    >>> flops = forward_flops_per_sequence(PRESETS["gpt2"]["shape"])
    >>> flops["queries_keys_values"] == 1024 * 12 * 2 * 3 * 768 * 768
    True
    >>> within_layers = sum(flops.values()) - flops["embedding"] - flops["logits"]
    >>> round((flops["scores"] + flops["softmax"] + flops["mixing"]) / within_layers, 3)
    0.184
    """
    positions = config.context_length
    d_model = config.d_model
    d_kv = d_model // config.n_head * config.n_kv_head
    layers = config.n_layer
    pairs = positions * positions  # of a query's position and a key's, the masked half included

    table = 2 * positions * config.vocab_size * d_model
    n_matrices = 2 if config.style == "gpt2" else 3  # SwiGLU has a third one, for its gate
    return {
        "embedding": table,
        "queries_keys_values": layers * 2 * positions * d_model * (d_model + 2 * d_kv),
        "scores": layers * 2 * pairs * d_model,
        "softmax": layers * 3 * pairs * config.n_head,
        "mixing": layers * 2 * pairs * d_model,
        "attention_output": layers * 2 * positions * d_model * d_model,
        "feed_forward": layers * 2 * positions * n_matrices * d_model * config.d_ff,
        "logits": table,
    }


def training_flops(config: Any, tokens: int) -> int:
    """D · (6N + 12·L·d·T) operations for ``tokens`` = D training tokens.

    >>> gpt3 = PRESETS["gpt3"]
    >>> f"{training_flops(gpt3['shape'], gpt3['tokens']):.3g}"  # 3.14e23 in the paper, by 6ND alone
    '3.23e+23'
    """
    tokens = integer("tokens", tokens, 1)
    return sum(nominal_flops_per_token(config).values()) * tokens


def training_days(
    flops: float, gpu: str, *, n_gpu: int = 1, utilisation: float = 0.4, precision: str = "bf16"
) -> float:
    """Days that ``flops`` take on ``n_gpu`` GPUs at the share ``utilisation`` of their peak.

    gpu: a key of `GPUS`. utilisation: in (0, 1]. precision: "fp32" counts the float32 peak, any
    other of `PRECISIONS` the 16-bit peak.
    Raises ``ValueError`` for what is out of range.

    >>> training_days(86_400 * 65e12, "T4", utilisation=1.0)  # one day at the peak of 65 TFLOP/s
    1.0
    >>> round(training_days(3.14e23, "A100", n_gpu=1024), 1)  # GPT-3's training, at 40 %
    28.4
    """
    choice("gpu", gpu, tuple(GPUS))
    flops = number("flops", flops, 0.0)
    choice("precision", precision, tuple(PRECISIONS))
    utilisation = number("utilisation", utilisation, 0.0, 1.0, open_low=True)
    n_gpu = integer("n_gpu", n_gpu, 1)

    peak = GPUS[gpu]["peak32" if precision == "fp32" else "peak16"]
    flops_per_second = n_gpu * peak * utilisation
    return flops / flops_per_second / SECONDS_PER_DAY


def peak_flops(device: torch.device) -> float | None:
    """The 16-bit peak of this GPU in FLOP/s.

    None where it is not known, as for every CPU: then there is no MFU to report.
    """
    import torch  # only here: counting needs no torch

    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)  # such as "NVIDIA L40S"
    for gpu in sorted(PEAK16, key=len, reverse=True):  # the longest first: an L40S is no L4
        if gpu in name:
            return PEAK16[gpu]
    return None


# ---- What the page's explorer is given


def page_data() -> dict[str, Any]:
    """The tables of this file as plain data that JSON can hold, for the explorer's JavaScript.

    A preset is flat here, its ``shape`` spread out beside its label. ``n_kv_head`` is None where it
    equals ``n_head``: the page reads None as "as many as heads", also after the reader has changed
    the number of heads.

    >>> page_data()["PRESETS"]["gpt2"]["n_kv_head"] is None
    True
    >>> page_data()["PRESETS"]["llama3-8b"]["n_kv_head"]
    8
    """
    return {
        "PARTS": list(PARTS),
        "PRECISIONS": dict(PRECISIONS),
        "GPUS": {name: dict(gpu) for name, gpu in GPUS.items()},
        "PRESETS": {name: _flat(preset) for name, preset in PRESETS.items()},
    }


def _flat(preset: Preset) -> dict[str, Any]:
    shape: Shape = preset["shape"]
    all_heads = shape.n_kv_head == shape.n_head
    return {
        "label": preset["label"],
        "published": preset["published"],
        "tokens": preset["tokens"],
        **asdict(shape),
        "n_kv_head": None if all_heads else shape.n_kv_head,
    }
