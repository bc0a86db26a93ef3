"""What every rule keeps to, in every number format and on logits of every kind."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.sampling.cases import INF
from utils import sampling as S
from utils.sampling.settings import OFF

pytestmark = pytest.mark.usefixtures("one_thread")
PAST = [0, 1, 0, 1]
RULES = {
    "temperature": lambda z: [S.temperature(z, t) for t in (0.0, 1e-40, 0.7, 1e308)],
    "top_k": lambda z: [S.top_k(z, k, ties) for k in (1, 2) for ties in ("keep", "exact")],
    "top_p": lambda z: [S.top_p(z, p) for p in (0.0, 0.5, 1.0)],
    "min_p": lambda z: [S.min_p(z, p) for p in (1e-320, 0.5, 1.0)],
    "typical_p": lambda z: [
        S.typical_p(z, p, ties) for p in (1e-320, 0.9) for ties in ("keep", "exact")
    ],
    "top_n_sigma": lambda z: [S.top_n_sigma(z, n) for n in (1e-320, 1.0, 1e308)],
    "xtc": lambda z: [
        S.xtc(z, 1.0, p, 0.5, ties) for p in (0.0, 1e-50, 0.1) for ties in ("keep", "exact")
    ],
    "repetition_penalty": lambda z: [S.repetition_penalty(z, PAST[:1], v) for v in (1.2, 2.0)],
    "frequency_penalty": lambda z: [S.frequency_penalty(z, PAST, v) for v in (0.0, 0.5)],
    "presence_penalty": lambda z: [S.presence_penalty(z, PAST, v) for v in (0.0, 0.5)],
    "no_repeat_ngram": lambda z: [S.no_repeat_ngram(z, PAST, n) for n in (0, 2)],
    "dry": lambda z: [S.dry(z, PAST, m) for m in (0.0, 0.8)],
    "ban": lambda z: [S.ban(z, ids) for ids in ([], [0])],
    "logit_bias": lambda z: [S.logit_bias(z, bias) for bias in ({}, {1: -0.5})],
}
VALUES_CHANGE = {name for name in RULES if name.endswith("penalty")} | {
    *("temperature", "dry", "logit_bias"),
}


def rows(dtype: torch.dtype) -> Tensor:
    """Smooth, tied, extreme, tiny and nearly removed rows; the last token is in everywhere."""
    limits = torch.finfo(dtype)
    extreme, tiny = limits.max / 3, limits.smallest_normal / 4
    return torch.tensor(
        [
            [3.0, 2.0, 1.0, 0.0, -1.0],
            [2.0, 2.0, 2.0, 2.0, 2.0],
            [extreme, -extreme, 0.0, -0.0, extreme],
            [tiny, -tiny, 0.0, 2 * tiny, tiny],
            [-INF, 1.0, -INF, 1.0, 0.5],
            [-INF, -INF, -INF, -INF, -extreme],
        ],
        dtype=dtype,
    )


def test_every_rule_is_here():
    assert set(RULES) == set(OFF)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", RULES)
def test_a_rule_leaves_valid_logits_in_its_input_s_format(name, dtype):
    logits = rows(dtype)
    before = logits.clone()
    for changed in RULES[name](logits):
        kept = changed > -INF
        assert changed.shape == logits.shape
        assert changed.dtype == dtype
        assert not changed.isnan().any()
        assert (changed < INF).all()
        assert kept.any(-1).all(), "a row has no token left"
        assert not (kept & (logits == -INF)).any(), "a removed token is back"
        if name not in VALUES_CHANGE:
            assert torch.equal(changed[kept], logits[kept])
    assert torch.equal(logits, before), "the input was changed"


@pytest.mark.parametrize("name", RULES)
def test_a_row_does_not_depend_on_its_batch(name):
    logits = rows(torch.float32)
    together = RULES[name](logits)
    alone = [RULES[name](row) for row in logits]
    for i, changed in enumerate(together):
        assert torch.equal(changed, torch.stack([outputs[i] for outputs in alone]))
