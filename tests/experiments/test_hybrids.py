"""Attention, recurrence and hybrids: the command at toy size, and what the layers compute."""

from __future__ import annotations

import math

import pytest
import torch

from experiments.applications import hybrids
from experiments.applications.hybrid_models import (
    LAYERS,
    Shape,
    answers,
    attend,
    convolve,
    draw_texts,
    initial,
    named,
    remember,
)
from experiments.applications.hybrids import Settings, keys, main, measure, train
from utils import records
from utils.runtime import generator

TOY = Settings(
    mixers=("aa", "R", "Ra"),
    pairs=(2, 3),
    d_keys=(2, 4),
    rates=(0.01, 0.03),
    seeds=(0, 1),
    steps=4,
    curve_every=2,
    n_symbols=4,
    d_model=8,
    d_ff=8,
    n_head=2,
    batch_size=4,
    eval_texts=8,
)


def small(mixer: str, d_key: int = 4) -> Shape:
    return TOY.shape(mixer, d_key)


def drawn(*size: int) -> torch.Tensor:
    return torch.randn(*size, generator=generator(0, "torch"))


# ---- the command


def test_the_command_writes_a_record(tmp_path, capsys):
    out = tmp_path / "hybrids.json"
    options = "--mixers aa rr --pairs 2 --d-keys 2 --rates .01 --seeds 0 --steps 3 --n-symbols 4"
    options += " --d-model 8 --d-ff 8 --n-head 2 --batch-size 2 --eval-texts 4"
    main([*options.split(), "--out", str(out)])
    record = records.load(out)
    assert f"wrote {out}" in capsys.readouterr().out
    assert record.provenance["complete"]
    assert {run["mixer"] for run in record.data["runs"]} == {"aa", "rr"}
    assert all(run["steps_measured"] == [3] for run in record.data["runs"])
    assert str(tmp_path) not in out.read_text()


def test_a_stopped_one_continues_to_the_same_result(tmp_path):
    whole = records.load(measure(TOY, tmp_path / "whole.json")).data
    part = tmp_path / "part.json"
    made = []

    def stop(*arguments):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(arguments)
        return train(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hybrids, "train", stop)
        with pytest.raises(KeyboardInterrupt):
            measure(TOY, part)
    assert len(records.load(part).data["runs"]) == 3
    again = records.load(measure(TOY, part)).data
    for run in [*whole["runs"], *again["runs"]]:
        del run["seconds"]
    assert again == whole


def test_a_run_without_time_says_that_it_is_not_finished(tmp_path):
    data = records.load(measure(TOY, tmp_path / "late.json", time_budget=0)).data
    assert [run["finished"] for run in data["runs"]] == [False]
    assert data["runs"][0]["steps_measured"] == [2]


def test_only_a_single_recurrent_layer_varies_its_state():
    cases = [(key["mixer"], key["d_key"]) for key in keys(TOY) if key["pairs"] == 2]
    assert cases == [("aa", 2), ("R", 2), ("R", 4), ("Ra", 2)]


# ---- training


def test_networks_that_are_trained_together_do_not_touch_one_another():
    """Those of one rate and seed are the same, whichever others are trained beside them."""
    both = train(TOY, small("Ra"), 2)["accuracy"]
    alone = Settings(**{**vars(TOY), "rates": (0.03,), "seeds": (1,)})
    (row,) = train(alone, small("Ra"), 2)["accuracy"][-1]
    assert both[-1][1][1] == pytest.approx(row[0], abs=1e-4)


def test_a_convolution_in_front_lets_attention_learn_the_task():
    settings = Settings(**{**vars(TOY), "steps": 150, "d_model": 16, "eval_texts": 32})
    learned = train(settings, settings.shape("A", 4), 2)["accuracy"][-1]
    assert max(max(row) for row in learned) > 0.9


def test_a_head_start_is_the_task_without_training_of_the_keys():
    """Queries as keys, and every token filed under the one before it."""
    shape = Shape("RR", d_key=3, d_model=8, n_head=2)
    p = named(initial(shape, 0, head_start=True)[None], shape)
    q, k, v = p["0.qkv"][0].split([6, 6, 8], dim=1)
    assert torch.equal(q, k)
    assert not torch.allclose(q[:, :6], v[:, :6])
    kernel = p["1.conv"][0].round()  # what it starts from is disturbed by 0.02
    assert kernel[:, 6:12].T.tolist() == [[0, 1, 0]] * 6
    assert kernel[:, :6].T.tolist() + kernel[:, 12:].T.tolist() == [[0, 0, 1]] * 14


# ---- the task


