"""Random logits and histories for the tests of transforms, and equality with ``transformers``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from utils.runtime import generator

INF = math.inf


def cases(n: int, seed: int) -> Iterator[tuple[Tensor, Tensor, float]]:
    """Logits (B, V), histories (B, t), a uniform number: smooth, tied (rounded), or cut logits."""
    g = generator(seed, "torch")
    for i in range(n):
        sizes = [int(torch.randint(lo, hi, (1,), generator=g)) for lo, hi in SIZES]
        rows, vocab, length = sizes
        z = torch.randn(rows, vocab, generator=g) * (0.5 + 4 * torch.rand(1, generator=g))
        if i % 3 == 1:
            z = z.round()
        if i % 3 == 2:
            z[:, : vocab // 3] = -INF
        ids = torch.randint(0, min(vocab, 12), (rows, length), generator=g)
        yield z, ids, torch.rand(1, generator=g).item()


SIZES = ((1, 4), (5, 200), (1, 30))  # ranges of rows, vocabulary and history


def same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """The same tokens kept, and probabilities within 1e-6."""
    assert torch.equal(ours == -INF, theirs == -INF)
    torch.testing.assert_close(ours.softmax(-1), theirs.softmax(-1), rtol=0, atol=1e-6)


def check_against_transformers(name: str, ours: Callable, theirs: Callable) -> None:
    """Both take logits, ids and a uniform number; they must agree on a thousand cases."""
    done = 0
    for z, ids, r in cases(1100, seed=sum(map(ord, name))):
        expected = theirs(z.clone(), ids, r)
        if not expected.isfinite().any(-1).all():
            continue  # everything banned: theirs returns a row of −inf
        before, got = z.clone(), ours(z, ids, r)
        if name == "top_p":  # which of several tied tokens stay is left to an unstable sort there
            untied = torch.tensor([len(set(row.tolist())) == len(row) for row in z])
            same(got[untied], expected[untied])
            got, expected = got.sort(-1).values, expected.sort(-1).values
        same(got, expected)
        assert torch.equal(z, before), "the input was changed"
        done += 1
    assert done >= 1000


def log_probs(*probs: float) -> torch.Tensor:
    return torch.tensor(probs).log()
