"""Sampling: what turns a model's logits into text.

The transforms of logits, the order in which each engine applies them, the loop that draws tokens, stop
strings, the one table of settings, and the stored passages of books.
"""

from utils.lazy import exports

__getattr__, __all__ = exports(
    __name__,
    {
        "settings": ["ENGINES", "SETTINGS"],
        "transforms": ["ban", "dry", "frequency_penalty", "logit_bias", "min_p", "no_repeat_ngram", "presence_penalty",
                       "repetition_penalty", "sample", "temperature", "top_k", "top_n_sigma", "top_p", "typical_p", "xtc"],
        "pipelines": ["Pipeline", "Step"],
        "generation": ["Generation", "Piece", "generate", "stream"],
        "stops": ["StopScanner"],
        "passages": ["held_out_ids", "listed_word_rate", "real_word_rate", "repeated_ngram_rate"],
    },
)  # fmt: skip
