"""Sampling: what turns a model's logits into text.

The one table of settings, the transforms of logits, the order in which each engine applies them,
the loop that draws tokens, stop strings, stored passages of books, and measures of a text.
"""

from utils.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "settings": ["ENGINES", "SETTINGS"],
        "transforms": [
            "min_p",
            "sample",
            "temperature",
            "top_k",
            "top_n_sigma",
            "top_p",
            "typical_p",
            "xtc",
        ],
        "penalties": [
            "ban",
            "dry",
            "frequency_penalty",
            "logit_bias",
            "no_repeat_ngram",
            "presence_penalty",
            "repetition_penalty",
        ],
        "pipelines": ["Pipeline", "Step"],
        "generation": ["Generation", "Piece", "generate", "stream"],
        "stops": ["StopScanner"],
        "passages": ["held_out_ids"],
        "measures": [
            "listed_word_rate",
            "real_word_rate",
            "repeated_ngram_rate",
            "shared_ngram_rate",
        ],
    },
)
