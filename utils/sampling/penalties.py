"""Settings that change single tokens' logits: by what was said before, or by name.

As in `utils.sampling.transforms`, every function takes logits (..., V) and returns new ones of
the same shape and dtype; the public ones check what they are given, the ones with an underscore
compute.

``ids`` is a token history: one sequence of ids for every row, or one sequence per row (a nested
list, which may be ragged, or a tensor of shape (rows, n)). It may be empty. Ids outside the
vocabulary are refused. All public functions raise ``ValueError`` in one line for a setting out of
range, for logits that hold NaN or +inf or a row without a token, and for a setting that removes a
row's last token; so do those that compute with a value, if it drives a logit above the range of its
number format. Below that range a logit becomes −inf: the token is removed.

The examples use four tokens, 0 to 3. Sources as in `utils.sampling.transforms`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from utils.sampling.inputs import (
    NEG_INF,
    Ids,
    check_finite,
    check_left,
    check_logits,
    counts,
    histories,
    id_list,
)
from utils.sampling.settings import check
from utils.validate import integer, number, require

# The natural logarithm of float32's largest number, as llama.cpp writes it. DRY's penalty is a
# power there, computed in float32: an exponent of base e that is larger than this would overflow.
FLOAT32_MAX_LOG = 88.7228391


def repetition_penalty(logits: Tensor, ids: Ids, penalty: float) -> Tensor:
    """For each token in ``ids``, once: divide a positive logit by ``penalty`` > 0, multiply others.

    (Keskar et al. 2019, arXiv:1909.05858, which divided only.) Above 1 discourages. As the sign
    decides, the effect depends on where the logits' zero lies, which softmax ignores: it is not
    shift-invariant.

    >>> repetition_penalty(torch.tensor([3.0, 2.0, -1.0, -2.0]), [0, 2, 0], 2.0).tolist()
    [1.5, 2.0, -2.0, -2.0]
    """
    penalty = check("repetition_penalty", penalty)
    check_logits(logits)
    said = counts(histories(ids, logits), logits)  # (..., V)
    changed = _repetition_penalty(logits, said, penalty)  # (..., V)
    return check_left(changed, {"repetition_penalty": penalty})


def _repetition_penalty(logits: Tensor, said: Tensor, penalty: float) -> Tensor:
    weaker = torch.where(logits < 0, logits * penalty, logits / penalty)  # (..., V)
    changed = torch.where(said > 0, weaker, logits)  # (..., V)
    return check_finite(changed, "repetition_penalty", penalty)


def frequency_penalty(logits: Tensor, ids: Ids, alpha: float) -> Tensor:
    """Subtract ``alpha`` for *every* occurrence in ``ids``: z_j − c_j·α.

    (OpenAI's API, where α lies in [−2, 2].)

    >>> frequency_penalty(torch.tensor([3.0, 2.0, 1.0, 0.0]), [0, 2, 0], 0.5).tolist()
    [2.0, 2.0, 0.5, 0.0]
    """
    alpha = check("frequency_penalty", alpha)
    check_logits(logits)
    said = counts(histories(ids, logits), logits)  # (..., V)
    changed = _frequency_penalty(logits, said, alpha)  # (..., V)
    return check_left(changed, {"frequency_penalty": alpha})


def _frequency_penalty(logits: Tensor, said: Tensor, alpha: float) -> Tensor:
    less = (logits - alpha * said).to(
        logits
    )  # (..., V) computed in float32 at least, as counts are
    changed = torch.where(said > 0, less, logits)  # (..., V)
    return check_finite(changed, "frequency_penalty", alpha)


def presence_penalty(logits: Tensor, ids: Ids, alpha: float) -> Tensor:
    """Subtract ``alpha`` *once* from each token that occurs in ``ids``: z_j − 1[c_j > 0]·α.

    (OpenAI's API, where α lies in [−2, 2].)

    >>> presence_penalty(torch.tensor([3.0, 2.0, 1.0, 0.0]), [0, 2, 0], 0.5).tolist()
    [2.5, 2.0, 0.5, 0.0]
    """
    alpha = check("presence_penalty", alpha)
    check_logits(logits)
    said = counts(histories(ids, logits), logits)  # (..., V)
    changed = _presence_penalty(logits, said, alpha)  # (..., V)
    return check_left(changed, {"presence_penalty": alpha})


def _presence_penalty(logits: Tensor, said: Tensor, alpha: float) -> Tensor:
    changed = torch.where(said > 0, logits - alpha, logits)  # (..., V)
    return check_finite(changed, "presence_penalty", alpha)


def no_repeat_ngram(logits: Tensor, ids: Ids, n: int) -> Tensor:
    """Remove each token that would complete an n-gram already in ``ids``; ``n`` ≥ 0, 0 is off.

    Here 0, 2 was said, and the last token is 0: another 2 would repeat the pair.

    >>> no_repeat_ngram(torch.tensor([3.0, 2.0, 1.0, 0.0]), [0, 2, 0], 2).tolist()
    [3.0, 2.0, -inf, 0.0]
    """
    n = check("no_repeat_ngram", n)
    check_logits(logits)
    changed = _no_repeat_ngram(logits, histories(ids, logits), n)  # (..., V)
    return check_left(changed, {"no_repeat_ngram": n})


def _no_repeat_ngram(logits: Tensor, pasts: list[Tensor], n: int) -> Tensor:
    drop = torch.zeros(logits.shape, dtype=torch.bool, device=logits.device)  # (..., V)
    rows = drop.view(-1, logits.shape[-1])  # (rows, V) the same memory
    for row, past in zip(rows, pasts, strict=True):
        if 0 < n <= len(past):
            ngrams = past.unfold(0, n, 1)  # (n_grams, n)
            begun = past[len(past) - n + 1 :]  # (n − 1,) what the next token would complete
            same_start = (ngrams[:, :-1] == begun).all(-1)  # (n_grams,)
            row[ngrams[same_start, -1]] = True
    return logits.masked_fill(drop, NEG_INF)


def ban(logits: Tensor, ids: Sequence[int]) -> Tensor:
    """Remove the tokens ``ids``: they can never be drawn. (A stop string ends the text instead.)

    >>> ban(torch.tensor([3.0, 2.0, 1.0, 0.0]), [0, 2]).tolist()
    [-inf, 2.0, -inf, 0.0]
    """
    check_logits(logits)
    return check_left(_ban(logits, ids), {"ban": ids})


def _ban(logits: Tensor, ids: Sequence[int]) -> Tensor:
    banned = counts(histories(ids, logits, "ban"), logits) > 0  # (..., V)
    return logits.masked_fill(banned, NEG_INF)


def logit_bias(logits: Tensor, bias: Mapping[int, float]) -> Tensor:
    """Add ``bias[id]`` (finite) to the logit of each token named: b multiplies its odds by exp(b).

    >>> logit_bias(torch.tensor([3.0, 2.0, 1.0, 0.0]), {1: 2.5, 3: -1.0}).tolist()
    [3.0, 4.5, 1.0, -1.0]
    """
    check_logits(logits)
    require(isinstance(bias, Mapping), "logit_bias", "a mapping from token ids to numbers", bias)
    return check_left(_logit_bias(logits, bias), {"logit_bias": bias})


def _logit_bias(logits: Tensor, bias: Mapping[int, float]) -> Tensor:
    largest_id = logits.shape[-1] - 1
    ids = [integer("logit_bias id", i, 0, largest_id) for i in bias]
    values = [number("logit_bias value", b) for b in bias.values()]
    added = torch.zeros_like(logits)  # (..., V)
    added[..., ids] = added.new_tensor(values)
    return check_finite(logits + added, "logit_bias", dict(bias))


def dry(
    logits: Tensor,
    ids: Ids,
    multiplier: float,
    base: float = 1.75,
    allowed_length: int = 2,
    last_n: int = -1,
    breakers: Sequence[int] = (),
) -> Tensor:
    """Don't repeat yourself (llama.cpp): penalise the token that would prolong a repeated sequence.

    If the end of the history, of length L ≥ ``allowed_length``, occurred before, the token that
    followed it there loses ``multiplier``·``base``^(L − allowed_length), with the longest such L.
    Only the ``last_n`` latest tokens count (−1: all, 0: off), and no match reaches back over one of
    the token ids ``breakers``.

    Here the end 0, 1 (L = 2) was followed by 2 before, which loses 1.0 · 1.75⁰:

    >>> dry(torch.tensor([3.0, 2.0, 1.0, 0.0]), [0, 1, 2, 0, 1], 1.0).tolist()
    [3.0, 2.0, 0.0, 0.0]
    """
    multiplier = check("dry", multiplier)
    base = check("dry_base", base)
    allowed_length = check("dry_allowed_length", allowed_length)
    last_n = check("dry_last_n", last_n)
    check_logits(logits)
    pasts = histories(ids, logits)
    stops = frozenset(id_list("dry_breakers", breakers))
    changed = _dry(logits, pasts, multiplier, base, allowed_length, last_n, stops)  # (..., V)
    return check_left(changed, {"dry": multiplier})


def _dry(
    logits: Tensor,
    pasts: list[Tensor],
    multiplier: float,
    base: float,
    allowed_length: int,
    last_n: int,
    breakers: Collection[int],
) -> Tensor:
    if multiplier == 0 or base < 1 or last_n == 0:
        return logits.clone()
    # llama.cpp keeps base^exponent within float32. A base of 1, up to rounding, needs no limit.
    largest_exponent = FLOAT32_MAX_LOG / math.log(base) if base > 1.000001 else math.inf
    largest_exponent = int(min(largest_exponent, 1e9))
    # A larger penalty than the logits' format holds cannot be stored, and removes the token anyway.
    largest_penalty = torch.finfo(logits.dtype).max

    rows = logits.new_zeros(len(pasts), logits.shape[-1])  # (rows, V) what each token loses
    for row, past in enumerate(pasts):
        newest_first = past.tolist()[::-1]
        if last_n > 0:
            newest_first = newest_first[:last_n]
        for token, length in _longest_repeats(newest_first, allowed_length, breakers).items():
            exponent = min(length - allowed_length, largest_exponent)
            rows[row, token] = min(multiplier * base**exponent, largest_penalty)
    return logits - rows.view(logits.shape)


def _longest_repeats(
    newest_first: Sequence[int], allowed_length: int, breakers: Collection[int]
) -> dict[int, int]:
    """For each token that would prolong a repeat, the length of the longest that it would prolong.

    ``newest_first`` is a history with its latest token first.

    >>> _longest_repeats([1, 0, 2, 1, 0], allowed_length=2, breakers=())
    {2: 2}
    """
    # No match reaches back over the latest breaker.
    places_of_breakers = (i for i, token in enumerate(newest_first) if token in breakers)
    n_free = next(places_of_breakers, len(newest_first))

    longest: dict[int, int] = {}
    lengths = _lengths_equal_to_start(newest_first)
    repeats = [at for at in range(1, len(lengths)) if lengths[at] >= allowed_length]
    for at in repeats:
        length = min(lengths[at], n_free)
        follower = newest_first[at - 1]  # in the text, the token after this earlier occurrence
        if length >= allowed_length and follower not in breakers:
            longest[follower] = max(length, longest.get(follower, 0))
    return longest


def _lengths_equal_to_start(tokens: Sequence[int]) -> list[int]:
    """For each place in ``tokens``, how many tokens from there on equal those at the start.

    This is the Z-function. It takes linear time, since each step either looks up what an earlier
    match has already compared or moves that match's end to the right.

    >>> _lengths_equal_to_start([1, 0, 1, 0, 2])
    [5, 0, 2, 0, 0]
    """
    n = len(tokens)
    lengths = [n] * n
    padded = [*tokens, None]  # equal to no token, so that every match ends here at the latest
    # The match that reaches furthest right: tokens[left:right] equals tokens[:right − left].
    left, right = 0, 0
    for at in range(1, n):
        length = 0
        if at < right:
            # Inside that match: near the start, the same tokens were compared up to its end.
            length = min(lengths[at - left], right - at)
        while padded[length] == padded[at + length]:
            length += 1
        lengths[at] = length
        if at + length > right:
            left, right = at, at + length
    return lengths
