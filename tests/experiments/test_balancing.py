"""The search over knobs against overfitting: its networks, its arms, and the command."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from experiments.trade_offs import balancing
from experiments.trade_offs.balancing import Settings, arms_of, main, measure, numbers, text, voted
from experiments.trade_offs.tuned_networks import (
    DEFAULT,
    KNOBS,
    MOMENTS,
    N_TEST,
    STEP_OF_EXAMPLES,
    AdamW,
    draws,
    flops_of,
    gradient,
    nine_shifts,
    parts_of,
    train,
)
from utils import records
from utils.runtime import generator

pytestmark = pytest.mark.usefixtures("one_thread")

EXAMPLES = STEP_OF_EXAMPLES
TOY = Settings(noises=(0.3,), seeds=(0,), runs=2, examples=EXAMPLES)


@pytest.fixture
def few_arms(monkeypatch):
    """Two arms and one rival instead of all."""
    monkeypatch.setattr(balancing, "arms_of", lambda noise: {"all": KNOBS, "only size": ("size",)})
    monkeypatch.setattr(balancing, "RIVALS", ("default",))
    monkeypatch.setattr(balancing, "LAVISH", ())


def test_the_command_writes_a_record(few_arms, tmp_path, capsys):
    out = tmp_path / "balancing.json"
    options = ["--noises", "0.3", "--seeds", "0", "--runs", "2", "--examples", str(EXAMPLES)]
    main([*options, "--out", str(out)])
    record = records.load(out)
    assert f"wrote {out}" in capsys.readouterr().out
    assert record.provenance["complete"]
    [found] = record.data["searches"]
    arm = found["arms"]["all"]
    assert len(arm["curves"]) == len(numbers(arm["val"])) >= 1
    lowest = [numbers(curve).min() for curve in arm["curves"]]
    np.testing.assert_array_equal(lowest, numbers(arm["val"]))
    [default] = record.data["rivals"]
    assert len(numbers(default["test"])) == 2
    assert str(tmp_path) not in out.read_text()


def test_a_stopped_one_continues_to_the_same_result(few_arms, tmp_path):
    whole = records.load(measure(TOY, tmp_path / "whole.json"))
    part = tmp_path / "part.json"
    measure(TOY, part, time_budget=0.0)
    measure(TOY, part)
    assert records.load(part).data == whole.data


def test_every_rival_runs_and_pays_for_what_it_takes():
    flops = {}
    for name in balancing.RIVALS + balancing.LAVISH:
        found = balancing.rival(name, 0.3, 0, runs=2, examples=EXAMPLES, deadline=0.0)
        flops[name] = found["flops"]
        assert len(numbers(found["voting"])) == len(balancing.TOP)
    one = flops_of(DEFAULT.width, EXAMPLES)
    assert flops["rule"] == one
    assert flops["default"] == 2 * one
    assert flops["larger"] == pytest.approx(2 * one, rel=0.01)
    assert flops["larger, slower"] == flops["larger"]
    assert flops["longer"] == pytest.approx(2 * one, rel=0.01)
    assert flops["more images"] == pytest.approx(1.5 * one, rel=0.15)


def test_a_search_spends_its_budget_and_no_more():
    budget = 10 * flops_of(DEFAULT.width, EXAMPLES)
    for knobs in arms_of(0.3).values():
        spent = [flops_of(s.width, EXAMPLES) for s in draws(knobs, budget, EXAMPLES, seed=0)]
        assert budget - flops_of(256, EXAMPLES) < sum(spent) <= budget


def test_arms_share_the_positions_of_the_knobs_that_both_turn():
    budget = 10 * flops_of(DEFAULT.width, EXAMPLES)
    every = draws(KNOBS, budget, EXAMPLES, seed=0)
    no_size = draws(KNOBS[1:], budget, EXAMPLES, seed=0)
    for one, other in zip(every, no_size, strict=False):
        assert replace(one, width=DEFAULT.width) == other
    assert draws((), budget, EXAMPLES, seed=0) == [DEFAULT] * 10


def test_the_gradient_is_that_of_autograd():
    rng = generator(0, "torch")
    shapes = [(2, 64, 5), (2, 1, 5), (2, 5, 10), (2, 1, 10)]
    net = [torch.randn(shape, generator=rng, requires_grad=True) for shape in shapes]
    x = torch.randn(2, 7, 64, generator=rng)
    y = torch.randint(0, 10, (2, 7), generator=rng)
    none = torch.zeros(2, 1, 1)
    with torch.no_grad():
        by_hand = gradient(net, x, y, none, rng)

    W1, b1, W2, b2 = net
    scores = torch.relu(x @ W1 + b1) @ W2 + b2
    loss = cross_entropy(scores.mT, y, reduction="none").mean(1).sum()
    for ours, theirs in zip(by_hand, torch.autograd.grad(loss, net), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_adamw_is_that_of_torch():
    rng = generator(0, "torch")
    start, slopes = torch.randn(2, 3, 4, generator=rng), torch.randn(5, 2, 3, 4, generator=rng)
    rate, decay = torch.tensor([0.1, 0.02]).view(-1, 1, 1), torch.tensor([0.5, 2.0]).view(-1, 1, 1)
    ours = [start.clone()]
    optimizer = AdamW(ours, rate, decay)
    for slope in slopes:
        optimizer.step(ours, [slope])
    for i in range(2):
        theirs = start[i].clone().requires_grad_()
        lr, weight_decay = rate[i].item(), decay[i].item()
        reference = torch.optim.AdamW([theirs], lr=lr, weight_decay=weight_decay)
        for slope in slopes:
            theirs.grad = slope[i]
            reference.step()
        torch.testing.assert_close(ours[0][i], theirs.detach(), rtol=1e-5, atol=1e-6)


def test_each_try_has_its_own_setting_and_training_learns():
    settings = [DEFAULT, replace(DEFAULT, width=8), replace(DEFAULT, rate=1e-9)]
    tried = train(settings, parts_of(0.0, 0), EXAMPLES, seed=0)
    assert tried.val.shape == (MOMENTS, 3)
    assert tried.test[-1, 0] < tried.test[-1, 1] < tried.test[-1, 2]
    assert tried.test[-1, 2] > 0.7 * N_TEST  # no rate, no learning
    np.testing.assert_allclose(tried.votes.sum(2), 1, atol=1e-5)


def test_parts_are_apart_and_only_the_test_labels_are_all_right():
    clean, noisy = parts_of(0.0, 0), parts_of(0.3, 0)
    for part in ("train", "val", "fresh"):
        wrong = (getattr(clean, part).y != getattr(noisy, part).y).float().mean()
        assert 0.2 < wrong < 0.4
    assert torch.equal(clean.test.y, noisy.test.y)
    more = parts_of(0.3, 0, val_in_training=True)
    assert len(more.train.y) == len(noisy.train.y) + len(noisy.val.y)


def test_shifts_move_by_a_pixel_and_the_middle_one_stays():
    images = torch.arange(128.0).view(2, 64)
    moved = nine_shifts(images)
    assert moved.shape == (9, 2, 64)
    torch.testing.assert_close(moved[4], images)
    torch.testing.assert_close(moved[8, :, 0], images[:, 9])


def test_a_vote_is_that_of_the_mean_probabilities():
    parts = parts_of(0.0, 0)
    right = torch.nn.functional.one_hot(parts.test.y, 10).numpy().astype(float)
    wrong = np.roll(right, 1, axis=1)
    assert voted(np.stack([right, 0.9 * wrong]), parts) == 0
    assert voted(np.stack([right, 1.1 * wrong]), parts) == N_TEST


def test_a_column_comes_back():
    assert numbers(text([3, 0.25, 71])).tolist() == [3, 0.25, 71]


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="examples must be a multiple of 5120"):
        Settings(examples=6000)
    with pytest.raises(ValueError, match="noises must be"):
        Settings(noises=(1.5,))
    with pytest.raises(ValueError, match="runs must be"):
        Settings(runs=1)
