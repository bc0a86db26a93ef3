"""The numbers of published scaling laws, as plain data.

Building the book reads this file for the page's explorer, so it needs neither torch nor NumPy.
`utils.scaling.published` makes laws of them.
"""

from __future__ import annotations

from typing import Any

# L(N, D) = (A/N^alpha + B/D^beta)^k + E, in nats. N counts what ``counts`` says.
# Kaplan et al. 2020 (arXiv:2001.08361), equation 1.5 with table 2: αN = .076, αD = .103,
# Nc = 6.4e13 non-embedding parameters, Dc = 1.8e13 tokens.
KAPLAN_N = {"alpha_N": 0.076, "alpha_D": 0.103, "N_c": 6.4e13, "D_c": 1.8e13}

LAWS: dict[str, dict[str, Any]] = {
    "kaplan": {
        "label": "Kaplan et al. 2020",
        "counts": "non-embedding",
        "E": 0.0,
        "A": KAPLAN_N["N_c"] ** (KAPLAN_N["alpha_N"] / KAPLAN_N["alpha_D"]),
        "B": KAPLAN_N["D_c"],
        "alpha": KAPLAN_N["alpha_N"] / KAPLAN_N["alpha_D"],
        "beta": 1.0,
        "k": KAPLAN_N["alpha_D"],
    },
    # Hoffmann et al. 2022 (arXiv:2203.15556), equation 10: the constants as the paper prints them.
    "hoffmann": {
        "label": "Hoffmann et al. 2022, as printed",
        "counts": "total",
        "E": 1.69,
        "A": 406.4,
        "B": 410.7,
        "alpha": 0.34,
        "beta": 0.28,
        "k": 1.0,
    },
    # The same fit with more digits, from the paper's TeX source, as Besiroglu et al. 2024 report.
    "hoffmann_unrounded": {
        "label": "Hoffmann et al. 2022, more digits",
        "counts": "total",
        "E": 1.6934,
        "A": 406.4,
        "B": 410.7,
        "alpha": 0.3392,
        "beta": 0.2849,
        "k": 1.0,
    },
    # Besiroglu et al. 2024 (arXiv:2404.10102): the same law fitted again to some 240 points read
    # from the figures of Hoffmann et al. 2022, five outliers left out.
    "besiroglu": {
        "label": "Besiroglu et al. 2024",
        "counts": "total",
        "E": 1.8172,
        "A": 482.01,
        "B": 2085.43,
        "alpha": 0.3478,
        "beta": 0.3658,
        "k": 1.0,
    },
}
# The standard errors that Besiroglu et al. 2024 print beside theirs.
BESIROGLU_ERRORS = {"E": 0.03, "A": 124.58, "B": 1293.23, "alpha": 0.02, "beta": 0.02}

# Kaplan et al. 2020, table 6: N_opt = 1.3e9 · C_min^0.73 non-embedding parameters, with C_min in
# PF-days. C_min is the compute at a small batch; at the critical batch size that they recommend, a
# run takes twice as much (their section 5.2).
PF_DAY = 1e15 * 86_400  # FLOPs
KAPLAN_OPTIMUM = {"scale": 1.3e9, "exponent": 0.73, "compute_over_c_min": 2.0}

# Pearce and Song 2024 (arXiv:2406.12907): total parameters of the models of Hoffmann et al. 2022
# are N + 47491 · N^(1/3), with N those outside the embedding.
EMBEDDING_SCALE = 47_491.0


def page_data() -> dict[str, Any]:
    """The tables of this file as plain data that JSON can hold, for the explorer's JavaScript.

    >>> page_data()["LAWS"]["hoffmann"]["alpha"]
    0.34
    """
    return {
        "LAWS": {name: dict(law) for name, law in LAWS.items()},
        "KAPLAN_OPTIMUM": dict(KAPLAN_OPTIMUM),
        "PF_DAY": PF_DAY,
        "EMBEDDING_SCALE": EMBEDDING_SCALE,
    }
