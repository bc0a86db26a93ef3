"""Decoding settings as pure functions on logits: temperature, truncation, and an exact draw.

Every transform takes logits of shape (..., V), where V is the size of the vocabulary, and returns
new ones of the same shape and dtype, in which a removed token has the logit −inf. Nothing is
renormalised: softmax does that. None of them changes the model. Those that change single tokens'
logits, by what was said before or by name, are in `utils.sampling.penalties`;
`utils.sampling.pipelines` composes all of them in the order of a real engine, and
`utils.sampling.generation` draws text.

Each rule stands twice: the public function checks what it is given, and the one below it, with an
underscore, computes. A pipeline checks once and then calls the latter alone. All public ones raise
``ValueError`` in one line for a setting out of range, and for logits that hold NaN or +inf or a row
without a token (all −inf). What they return always leaves a token in every row.

The examples use four tokens with the logits 3, 2, 1 and 0, whose probabilities are 0.64, 0.24, 0.09
and 0.03.

Sources, where a rule is an engine's rather than a paper's:
transformers 5, ``generation/logits_process.py``;
llama.cpp, ``src/llama-sampling.cpp`` at commit e19fb5f1a30ce42690ad7093ddbd382ac287c9fd;
mlx-lm, ``mlx_lm/sample_utils.py`` at commit 037c9b3f420538b61594aa730d201e604b572cf7;
vLLM, ``vllm/v1/sample/ops/topk_topp_sampler.py`` at commit
01fa3fe74b058bb604f236341ab2361c7cf3d25b.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from utils.sampling.inputs import FORMATS, NEG_INF, check_logits, in_float64, uniforms
from utils.sampling.settings import check
from utils.validate import choice, require

TIES = ("keep", "exact")
# Below this deviation, squares of differences lose digits in float64, or are 0.
SMALLEST_DEVIATION = 1e-140
# Below this sum of weights, a draw's rounding error in float64 would no longer be relative.
SMALLEST_SUM = 1e-290


def temperature(logits: Tensor, t: float) -> Tensor:
    """Divide by ``t`` ≥ 0: softmax(z/t) has the odds p_i/p_j raised to the power 1/t.

    ``t`` = 0 is the limit: the (first) most likely token alone keeps its logit. ``t`` = 1 is the
    model's own distribution, from which a draw is random; it is not greedy.

    >>> temperature(torch.tensor([3.0, 2.0, 1.0, 0.0]), 0.5).tolist()
    [6.0, 4.0, 2.0, 0.0]
    >>> temperature(torch.tensor([3.0, 2.0, 1.0, 0.0]), 0).tolist()
    [3.0, -inf, -inf, -inf]
    """
    t = check("temperature", t)
    return _temperature(check_logits(logits), t)


def _temperature(logits: Tensor, t: float) -> Tensor:
    if t == 0:
        best = logits.argmax(-1, keepdim=True)  # (..., 1)
        no_token = torch.full_like(logits, NEG_INF)  # (..., V)
        return no_token.scatter(-1, best, logits.gather(-1, best))  # (..., V)

    divided = logits / t  # (..., V)
    in_range = divided.amax(-1, keepdim=True).isfinite()  # (..., 1)
    if bool(in_range.all()):
        return divided

    # The format cannot hold the quotient: t is tiny, or itself out of its range. Softmax sees
    # differences only, so measure from the largest: that one becomes 0, and others may go to −inf.
    z = in_float64(logits)  # (..., V)
    below = z - z.amax(-1, keepdim=True)  # (..., V)
    return divided.where(in_range, (below / t).to(logits))  # (..., V)


def top_k(logits: Tensor, k: int, ties: str = "keep") -> Tensor:
    """Keep the ``k`` ≥ 0 most likely tokens (Fan et al. 2018, arXiv:1805.04833); 0 is off.

    ``ties="keep"`` keeps every token as likely as the k-th, so more than k may stay (transformers,
    vLLM). ``ties="exact"`` keeps exactly k, of tied tokens the lower ids (llama.cpp and mlx-lm keep
    exactly k too, but leave open which of the tied ones).

    >>> top_k(torch.tensor([3.0, 2.0, 2.0, 0.0]), 2).tolist()
    [3.0, 2.0, 2.0, -inf]
    >>> top_k(torch.tensor([3.0, 2.0, 2.0, 0.0]), 2, ties="exact").tolist()
    [3.0, 2.0, -inf, -inf]
    """
    k = check("top_k", k)
    ties = choice("ties", ties, TIES)
    return _top_k(check_logits(logits), k, ties)


def _top_k(logits: Tensor, k: int, ties: str) -> Tensor:
    if k == 0 or k >= logits.shape[-1]:
        return logits.clone()
    if ties == "keep":
        kth = logits.topk(k).values[..., -1:]  # (..., 1) the k-th largest logit
        return logits.where(logits >= kth, NEG_INF)
    # A stable sort puts the lower of two tied ids first.
    order = logits.sort(dim=-1, descending=True, stable=True).indices  # (..., V) likeliest first
    return logits.scatter(-1, order[..., k:], NEG_INF)


def top_p(logits: Tensor, p: float) -> Tensor:
    """Nucleus sampling: keep the smallest set of most likely tokens whose mass reaches ``p``.

    (Holtzman et al. 2020, arXiv:1904.09751.) ``p`` in [0, 1] bounds a *sum*, not the probability
    of a token. 1 is off; 0 still keeps one token. As in transformers, vLLM and mlx-lm the tail is
    summed upwards from the least likely token and dropped while it weighs at most 1 − p. Of tied
    tokens the lower ids stay (there it is left to an unstable sort).

    Here 0.64 alone falls short of 0.8, and 0.64 + 0.24 reaches it:

    >>> top_p(torch.tensor([3.0, 2.0, 1.0, 0.0]), 0.8).tolist()
    [3.0, 2.0, -inf, -inf]
    """
    p = check("top_p", p)
    return _top_p(check_logits(logits), p)


def _top_p(logits: Tensor, p: float) -> Tensor:
    if p == 1:
        return logits.clone()
    # Likeliest first, of tied tokens the lower id.
    descending, order = logits.sort(dim=-1, descending=True, stable=True)  # (..., V) each
    # Where the tail from a token on weighs at most 1 − p, the tokens before it already reach p.
    drop = _tail_mass(descending) <= 1 - p  # (..., V)
    drop[..., 0] = False
    return logits.masked_fill(_scatter_back(drop, order), NEG_INF)


def _tail_mass(descending: Tensor) -> Tensor:
    """The mass of each token and of all that are less likely: (..., V), from descending logits.

    >>> _tail_mass(torch.tensor([0.5, 0.25, 0.25]).log()).tolist()
    [1.0, 0.5, 0.25]
    """
    # In ascending order, so that small numbers are added first; then back again. As one chain, so
    # that each intermediate result is freed at once: with a large vocabulary that saves time.
    return descending.flip(-1).softmax(-1).cumsum(-1).flip(-1)  # (..., V)


def min_p(logits: Tensor, p: float) -> Tensor:
    """Keep tokens at least ``p`` in [0, 1] times as likely as the likeliest; 0 is off.

    (Nguyen et al. 2024, arXiv:2407.01082.)

    Here the bar is 0.1 · 0.64 = 0.064, which 0.09 passes and 0.03 does not:

    >>> min_p(torch.tensor([3.0, 2.0, 1.0, 0.0]), 0.1).tolist()
    [3.0, 2.0, 1.0, -inf]
    """
    p = check("min_p", p)
    return _min_p(check_logits(logits), p)


def _min_p(logits: Tensor, p: float) -> Tensor:
    if p == 0:
        return logits.clone()
    probs = logits.softmax(-1)  # (..., V)
    bar = p * probs.amax(-1, keepdim=True)  # (..., 1)
    return logits.where(probs >= bar, NEG_INF)


def typical_p(logits: Tensor, p: float, ties: str = "keep") -> Tensor:
    """Locally typical sampling (Meister et al. 2023, arXiv:2202.00666), ``p`` in (0, 1]; 1 is off.

    Tokens are ranked by how far their surprisal −log p_i lies from the entropy; the closest are
    kept until their mass reaches ``p``. The likeliest token may go. ``ties="keep"`` keeps tokens
    as far as the last one too (transformers); ``ties="exact"`` stops at the first whose mass
    exceeds ``p``, of tied tokens the lower ids (llama.cpp leaves open which).

    Here the surprisals are 0.44, 1.44, 2.44 and 3.44 nats, and the entropy is 0.95. The second
    token lies closest to it, 0.49 away (the first 0.51), and its mass 0.24 reaches 0.2:

    >>> typical_p(torch.tensor([3.0, 2.0, 1.0, 0.0]), 0.2).tolist()
    [-inf, 2.0, -inf, -inf]
    """
    p = check("typical_p", p)
    ties = choice("ties", ties, TIES)
    return _typical_p(check_logits(logits), p, ties)


def _typical_p(logits: Tensor, p: float, ties: str) -> Tensor:
    if p == 1:
        return logits.clone()
    logp = logits.log_softmax(-1)  # (..., V)
    # A removed token adds 0 · −inf = NaN to the entropy, which is left out of the sum.
    entropy = -(logp.exp() * logp).nansum(-1, keepdim=True)  # (..., 1)
    # The most typical first: those whose surprisal is closest to its mean, the entropy.
    distance = (-logp - entropy).abs()  # (..., V)
    distance, order = distance.sort(dim=-1, stable=True)  # (..., V) each
    sorted_probs = logits.gather(-1, order).softmax(-1)  # (..., V)
    mass = sorted_probs.cumsum(-1)  # (..., V)
    if ties == "exact":
        # Drop what comes after the first token at which the mass exceeds p.
        drop = (mass > p).roll(1, -1)  # (..., V)
        drop[..., 0] = False
    else:
        # The last one that is needed sets the largest distance that stays.
        n_short = (mass < p).sum(-1, keepdim=True)  # (..., 1) tokens with which p is not reached
        last = n_short.clamp(max=logits.shape[-1] - 1)  # (..., 1)
        drop = distance > distance.gather(-1, last)  # (..., V)
    return logits.masked_fill(_scatter_back(drop, order), NEG_INF)


def top_n_sigma(logits: Tensor, n: float) -> Tensor:
    """Keep logits within ``n`` ≥ 0 standard deviations of the largest; 0 is off.

    (Tang et al. 2024, arXiv:2411.07641.) The standard deviation is the population's, over the
    tokens that are still in (llama.cpp). The kept set does not depend on a temperature applied
    before: it scales maximum and deviation alike.

    Here the deviation is √1.25 = 1.12, so that logits of at least 1.88 stay:

    >>> top_n_sigma(torch.tensor([3.0, 2.0, 1.0, 0.0]), 1.0).tolist()
    [3.0, 2.0, -inf, -inf]
    """
    n = check("top_n_sigma", n)
    return _top_n_sigma(check_logits(logits), n)


def _top_n_sigma(logits: Tensor, n: float) -> Tensor:
    if n == 0:
        return logits.clone()
    # In float64, where float16 and float32 would overflow in the sums over a vocabulary.
    z = in_float64(logits)  # (..., V)
    deviation = _deviation(z)  # (..., 1)
    too_large = ~(deviation < math.inf)  # (..., 1) true for NaN as well
    too_small = deviation < SMALLEST_DEVIATION  # (..., 1)
    if bool((too_large | too_small).any()):
        # Even float64 does not hold the squares. The rule does not depend on a scale: change it.
        too_small &= z.amax(-1, keepdim=True).abs() < 1  # not those that are large and all equal
        z = z.where(~too_large, z * 2.0**-600)  # (..., V)
        z = z.where(~too_small, z * 2.0**600)  # (..., V)
        deviation = _deviation(z)  # (..., 1)
    # The bar hangs below the largest logit.
    bar = z.amax(-1, keepdim=True) - n * deviation  # (..., 1)
    stays = (z >= bar).to(logits.device)  # (..., V)
    return logits.where(stays, NEG_INF)


def _deviation(z: Tensor) -> Tensor:
    """The standard deviation of each row's finite entries: (..., 1), from (..., V).

    >>> _deviation(torch.tensor([3.0, 1.0, -math.inf])).tolist()
    [1.0]
    """
    # Removed tokens, at −inf, have no part in the mean; then they stand at it, and add nothing.
    inside = z > NEG_INF  # (..., V)
    size = inside.sum(-1, keepdim=True, dtype=z.dtype)  # (..., 1)
    mean = z.where(inside, 0).sum(-1, keepdim=True) / size  # (..., 1)
    centred = z.where(inside, mean).sub_(mean)  # (..., V)
    length = torch.linalg.vector_norm(centred, dim=-1, keepdim=True)  # (..., 1)
    return length / size.sqrt()


def xtc(
    logits: Tensor, probability: float, threshold: float, u: float | Tensor, ties: str = "exact"
) -> Tensor:
    """Exclude top choices: of the tokens with p ≥ ``threshold``, remove all but the least likely.

    It fires when the uniform draw ``u`` in [0, 1), one for all rows or one per row, is at most
    ``probability`` in [0, 1]. A ``threshold`` above ½ is off, as two tokens cannot both exceed it
    (llama.cpp). ``ties="exact"`` leaves one of those tokens (llama.cpp); ``ties="keep"`` asks for
    p > ``threshold`` and leaves every token that is as likely as the least likely of them (mlx-lm).
    A token that was removed before is no top choice, not even at the threshold 0.

    Here 0.64 and 0.24 are the top choices, and the draw 0.3 lets the rule fire:

    >>> xtc(torch.tensor([3.0, 2.0, 1.0, 0.0]), 0.5, threshold=0.1, u=0.3).tolist()
    [-inf, 2.0, 1.0, 0.0]
    """
    ties = choice("ties", ties, TIES)
    probability = check("xtc", probability)
    threshold = check("xtc_threshold", threshold)
    return _xtc(check_logits(logits), probability, threshold, u, ties)


def _xtc(
    logits: Tensor, probability: float, threshold: float, u: float | Tensor, ties: str
) -> Tensor:
    if probability == 0 or threshold > 0.5:
        return logits.clone()
    fires = uniforms(u, logits) <= probability  # (...)
    if ties == "keep":
        probs = logits.softmax(-1)  # (..., V)
        above = probs > threshold  # (..., V)
        least = probs.where(above, math.inf).amin(-1, keepdim=True)  # (..., 1) top choice's
        drop = probs > least  # (..., V)
    else:
        # In descending order, a top choice goes if the next token is a top choice as well.
        descending, order = logits.sort(dim=-1, descending=True, stable=True)  # (..., V) each
        above = descending.softmax(-1) >= threshold  # (..., V)
        above &= descending > NEG_INF  # a removed token's p = 0 reaches the threshold 0
        next_above = above.roll(-1, -1)  # (..., V)
        next_above[..., -1] = False
        drop = _scatter_back(above & next_above, order)  # (..., V)
    fires = fires.to(logits.device)[..., None]  # (..., 1)
    return logits.masked_fill(drop & fires, NEG_INF)


def _scatter_back(mask: Tensor, order: Tensor) -> Tensor:
    """A mask over sorted tokens, (..., V), as a mask over token ids.

    ``order``, (..., V), holds the ids in the order in which they were sorted.

    >>> _scatter_back(torch.tensor([False, False, True]), torch.tensor([2, 0, 1])).tolist()
    [False, True, False]
    """
    return torch.zeros_like(mask).scatter(-1, order, mask)


def sample(probs: Tensor, u: float | Tensor) -> Tensor:
    """The token whose interval of the cumulative distribution holds ``u``: (...), int64.

    ``probs``, (..., V), are non-negative and need not sum to 1. ``u`` in [0, 1), one for all rows
    or one per row, is stored by the caller, so that a draw can be replayed. The sum runs in
    float64 on the CPU whatever the device: the same probabilities and the same ``u`` give the
    same token everywhere.

    Here the intervals end at 0.5, 0.75, 0.875 and 1:

    >>> sample(torch.tensor([0.5, 0.25, 0.125, 0.125]), 0.8).item()
    2
    """
    is_real = (
        isinstance(probs, Tensor)
        and probs.ndim >= 1
        and probs.numel() > 0
        and not probs.is_complex()
    )
    require(is_real, "probs", "a real tensor of shape (..., vocab_size)", probs)
    computes = probs.dtype in FORMATS or not probs.is_floating_point()
    allowed = "in float16, bfloat16, float32, float64 or whole numbers"
    require(computes, "probs", allowed, probs.dtype)
    weights = in_float64(probs.detach().cpu())  # (..., V)
    allowed = "finite and non-negative with a positive sum in every row"
    are_weights = bool((weights >= 0).all())  # false for NaN as well
    require(are_weights, "probs", allowed, probs)

    # The weights lie end to end on a line, from 0 to their sum.
    cumulative = weights.cumsum(-1)  # (..., V)
    total = cumulative[..., -1:]  # (..., 1)
    in_range = (total > SMALLEST_SUM) & (total < math.inf)  # (..., 1)
    if not bool(in_range.all()):
        # A sum that float64 does not hold, or holds with few digits: measure by the largest weight.
        largest = weights.amax(-1, keepdim=True)  # (..., 1)
        measurable = bool(((largest > 0) & (largest < math.inf)).all())
        require(measurable, "probs", allowed, probs)
        unit = largest.masked_fill(in_range, 1)  # (..., 1)
        cumulative = (weights / unit).cumsum(-1)  # (..., V)
        total = cumulative[..., -1:]  # (..., 1)

    # Where u falls on that line.
    target = uniforms(u, weights)[..., None] * total  # (..., 1)
    token = torch.searchsorted(cumulative, target.contiguous(), right=True)  # (..., 1)
    # Rounding may lift the target to the full sum: then the last token that has mass is meant.
    last = cumulative.argmax(-1, keepdim=True)  # (..., 1)
    return torch.minimum(token, last)[..., 0].to(probs.device)  # (...)
