"""The joint laws L(N, D), fitted as Hoffmann et al. 2022 fit theirs.

The objective is the Huber loss of log L̂ − log L with delta = 1e-3, summed over the runs (their
equations 3 and 11). A residual of less than delta (0.1 %) counts by its square, a larger one by its
size, so that nearly every run pulls with the same force and an outlier pulls no harder.

How it is minimized is ours. The sum A/N^alpha + B/D^beta + E is nearly flat along some directions
when written in (A, B, E, alpha, beta), so N and D are counted in units of their geometric means and
residuals in units of 0.1 %: SciPy's limits for "flat" are meant for numbers near 1. Starts come
from a grid of exponents, with the coefficients of each by variable projection: at given exponents
the law is linear in them, so least squares gives them at once. SciPy's BFGS, with the exact
gradient, descends from the best of these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize, nnls

from utils.scaling.inputs import checked_runs
from utils.scaling.laws import Law
from utils.validate import choice, integer, number

# The grids of starts: exponents of the two terms as they appear in the loss, k, and the share of
# the smallest loss that E is.
EXPONENTS = (0.05, 0.1, 0.2, 0.4, 0.8)
KS = (0.2, 0.5, 1.0)
KS_2020 = (0.05, 0.1, 0.2, 0.4)  # where beta is 1, k is the exponent of the data term
FLOORS = (0.0, 0.5, 0.8)
# Which of E, A, B, alpha, beta, k a form leaves free. In "kaplan_2020" beta is 1.
FREE = {
    "additive": (True, True, True, True, True, False),
    "kaplan": (False, True, True, True, True, True),
    "coupled": (True, True, True, True, True, True),
    "kaplan_2020": (False, True, True, True, False, True),
}
WITHOUT_FLOOR = ("kaplan", "kaplan_2020")
FORMS = tuple(FREE)
NO_FLOOR = -60.0  # log E where E is 0
UNIT = 1e-3  # of the residuals, or delta where that is less
LARGEST_EXPONENT = 5.0  # beyond, a term is a step, and the runs do not tell its exponent
SMALLEST_K = 0.01
ROUNDS = 8  # descents from one start, each with a fresh picture of the curvature
SAME = 1e-7  # a round that lowers the objective by a smaller share has arrived


@dataclass(frozen=True)
class LawFit(Law):
    """A fitted `Law`.

    form: one of `FORMS`. n_runs: how many runs it was fitted to.
    objective: the sum over runs of the Huber loss, as in Hoffmann et al. 2022.
    converged: whether a further descent no longer lowered the objective, and every exponent stayed
        in its range. Where it is False, the numbers are where the search stopped and no more.
    reached: the objective at the end of each descent, one per start, in the order of the starts.
    """

    form: str = "additive"
    n_runs: int = 0
    objective: float = 0.0
    converged: bool = True
    reached: tuple[float, ...] = field(default=(), repr=False)


def fit_chinchilla(
    n_params: ArrayLike,
    n_tokens: ArrayLike,
    loss: ArrayLike,
    delta: float = 1e-3,
    *,
    n_starts: int | None = 3,
    start: Law | None = None,
) -> LawFit:
    """Fit L = E + A/N^alpha + B/D^beta with the objective of Hoffmann et al. 2022, approach 3.

    n_params, n_tokens, loss: N, D and the final loss in nats of each run, all (n_runs,).
    delta, n_starts and start: see `fit_law`, of which this is the form "additive".

    Raises ``ValueError`` for fewer than five different runs, lists that differ in length, and
    numbers that are not finite and above 0.

    Twenty runs without noise give their law back:

    >>> truth = Law(E=1.8, A=480.0, B=2000.0, alpha=0.35, beta=0.37)
    >>> N, D = np.meshgrid(np.geomspace(1e8, 1e10, 5), np.geomspace(1e9, 1e11, 4))
    >>> fit = fit_chinchilla(N.ravel(), D.ravel(), truth.loss(N, D).ravel())
    >>> round(fit.E, 3), round(fit.alpha, 3), round(fit.beta, 3), round(fit.a, 3)
    (1.8, 0.35, 0.37, 0.514)
    """
    return fit_law(
        n_params, n_tokens, loss, "additive", delta=delta, n_starts=n_starts, start=start
    )


def fit_law(
    n_params: ArrayLike,
    n_tokens: ArrayLike,
    loss: ArrayLike,
    form: str = "additive",
    *,
    delta: float = 1e-3,
    k: float | None = None,
    n_starts: int | None = None,
    start: Law | None = None,
) -> LawFit:
    """Fit a joint law L = (A/N^alpha + B/D^beta)^k + E to runs; see `Law` for its forms.

    n_params, n_tokens, loss: N, D and the final loss in nats of each run, all (n_runs,).
    form: "additive" (k = 1, five parameters), "kaplan" (E = 0, five), "coupled" (six), or
        "kaplan_2020" (E = 0 and beta = 1, four), which is the law as Kaplan et al. write it.
    delta: where the Huber loss turns from squares to sizes, in relative error of the loss.
    k: hold the exponent k of a form that has one at this value.
    n_starts: from how many starts to descend, the best on the grid first; None means 3 for the
        additive form and 8 for the others, which have more than one valley.
    start: descend from this law alone instead, as `bootstrap` does. On resamples of the published
        sweeps it found what the grid finds, but for the forms without E, which may miss the lower
        of two valleys.

    Raises ``ValueError`` for fewer different runs than free parameters, lists that differ in
    length, numbers that are not finite and above 0, an unknown form, or a k for "additive".
    """
    choice("form", form, FORMS)
    delta = number("delta", delta, 0.0, open_low=True)
    free = np.array(FREE[form])
    if k is not None:
        choice("form", form, tuple(name for name in FORMS if name != "additive"))
        k = number("k", k, SMALLEST_K)
        free[5] = False
    if n_starts is None:
        n_starts = 3 if form == "additive" else 8
    n_starts = integer("n_starts", n_starts, 1)
    n_params, n_tokens, loss = checked_runs(
        int(free.sum()), n_params=n_params, n_tokens=n_tokens, loss=loss
    )

    runs = _Runs(n_params, n_tokens, loss, delta)
    if start is not None:
        starts = [runs.theta_of(start, form, k)]
    else:
        starts = sorted(_starts(runs, form, k), key=lambda theta: runs.objective(theta)[0])
    tied = form == "kaplan_2020"
    ends = [_descend(runs, theta, free, tied) for theta in starts[:n_starts]]
    theta, objective, arrived = min(ends, key=lambda end: end[1])

    law = runs.law_of(theta, form)
    inside = max(theta[3:5]) < LARGEST_EXPONENT and min(theta[3:5]) > 0 and law.k > SMALLEST_K
    return LawFit(
        E=law.E,
        A=law.A,
        B=law.B,
        alpha=law.alpha,
        beta=law.beta,
        k=law.k,
        form=form,
        n_runs=len(loss),
        objective=objective * runs.unit**2,
        converged=bool(arrived and inside),
        reached=tuple(end[1] * runs.unit**2 for end in ends),
    )


@dataclass(frozen=True)
class Profile:
    """How well each k fits once everything else is fitted to it; the arrays are all (n_ks,)."""

    k: np.ndarray
    E: np.ndarray
    objective: np.ndarray
    converged: np.ndarray


def profile_k(
    n_params: ArrayLike,
    n_tokens: ArrayLike,
    loss: ArrayLike,
    ks: ArrayLike,
    *,
    delta: float = 1e-3,
) -> Profile:
    """The trade-off of k against E in the coupled law: for each of ``ks``, the best other numbers.

    A small k and a small E draw nearly the same surface over the sizes that were trained as a
    large k and a large E. Where the objective hardly changes along the profile, the runs tell
    neither of the two, and a sentence about "the irreducible loss" has no support in them.

    Raises ``ValueError`` as `fit_law` does.
    """
    fits = [
        fit_law(n_params, n_tokens, loss, "coupled", delta=delta, k=k)
        for k in np.asarray(ks, dtype=float)
    ]
    return Profile(
        k=np.array([fit.k for fit in fits]),
        E=np.array([fit.E for fit in fits]),
        objective=np.array([fit.objective for fit in fits]),
        converged=np.array([fit.converged for fit in fits]),
    )


# ---- the objective -------------------------------------------------------------------------------


class _Runs:
    """The runs, and the objective as a function of six numbers theta.

    theta = (log E, log A', log B', alpha', beta', log k), where A'/N^alpha' is the model's term as
    it appears in the loss, (A/N^alpha)^k, with N in units of the mean run; B' and beta' likewise.
    In these a small k changes how the two terms join and not how large they are.
    """

    def __init__(self, n_params: np.ndarray, n_tokens: np.ndarray, loss: np.ndarray, delta: float):
        log_n = np.log(n_params)
        log_d = np.log(n_tokens)
        self.middle_n = log_n.mean()
        self.middle_d = log_d.mean()
        self.x = log_n - self.middle_n  # (n_runs,)
        self.y = log_d - self.middle_d  # (n_runs,)
        self.loss = loss
        self.log_loss = np.log(loss)
        self.unit = min(delta, UNIT)
        self.limit = delta / self.unit  # where a residual turns from its square to its size

    def objective(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """The summed Huber loss in units of ``unit``², and its gradient (6,)."""
        log_e, log_a, log_b, alpha, beta, log_k = theta
        k = np.exp(log_k)

        # log of (A/N^alpha + B/D^beta)^k, then of the whole law.
        u = log_a - alpha * self.x
        v = log_b - beta * self.y
        s = np.logaddexp(u / k, v / k)
        log_law = np.logaddexp(log_e, k * s)

        residual = (log_law - self.log_loss) / self.unit
        size = np.abs(residual)
        huber = np.where(
            size < self.limit, 0.5 * residual**2, self.limit * (size - 0.5 * self.limit)
        )
        # The slope of each run's Huber loss.
        pull = np.clip(residual, -self.limit, self.limit) / self.unit

        # How log L̂ moves with each of theta: by the share of E, or by that of the rest, which u and
        # v share as p and 1 − p.
        of_rest = pull * np.exp(k * s - log_law)
        p = np.exp(u / k - s)
        of_u = of_rest * p
        of_v = of_rest - of_u
        entropy = s - (p * u + (1 - p) * v) / k  # of (p, 1 − p): the derivative of k·s by k
        gradient = np.array(
            [
                pull.sum() - of_rest.sum(),
                of_u.sum(),
                of_v.sum(),
                -of_u @ self.x,
                -of_v @ self.y,
                k * (of_rest @ entropy),
            ]
        )
        return float(huber.sum()), gradient

    def law_of(self, theta: np.ndarray, form: str) -> Law:
        """The law that ``theta`` stands for."""
        log_e, log_a, log_b, alpha, beta, log_k = (float(value) for value in theta)
        k = 1.0 if form == "additive" else float(np.exp(log_k))
        return Law(
            E=0.0 if form in WITHOUT_FLOOR else float(np.exp(log_e)),
            A=float(np.exp((log_a + alpha * self.middle_n) / k)),
            B=float(np.exp((log_b + beta * self.middle_d) / k)),
            alpha=alpha / k,
            beta=beta / k,
            k=k,
        )

    def theta_of(self, law: Law, form: str, k: float | None) -> np.ndarray:
        """The theta of ``law``; ``k`` replaces the law's own where it is held."""
        held = law.k if k is None else k
        alpha = law.alpha * law.k
        beta = law.beta * law.k
        log_e = np.log(law.E) if law.E > 0 else NO_FLOOR
        return np.array(
            [
                NO_FLOOR if form in WITHOUT_FLOOR else max(log_e, NO_FLOOR),
                law.k * np.log(law.A) - alpha * self.middle_n,
                law.k * np.log(law.B) - beta * self.middle_d,
                alpha,
                beta,
                0.0 if form == "additive" else np.log(held),
            ]
        )