def test_every_key_is_asked_once_and_has_one_answer():
    texts = draw_texts(20, 3, 5, generator(0, "torch"))
    assert texts.shape == (20, 12)
    for text in texts.tolist():
        shown = dict(zip(text[0:6:2], text[1:6:2], strict=True))
        asked = dict(zip(text[6::2], text[7::2], strict=True))
        assert shown == asked
        assert len(shown) == 3
        assert all(key < 5 <= value < 10 for key, value in shown.items())


# ---- the layers


def test_the_recurrence_equals_its_definition():
    q, k = drawn(2, 5, 3), drawn(2, 5, 3).flip(0)
    v = drawn(2, 5, 4)
    decay = torch.tensor([0.5, 0.9]).view(2, 1, 1)
    result = remember(q, k, v, decay)
    for head in range(2):
        state = torch.zeros(3, 4)
        for t in range(5):
            state = decay[head, 0, 0] * state + torch.outer(k[head, t], v[head, t])
            assert torch.allclose(result[head, t], q[head, t] @ state, atol=1e-6)


def test_attention_equals_its_definition():
    q, k, v = drawn(1, 1, 2, 4, 6), drawn(1, 1, 2, 4, 6).flip(-1), drawn(1, 1, 2, 4, 3)
    scores = q @ k.transpose(-1, -2) / 6**0.5
    hidden = torch.ones(4, 4).triu(1).bool()
    weights = scores.masked_fill(hidden, -torch.inf).softmax(-1)
    assert torch.allclose(attend(q, k, v, rotary=False), weights @ v, atol=1e-6)


def test_the_convolution_weighs_the_last_three_positions():
    x = torch.arange(1.0, 5.0).view(1, 1, 4, 1)
    kernel = torch.tensor([100.0, 10.0, 1.0]).view(1, 3, 1)
    assert convolve(x, kernel).flatten().tolist() == [1, 12, 123, 234]


@pytest.mark.parametrize("letter", LAYERS)
def test_no_layer_looks_ahead(letter):
    shape = small(letter * 2)
    flat = initial(shape, 0)[None]
    flat = flat + 0.1 * drawn(*flat.shape)  # what is added to the residual stream starts at zero
    texts = draw_texts(1, 3, 4, generator(0, "torch"))[None]
    changed = texts.clone()
    changed[..., 8:] = 0  # the second question and all that follows
    before, after = (answers(flat, shape, t, 3)[0, 0] for t in (texts, changed))
    assert torch.allclose(before[0], after[0], atol=1e-6)
    assert not torch.allclose(before[2], after[2], atol=1e-6)


@pytest.mark.parametrize("mixer", ["aa", "AA", "NN", "rr", "RR", "Ra", "RA"])
@pytest.mark.parametrize("d_key", [2, 4, 8, 16])
def test_all_mixers_have_nearly_as_many_parameters(mixer, d_key):
    most = Shape("aa").n_parameters()
    assert abs(Shape(mixer, d_key=d_key).n_parameters() / most - 1) < 0.025


def test_what_is_kept_between_positions():
    assert Shape("RR", d_key=4).n_state() == 2 * 4 * 4 * 16
    assert Shape("aa").n_state() == 0
    assert Shape("aa").n_cached(10) == 2 * 10 * 2 * 64
    assert Shape("RR").n_cached(10) == 0
    assert Shape("NN", d_key=2).n_cached(10) == 2 * 10 * (4 * 2 + 64)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mixers": ("ax",)}, "mixer must be made of the letters a, A, N, r, R, got 'ax'"),
        ({"mixers": ("aa", "aa")}, r"mixers must be numbers that all differ, got \('aa', 'aa'\)"),
        ({"pairs": (40,)}, "n_symbols must be a whole number of at least 40, got 32"),
        ({"rates": (0.0,)}, r"rates must be a number in \(0, inf\), got 0.0"),
        ({"d_keys": (0,)}, "d_key must be a whole number of at least 1, got 0"),
        ({"n_head": 3}, "d_model must be a multiple of 2 n_head = 6, got 64"),
    ],
)
def test_a_bad_setting_is_one_clear_line(changed, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Settings(**changed)


def test_what_writes_into_the_stream_begins_at_zero_or_at_the_size_that_is_asked_for():
    shape = Shape("aa", 4, 8, 16, 32, 2)
    zero, half = initial(shape, 0), initial(shape, 0, outputs=0.5)
    sizes = {}
    for name, part in named(half[None], shape).items():
        other = named(zero[None], shape)[name]
        if name.split(".")[-1] in ("out", "down"):
            assert not other.any()
            sizes[name] = part.std().item() * math.sqrt(part.shape[1])
        else:
            assert torch.equal(part, other)
    assert all(0.4 < size < 0.6 for size in sizes.values())
    assert len(sizes) == 4
