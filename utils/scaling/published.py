"""Published laws as objects: the loss they expect, and the model they would train.

    >>> chinchilla = HOFFMANN.optimal(5.76e23)  # the compute of Gopher
    >>> f"{chinchilla.n_params:.2g} parameters, {chinchilla.tokens_per_param:.0f} tokens each"
    '3.2e+10 parameters, 93 tokens each'

That is not what the same paper trained (70e9 parameters, 20 tokens each). Its constants are printed
with two digits, and the optimum far outside the fitted sizes follows from their second digit.
"""

from __future__ import annotations

from dataclasses import dataclass

from utils.scaling.constants import KAPLAN_OPTIMUM, LAWS, PF_DAY
from utils.scaling.laws import FLOPS_PER_PARAM_AND_TOKEN, Law, Optimum
from utils.validate import number


@dataclass(frozen=True)
class PublishedLaw(Law):
    """A `Law` with where it comes from.

    label: the source. counts: what N counts, "total" or "non-embedding" parameters.
    """

    label: str = ""
    counts: str = "total"


@dataclass(frozen=True)
class KaplanLaw(PublishedLaw):
    """Kaplan et al. 2020: the loss by their equation 1.5, the optimum by their table 6.

    The two come from different fits in that paper. Equation 1.5 describes models that are trained
    until they overfit; a compute-optimal run ends long before.
    """

    def optimal(self, compute: float) -> Optimum:
        """Their N_opt (non-embedding) at ``compute`` FLOPs, and the D that 6ND leaves for it.

        Hoffmann et al. 2022, appendix D.4, put 1e21 FLOPs into the same formula:

        >>> f"{KAPLAN.optimal(1e21).n_params:.3g}"
        '4.68e+09'
        """
        compute = number("compute", compute, 0.0, open_low=True)
        c_min = compute / KAPLAN_OPTIMUM["compute_over_c_min"] / PF_DAY
        n_params = KAPLAN_OPTIMUM["scale"] * c_min ** KAPLAN_OPTIMUM["exponent"]
        return Optimum(n_params, compute / FLOPS_PER_PARAM_AND_TOKEN / n_params)


KAPLAN = KaplanLaw(**LAWS["kaplan"])
HOFFMANN = PublishedLaw(**LAWS["hoffmann"])
HOFFMANN_UNROUNDED = PublishedLaw(**LAWS["hoffmann_unrounded"])
BESIROGLU = PublishedLaw(**LAWS["besiroglu"])
PUBLISHED: dict[str, PublishedLaw] = {
    "kaplan": KAPLAN,
    "hoffmann": HOFFMANN,
    "hoffmann_unrounded": HOFFMANN_UNROUNDED,
    "besiroglu": BESIROGLU,
}
