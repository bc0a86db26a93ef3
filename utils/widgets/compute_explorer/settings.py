"""The compute explorer's laws, models and ranges, for Python and for the page.

Building the book reads this file, so it needs neither torch nor NumPy.
"""

from __future__ import annotations

from typing import Any

from utils.models.presets import PRESETS

RECORD = "scaling/explorer"  # our fits and runs, by `experiments.scaling.explorer_data`

# (low, high) of each setting that is a number. ``unique`` counts different tokens; 0 is no limit.
RANGES: dict[str, tuple[float, float]] = {
    "budget": (1e11, 1e26),
    "tokens_per_parameter": (20e-4, 20e4),
    "unique": (0.0, 1e14),
}
SMALLEST_LIMIT = 1e6  # of ``unique``, where there is one

# The laws, in the order of the list. The first three are those of `utils.scaling.constants`, the
# others are fitted to our runs and stand in the record.
LAW_NAMES = {
    "besiroglu": "Besiroglu et al. 2024",
    "hoffmann": "Hoffmann et al. 2022, as printed",
    "kaplan": "Kaplan et al. 2020",
    "coupled": "our runs, coupled",
    "additive": "our runs, additive",
}
OURS = ("coupled", "additive")
# The parameters and tokens of the runs that a published law was fitted to: Hoffmann et al. 2022,
# abstract (Besiroglu et al. fitted points read from their figure); Kaplan et al. 2020, section 1.
CHINCHILLA_RUNS = {"n_params": [70e6, 16e9], "n_tokens": [5e9, 500e9]}
FITTED_TO = {
    "besiroglu": CHINCHILLA_RUNS,
    "hoffmann": CHINCHILLA_RUNS,
    "kaplan": {"n_params": [768, 1.5e9], "n_tokens": [22e6, 23e9]},
}

# Published models that no preset has: Rae et al. 2021 (arXiv:2112.11446), Hoffmann et al. 2022,
# Touvron et al. 2023 (arXiv:2302.13971 and arXiv:2307.09288), Llama Team 2024 (arXiv:2407.21783).
_OTHERS = {
    "Gopher": (280e9, 300e9),
    "Chinchilla": (70e9, 1.4e12),
    "Llama 65B": (65.2e9, 1.4e12),
    "Llama 2 70B": (70e9, 2e12),
    "Llama 3 405B": (405e9, 15.6e12),
}
_PRESETS = ("gpt3", "llama2-7b", "llama3-8b", "llama3-70b")

# Muennighoff et al. 2023 (arXiv:2305.16264), appendix A: after so many repetitions, those so far
# are worth 1 - 1/e of as many fresh tokens.
REPETITIONS_WORTH = 15.387756

# Watts of a whole board at its limit, from the data sheets named in `utils.models.budget`.
WATTS = {"T4": 70, "V100": 300, "A100": 400, "H100": 700}
UTILISATION = 0.4  # of the 16-bit peak


def models() -> list[dict[str, Any]]:
    """The published models: label, N and D, the smallest budget 6ND first."""
    found = {}
    for name in _PRESETS:
        preset = PRESETS[name]
        found[preset["label"]] = (preset["published"], preset["tokens"])
    rows = [
        {"label": label, "n_params": n_params, "n_tokens": n_tokens}
        for label, (n_params, n_tokens) in {**found, **_OTHERS}.items()
    ]
    return sorted(rows, key=lambda row: row["n_params"] * row["n_tokens"])


def page_data() -> dict[str, Any]:
    """The tables of this file as plain data that JSON can hold, for the explorer's JavaScript.

    >>> [row["label"] for row in page_data()["MODELS"]][:4]
    ['Llama 2 7B', 'GPT-3', 'Gopher', 'Llama 65B']
    """
    return {
        "RANGES": {name: list(ends) for name, ends in RANGES.items()},
        "SMALLEST_LIMIT": SMALLEST_LIMIT,
        "LAW_NAMES": dict(LAW_NAMES),
        "OURS": list(OURS),
        "FITTED_TO": FITTED_TO,
        "MODELS": models(),
        "REPETITIONS_WORTH": REPETITIONS_WORTH,
        "WATTS": dict(WATTS),
        "UTILISATION": UTILISATION,
    }
