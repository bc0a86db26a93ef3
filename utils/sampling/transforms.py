"""Decoding settings as pure functions on logits, and an exact draw from what they leave.

Every transform takes logits of shape ``(..., vocab_size)`` and returns new ones of the same shape and
dtype, in which a removed token has the logit −inf. Nothing is renormalised: softmax does that. None of
them changes the model; `utils.sampling.pipelines` composes them in the order of a real engine, and
`utils.sampling.generation` draws text.

``ids`` is a token history: one sequence of ids for every row, or one sequence a row (a nested list,
which may be ragged, or a tensor ``(rows, n)``). It may be empty. Ids outside the vocabulary are refused.

All raise ``ValueError`` in one line for a setting out of range, and for logits that hold NaN or +inf or
that leave a row without a token (all −inf).

Sources, where a rule is an engine's rather than a paper's:
transformers 5, ``generation/logits_process.py``;
llama.cpp, ``src/llama-sampling.cpp`` at commit e19fb5f1a30ce42690ad7093ddbd382ac287c9fd;
mlx-lm, ``mlx_lm/sample_utils.py`` at commit 037c9b3f420538b61594aa730d201e604b572cf7;
vLLM, ``vllm/v1/sample/ops/topk_topp_sampler.py`` at commit 01fa3fe74b058bb604f236341ab2361c7cf3d25b.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from numbers import Integral

import torch
from torch import Tensor

from utils.validate import choice, integer, number, require

NEG_INF = -math.inf
Ids = Sequence[int] | Sequence[Sequence[int]] | Tensor


def check_logits(logits: Tensor) -> Tensor:
    """Return ``logits`` if every row holds a finite value and neither NaN nor +inf, else raise."""
    ok = (
        isinstance(logits, Tensor)
        and logits.is_floating_point()
        and logits.ndim >= 1
        and logits.numel() > 0
    )
    require(ok, "logits", "a floating-point tensor of shape (..., vocab_size)", logits)
    # A row's maximum is NaN if the row holds NaN, +inf if it holds +inf, −inf if all of it is −inf.
    ok = bool(logits.amax(-1).isfinite().all())
    require(ok, "logits", "free of NaN and +inf, with a finite value in every row", logits)
    return logits


def histories(ids: Ids, logits: Tensor) -> list[Tensor]:
    """``ids`` as one int64 tensor a row of ``logits``; one sequence serves all rows."""
    vocab_size, rows = logits.shape[-1], logits[..., 0].numel()
    kind = "sequences of whole numbers"
    try:
        one = ids.ndim == 1 if hasattr(ids, "ndim") else all(isinstance(i, Integral) for i in ids)
        parts = [torch.as_tensor(row, device=logits.device) for row in ([ids] if one else ids)]
    except (TypeError, ValueError, RuntimeError, KeyError, OverflowError):
        parts = None
    require(parts is not None and not isinstance(ids, Mapping), "ids", kind, ids)
    require(
        len(parts) in (1, rows),
        "ids",
        f"one history or one for each of the {rows} rows",
        len(parts),
    )
    for part in parts:
        if part.numel():
            whole = not (part.is_floating_point() or part.is_complex() or part.dtype == torch.bool)
            require(part.ndim == 1 and whole, "ids", kind, part)
            for end in (int(part.min()), int(part.max())):
                require(0 <= end < vocab_size, "ids", f"in [0, {vocab_size - 1}]", end)
    parts = [part.reshape(-1).to(torch.int64) for part in parts]
    return parts * rows if len(parts) == 1 else parts


def counts(ids: Ids, logits: Tensor) -> Tensor:
    """How often each token of the vocabulary occurs in its row's history, shaped like ``logits``."""
    rows = [torch.bincount(row, minlength=logits.shape[-1]) for row in histories(ids, logits)]
    return torch.stack(rows).reshape(logits.shape).to(logits.dtype)


def temperature(logits: Tensor, t: float) -> Tensor:
    """Divide by ``t`` ≥ 0: softmax(z/t) has the odds p_i/p_j raised to the power 1/t.

    ``t`` = 0 is the limit: the (first) most likely token alone keeps its logit. ``t`` = 1 is the model's
    own distribution, from which a draw is random; it is not greedy.
    """
    t = number("temperature", t, 0.0)
    check_logits(logits)
    if t == 0:
        best = logits.argmax(-1, keepdim=True)
        return torch.full_like(logits, NEG_INF).scatter(-1, best, logits.gather(-1, best))
    divided = logits / t
    if not bool(
        divided.amax(-1).isfinite().all()
    ):  # a tiny t takes the largest out of range: shift it to 0
        divided = ((logits - logits.amax(-1, keepdim=True)).double() / t).to(logits.dtype)
    return divided


