"""Laws of the loss: how it falls with parameters, tokens and compute.

A law here is a handful of numbers with two questions it can answer: which loss it expects of a
model, and which model it would train with a given compute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from utils.validate import number

FLOPS_PER_PARAM_AND_TOKEN = 6  # Kaplan et al. 2020, section 2.1: C ≈ 6ND


class Optimum(NamedTuple):
    """The best split of a compute: how large a model (N), on how many tokens (D)."""

    n_params: float
    n_tokens: float

    @property
    def tokens_per_param(self) -> float:
        """D/N."""
        return self.n_tokens / self.n_params


@dataclass(frozen=True)
class PowerLaw:
    """L(N) = E + A/N^alpha: a loss in nats that falls towards ``E`` as one quantity N grows.

    >>> law = PowerLaw(E=2.0, A=100.0, alpha=0.5)
    >>> float(law.loss(10_000))  # 2 + 100 / 100
    3.0
    """

    E: float
    A: float
    alpha: float

    def loss(self, n: ArrayLike) -> Any:
        """The expected loss for each of ``n``, in the shape of ``n``."""
        return self.E + self.A * np.asarray(n, dtype=float) ** -self.alpha


@dataclass(frozen=True)
class Law:
    """L(N, D) = (A/N^alpha + B/D^beta)^k + E: the loss in nats of N parameters after D tokens.

    Three families of laws are this one formula. With k = 1 it is the *additive* law of Hoffmann et
    al. 2022, equation 2 (Chinchilla): what is too small about the model and what is too little
    about the data add up. With E = 0 it has the shape of Kaplan et al. 2020, equation 1.5, where
    the larger of the two decides: the smaller k, the more. With k and E both free it is the
    *coupled* law (Skaling, arXiv:2608.07222, details from abstract or secondary source).

    Kaplan et al. write [(Nc/N)^(αN/αD) + Dc/D]^αD. That is this formula at E = 0, k = αD,
    alpha = αN/αD, beta = 1, A = Nc^(αN/αD) and B = Dc. Their beta is thus fixed at 1. `fit_law`
    has both: "kaplan_2020" with it, and "kaplan", the case E = 0 of the coupled law, without.

    >>> law = Law(E=1.5, A=400.0, B=400.0, alpha=0.5, beta=0.5)
    >>> float(law.loss(1e6, 1e8))  # 1.5 + 400 / 1000 + 400 / 10000
    1.94
    >>> best = law.optimal(6e14)  # alike in N and D, so as many of one as of the other
    >>> round(best.n_params), round(best.n_tokens)
    (10000000, 10000000)
    """

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    k: float = 1.0

    @property
    def a(self) -> float:
        """The exponent in N_opt ∝ C^a: beta/(alpha + beta), Hoffmann et al. 2022, equation 4.

        At the best split a little more compute is worth as much in N as in D, which asks for
        alpha·A/N^alpha = beta·B/D^beta. The faster the data term falls (large beta), the sooner it
        is small enough, and the more of the next compute goes into parameters.
        """
        return self.beta / (self.alpha + self.beta)

    @property
    def b(self) -> float:
        """The exponent in D_opt ∝ C^b: alpha/(alpha + beta), which is 1 − a."""
        return self.alpha / (self.alpha + self.beta)

    def loss(self, n_params: ArrayLike, n_tokens: ArrayLike) -> Any:
        """The expected loss in nats, in the common shape of ``n_params`` and ``n_tokens``."""
        too_small = np.log(self.A) - self.alpha * np.log(n_params)
        too_little = np.log(self.B) - self.beta * np.log(n_tokens)
        # In logarithms, since A can be 1e60 where k is small.
        return self.E + np.exp(self.k * np.logaddexp(too_small, too_little))

    def predict(self, n_params: ArrayLike, n_tokens: ArrayLike) -> Any:
        """The same as `loss`, under the name that fits of scikit-learn have."""
        return self.loss(n_params, n_tokens)

    def optimal(self, compute: float) -> Optimum:
        """The N and D of lowest loss among those that take ``compute`` = 6ND FLOPs.

        Hoffmann et al. 2022, equation 4. Neither k nor E moves the optimum: they change how much
        loss the sum A/N^alpha + B/D^beta costs, not where it is smallest. Raises ``ValueError`` for
        a compute that is not above 0.
        """
        compute = number("compute", compute, 0.0, open_low=True)
        product = compute / FLOPS_PER_PARAM_AND_TOKEN  # N times D
        # alpha·A/N^alpha = beta·B/D^beta with D = product/N, solved for log N.
        ratio = np.log(self.alpha * self.A) - np.log(self.beta * self.B)
        log_n = (ratio + self.beta * np.log(product)) / (self.alpha + self.beta)
        n_params = float(np.exp(log_n))
        return Optimum(n_params, product / n_params)
