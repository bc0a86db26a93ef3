"""utils.training.ensembles: each network of a sweep is the one that a plain loop trains."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from utils.runtime import generator
from utils.training.ensembles.batch import initial_parameters, n_parameters
from utils.training.ensembles.sweep import Sweep, buckets, train_sweep

WIDTHS, SEEDS, FEATURES, CLASSES, STEPS, LR = [1, 3, 8, 33], [0, 5], 7, 4, 50, 0.01


def examples(n: int, n_seeds: int, seed: int = 0):
    """Noise with a class signal: inputs (n_seeds, n, 7) of mean squared norm 1, labels 0..3."""
    rng = generator(seed)
    X = rng.standard_normal((n_seeds, n, FEATURES)) / math.sqrt(FEATURES)
    noisy = rng.random((n_seeds, n)) < 0.3
    return X, np.where(noisy, rng.integers(0, CLASSES, (n_seeds, n)), X.argmax(-1) % CLASSES)


TRAIN, TEST = examples(40, 2), examples(60, 2, seed=1)


def plain_loop(
    X, y, width, seed, *, loss, weight_decay, schedule, w2_scale, steps=STEPS
) -> nn.Sequential:
    """What the sweep must equal: one network, torch.nn, torch.optim, autograd, float64."""
    start = initial_parameters(width, seed, FEATURES, CLASSES, w2_scale=w2_scale)
    net = nn.Sequential(nn.Linear(FEATURES, width), nn.ReLU(), nn.Linear(width, CLASSES)).double()
    with torch.no_grad():
        for parameter, name in zip(net.parameters(), ("W1", "b1", "W2", "b2"), strict=True):
            parameter.copy_(start[name])
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    if weight_decay:
        optimizer = torch.optim.AdamW(net.parameters(), lr=LR, weight_decay=weight_decay)
    else:
        optimizer = torch.optim.Adam(net.parameters(), lr=LR)
    for t in range(steps):
        optimizer.param_groups[0]["lr"] = LR * (
            0.5 * (1 + math.cos(math.pi * t / steps)) if schedule == "cosine" else 1
        )
        optimizer.zero_grad()
        plain_loss(net(X), y, loss).backward()
        optimizer.step()
    return net


def plain_loss(outputs: torch.Tensor, y: torch.Tensor, loss: str) -> torch.Tensor:
    if loss == "cross_entropy":
        return nn.functional.cross_entropy(outputs, y)
    return ((outputs - nn.functional.one_hot(y, CLASSES)) ** 2).sum(1).mean()


def sweep(**changed) -> Sweep:
    settings = {
        "widths": WIDTHS,
        "seeds": SEEDS,
        "steps": STEPS,
        "lr": LR,
        "dtype": torch.float64,
        "device": "cpu",
    }
    return train_sweep(*TRAIN, *TEST, **(settings | changed))


def distance(ours: dict[str, torch.Tensor], theirs: nn.Module) -> float:
    """Largest relative distance, by norm, over the four parameter tensors."""
    pairs = zip(("W1", "b1", "W2", "b2"), theirs.parameters(), strict=True)
    return max(((ours[name] - p.detach()).norm() / p.detach().norm()).item() for name, p in pairs)


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.5], ids=["adam", "adamw"])
@pytest.mark.parametrize(("schedule", "w2_scale"), [("cosine", 0.1), ("constant", 1.0)])
def test_each_network_is_the_one_a_plain_loop_trains(loss, weight_decay, schedule, w2_scale):
    settings = {
        "loss": loss,
        "weight_decay": weight_decay,
        "schedule": schedule,
        "w2_scale": w2_scale,
    }
    result = sweep(**settings)
    for (w, width), (s, seed) in itertools.product(enumerate(WIDTHS), enumerate(SEEDS)):
        net = plain_loop(TRAIN[0][s], TRAIN[1][s], width, seed, **settings)
        assert distance(result.parameters[width, seed], net) < 1e-10
        for (X, y), errors, losses in (
            (TRAIN, result.train_error, result.train_loss),
            (TEST, result.test_error, result.test_loss),
        ):
            with torch.no_grad():
                outputs, labels = net(torch.from_numpy(X[s])), torch.from_numpy(y[s])
            assert errors[w, s] == pytest.approx(
                (outputs.argmax(1) != labels).double().mean().item(), abs=1e-12
            )
            assert losses[w, s] == pytest.approx(
                plain_loss(outputs, labels, loss).item(), rel=1e-10
            )


def test_one_bucket_as_on_a_gpu_gives_the_same(monkeypatch):
    monkeypatch.setattr("utils.training.ensembles.sweep.CPU_OVERHEAD", math.inf)
    together = sweep(weight_decay=[0.0, 0.3])
    monkeypatch.setattr("utils.training.ensembles.sweep.CPU_OVERHEAD", 0.0)
    apart = sweep(weight_decay=[0.0, 0.3])
    assert together.parameters.keys() == apart.parameters.keys()
    for key, tensors in together.parameters.items():
        for name, value in tensors.items():
            torch.testing.assert_close(value, apart.parameters[key][name], rtol=1e-10, atol=1e-12)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same():
    here, there = sweep(weight_decay=0.3), sweep(weight_decay=0.3, device="cuda")
    for key, tensors in here.parameters.items():
        for name, value in tensors.items():
            torch.testing.assert_close(value, there.parameters[key][name], rtol=1e-10, atol=1e-12)


def test_a_list_of_weight_decays_is_one_sweep_for_each():
    both = sweep(weight_decay=[0.5, 0.0])
    assert both.dims == ("weight_decay", "width", "seed")
    for i, decay in enumerate(both.weight_decays):
        np.testing.assert_allclose(
            both.test_loss[i], sweep(weight_decay=decay).test_loss, rtol=1e-10
        )


def test_evaluation_steps_make_an_axis_and_change_nothing():
    along = sweep(eval_steps=[STEPS, 0, 20])
    assert along.dims == ("width", "seed", "step")
    assert along.steps == (0, 20, STEPS)
    assert along.test_error.shape == (len(WIDTHS), len(SEEDS), 3)
    np.testing.assert_array_equal(along.test_loss[..., -1], sweep().test_loss)
    np.testing.assert_allclose(
        along.test_loss[..., 0],
        sweep(steps=1, lr=1e-300, schedule="constant").test_loss,
        rtol=1e-12,
    )


def test_the_start_depends_on_width_and_seed_alone():
    a = initial_parameters(5, 2, FEATURES, CLASSES)
    b = initial_parameters(5, 2, FEATURES, CLASSES)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["W1"], initial_parameters(5, 3, FEATURES, CLASSES)["W1"])
    quiet = initial_parameters(5, 2, FEATURES, CLASSES, w2_scale=0.1)
    torch.testing.assert_close(quiet["W2"], 0.1 * a["W2"])
    wide = initial_parameters(20_000, 0, FEATURES, CLASSES)
    assert wide["W1"].std().item() == pytest.approx(math.sqrt(2), rel=0.02)
    assert wide["W2"].std().item() == pytest.approx(1 / math.sqrt(20_000), rel=0.02)


def test_a_network_does_not_depend_on_its_company():
    alone, in_company = sweep(widths=[8], eval_steps=[0]), sweep(eval_steps=[0])
    np.testing.assert_allclose(
        alone.test_loss[0], in_company.test_loss[WIDTHS.index(8)], rtol=1e-12
    )
    reordered = sweep(widths=WIDTHS[::-1])
    np.testing.assert_allclose(reordered.test_loss[::-1], sweep().test_loss, rtol=1e-10)


def test_shared_data_is_the_same_data_for_each_seed():
    (X, y), (X_test, y_test) = examples(40, 1), examples(60, 1, seed=1)
    settings = {"widths": [3], "seeds": SEEDS, "steps": 5, "dtype": torch.float64, "device": "cpu"}
    shared = train_sweep(X[0], y[0], X_test[0], y_test[0], **settings)
    each = train_sweep(*(np.repeat(a, 2, 0) for a in (X, y, X_test, y_test)), **settings)
    np.testing.assert_array_equal(shared.test_loss, each.test_loss)
    assert np.ptp(shared.test_loss) > 0


def test_parameter_counts():
    assert n_parameters(14, 64, 10) == 64 * 14 + 14 + 14 * 10 + 10 == 1060
    assert list(sweep(steps=1).n_parameters) == [n_parameters(w, FEATURES, CLASSES) for w in WIDTHS]


def test_buckets_are_the_cheapest_grouping():
    assert buckets([2, 4, 256], 1.0, math.inf) == [[2, 4, 256]]
    assert buckets([256, 2, 4], 1.0, 0.0) == [[2], [4], [256]]
    widths = [2, 3, 5, 8, 13, 40, 64, 100]

    def cost(groups):
        return sum(90 + 1.0 * len(group) * group[-1] for group in groups)

    every = []  # all 2^7 ways to cut the sorted list
    for cuts in itertools.product([False, True], repeat=len(widths) - 1):
        edges = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), len(widths)]
        every.append([widths[i:j] for i, j in itertools.pairwise(edges)])
    assert cost(buckets(widths, 1.0, 90)) == min(map(cost, every))


def test_float32_learns_and_stays_close():
    single, double = sweep(dtype=torch.float32), sweep()
    np.testing.assert_allclose(single.train_loss, double.train_loss, rtol=1e-3)
    assert double.train_loss[-1].max() < sweep(eval_steps=[0]).train_loss[-1].min()


BAD = np.full((2, 40, FEATURES), np.nan)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"widths": [4, 0]}, r"^widths must be a whole number in \[1, 1000000\], got 0$"),
        ({"widths": []}, r"^widths must be a non-empty list, got \[\]$"),
        ({"widths": [4, 4]}, r"^widths must be a list of distinct values, got \[4, 4\]$"),
        ({"seeds": [-1, 0]}, r"^seeds must be a whole number of at least 0, got -1$"),
        ({"loss": "hinge"}, r"^loss must be one of 'cross_entropy', 'squared_error', got 'hinge'$"),
        ({"schedule": "step"}, r"^schedule must be one of 'constant', 'cosine', got 'step'$"),
        ({"steps": 0}, r"^steps must be a whole number of at least 1, got 0$"),
        ({"lr": 0.0}, r"^lr must be a number in \(0, inf\), got 0\.0$"),
        ({"weight_decay": -1.0}, r"^weight_decay must be a number in \[0, inf\), got -1\.0$"),
        ({"eval_steps": 1}, r"^eval_steps must be None or at least one step, in a list, got 1$"),
        ({"device": "foo"}, r"^device must be a device of this machine \(cpu.*\), got 'foo'$"),
        ({"eval_steps": [99]}, r"^eval_steps must be a whole number in \[0, 50\], got 99$"),
        ({"n_classes": 3}, r"^n_classes must be a whole number of at least 4, got 3$"),
        (
            {"dtype": torch.float16},
            r"^dtype must be torch.float32 or torch.float64, got torch.float16$",
        ),
    ],
)
def test_a_bad_setting_is_one_clear_line(changed, message):
    with pytest.raises(ValueError, match=message) as error:
        sweep(**changed)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"X_train": np.zeros(40)},
            r"^X_train must be an array \(n, d\) or \(n_seeds, n, d\), "
            r"got an array of shape \(40,\)$",
        ),
        (
            {"X_train": np.zeros((3, 40, 7))},
            r"^X_train must be an array of 2 data sets, one a seed, "
            r"got an array of shape \(3, 40, 7\)$",
        ),
        ({"X_train": BAD}, r"^X_train must be finite everywhere, got .*nan.*$"),
        (
            {"X_train": np.array([["a"] * 7] * 40)},
            r"^X_train must be an array of real numbers, got dtype",
        ),
        (
            {"y_train": np.zeros(39, int)},
            r"^y_train must be of shape \(40,\) or \(2, 40\), as X_train is, got .*\(39,\)$",
        ),
        (
            {"y_train": np.zeros(40)},
            r"^y_train must be an array of whole class labels, got dtype\('float64'\)$",
        ),
        ({"y_test": np.full(60, -1)}, r"^y_test must be at least 0 everywhere, got -1$"),
        (
            {"X_test": np.zeros((60, 6))},
            r"^X_test must be an array of 7 features, as X_train is, got .*\(60, 6\)$",
        ),
    ],
)
def test_bad_data_is_one_clear_line(data, message):
    given = (
        dict(zip(("X_train", "y_train", "X_test", "y_test"), (*TRAIN, *TEST), strict=True)) | data
    )
    with pytest.raises(ValueError, match=message) as error:
        train_sweep(**given, widths=[2], seeds=SEEDS, steps=1)
    assert "\n" not in str(error.value)
