"""Learning from a prompt: the data, the rivals, training side by side, and the three commands."""

from __future__ import annotations

import math
from typing import cast

import pytest
import torch

from experiments.applications import in_context
from experiments.applications.in_context import main
from experiments.applications.in_context_copying import (
    LENGTH,
    WORDS,
    Copier,
    Copying,
    copying_losses,
    head_scores,
    segments,
    silenced,
)
from experiments.applications.in_context_labels import LABELS, Album, from_prompt, label_dials
from experiments.applications.in_context_regression import (
    DIMENSION,
    NOISE,
    Exam,
    Regression,
    Regressor,
    pairs,
    posterior_mean,
    ridge,
    slopes,
)
from experiments.applications.together import Training, train_together
from utils import records
from utils.models.gpt import Block
from utils.runtime import generator

TOY = {
    "copying": ["--seeds", "0", "1", "--steps", "6", "--points", "3"],
    "labels": ["--seeds", "0", "--moments", "2", "4", "--rows", "20"],
    "regression": ["--seeds", "0", "--tasks", "4", "0", "--moments", "2", "4", "--rows", "20"],
}


@pytest.fixture
def one_dial(monkeypatch):
    """Two runs of labels instead of fourteen, and two shapes of copiers."""
    monkeypatch.setattr(in_context, "label_dials", lambda seed: label_dials(seed)[:2])
    monkeypatch.setattr(in_context, "SHAPES", (Copying(), Copying(layers=1, before=True)))


# ---- copying -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fixed", [False, True])
def test_segments_repeat_and_are_otherwise_random(fixed):
    rows, lengths = segments(200, generator(0, "torch"), fixed=fixed)
    assert rows.shape == (200, LENGTH + 1)
    for row, length in zip(rows, lengths[:, 0].tolist(), strict=True):
        assert (row[length:] == row[:-length]).all()
    assert len(lengths.unique()) == (1 if fixed else 13)
    assert len(rows[:, :8].unique()) == WORDS


def test_the_two_losses_are_those_of_new_and_of_seen_tokens(monkeypatch):
    """A model that always says the token of one segment ago is right on the seen ones only."""
    rows, lengths = segments(50, generator(1, "torch"))
    model = Copier(1, 16)

    def repeating(ids):
        at = torch.arange(1, LENGTH + 1) - lengths  # (B, T): one segment back
        back = ids.gather(1, at.clamp(min=0))
        return 50.0 * torch.nn.functional.one_hot(back, WORDS).float()

    monkeypatch.setattr(model, "logits", repeating)
    new, seen = copying_losses(model, rows, lengths)
    assert seen < 1e-6
    assert new > 20


def test_shares_and_logits_are_those_of_the_courses_model():
    generator(0, "global")
    model = Copier(2, 16)
    rows, lengths = segments(3, generator(2, "torch"))
    torch.testing.assert_close(model.logits(rows[:, :-1]), model.core(rows[:, :-1]))
    shares = model.shares(rows[:, :-1])
    assert shares.shape == (2, 3, 4, LENGTH, LENGTH)
    torch.testing.assert_close(shares.sum(-1), torch.ones(2, 3, 4, LENGTH))
    previous, followers = head_scores(model, rows, lengths)
    assert previous.shape == followers.shape == (2, 4)
    assert (previous > 0).all()
    assert (followers < 1).all()


def test_a_silenced_head_writes_nothing_and_comes_back():
    model = Copier(2, 16)
    generator(0, "global")
    weight = cast("Block", model.core.blocks[0]).attn.out.weight
    torch.nn.init.normal_(weight)
    before = weight.detach().clone()
    with silenced(model, 0, [1, 3]):
        assert (weight[:, 4:8] == 0).all()
        assert (weight[:, 12:] == 0).all()
        assert (weight[:, :4] == before[:, :4]).all()
    assert (weight == before).all()


def test_the_token_before_reaches_the_model_that_is_given_it():
    model = Copier(1, 16, before=True)
    ids = torch.zeros(1, 3, dtype=torch.long)
    assert model.before is not None
    read = model._read(ids)
    torch.testing.assert_close(read[0, 0], model.core.tok.weight[0])
    torch.testing.assert_close(read[0, 1], model.core.tok.weight[0] + model.before.weight[0])


# ---- regression ----------------------------------------------------------------------------------


