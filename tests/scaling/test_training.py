"""Training of a grid's runs: the order of the text, equality with the plain loop, side by side."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.scaling.small import small_spec, small_text
from utils.models.gpt import GPT
from utils.runtime import generator
from utils.scaling.training import Training, train_one, train_together
from utils.training.config import TrainConfig, optimizer_for
from utils.training.loop import evaluate

CPU = torch.device("cpu")
CLOCKS = ("cpu_seconds", "wall_seconds")


def outcome(result: dict) -> dict:
    """A result without the times that it took."""
    return {name: value for name, value in result.items() if name not in CLOCKS}


# ---- the order of the text -----------------------------------------------------------------------


def test_every_window_is_used_once_in_a_pass():
    tokens, validation = small_text()
    n_windows = 50  # of eight tokens and one to predict, in 401
    spec = small_spec(tokens=16 * 60)  # 120 windows: two passes and 20 more
    starts = Training(spec, tokens, validation, device=CPU).starts.numpy()  # (60, 2)
    order = starts.ravel()
    everything = np.arange(n_windows) * 8
    first, second, rest = order[:50], order[50:100], order[100:]
    assert (np.sort(first) == everything).all()
    assert (np.sort(second) == everything).all()
    assert (first != second).any()  # each pass has an order of its own
    assert len(np.unique(rest)) == 20


def test_a_longer_run_begins_with_the_text_of_the_shorter():
    tokens, validation = small_text()
    short = Training(small_spec(tokens=16 * 10), tokens, validation, device=CPU).starts
    long = Training(small_spec(tokens=16 * 20), tokens, validation, device=CPU).starts
    assert torch.equal(long[:10], short)


def test_unique_tokens_are_the_front_of_the_text():
    tokens, validation = small_text()
    run = Training(small_spec(unique_tokens=41), tokens, validation, device=CPU)  # five windows
    assert set(run.starts.ravel().tolist()) == {0, 8, 16, 24, 32}
    assert len(run.text) == 41


# ---- what is trained -----------------------------------------------------------------------------


def test_it_is_the_plain_loop():
    """The same model, batches and rates in ten lines, without graphs, tables and counters."""
    tokens, validation = small_text()
    spec = small_spec()
    run = Training(spec, tokens, validation, device=CPU)
    starts, rates = run.starts, spec.learning_rates()
    result = train_one(spec, tokens, validation, device=CPU)

    generator(spec.seed, "global")
    model = GPT(spec.gpt()).train()
    optimizer = optimizer_for(model, TrainConfig(steps=spec.steps, weight_decay=0.1, beta2=0.99))
    text = torch.from_numpy(tokens.astype(np.int64))
    losses = []
    for step in range(spec.steps):
        windows = torch.stack([text[start : start + 9] for start in starts[step]])  # (2, 9)
        loss = model(windows[:, :-1], windows[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = float(rates[step])
        optimizer.step()
        losses.append(float(loss.detach()))
    # 12 steps are fewer than 64 parts, so that every part is one step.
    np.testing.assert_allclose(result["train_curve"], losses, atol=2e-5)
    held_out = evaluate(model, validation, windows=400, batch_size=64, precision="fp32")
    assert result["val_loss"] == pytest.approx(held_out, abs=1e-5)


def test_it_learns():
    tokens, validation = small_text()
    result = train_one(small_spec(tokens=16 * 200), tokens, validation, device=CPU)
    assert len(result["train_curve"]) == 64
    assert result["val_loss"] < 0.6 * np.log(32)
    assert result["tokens"] == 3200


def test_the_curve_of_held_out_losses():
    tokens, validation = small_text()
    result = train_one(small_spec(), tokens, validation, device=CPU, evaluations=4)
    assert [point["step"] for point in result["val_curve"]] == [3, 6, 9, 12]
    assert result["val_curve"][-1]["val_loss"] == result["val_loss"]
    # Measuring on the way changes nothing.
    plain = train_one(small_spec(), tokens, validation, device=CPU)
    assert plain["val_loss"] == result["val_loss"]
    assert plain["train_curve"] == result["train_curve"]


def test_runs_side_by_side_are_the_runs_one_by_one_bit_for_bit():
    """Several at once is for a GPU; on the CPU too no run may change another."""
    tokens, validation = small_text()
    specs = [small_spec(seed=seed, tokens=16 * steps) for seed, steps in ((0, 12), (1, 30), (2, 5))]
    together = dict(train_together(specs, tokens, validation, at_once=3, device=CPU))
    assert list(together) != []
    for spec in specs:
        alone = train_one(spec, tokens, validation, device=CPU)
        assert outcome(together[spec]) == outcome(alone)


def test_another_seed_is_another_run():
    tokens, validation = small_text()
    losses = {
        train_one(small_spec(seed=s), tokens, validation, device=CPU)["val_loss"] for s in (0, 1)
    }
    assert len(losses) == 2


def test_no_time_at_all_trains_nothing():
    tokens, validation = small_text()
    assert list(train_together([small_spec()], tokens, validation, deadline=0.0, device=CPU)) == []


@pytest.mark.parametrize(
    ("spec", "tokens", "message"),
    [
        (small_spec(), np.full(401, 32, dtype=np.uint16), "vocab|token|ids"),
        (small_spec(), np.zeros(8, dtype=np.uint16), "tokens must be"),
        (small_spec(), np.zeros(401), "tokens must be"),
    ],
)
def test_a_text_that_does_not_fit_is_one_clear_line(spec, tokens, message):
    with pytest.raises(ValueError, match=message) as caught:
        train_one(spec, tokens, small_text()[1], device=CPU)
    assert "\n" not in str(caught.value)
