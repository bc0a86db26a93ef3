"""Distillation: a student learns from the probabilities that a teacher gives to all classes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from utils.validate import number, require


def distillation_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor | None = None,
    *,
    temperature: float = 1.0,
    hard_weight: float = 0.0,
) -> Tensor:
    """T² · KL(teacher ‖ student) at temperature T, in nats, averaged over the examples.

    student, teacher: logits (n, classes); both are divided by T before the softmax, which moves
    probability from the first class to the others. Hinton et al. 2015 (arXiv:1503.02531): the
    slope of the divergence in the student's logits shrinks as 1/T², so T² keeps it comparable.
    hard_weight: in [0, 1], the share of the ordinary cross-entropy with ``labels`` (n,), at T = 1.
    No gradient reaches the teacher. Raises ``ValueError`` for what does not fit.

    >>> import torch
    >>> logits = torch.tensor([[2.0, 1.0, 0.0]])
    >>> distillation_loss(logits, logits, temperature=4.0).item()  # nothing left to learn
    0.0
    """
    T = number("temperature", temperature, 0.0, open_low=True)
    hard_weight = number("hard_weight", hard_weight, 0.0, 1.0)
    fits = student.dim() == 2 and teacher.shape == student.shape
    require(fits, "teacher", f"logits of the student's shape {tuple(student.shape)}", teacher)

    log_p = F.log_softmax(teacher.detach() / T, dim=1)  # (n, classes)
    log_q = F.log_softmax(student / T, dim=1)  # (n, classes)
    soft = T**2 * F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
    if hard_weight == 0:
        return soft

    require(labels is not None, "labels", "given where hard_weight > 0", labels)
    assert labels is not None
    hard = F.cross_entropy(student, labels)
    return (1 - hard_weight) * soft + hard_weight * hard
