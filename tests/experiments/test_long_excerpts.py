"""The long excerpts: the command on a few books, and what the record holds."""

from __future__ import annotations

import json

from experiments.applications import long_excerpts
from experiments.applications.long_excerpts import LEFT_OUT, LENGTH, main
from utils import records
from utils.models.course import load

PARAGRAPH = "The old house stood at the end of the lane. " * 20 + "\n\n"


def corpus_at(path):
    """Two held-out books, of which one is short, one that is left out, and one to train on."""
    rows = []
    for title, split, n in (
        ("Long", "validation", 80),
        ("Short", "validation", 2),
        (LEFT_OUT[0], "validation", 80),
        ("Read", "train", 80),
    ):
        rows.append({"split": split, "author": "Ann", "title": title, "text": PARAGRAPH * n})
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_the_command_writes_a_record(tmp_path, capsys):
    out = tmp_path / "long.json"
    main(["--corpus", str(corpus_at(tmp_path / "books.jsonl")), "--out", str(out)])
    data = records.load(out).data
    assert "Ann, Long: 7,000 characters" in capsys.readouterr().out
    assert [part["title"] for part in data["excerpts"]] == ["Long"]
    assert data["excerpts"][0]["text"].startswith("The old house")


def test_the_record_holds_a_long_piece_of_each_book():
    _, tokenizer = load()
    excerpts = records.load(long_excerpts.RECORD).data["excerpts"]
    assert len({part["title"] for part in excerpts}) == len(excerpts) >= 8
    for part in excerpts:
        assert len(part["text"]) == LENGTH
        assert len(tokenizer.encode(part["text"]).ids) > 1024 + 256
