"""The forms of a model whose times and losses `deployment` compares, and the clock."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable

import torch
from torch import nn

from utils.compression.kernels import has_kernel, kernel_model
from utils.compression.layers import linear_layers
from utils.compression.prune import magnitude_masks, masked
from utils.compression.quantized_model import model_bytes, quantize_model
from utils.compression.structured import Keep, mask_units, remove_units, unit_scores, units_to_keep
from utils.models.budget import count_parameters
from utils.models.gpt import GPT, KVCache
from utils.runtime import device

GROUP_SIZE = 64  # weights that share a scale in 4 bits


# ---- the forms of a model ------------------------------------------------------------------------


def integer_model(model: GPT) -> GPT:
    """A copy that multiplies whole numbers of 8 bits, by PyTorch's older quantization.

    Each call finds one scale for all activations that come in. This part of PyTorch is deprecated
    in favour of torchao, and says so in warnings.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(model, {nn.Linear})


def has_integer_arithmetic() -> bool:
    """Whether this PyTorch still has what `integer_model` needs."""
    ao = getattr(torch, "ao", None)
    has = hasattr(getattr(ao, "quantization", None), "quantize_dynamic")
    return has and torch.backends.quantized.engine != "none"


def half_of_units(model: GPT) -> Keep:
    """The half of each layer's hidden units with the higher scores."""
    return units_to_keep(unit_scores(model), half_width(model))


def half_width(model: GPT) -> int:
    """Half of the MLPs' width."""
    assert model.config.d_ff is not None
    return model.config.d_ff // 2


def forms_of(model: GPT) -> dict[str, GPT]:
    """The forms of `deployment`'s documentation that run on the model's device, by name."""
    keep = half_of_units(model)
    forms = {"float32": model, "bfloat16": copy.deepcopy(model).to(torch.bfloat16)}
    if model.tok.weight.device.type == "cpu":
        if has_integer_arithmetic():
            forms["int8, arithmetic"] = integer_model(model)
        for bits in (8, 4):
            if has_kernel(bits):
                forms[f"int{bits}, kernel"] = kernel_model(model, bits, GROUP_SIZE)
    forms["int4, unpacked"] = quantize_model(model, 4, "group", GROUP_SIZE)
    forms["half zeros"] = masked(model, magnitude_masks(model, 0.5))
    forms["half units zero"] = mask_units(model, keep)
    forms["half units gone"] = remove_units(model, keep)
    return forms


def form_bytes(model: GPT, form: str) -> int:
    """Bytes of the weights of a form of ``model``, as they would be stored.

    A form with zeros stores the zeros. In 8 bits with integer arithmetic the table of tokens stays
    in 16 bits, and the head is a matrix of its own.
    """
    n = count_parameters(model.config)
    if form == "half units gone":
        small = remove_units(model, half_of_units(model))
        return 4 * count_parameters(small.config)
    if form == "bfloat16":
        return 2 * n
    if form.startswith("int4"):
        return model_bytes(quantize_model(model, 4, "group", GROUP_SIZE))
    if form == "int8, kernel":
        return model_bytes(quantize_model(model, 8))
    if form == "int8, arithmetic":
        in_layers = sum(layer.weight.numel() for layer in linear_layers(model).values())
        head = model.head.weight.numel()
        return in_layers + head + 2 * (n - in_layers)
    return 4 * n


# ---- time ----------------------------------------------------------------------------------------


def step(model: GPT, batch: int, past: int, known: KVCache | None = None) -> Callable[[], None]:
    """What writes one token more for each of ``batch`` texts with ``past`` tokens behind them.

    known: their keys and values, for models that take turns with one cache; they may be any.
    """
    if known is None:
        known = KVCache(model, batch)
    ids = torch.zeros(batch, 1, dtype=torch.long, device=model.tok.weight.device)

    @torch.inference_mode()
    def work() -> None:
        known.length = past
        model(ids, cache=known)

    return work


def milliseconds(work: Callable[[], None]) -> float:
    """Of one call: of the GPU by its own clock, or of this process on the CPU."""
    if device().type != "cuda":
        began = time.process_time()
        work()
        return 1e3 * (time.process_time() - began)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    work()
    end.record()
    end.synchronize()
    return start.elapsed_time(end)
