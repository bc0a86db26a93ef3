"""What a run of a scaling study is: its counts, its name, its learning rates, what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.scaling.small import small_spec
from utils.models.gpt import GPT


def test_the_counts_are_those_of_the_model():
    spec = small_spec()
    model = GPT(spec.gpt())
    n_params = sum(p.numel() for p in model.parameters())
    assert spec.n_params == n_params
    assert spec.n_non_embedding == n_params - 32 * 16
    assert spec.steps == 12
    assert spec.batch_size == 2
    assert spec.flops == 6 * n_params * 12 * 16


def test_tokens_are_rounded_to_whole_steps_and_the_flops_with_them():
    spec = small_spec(tokens=100)  # 6.25 steps of 16
    assert spec.steps == 6
    assert spec.flops == 6 * spec.n_params * 96
    assert small_spec(tokens=1).steps == 1


def test_two_specs_have_two_names():
    spec = small_spec()
    changed = {"seed": 1, "schedule": "constant", "unique_tokens": 50, "weight_decay": 0.0}
    changed |= {"learning_rate": 0.01, "tokens": 320, "batch_tokens": 32}
    names = {replace(spec, **{field: value}).name for field, value in changed.items()}
    assert len(names | {spec.name}) == len(changed) + 1
    assert spec.name == small_spec().name


def test_the_schedules():
    rates = {
        schedule: small_spec(schedule=schedule, tokens=100 * 16, learning_rate=1.0).learning_rates()
        for schedule in ("linear", "cooldown", "constant")
    }
    # All three rise over five steps of the hundred.
    for values in rates.values():
        np.testing.assert_allclose(values[:5], [0.2, 0.4, 0.6, 0.8, 1.0])
    # Then a line that would be zero at step 100, nothing, and a fall over the last twenty.
    assert rates["linear"][5] == 1.0
    np.testing.assert_allclose(np.diff(rates["linear"][5:]), -1 / 95)
    assert rates["linear"][-1] == pytest.approx(1 / 95)
    assert (rates["constant"][5:] == 1.0).all()
    assert (rates["cooldown"][5:81] == 1.0).all()
    np.testing.assert_allclose(np.diff(rates["cooldown"][80:]), -1 / 20)
    assert rates["cooldown"][-1] == pytest.approx(1 / 20)


@pytest.mark.parametrize("schedule", ["linear", "cooldown", "constant"])
@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_a_schedule_of_few_steps_is_one_of_positive_rates(schedule, steps):
    rates = small_spec(schedule=schedule, tokens=16 * steps, learning_rate=0.5).learning_rates()
    assert rates.shape == (steps,)
    assert rates.min() > 0
    assert rates.max() == 0.5


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"tokens": 0}, "tokens must be a whole number of at least 1, got 0"),
        ({"batch_tokens": 12}, "batch_tokens must be a multiple of context_length = 8, got 12"),
        ({"learning_rate": 0.0}, r"learning_rate must be a number in \(0, inf\), got 0.0"),
        ({"learning_rate": float("nan")}, r"learning_rate must be a number in \(0, inf\), got nan"),
        ({"weight_decay": -1.0}, r"weight_decay must be a number in \[0, inf\), got -1.0"),
        ({"schedule": "cosine"}, "schedule must be one of 'linear', 'cooldown', 'constant', got"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"unique_tokens": 8}, "unique_tokens must be a whole number of at least 9, got 8"),
        ({"n_head": 3}, "d_model"),
    ],
)
def test_a_bad_setting_is_one_clear_line(changed, message):
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        small_spec(**changed)
    assert "\n" not in str(caught.value)
