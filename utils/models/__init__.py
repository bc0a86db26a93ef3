"""Language models: the course's transformer, what it costs, its rivals, and the stored ones."""

from utils.lazy import exports

__getattr__, __all__ = exports(
    __name__,
    {
        "gpt": ["GPT", "GPTConfig", "KVCache"],
        "interop": ["from_transformers", "load_pretrained", "save_pretrained", "to_config", "to_transformers"],
        "budget": ["GPUS", "PRESETS", "Shape", "count_parameters", "matmul_flops_per_token", "memory_bytes",
                   "nominal_flops_per_token", "parameter_counts", "training_days", "training_flops"],
        "ngram": ["KneserNey", "bits_per_byte", "token_bytes", "xz_bits_per_byte"],
        "course": ["choose_model", "load"],
    },
)  # fmt: skip
