"""A model that fits a line to the pairs in its prompt, beside the methods of statistics.

A row holds pairs of x (a few numbers) and y = w · x + noise. The w is new in every row, or one of a
few: how many tasks the training has is the dial of Raventós et al. 2023 (arXiv:2306.15063).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.applications.together import rounded
from utils.models.gpt import GPT, GPTConfig
from utils.runtime import generator

TEST = 20_000  # plus a number: seeds that no training has
DIMENSION = 4  # of x
SHOTS = 12  # pairs before the last question
NOISE = 0.5  # standard deviation of what is added to y


class Regressor(nn.Module):
    """Predicts each y of a row from its x and the pairs before it.

    A token holds x, and the pair before: what must be combined is then in one place.
    """

    def __init__(self, layers: int = 3, width: int = 64) -> None:
        super().__init__()
        self.core = GPT(
            GPTConfig(
                "gpt2",
                vocab_size=1,
                context_length=SHOTS + 1,
                n_layer=layers,
                n_head=2,
                d_model=width,
                d_ff=2 * width,
            )
        )
        self.read = nn.Linear(2 * DIMENSION + 1, width)
        self.say = nn.Linear(width, 1)
        nn.init.zeros_(self.say.weight)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Mean squared error of the predictions."""
        return F.mse_loss(self.predict(x, y), y)

    def predict(self, x: Tensor, y: Tensor) -> Tensor:
        """Of x (B, K, DIMENSION) and y (B, K), what each y is guessed to be (B, K)."""
        pair = torch.cat([x, y[..., None]], -1)  # (B, K, DIMENSION + 1)
        before = F.pad(pair[:, :-1], (0, 0, 1, 0))  # nothing stands before the first
        h = self.read(torch.cat([x, before], -1))  # (B, K, C)
        assert self.core.pos is not None
        h = h + self.core.pos.weight[: x.shape[1]]  # (B, K, C)
        for block in self.core.blocks:
            h = block(h, None, None)  # (B, K, C)
        return self.say(self.core.norm(h))[..., 0]  # (B, K)


def slopes(n: int, seed: int) -> Tensor | None:
    """The tasks of a training: ``n`` vectors w (n, DIMENSION), or None for a new one every time."""
    if n == 0:
        return None
    return torch.randn(n, DIMENSION, generator=generator(1000 + seed, "torch"))