# ---- starts and descents -------------------------------------------------------------------------


def _starts(runs: _Runs, form: str, k: float | None) -> list[np.ndarray]:
    """A start for each point of the grid: exponents from it, coefficients by least squares."""
    exponents = list(product(EXPONENTS, EXPONENTS))
    if form == "additive":
        return [_project_additive(runs, alpha, beta) for alpha, beta in exponents]
    if form == "kaplan_2020":
        ks = KS_2020 if k is None else (k,)
        return [_project_coupled(runs, a, k_, k_, 0.0) for a, k_ in product(EXPONENTS, ks)]
    ks = KS if k is None else (k,)
    floors = FLOORS if form == "coupled" else (0.0,)
    starts = []
    for (alpha, beta), k_start, floor in product(exponents, ks, floors):
        starts.append(_project_coupled(runs, alpha, beta, k_start, floor))
    return starts


def _project_additive(runs: _Runs, alpha: float, beta: float) -> np.ndarray:
    """E, A and B that make Σ (L̂/L − 1)² smallest at these exponents, for k = 1."""
    terms = [np.ones_like(runs.x), np.exp(-alpha * runs.x), np.exp(-beta * runs.y)]
    design = np.column_stack(terms) / runs.loss[:, None]  # (n_runs, 3)
    coefficients, _ = nnls(design, np.ones_like(runs.loss))
    smallest = 1e-3 * runs.loss.min()  # a term of 0 has no logarithm to start from
    log_e, log_a, log_b = np.log(np.maximum(coefficients, smallest))
    return np.array([log_e, log_a, log_b, alpha, beta, 0.0])


