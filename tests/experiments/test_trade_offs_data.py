"""Runs on repeated, noisy, duplicated and lopsided text: the texts, and the command at toy size."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.trade_offs import data
from experiments.trade_offs.data import (
    PIECE,
    WINDOW,
    Settings,
    main,
    measure,
    sample,
    text_of,
    token_noise,
    window_noise,
    with_copies,
)
from utils import records

pytestmark = pytest.mark.usefixtures("one_thread")

TOKENS = 16 * PIECE
TOY = Settings(tokens=TOKENS, seeds=(0,))


@pytest.fixture
def few_cases(monkeypatch):
    """Two cases instead of all, and no other learning rate."""
    monkeypatch.setattr(data, "cases", lambda: [("clean", 1.0), ("copies", 64.0)])
    monkeypatch.setattr(data, "RATES", ())


def test_the_command_writes_a_record(few_cases, tmp_path, capsys):
    out = tmp_path / "data.json"
    main(["--tokens", str(TOKENS), "--seeds", "0", "--out", str(out)])
    record = records.load(out)
    assert f"wrote {out}" in capsys.readouterr().out
    assert record.provenance["complete"]
    assert [run["case"] for run in record.data["runs"]] == ["clean", "copies"]
    for run in record.data["runs"]:
        assert run["finished"]
        assert 3 < run["code"] < 8
    assert "manual" in record.data["runs"][0]
    assert str(tmp_path) not in out.read_text()


def test_a_stopped_one_continues_to_the_same_result(few_cases, tmp_path):
    whole = records.load(measure(TOY, tmp_path / "whole.json"))
    part = tmp_path / "part.json"
    measure(TOY, part, time_budget=0.0)
    first = records.load(part).data["runs"]
    measure(TOY, part)
    assert first == records.load(part).data["runs"][: len(first)]
    assert records.load(part).data == whole.data


def test_noise_replaces_the_share_it_is_given():
    tokens = np.arange(64 * WINDOW)
    wrong = token_noise(tokens, 0.25, seed=0) != tokens
    assert wrong.mean() == pytest.approx(0.25, abs=0.03)

    windows = (window_noise(tokens, 0.25, seed=0) != tokens).reshape(-1, WINDOW).any(1)
    assert windows.sum() == 16
    np.testing.assert_array_equal(window_noise(tokens, 0.0, seed=0), tokens)


def test_copies_fill_the_second_half():
    text = with_copies(np.arange(8), 3)
    np.testing.assert_array_equal(text, [0, 1, 2, 3, 0, 1, 2, 0])


def test_a_shorter_sample_is_the_front_of_a_longer_one():
    text = np.arange(20 * PIECE)
    np.testing.assert_array_equal(sample(text, 5000, 0), sample(text, 9000, 0)[:5000])
    assert len(np.unique(sample(text, 9000, 0))) == 9000
    with pytest.raises(ValueError, match="n_tokens must be"):
        sample(text, 20 * PIECE + 1, 0)


def test_every_case_reads_what_its_name_says():
    lengths = {}
    for case, amount in data.cases():
        text, read = text_of(case, amount, TOKENS, seed=0)
        lengths[case, amount] = (len(text), read)
    assert lengths["clean", 1.0] == (TOKENS, TOKENS)
    assert lengths["dropped", 0.25] == (3 * TOKENS // 4, 3 * TOKENS // 4)
    assert lengths["refilled", 0.25] == (3 * TOKENS // 4, TOKENS)
    assert lengths["passes", 16.0] == (TOKENS // 16, TOKENS)
    assert lengths["alone", 0.125] == (TOKENS // 8, TOKENS // 8)
    assert lengths["reread", 4.0] == (TOKENS // 8, TOKENS // 2)
    assert lengths["manual", 0.5] == (TOKENS, TOKENS)
    assert lengths["copies", 64.0] == (TOKENS, TOKENS)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="tokens must be"):
        Settings(tokens=10)
    with pytest.raises(ValueError, match="seeds"):
        Settings(seeds=(0, 0))
