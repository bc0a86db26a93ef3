"""utils.sampling.inputs: logits, histories and draws of the wrong kind are refused in one line."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from utils import sampling as S
from utils.sampling.inputs import counts, histories, id_list, uniforms

pytestmark = pytest.mark.usefixtures("one_thread")
INF = math.inf


def test_one_history_serves_every_row_or_each_has_its_own():
    logits = torch.zeros(2, 3, 4)
    for ids in ([1, 1], (1, 1), torch.tensor([1, 1]), np.uint32([1, 1]), [np.int64(1)] * 2):
        assert [past.tolist() for past in histories(ids, logits)] == [[1, 1]] * 6
    assert counts(histories([1, 1], logits), logits).tolist() == [[[0, 2, 0, 0]] * 3] * 2
    ragged = [[], [0], [1, 2], [], [3], [3, 3]]
    assert [past.tolist() for past in histories(ragged, logits)] == ragged
    assert all(past.dtype == torch.int64 for past in histories(ragged, logits))


def test_one_draw_serves_every_row_or_each_has_its_own():
    logits = torch.zeros(2, 3, 4)
    assert uniforms(0.25, logits).tolist() == [[0.25] * 3] * 2
    each = torch.rand(2, 3)
    assert torch.equal(uniforms(each, logits), each.double())


def test_a_list_of_ids_may_come_as_an_array():
    for ids in ([2, 0], (2, 0), np.array([2, 0]), torch.tensor([2, 0]), {2: 0}.keys() | {0}):
        assert sorted(id_list("ban", ids)) == [0, 2]
    for wrong in (5, None, "ab", {0: 1}, torch.zeros(2, 2), torch.tensor(1)):
        with pytest.raises(ValueError, match=r"^ban must be a list of token ids, got "):
            id_list("ban", wrong)
    with pytest.raises(ValueError, match=r"^ban id must be a whole number of at least 0, got -1$"):
        id_list("ban", [-1])


@pytest.mark.parametrize("ids", [5, None, "abc", {0: 1}, [[0], ["a"]], [10**30], [True], [0.5]])
def test_a_history_of_the_wrong_type_is_refused_by_name(ids):
    with pytest.raises(ValueError, match="^ids must be "):
        S.frequency_penalty(torch.zeros(3), ids, 1.0)


Z = torch.zeros(2, 4)
NAN, ALL_OUT = torch.tensor([0.0, math.nan]), torch.full((3,), -INF)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: S.xtc(Z, 0.5, 0.1, 1.0), ("u must be in [0, 1)", "1.")),
        (lambda: S.xtc(Z, 0.5, 0.1, 10**400), ("u must be numbers in [0, 1)", "1000")),
        (lambda: S.ban(Z, [4]), ("ban must be in [0, 3]", "4")),
        (lambda: S.ban(Z, [10**400]), ("ban must be", "[0, 3]", "1000")),
        (lambda: S.ban(Z, [10**30]), ("ban must be", "[0, 3]", "1000")),
        (lambda: S.Pipeline(ban=[10**30])(Z), ("ban must be", "[0, 3]", "1000")),
        (lambda: S.presence_penalty(Z, [4], 1.0), ("ids", "[0, 3]", "4")),
        (lambda: S.presence_penalty(Z, [-1], 1.0), ("ids", "[0, 3]", "-1")),
        (lambda: S.presence_penalty(Z, [[0], [1], [2]], 1.0), ("ids", "2 rows", "3")),
        (lambda: S.presence_penalty(Z, torch.tensor([0.5]), 1.0), ("ids", "whole numbers")),
        (lambda: S.top_k(NAN, 1), ("logits", "NaN")),
        (lambda: S.min_p(ALL_OUT, 0.1), ("logits", "finite value in every row")),
        (lambda: S.temperature(torch.tensor([INF, 0.0]), 1.0), ("logits", "+inf")),
        (lambda: S.temperature(torch.zeros(2, 0), 1.0), ("logits", "vocab_size")),
        (lambda: S.temperature([1.0, 2.0], 1.0), ("logits", "tensor")),
        (lambda: S.sample(torch.ones(4), 1.0), ("u must be in [0, 1)",)),
        (lambda: S.sample(torch.ones(2, 4), torch.tensor([0.1, 0.2, 0.3])), ("u", "(2,)")),
    ],
)
def test_bad_input_is_refused_in_one_line(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the words below are the match
        call()
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message