def test_ridge_has_the_error_of_its_own_posterior():
    x, y, true = pairs(20_000, generator(0, "torch"))
    error = (ridge(x, y) - true).square().mean(0)
    assert error[0] == pytest.approx(DIMENSION, rel=0.05)
    for k in (1, 4, 12):
        X = x[:2000, :k].double()
        precision = X.mT @ X / NOISE**2 + torch.eye(DIMENSION)
        expected = precision.inverse().diagonal(dim1=1, dim2=2).sum(1).mean()
        assert error[k] == pytest.approx(float(expected), rel=0.05)
    assert ridge(x[:5], y[:5], penalty=1e9).abs().max() < 1e-4


def test_least_squares_finds_the_line_without_noise():
    x, _, true = pairs(10, generator(0, "torch"))
    guesses = ridge(x, true, penalty=0)
    torch.testing.assert_close(guesses[:, DIMENSION:], true[:, DIMENSION:], atol=1e-3, rtol=1e-3)


def test_the_posterior_mean_is_bayes_rule_and_wins_on_its_own_tasks():
    pool = slopes(4, 0)
    assert pool is not None
    x, y, true = pairs(3000, generator(0, "torch"), pool)
    guesses = posterior_mean(x, y, pool)
    torch.testing.assert_close(guesses[:, 0], x[:, 0] @ pool.mean(0))
    weights = torch.ones(4)
    for k in range(2):
        weights = weights * torch.exp(-((y[7, k] - pool @ x[7, k]) ** 2) / (2 * NOISE**2))
    expected = (weights / weights.sum()) @ (pool @ x[7, 2])
    torch.testing.assert_close(guesses[7, 2], expected)
    assert (guesses - true).square().mean() < (ridge(x, y) - true).square().mean() / 2


def test_a_guess_knows_nothing_of_its_own_y():
    generator(0, "global")
    model = Regressor()
    torch.nn.init.normal_(model.say.weight)
    x, y, _ = pairs(2, generator(0, "torch"))
    other = y.clone()
    other[:, 5] += 1
    with torch.no_grad():
        moved = (model.predict(x, other) - model.predict(x, y)).abs().sum(0)
    assert (moved[:6] == 0).all()
    assert moved[6] > 0


def test_a_spread_of_inputs_reaches_three_times_and_a_third():
    x, _, _ = pairs(3000, generator(0, "torch"), spread=3.0)
    size = x.square().mean((1, 2)).sqrt()
    assert 3 < size.max() < 5
    assert 0.2 < size.min() < 1 / 3


def test_the_rivals_stand_beside_the_model():
    exam = Exam(Regression(4), rows=50)
    rivals = exam.rivals()
    assert rivals["known"]["posterior"][-1] < rivals["known"]["ridge"][-1]
    assert rivals["new"]["ridge"][-1] < rivals["new"]["posterior"][-1]
    with torch.no_grad():
        taken = exam.taken(Regressor())
    mean = sum(taken["new"]) / len(taken["new"])
    assert mean == pytest.approx(1, abs=0.1)  # an untrained model says about 0
    assert taken["to_posterior"] > 0


# ---- labels --------------------------------------------------------------------------------------


def test_a_class_keeps_its_label_and_bursts_show_it():
    album = Album(classes=50, bursty=1.0, zipf=0.0, seed=0)
    shown, labels, asked, right = album.prompts(400, generator(0, "torch"))
    near = torch.cdist(asked[:, None], shown)[:, 0].argmin(1)  # (n,)
    assert (labels.gather(1, near[:, None])[:, 0] == right).all()
    alone = Album(classes=50, bursty=0.0, zipf=0.0, seed=0).prompts(400, generator(0, "torch"))
    shown_anyway = (alone[1] == alone[3][:, None]).any(1).float().mean()
    assert shown_anyway < 0.5


def test_neither_class_nor_label_is_shown_where_the_weights_are_asked():
    album = Album(classes=50, bursty=1.0, zipf=1.0, seed=0)
    for evenly in (False, True):
        shown, labels, asked, right = album.from_weights(400, generator(0, "torch"), evenly=evenly)
        assert not (labels == right[:, None]).any()
        assert torch.cdist(asked[:, None], shown).min() > 0.3


def test_the_prompt_holds_the_answer_where_it_is_asked():
    shown, labels, asked, right = from_prompt(400, generator(0, "torch"))
    near = torch.cdist(asked[:, None], shown)[:, 0].argmin(1)
    assert (labels.gather(1, near[:, None])[:, 0] == right).all()
    assert len(right.unique()) == LABELS


