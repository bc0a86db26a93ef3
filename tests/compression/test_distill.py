"""The loss of distillation against its formula and its limits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from utils.compression.distill import distillation_loss
from utils.runtime import generator

RNG = generator(0, "torch")
STUDENT = torch.randn(6, 4, generator=RNG, dtype=torch.float64)
TEACHER = torch.randn(6, 4, generator=RNG, dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2, 3, 0, 1])


@pytest.mark.parametrize("T", [0.5, 1.0, 4.0])
def test_equals_the_formula(T):
    p = torch.exp(TEACHER / T) / torch.exp(TEACHER / T).sum(1, keepdim=True)
    q = torch.exp(STUDENT / T) / torch.exp(STUDENT / T).sum(1, keepdim=True)
    expected = T**2 * (p * (p / q).log()).sum(1).mean()
    loss = distillation_loss(STUDENT, TEACHER, temperature=T)
    torch.testing.assert_close(loss, expected)


def test_a_mixture_with_the_labels():
    soft = distillation_loss(STUDENT, TEACHER, temperature=2)
    hard = F.cross_entropy(STUDENT, LABELS)
    mixed = distillation_loss(STUDENT, TEACHER, LABELS, temperature=2, hard_weight=0.25)
    torch.testing.assert_close(mixed, 0.75 * soft + 0.25 * hard)


def test_a_teacher_that_is_certain_is_a_label():
    certain = 1000.0 * F.one_hot(LABELS, 4).double()
    loss = distillation_loss(STUDENT, certain)
    torch.testing.assert_close(loss, F.cross_entropy(STUDENT, LABELS))


def test_hot_slopes_match_logits():
    # Hinton et al.'s equation 4: for T large, T² · slope → (student − teacher) / (n · classes),
    # both centred.
    student = STUDENT.clone().requires_grad_()
    distillation_loss(student, TEACHER, temperature=1e4).backward()
    centred = (STUDENT - STUDENT.mean(1, keepdim=True)) - (TEACHER - TEACHER.mean(1, keepdim=True))
    torch.testing.assert_close(student.grad, centred / (6 * 4), rtol=1e-3, atol=1e-5)


def test_no_slope_reaches_the_teacher():
    student = STUDENT.clone().requires_grad_()
    teacher = TEACHER.clone().requires_grad_()
    distillation_loss(student, teacher).backward()
    assert teacher.grad is None


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"^temperature must be a number in \(0, inf\)"):
        distillation_loss(STUDENT, TEACHER, temperature=0)
    with pytest.raises(ValueError, match="^teacher must be logits of the student's shape"):
        distillation_loss(STUDENT, TEACHER[:3])
    with pytest.raises(ValueError, match="^labels must be given where hard_weight > 0"):
        distillation_loss(STUDENT, TEACHER, hard_weight=0.5)
