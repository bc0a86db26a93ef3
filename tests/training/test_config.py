"""utils.training.config: schedules, and each setting out of its range has one clear line."""

import itertools
from dataclasses import replace

import pytest

from utils.training.config import TrainConfig, TrainState, lr_factor, smaller_pass


def test_schedules():
    config = TrainConfig(steps=100, warmup=9, schedule="wsd", decay=0.2, final_lr=0.1)
    rate = [lr_factor(s, config, steps=100, decay_start=80) for s in range(101)]
    assert rate[0] == pytest.approx(0.1)
    assert rate[9:81] == [1.0] * 72
    assert rate[90] == pytest.approx(0.55)
    assert rate[100] == pytest.approx(0.1)
    falling = replace(config, schedule="cosine")
    cosine = [lr_factor(s, falling, steps=100, decay_start=80) for s in range(101)]
    assert cosine[9] == pytest.approx(1.0)
    assert cosine[100] == pytest.approx(0.1)
    assert all(a > b for a, b in itertools.pairwise(cosine[9:]))


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            dict(batch_size=5, accumulate=2),
            "batch_size must be a multiple of accumulate = 2, got 5",
        ),
        (dict(steps=0), "steps must be a whole number of at least 1, got 0"),
        (dict(schedule="linear"), "schedule must be one of 'cosine', 'wsd', got 'linear'"),
        (dict(beta1=1), r"beta1 must be a number in \[0, 1\), got 1"),
        (dict(beta2=1.0), r"beta2 must be a number in \[0, 1\), got 1.0"),
        (dict(decay=1), r"decay must be a number in \[0, 1\), got 1"),
        (dict(seed=2**63), "seed must be a whole number in"),
        (dict(compile="no"), "compile must be True or False, got 'no'"),
        (dict(learning_rate=0.0), r"learning_rate must be a number in \(0, inf\), got 0.0"),
    ],
)
def test_bad_settings_are_refused_in_one_line(fields, line):
    with pytest.raises(ValueError, match=line):
        TrainConfig(**{"steps": 10} | fields)


@pytest.mark.parametrize(
    "state",
    [
        {"step": "x"},
        {"extra": 1},
        {"step": -1},
        {"seconds": float("nan")},
        {"decay_start": 1.5},
        {"history": 3},
        {"history": [{}]},
        {"step": 5, "history": [{"step": 6, "train_loss": 1.0}]},
    ],
)
def test_a_state_that_no_run_leaves_is_refused(state):
    with pytest.raises(
        ValueError, match="^run.safetensors does not hold the state of a run: "
    ) as error:
        TrainState.stored("run.safetensors", state)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("batch_size", "accumulate", "world", "advice"),
    [
        (9, 3, 1, "accumulate=9"),
        (12, 2, 1, "accumulate=3"),
        (12, 1, 2, "accumulate=2"),
        (4, 2, 2, None),
    ],
)
def test_the_advice_is_a_setting_that_is_allowed(batch_size, accumulate, world, advice):
    config = TrainConfig(10, batch_size, accumulate)
    assert smaller_pass(config, world) == advice
    if advice:
        TrainConfig(10, batch_size // world, int(advice.partition("=")[2]))