# ---- training side by side -----------------------------------------------------------------------


@pytest.mark.parametrize("before", [False, True])
def test_models_side_by_side_learn_what_each_learns_alone(before):
    training = Training(steps=4, rate=1e-2, batch=3, warmup=2, average=0.5)

    def train(seeds):
        jobs = [Copying(1, 16, before=before, seed=seed) for seed in seeds]
        models = [job.model() for job in jobs]
        draws = [job.draw() for job in jobs]
        found = train_together(models, draws, training, lambda m, i: seeds[i], [0, 4])
        return models, found

    together, found = train([0, 1])
    assert found == [[0, 0], [1, 1]]
    for seed, model in enumerate(together):
        (alone,), _ = train([seed])
        for ours, theirs in zip(model.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    start = Copying(1, 16, before=before).model()
    assert (start.core.tok.weight - together[0].core.tok.weight).abs().max() > 1e-3


def test_time_that_is_up_ends_the_training():
    job = Copying(1, 16)
    training = Training(steps=4, rate=1e-2, batch=3)
    done = train_together([job.model()], [job.draw()], training, lambda m, i: 0, [4], deadline=0)
    assert done is None


def test_training_lowers_the_loss():
    job = Copying(1, 16, segments="fixed")
    training = Training(steps=120, rate=1e-2, batch=16)
    test = job.test(50)

    def measure(model, i):
        return copying_losses(model, *test)[1]

    found = train_together([job.model()], [job.draw()], training, measure, [0, 120])
    assert found is not None
    ((first, last),) = found
    assert last < first - 0.3
    assert first > math.log(WORDS) - 0.1


# ---- the commands --------------------------------------------------------------------------------


@pytest.mark.parametrize("part", list(TOY))
def test_a_part_is_stopped_and_continued(part, tmp_path, one_dial, capsys):
    out = tmp_path / "toy.json"
    main([part, *TOY[part], "--out", str(out), "--time-budget", "0"])
    assert "time is up" in capsys.readouterr().out
    assert not records.load(out).provenance["complete"]
    main([part, *TOY[part], "--out", str(out)])
    record = records.load(out)
    assert record.provenance["complete"]
    assert all(run["finished"] for run in record.data["runs"])


@pytest.mark.parametrize("part", list(TOY))
def test_a_gpu_would_measure_the_same(part, tmp_path, one_dial, monkeypatch):
    def runs():
        out = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
        main([part, *TOY[part], "--out", str(out)])
        return records.load(out).data["runs"]

    alone = runs()
    monkeypatch.setattr(in_context, "side_by_side", lambda: True)
    for one, other in zip(alone, runs(), strict=True):
        assert one.keys() == other.keys()
        key = "seen" if part == "copying" else "new" if part == "regression" else "prompt"
        assert flat(one[key]) == pytest.approx(flat(other[key]), abs=0.06)


def flat(values):
    return [x for value in values for x in (value if isinstance(value, list) else [value])]


def test_the_record_of_copying_says_what_each_silenced_head_costs(tmp_path, one_dial):
    out = tmp_path / "toy.json"
    main(["copying", *TOY["copying"], "--out", str(out)])
    two, one = (
        next(run for run in records.load(out).data["runs"] if run["layers"] == n) for n in (2, 1)
    )
    assert set(two["silenced"]) == {"looking", "others", "0", "1", "2", "3"}
    assert "silenced" not in one
    assert len(two["seen"]) == len(two["moments"]) == 4


@pytest.mark.parametrize(
    ("part", "options", "told"),
    [
        ("copying", ["--seeds", "0", "0"], "seeds must be numbers that all differ"),
        ("copying", ["--steps", "7", "--points", "2"], "steps must be a multiple of points"),
        ("labels", ["--rows", "0"], "rows must be a whole number of at least 1"),
        ("regression", ["--tasks", "-1"], "tasks must be a whole number of at least 0"),
    ],
)
def test_settings_out_of_range_are_refused(part, options, told, capsys):
    with pytest.raises(SystemExit):
        main([part, *options])
    assert told in capsys.readouterr().err


def test_an_unknown_part_is_refused():
    with pytest.raises(SystemExit, match="one of copying, labels, regression"):
        main(["nothing"])
