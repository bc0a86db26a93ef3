"""Finding a word in a list: the command at toy size, stopped and continued, what is asked for."""

from __future__ import annotations

import pytest
import torch

from experiments.applications import retrieval
from experiments.applications.retrieval import (
    PLACES,
    Settings,
    draw_lists,
    main,
    measure,
    places_asked,
    with_questions,
)
from utils import records

TOY = Settings(seeds=(0,), length=9, questions=2, steps=2, batch_size=2, lists=4)


def test_the_command_writes_a_record(tmp_path, capsys):
    out = tmp_path / "retrieval.json"
    options = "--seeds 0 --length 9 --questions 2 --steps 2 --batch-size 2 --lists 4"
    main([*options.split(), "--out", str(out)])
    record = records.load(out)
    assert f"wrote {out}" in capsys.readouterr().out
    assert record.provenance["complete"]
    assert {run["places"] for run in record.data["runs"]} == set(PLACES)
    for run in [*record.data["start"], *record.data["runs"]]:
        assert len(run["accuracy"]) == 8
    assert str(tmp_path) not in out.read_text()


def test_a_stopped_one_continues_to_the_same_result(tmp_path):
    whole = records.load(measure(TOY, tmp_path / "whole.json")).data
    part = tmp_path / "part.json"
    trained = []

    def stop(*arguments):
        if len(trained) == 1:
            raise KeyboardInterrupt
        trained.append(arguments)
        return train(*arguments)

    train = retrieval.train
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval, "train", stop)
        with pytest.raises(KeyboardInterrupt):
            measure(TOY, part)
    assert len(records.load(part).data["runs"]) == 1
    assert records.load(measure(TOY, part)).data == whole


def test_a_run_that_comes_too_late_is_not_made(tmp_path):
    data = records.load(measure(TOY, tmp_path / "late.json", time_budget=0)).data
    assert [run["finished"] for run in data["runs"]] == [False]


def test_a_list_has_no_word_twice():
    lists = draw_lists(5, 62, 64, seed=0)
    assert all(len(set(row.tolist())) == 62 for row in lists)


@pytest.mark.parametrize("name", PLACES)
def test_each_question_is_followed_by_the_word_that_came_after(name):
    lists = draw_lists(5, 62, 64, seed=0)
    places = places_asked(name, 62)
    rows = with_questions(lists, places, 8, seed=1)
    assert rows.shape == (5, 62 + 16)
    for row, words in zip(rows.tolist(), lists.tolist(), strict=True):
        for i in range(62, 78, 2):
            place = words.index(row[i])
            assert place in places
            assert row[i + 1] == words[place + 1]


def test_the_parts_do_not_overlap():
    first, last = places_asked("first", 62), places_asked("last", 62)
    assert first.max() < last.min() < places_asked("all", 62).max() + 1
    assert torch.equal(places_asked("all", 62), torch.arange(61))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"places": ("none",)}, "places must be one of 'all', 'last', 'first', got 'none'"),
        ({"length": 65}, r"length must be a whole number in \[8, 64\], got 65"),
        ({"questions": 16}, r"questions must be a whole number in \[1, 15\], got 16"),
        ({"rate": 0.0}, r"rate must be a number in \(0, inf\), got 0.0"),
    ],
)
def test_a_bad_setting_is_one_clear_line(changed, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Settings(**changed)