def pairs(
    n: int,
    chance: torch.Generator,
    pool: Tensor | None = None,
    *,
    inputs: float = 1.0,
    spread: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of SHOTS + 1 pairs: x (n, K, DIMENSION), y (n, K), and y without its noise (n, K).

    pool : where the w come from, (tasks, DIMENSION); None draws a new one for each row. inputs :
    what all x are multiplied by. spread : multiply each row's x by a number between 1/spread and
    spread, drawn evenly on a logarithmic scale.
    """
    x = inputs * torch.randn(n, SHOTS + 1, DIMENSION, generator=chance)
    if spread > 1:
        exponent = 2 * torch.rand(n, 1, 1, generator=chance) - 1
        x = x * spread**exponent
    if pool is None:
        w = torch.randn(n, DIMENSION, generator=chance)
    else:
        w = pool[torch.randint(len(pool), (n,), generator=chance)]  # (n, DIMENSION)
    true = torch.einsum("nkd,nd->nk", x, w)
    return x, true + NOISE * torch.randn(true.shape, generator=chance), true


def ridge(x: Tensor, y: Tensor, penalty: float = NOISE**2) -> Tensor:
    """Ridge regression on the pairs before each question: its guesses (n, K).

    With the variance of the noise as its penalty it is the posterior mean for w from N(0, 1), so no
    method has a lower mean error on such tasks. Of no pairs it says 0. A penalty of 0 is least
    squares (of fewer pairs than dimensions, the shortest w that fits them).
    """
    guesses = torch.zeros_like(y)
    eye = torch.eye(x.shape[-1], dtype=torch.float64)
    for k in range(1, x.shape[1]):
        X = x[:, :k].double()  # (n, k, d)
        Y = y[:, :k, None].double()  # (n, k, 1)
        if penalty > 0:
            w = torch.linalg.solve(X.mT @ X + penalty * eye, X.mT @ Y)  # (n, d, 1)
        else:
            w = torch.linalg.pinv(X) @ Y  # (n, d, 1)
        guesses[:, k] = (x[:, k : k + 1].double() @ w)[:, 0, 0].to(y.dtype)
    return guesses


def posterior_mean(x: Tensor, y: Tensor, pool: Tensor) -> Tensor:
    """The best guesses (n, K) for somebody who knows that w is one of the ``pool``.

    Each w of the pool counts by how well it explains the pairs so far: exp(-error² / 2 noise²).
    """
    guesses = []
    for part_x, part_y in zip(x.split(250), y.split(250), strict=True):
        says = part_x @ pool.T  # (n, K, tasks)
        error = (part_y[..., None] - says).square() / (2 * NOISE**2)
        so_far = F.pad(error.cumsum(1)[:, :-1], (0, 0, 1, 0))  # (n, K, tasks)
        guesses.append((says * (-so_far).softmax(-1)).sum(-1))  # (n, K)
    return torch.cat(guesses)


# ---- one run -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Regression:
    """A regressor: how many tasks it is trained on, and how much the size of its inputs varies.

    Its result: squared errors against the y without noise, over the mean square of those, for 0 to
    SHOTS pairs: on tasks of its training (``known``), on new ones (``new``) and on new ones with
    inputs three times as large (``large``), at each moment. ``to_ridge`` and ``to_posterior`` are
    mean squared distances of its guesses for new tasks from those of the two rivals, after one pair
    or more. The rivals' own errors stand in ``rivals``.
    """

    tasks: int
    spread: float = 1.0
    seed: int = 0

    def model(self) -> Regressor:
        generator(self.seed, "global")
        return Regressor()

    def draw(self) -> Callable[[int], tuple[Tensor, ...]]:
        chance = generator(300 + self.seed, "torch")
        pool = slopes(self.tasks, self.seed)
        return lambda n: pairs(n, chance, pool, spread=self.spread)[:2]

    def tests(self, rows: int) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
        pool = slopes(self.tasks, self.seed)
        seeds = [generator(TEST + 10 * self.seed + i, "torch") for i in range(3)]
        return {
            "known": pairs(rows, seeds[0], pool),
            "new": pairs(rows, seeds[1]),
            "large": pairs(rows, seeds[2], inputs=3.0),
        }


def errors(guesses: Tensor, true: Tensor) -> list[float]:
    """Mean squared error after each number of pairs, over the mean square of what is guessed."""
    return rounded((guesses - true).square().mean(0) / true.square().mean())


class Exam:
    """The tests of one regressor, with the guesses of its rivals."""

    def __init__(self, one: Regression, rows: int) -> None:
        pool = slopes(one.tasks, one.seed)
        self.tests = one.tests(rows)
        self.ridge = {name: ridge(x, y) for name, (x, y, _) in self.tests.items()}
        self.posterior = {}
        if pool is not None:
            for name, (x, y, _) in self.tests.items():
                self.posterior[name] = posterior_mean(x, y, pool)

    def rivals(self) -> dict[str, dict[str, list[float]]]:
        """The errors of ridge, of the posterior mean over the training tasks, of least squares."""
        found: dict[str, dict[str, list[float]]] = {}
        for name, (_, _, true) in self.tests.items():
            found[name] = {"ridge": errors(self.ridge[name], true)}
            if name in self.posterior:
                found[name]["posterior"] = errors(self.posterior[name], true)
        x, y, true = self.tests["new"]
        squares = (ridge(x, y, penalty=0) - true).square()  # (n, K)
        # Their mean is ruled by a few rows when there are about as many pairs as dimensions.
        found["new"]["least_squares_median"] = rounded(squares.median(0).values / DIMENSION)
        return found

    def taken(self, model: nn.Module) -> dict[str, Any]:
        """The errors of a regressor, and how far its guesses for new tasks are from the rivals'."""
        assert isinstance(model, Regressor)
        where = model.read.weight.device
        found: dict[str, Any] = {}
        for name, (x, y, true) in self.tests.items():
            guesses = model.predict(x.to(where), y.to(where)).cpu()
            found[name] = errors(guesses, true)
            if name == "new":
                found["to_ridge"] = _distance(guesses, self.ridge[name], true)
                if self.posterior:
                    found["to_posterior"] = _distance(guesses, self.posterior[name], true)
        return found


def _distance(guesses: Tensor, others: Tensor, true: Tensor) -> float:
    """Mean squared distance after one pair or more, over the mean square of what is guessed."""
    far = (guesses - others)[:, 1:].square().mean() / true.square().mean()
    return round(float(far), 5)
