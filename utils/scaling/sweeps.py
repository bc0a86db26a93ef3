"""Training sweeps that others have published, and how well a law forecasts their largest budget.

Four sweeps of language models, each over several computes with several sizes at each. The numbers
lie in ``records/scaling/published_isoflops.json`` with their sources. The compilers of the file
flagged the rows that they left out of their own fits, each with a reason; we keep all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils import records
from utils.scaling.inputs import checked_runs
from utils.scaling.joint import LawFit, fit_law
from utils.validate import choice, require

RECORD = "scaling/published_isoflops"
SWEEPS = ("chinchilla", "comma", "dclm", "nemotron")


@dataclass(frozen=True)
class Sweep:
    """The runs of a published sweep, every array (n_runs,).

    budget: the compute in FLOPs that the run was planned for. n_params, n_tokens: N and D.
    loss: in nats. flagged: whether the compilers left the run out. reason: why, "" where not.
    """

    name: str
    budget: np.ndarray
    n_params: np.ndarray
    n_tokens: np.ndarray
    loss: np.ndarray
    flagged: np.ndarray
    reason: np.ndarray

    def runs(self, *, flagged: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """N, D and loss, as the fits take them: of the unflagged runs, or of all of them."""
        chosen = np.full(len(self.loss), True) if flagged else ~self.flagged
        return self.n_params[chosen], self.n_tokens[chosen], self.loss[chosen]


def published_sweep(name: str) -> Sweep:
    """The sweep ``name``, one of `SWEEPS`.

    "chinchilla": Hoffmann et al. 2022, read from their figure by Besiroglu et al. 2024; it is a
    subset of the some 240 points that those used. "comma", "dclm" and "nemotron": three of the
    Marin project, 2026, on the text of that name, in Llama 2 style. All four as compiled by Czech
    et al. 2026. Raises ``ValueError`` for another name.

    >>> sweep = published_sweep("chinchilla")
    >>> len(sweep.loss), int((~sweep.flagged).sum())
    (123, 85)
    """
    choice("name", name, SWEEPS)
    columns = records.load(RECORD).data["sweeps"][name]
    budget, n_params, n_tokens, loss = checked_runs(
        1,
        budget=columns["budget"],
        n_params=columns["n_params"],
        n_tokens=columns["n_tokens"],
        loss=columns["loss"],
    )
    reason = np.array(columns["reason"])
    return Sweep(name, budget, n_params, n_tokens, loss, reason != "", reason)


@dataclass(frozen=True)
class Forecast:
    """A law fitted below a budget, and the runs at that budget that it had not seen.

    law: the fit. budget: the compute in FLOPs of the runs held out. n_params, n_tokens, loss: of
    these runs, and ``expected``: what the law says of each; all (n_held_out,).
    """

    law: LawFit
    budget: float
    n_params: np.ndarray
    n_tokens: np.ndarray
    loss: np.ndarray
    expected: np.ndarray

    @property
    def error(self) -> float:
        """The mean of |expected − loss| / loss."""
        return float(np.mean(np.abs(self.expected - self.loss) / self.loss))

    @property
    def bias(self) -> float:
        """The mean of (expected − loss) / loss: above 0 where the law expects too much."""
        return float(np.mean((self.expected - self.loss) / self.loss))


def forecast_largest_budget(sweep: Sweep, form: str) -> Forecast:
    """Fit ``form`` to the unflagged runs of all budgets but the largest, and forecast that one.

    Raises ``ValueError`` for an unknown form, or a sweep with fewer than two budgets.
    """
    kept = ~sweep.flagged
    budgets = np.unique(sweep.budget[kept])
    require(len(budgets) >= 2, "sweep", "a sweep of at least two budgets", budgets.tolist())
    largest = float(budgets[-1])
    seen = kept & (sweep.budget < largest)
    held_out = kept & (sweep.budget == largest)
    law = fit_law(sweep.n_params[seen], sweep.n_tokens[seen], sweep.loss[seen], form)
    n_params, n_tokens = sweep.n_params[held_out], sweep.n_tokens[held_out]
    return Forecast(
        law=law,
        budget=largest,
        n_params=n_params,
        n_tokens=n_tokens,
        loss=sweep.loss[held_out],
        expected=law.loss(n_params, n_tokens),
    )