def top_k(logits: Tensor, k: int, ties: str = "keep") -> Tensor:
    """Keep the ``k`` ≥ 0 most likely tokens (Fan et al. 2018, arXiv:1805.04833); 0 is off.

    ``ties="keep"`` keeps every token as likely as the k-th, so more than k may stay (transformers, vLLM).
    ``ties="exact"`` keeps exactly k, of tied tokens the lower ids (llama.cpp and mlx-lm keep exactly k too,
    but leave open which of the tied ones).
    """
    k, ties = integer("top_k", k, 0), choice("ties", ties, ("keep", "exact"))
    check_logits(logits)
    if k == 0 or k >= logits.shape[-1]:
        return logits.clone()
    if ties == "keep":
        return logits.masked_fill(logits < logits.topk(k).values[..., -1:], NEG_INF)
    order = logits.sort(dim=-1, descending=True, stable=True).indices
    return logits.scatter(-1, order[..., k:], NEG_INF)


def top_p(logits: Tensor, p: float) -> Tensor:
    """Nucleus sampling: keep the smallest set of most likely tokens whose mass reaches ``p`` in [0, 1].

    (Holtzman et al. 2020, arXiv:1904.09751.) ``p`` bounds a *sum*, not the probability of a token. 1 is
    off; 0 still keeps one token. As in transformers, vLLM and mlx-lm the tail is summed upwards from the
    least likely token and dropped while it weighs at most 1 − p. Of tied tokens the lower ids stay (there
    it is left to an unstable sort).
    """
    p = number("top_p", p, 0.0, 1.0)
    check_logits(logits)
    if p == 1:
        return logits.clone()
    descending, order = logits.sort(dim=-1, descending=True, stable=True)
    drop = descending.flip(-1).softmax(-1).cumsum(-1).flip(-1) <= 1 - p
    drop[..., 0] = False
    return logits.masked_fill(torch.zeros_like(drop).scatter(-1, order, drop), NEG_INF)


def min_p(logits: Tensor, p: float) -> Tensor:
    """Keep tokens at least ``p`` in [0, 1] times as likely as the likeliest (arXiv:2407.01082); 0 is off."""
    p = number("min_p", p, 0.0, 1.0)
    check_logits(logits)
    if p == 0:
        return logits.clone()
    probs = logits.softmax(-1)
    return logits.masked_fill(probs < p * probs.amax(-1, keepdim=True), NEG_INF)


def typical_p(logits: Tensor, p: float, ties: str = "keep") -> Tensor:
    """Locally typical sampling (Meister et al. 2023, arXiv:2202.00666), ``p`` in (0, 1]; 1 is off.

    Tokens are ranked by how far their surprisal −log p_i lies from the entropy; the closest are kept until
    their mass reaches ``p``. The likeliest token may go. ``ties="keep"`` keeps tokens as far as the last one
    too (transformers); ``ties="exact"`` stops at the first whose mass exceeds ``p``, of tied tokens the lower
    ids (llama.cpp leaves open which).
    """
    p, ties = (
        number("typical_p", p, 0.0, 1.0, open_low=True),
        choice("ties", ties, ("keep", "exact")),
    )
    check_logits(logits)
    if p == 1:
        return logits.clone()
    logp = logits.log_softmax(-1)
    entropy = -(logp.exp() * logp).nansum(-1, keepdim=True)
    distance, order = (-logp - entropy).abs().sort(dim=-1, stable=True)
    mass = logits.gather(-1, order).softmax(-1).cumsum(-1)
    if ties == "exact":
        drop = (mass > p).roll(1, -1)
        drop[..., 0] = False
    else:
        last = (mass < p).sum(-1, keepdim=True).clamp_(max=logits.shape[-1] - 1)
        drop = distance > distance.gather(-1, last)
    return logits.masked_fill(torch.zeros_like(drop).scatter(-1, order, drop), NEG_INF)


def top_n_sigma(logits: Tensor, n: float) -> Tensor:
    """Keep logits within ``n`` ≥ 0 standard deviations of the largest (arXiv:2411.07641); 0 is off.

    The standard deviation is the population's, over the tokens that are still in (llama.cpp). The kept set
    does not depend on a temperature applied before: it scales maximum and deviation alike.
    """
    n = number("top_n_sigma", n, 0.0)
    check_logits(logits)
    if n == 0:
        return logits.clone()
    inside = logits.isfinite()
    size = inside.sum(-1, keepdim=True)
    mean = logits.where(inside, 0).sum(-1, keepdim=True) / size
    deviation = (((logits - mean).where(inside, 0) ** 2).sum(-1, keepdim=True) / size).sqrt()
    return logits.masked_fill(logits < logits.amax(-1, keepdim=True) - n * deviation, NEG_INF)


