"""What is counted as a parameter, and how Kaplan's exponent follows from Chinchilla's law.

Kaplan et al. 2020 count parameters outside the embedding and the compute of those alone, Hoffmann
et al. 2022 count all. In a small model most parameters are the embedding, so the same best models
lie on another curve when they are counted the other way. Pearce and Song 2024 (arXiv:2406.12907)
derive it; nothing has to be trained for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from utils.scaling.constants import EMBEDDING_SCALE
from utils.scaling.laws import FLOPS_PER_PARAM_AND_TOKEN, Law
from utils.validate import integer, number

KAPLAN_SIZES = (768.0, 1.5e9)  # non-embedding parameters, Kaplan et al. 2020, section 1


def total_params(n_non_embedding: ArrayLike) -> Any:
    """All parameters of a model with ``n_non_embedding`` outside the embedding, and vice versa.

    N + 47491·N^(1/3): the width of a model grows about as the cube root of N, and the embedding as
    the width. The number is Pearce and Song's, from the models of Hoffmann et al. 2022, whose
    vocabulary has 32,000 tokens.

    >>> int(total_params(1e6))  # of a million parameters, nearly six are embedding
    5749100
    """
    n = np.asarray(n_non_embedding, dtype=float)
    return n + EMBEDDING_SCALE * np.cbrt(n)


def non_embedding_params(n_total: ArrayLike) -> Any:
    """The inverse of `total_params`.

    With t = N^(1/3) it is the one real root of t³ + 47491·t = ``n_total``, by the formula for a
    cubic with hyperbolic functions.

    >>> round(float(non_embedding_params(5_749_100)))
    1000000
    """
    total = np.asarray(n_total, dtype=float)
    third = np.sqrt(EMBEDDING_SCALE / 3)
    t = 2 * third * np.sinh(np.arcsinh(total / (2 * third**3)) / 3)
    return t**3


@dataclass(frozen=True)
class Frontier:
    """Compute-optimal models, as someone reports them who counts non-embedding parameters.

    n_non_embedding, n_total, n_tokens, compute: all (n_sizes,); ``compute`` is 6·N·D with the
    non-embedding N, in FLOPs. exponent: the slope of log N against log C over all of them.
    """

    n_non_embedding: np.ndarray
    n_total: np.ndarray
    n_tokens: np.ndarray
    compute: np.ndarray
    exponent: float

    def local_exponent(self) -> np.ndarray:
        """The slope of log N against log C around each model (n_sizes,)."""
        return np.gradient(np.log(self.n_non_embedding), np.log(self.compute))


def non_embedding_frontier(
    law: Law, sizes: tuple[float, float] = KAPLAN_SIZES, n_sizes: int = 20
) -> Frontier:
    """The best models by ``law``, found and reported in non-embedding parameters N and compute.

    law: a law of *total* parameters, such as `BESIROGLU`. sizes: the smallest and the largest N,
    by default those of Kaplan et al. 2020. n_sizes: how many between, evenly spaced in log N.

    At a fixed 6·N·D, with T(N) the total parameters, the loss E + A/T^alpha + B/D^beta is lowest
    where alpha·A/T^alpha · N·T'(N)/T = beta·B/D^beta. This gives D for each N, and then the compute
    at which this N is the best.

    Raises ``ValueError`` for sizes that are not above 0 and growing, and fewer than two of them.

    >>> from utils.scaling.published import BESIROGLU
    >>> round(non_embedding_frontier(BESIROGLU).exponent, 2)  # Kaplan et al. 2020 report .73
    0.79
    >>> round(BESIROGLU.a, 2)  # the same law, counted in total parameters
    0.51
    """
    smallest = number("sizes[0]", sizes[0], 0.0, open_low=True)
    largest = number("sizes[1]", sizes[1], smallest, open_low=True)
    n_sizes = integer("n_sizes", n_sizes, 2)
    n = np.geomspace(smallest, largest, n_sizes)
    total = total_params(n)

    # N·T'(N)/T: by how many percent all parameters grow when those outside the embedding do by one.
    share = (n + EMBEDDING_SCALE * np.cbrt(n) / 3) / total
    model_side = law.alpha * law.A * total**-law.alpha * share
    n_tokens = (law.beta * law.B / model_side) ** (1 / law.beta)
    compute = FLOPS_PER_PARAM_AND_TOKEN * n * n_tokens
    exponent, _ = np.polyfit(np.log(compute), np.log(n), 1)
    return Frontier(n, total, n_tokens, compute, float(exponent))
