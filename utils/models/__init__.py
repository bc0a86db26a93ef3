"""Language models: the course's transformer, what it costs, its rivals, and the stored ones."""

from utils.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "config": ["GPTConfig"],
        "gpt": ["GPT", "KVCache"],
        "interop": [
            "from_transformers",
            "load_pretrained",
            "save_pretrained",
            "to_config",
            "to_transformers",
        ],
        "presets": ["PRESETS", "Shape"],
        "budget": [
            "GPUS",
            "count_parameters",
            "matmul_flops_per_token",
            "memory_bytes",
            "nominal_flops_per_token",
            "parameter_counts",
            "peak_flops",
            "training_days",
            "training_flops",
        ],
        "ngram": ["KneserNey", "bits_per_byte", "token_bytes", "xz_bits_per_byte"],
        "course": ["choose_model", "load"],
    },
)