def xtc(
    logits: Tensor, probability: float, threshold: float, u: float | Tensor, ties: str = "exact"
) -> Tensor:
    """Exclude top choices: of the tokens with p ≥ ``threshold``, remove all but the least likely.

    It fires when the uniform draw ``u`` in [0, 1), one for all rows or one a row, is at most
    ``probability``. A ``threshold`` above ½ is off, as two tokens cannot both exceed it (llama.cpp).
    ``ties="exact"`` leaves one of those tokens (llama.cpp); ``ties="keep"`` asks for p > ``threshold`` and
    leaves every token that is as likely as the least likely of them (mlx-lm).
    """
    ties = choice("ties", ties, ("keep", "exact"))
    probability = number("xtc_probability", probability, 0.0, 1.0)
    threshold = number("xtc_threshold", threshold, 0.0, 1.0)
    check_logits(logits)
    if probability == 0 or threshold > 0.5:
        return logits.clone()
    fires = _uniforms(u, logits) <= probability
    if ties == "keep":
        probs = logits.softmax(-1)
        drop = probs > probs.where(probs > threshold, math.inf).amin(-1, keepdim=True)
    else:
        descending, order = logits.sort(dim=-1, descending=True, stable=True)
        above = descending.softmax(-1) >= threshold
        drop = above & above.roll(-1, -1)  # followed by another one above the threshold
        drop[..., -1] = False
        drop = torch.zeros_like(drop).scatter(-1, order, drop)
    return logits.masked_fill(drop & fires.to(logits.device)[..., None], NEG_INF)


def repetition_penalty(logits: Tensor, ids: Ids, penalty: float) -> Tensor:
    """For each token in ``ids``, once: divide a positive logit by ``penalty`` > 0, multiply a negative one.

    (Keskar et al. 2019, arXiv:1909.05858, which divided only.) Above 1 discourages. As the sign decides, the
    effect depends on where the logits' zero lies, which softmax ignores: it is not shift-invariant.
    """
    penalty = number("repetition_penalty", penalty, 0.0, open_low=True)
    said = counts(ids, check_logits(logits)) > 0
    changed = torch.where(said, torch.where(logits < 0, logits * penalty, logits / penalty), logits)
    return _in_range(changed, "repetition_penalty", penalty)


def frequency_penalty(logits: Tensor, ids: Ids, alpha: float) -> Tensor:
    """Subtract ``alpha`` for *every* occurrence in ``ids``: z_j − c_j·α (OpenAI's API, α in [−2, 2])."""
    alpha, said = number("frequency_penalty", alpha), counts(ids, check_logits(logits))
    return _in_range(
        torch.where(said > 0, logits - alpha * said, logits), "frequency_penalty", alpha
    )


def presence_penalty(logits: Tensor, ids: Ids, alpha: float) -> Tensor:
    """Subtract ``alpha`` *once* from a token that occurs in ``ids``: z_j − 1[c_j > 0]·α (OpenAI's API)."""
    alpha, said = number("presence_penalty", alpha), counts(ids, check_logits(logits))
    return _in_range(torch.where(said > 0, logits - alpha, logits), "presence_penalty", alpha)


def no_repeat_ngram(logits: Tensor, ids: Ids, n: int) -> Tensor:
    """Remove each token that would complete an n-gram already in ``ids``; ``n`` ≥ 0, 0 is off."""
    n = integer("no_repeat_ngram", n, 0)
    check_logits(logits)
    banned = torch.zeros(logits.shape, dtype=torch.bool, device=logits.device)
    flat = banned.view(-1, logits.shape[-1])
    for row, history in enumerate(histories(ids, logits)):
        if 0 < n <= len(history):
            windows = history.unfold(0, n, 1)
            same = (windows[:, :-1] == history[len(history) - n + 1 :]).all(-1)
            flat[row, windows[same, -1]] = True
    return logits.masked_fill(banned, NEG_INF)


def ban(logits: Tensor, ids: Sequence[int]) -> Tensor:
    """Remove the tokens ``ids``: they can never be drawn. (A stop string, by contrast, ends the text.)"""
    check_logits(logits)
    return logits.masked_fill(counts(ids, logits) > 0, NEG_INF)


def logit_bias(logits: Tensor, bias: Mapping[int, float]) -> Tensor:
    """Add ``bias[id]`` (finite) to the logit of each token named: adding b multiplies its odds by exp(b)."""
    added = torch.zeros_like(check_logits(logits))
    require(isinstance(bias, Mapping), "logit_bias", "a mapping from token ids to numbers", bias)
    ids = [integer("logit_bias id", i, 0, logits.shape[-1] - 1) for i in bias]
    values = [number("logit_bias value", b) for b in bias.values()]
    added[..., ids] = torch.tensor(values, dtype=logits.dtype, device=logits.device)
    return _in_range(logits + added, "logit_bias", dict(bias))


