"""What utils.models.budget refuses; its numbers are compared with the page's own in test_widgets."""

import pytest

from utils.models.budget import PRESETS, Shape, training_days


@pytest.mark.parametrize("flops", [-1, float("nan"), float("inf"), "1", None])
def test_days_need_a_finite_number_of_operations(flops):
    with pytest.raises(ValueError, match=r"^flops must be a number in \[0, inf\), got") as error:
        training_days(flops, "A100")
    assert "\n" not in str(error.value)
    assert training_days(0, "A100") == 0


@pytest.mark.parametrize("tied", ["no", 0, None])
def test_tied_is_true_or_false(tied):
    shape = PRESETS["gpt2"]["shape"]
    with pytest.raises(ValueError, match="^tie_embeddings must be True or False, got"):
        Shape(**vars(shape) | {"tie_embeddings": tied})