def _project_coupled(runs: _Runs, alpha: float, beta: float, k: float, floor: float) -> np.ndarray:
    """A and B by the same least squares for (L − E)^(1/k), with E at a share of the least loss."""
    e = floor * runs.loss.min()
    target = (runs.loss - e) ** (1 / k)
    terms = [np.exp(-alpha / k * runs.x), np.exp(-beta / k * runs.y)]
    design = np.column_stack(terms) / target[:, None]  # (n_runs, 2)
    coefficients, _ = nnls(design, np.ones_like(target))
    smallest = 1e-3 * target.min()
    log_a, log_b = k * np.log(np.maximum(coefficients, smallest))
    log_e = np.log(e) if e > 0 else NO_FLOOR
    return np.array([log_e, log_a, log_b, alpha, beta, np.log(k)])


def _descend(
    runs: _Runs, theta: np.ndarray, free: np.ndarray, tied: bool
) -> tuple[np.ndarray, float, bool]:
    """Descend from ``theta`` in the entries that are ``free``, until it gets no lower.

    tied: whether beta is 1, so that the beta' of theta, which is k·beta, goes along with k.

    Gives where it ended, the objective there, and whether it had arrived. BFGS can take a kink of
    the Huber loss for the end. A second descent from there, which has forgotten the curvature of
    the first, tells.
    """
    theta = theta.copy()
    if free[0]:  # from a floor near 0 no gradient leads up again
        theta[0] = max(theta[0], np.log(1e-3 * runs.loss.min()))

    def of_free(values: np.ndarray) -> tuple[float, np.ndarray]:
        theta[free] = values
        if tied:
            theta[4] = np.exp(theta[5])
        value, gradient = runs.objective(theta)
        if tied:
            gradient[5] += gradient[4] * theta[4]
        return value, gradient[free]

    best = theta[free].copy()
    lowest = of_free(best)[0]
    arrived = False
    for _ in range(ROUNDS):
        found = _bfgs(of_free, best)
        gain = lowest - found.fun
        if found.fun < lowest:
            best, lowest = found.x, float(found.fun)
        if gain <= SAME * (1 + lowest):
            arrived = bool(np.isfinite(best).all())
            break
    of_free(best)  # it writes them into theta
    return theta, lowest, arrived


def _bfgs(of_free: Callable, values: np.ndarray):
    """SciPy's BFGS with exact gradients."""
    with np.errstate(all="ignore"):  # a step too far gives infinity, and the search comes back
        return minimize(of_free, values, jac=True, method="BFGS", options={"maxiter": 500})
