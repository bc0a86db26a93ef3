"""The stored excerpts: the command on a few books, and what the record holds."""

from __future__ import annotations

import json

from experiments.myths import author_excerpts
from experiments.myths.author_excerpts import PASSAGE, PASSAGES, main
from utils import records
from utils.models.course import load


def corpus_at(path):
    """Ann and Bob are in the half that was not read: the largest author comes first."""
    paragraph = "The old house stood at the end of the lane. " * 20 + "\n\n"
    rows = []
    for author, length in {"Reader": 160, "Ann": 40, "Bob": 36, "Cal": 34}.items():
        for i in (1, 2):
            text = f"{author}: {paragraph}" * (length + i)
            row = {"split": "train", "author": author, "title": f"{author} {i}", "text": text}
            rows.append(row)
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_the_command_writes_a_record(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(author_excerpts, "AUTHORS", ("Ann", "Bob"))
    monkeypatch.setattr(author_excerpts, "RECORD", tmp_path / "authors.json")
    monkeypatch.setattr(author_excerpts, "TRAIN_LENGTH", 4000)
    main(["--corpus", str(corpus_at(tmp_path / "books.jsonl"))])
    data = records.load(tmp_path / "authors.json").data
    assert "home: 12 excerpts" in capsys.readouterr().out
    assert {part["author"] for part in data["train"] + data["home"]} == {"Ann"}
    assert {part["title"] for part in data["home"]} == {"Ann 2"}
    assert {part["author"] for part in data["mixed"]} == {"Cal"}


def test_the_record_holds_named_passages_of_a_context_each():
    _, tokenizer = load()
    data = records.load(author_excerpts.RECORD).data
    train_titles = {part["title"] for part in data["train"]}
    for name in ("home", "another", "trained"):
        assert len(data[name]) == PASSAGES
        for part in data[name]:
            assert part["title"] not in train_titles
            assert len(part["text"]) == PASSAGE
            assert len(tokenizer.encode(part["text"]).ids) >= 257