def _in_range(changed: Tensor, name: str, value: object) -> Tensor:
    """``changed``, unless a penalty or bias drove a logit out of the range of its number format."""
    ok = bool((changed < math.inf).all())  # false for NaN as well
    require(ok, name, f"of a size that keeps logits in {changed.dtype} finite", value)
    return changed


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

    If the end of the history, of length L ≥ ``allowed_length``, occurred before, the token that followed it
    there loses ``multiplier``·``base``^(L − allowed_length), with the longest such L. Only the ``last_n``
    latest tokens count (−1: all, 0: off), and no match reaches back over one of the token ids ``breakers``.
    """
    multiplier, base = number("dry_multiplier", multiplier, 0.0), number("dry_base", base, 0.0)
    allowed_length = integer("dry_allowed_length", allowed_length, 1)
    last_n, pasts = integer("dry_last_n", last_n, -1), histories(ids, check_logits(logits))
    penalised = logits.clone(memory_format=torch.contiguous_format)
    breakers = check_breakers(breakers)
    if multiplier == 0 or base < 1 or last_n == 0:
        return penalised
    taken = torch.zeros_like(penalised).view(-1, logits.shape[-1])
    longest_exponent = (
        88.7228391 / math.log(base) if base > 1.000001 else math.inf
    )  # float32's largest power
    for row, history in enumerate(pasts):
        past = history.tolist()[::-1]  # past[0] is the latest token
        past = past if last_n < 0 else past[:last_n]
        limit = next((i for i, token in enumerate(past) if token in breakers), len(past))
        longest: dict[int, int] = {}
        for start in range(1, len(past)):
            length = 0
            while (
                length < limit
                and start + length < len(past)
                and past[length] == past[start + length]
            ):
                length += 1
            if length >= allowed_length and past[start - 1] not in breakers:
                longest[past[start - 1]] = max(length, longest.get(past[start - 1], 0))
        for token, length in longest.items():
            exponent = min(length - allowed_length, int(min(longest_exponent, 1e9)))
            # clamped: a larger number than the format holds cannot be stored, and removes the token anyway
            taken[row, token] = min(multiplier * base**exponent, torch.finfo(taken.dtype).max)
    return penalised - taken.view(logits.shape)


def check_breakers(breakers: Sequence[int]) -> frozenset[int]:
    """DRY's sequence breakers as a set of token ids, or an error."""
    listed = isinstance(breakers, Collection) and not isinstance(breakers, (str, bytes, Mapping))
    require(listed, "dry_breakers", "a list of token ids", breakers)
    return frozenset(integer("dry_breakers id", i, 0) for i in breakers)


def _uniforms(u: float | Tensor, like: Tensor) -> Tensor:
    """``u`` as a float64 CPU tensor, one value for each row of ``like``, all in [0, 1)."""
    try:
        u = torch.as_tensor(u, dtype=torch.float64).cpu()
    except (TypeError, ValueError, RuntimeError):
        require(False, "u", "numbers in [0, 1)", u)
    shape = like.shape[:-1]
    require(u.ndim == 0 or u.shape == shape, "u", f"one number or of shape {tuple(shape)}", u)
    require(bool(((u >= 0) & (u < 1)).all()), "u", "in [0, 1)", u)
    return u.expand(shape)


def sample(probs: Tensor, u: float | Tensor) -> Tensor:
    """The token whose interval of the cumulative distribution holds ``u``: shape ``probs.shape[:-1]``, int64.

    ``probs``, (..., vocab_size), are non-negative and need not sum to 1. ``u`` in [0, 1), one for all rows or
    one a row, is stored by the caller, so that a draw can be replayed. The sum runs in float64 on the CPU
    whatever the device: the same probabilities and the same ``u`` give the same token everywhere.
    """
    ok = (
        isinstance(probs, Tensor)
        and probs.ndim >= 1
        and probs.numel() > 0
        and not probs.is_complex()
    )
    require(ok, "probs", "a real tensor of shape (..., vocab_size)", probs)
    weights = probs.detach().cpu().double()
    ok = bool((weights >= 0).all() and weights.isfinite().all() and (weights.sum(-1) > 0).all())
    require(ok, "probs", "finite and non-negative with a positive sum in every row", probs)
    cumulative = weights.cumsum(-1)
    target = _uniforms(u, weights)[..., None] * cumulative[..., -1:]
    token = torch.searchsorted(cumulative, target.contiguous(), right=True)
    # Rounding may lift the target to the full sum: then the last token that has mass is meant.
    last = cumulative.argmax(-1, keepdim=True)
    return torch.minimum(token, last)[..., 0].to(probs.device)
