"""Smaller models from large ones: fewer bits per weight, fewer weights, or a student."""

from utils.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "packing": ["pack", "unpack"],
        "rounding": ["GRANULARITIES", "SCALES", "Quantized", "quantize"],
        "quantized_model": [
            "QuantizedEmbedding",
            "QuantizedLinear",
            "dequantize_model",
            "model_bytes",
            "quantize_model",
        ],
        "calibrated": ["gptq", "gptq_model"],
        "kernels": ["KernelLinear", "has_kernel", "kernel_model"],
        "prune": ["apply_masks", "magnitude_masks", "masked", "random_masks", "sparsity"],
        "structured": ["mask_units", "remove_units", "unit_scores", "units_to_keep"],
        "distill": ["distillation_loss"],
        "layers": ["linear_layers"],
    },
)
