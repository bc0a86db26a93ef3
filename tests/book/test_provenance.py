"""Where stored results come from and who uses them, and the table that tells it."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from tested_table import anchor, summary, table

from tests.small_book import ROOT, build
from utils import records
from utils.book.notebooks import all_notebooks
from utils.book.provenance import OF_THE_BOOK, READERS, Source, drawn_on, pasted_by, sources

# Results that no notebook and no page draws, and what they are for.
UNSEEN = {"scaling/coverage": "tests/experiments/test_coverage.py"}


def notebook(folder: Path, code: str) -> Path:
    path = folder / "chapter" / "01_toy.ipynb"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": code}]}))
    return path


def test_a_record_says_of_itself_what_its_file_says():
    record = records.load("trade_offs/data").provenance
    source = sources()["trade_offs/data"]
    assert source.seconds == {record["device"]: record["wall_seconds"]}
    assert source.seeds == record["seeds"] == [0, 1, 2]
    assert (source.torch, source.dates) == ([record["versions"]["torch"]], [record["date"]])
    assert source.how == [record["how"]]


def test_a_folder_of_runs_is_one_source_with_all_their_times():
    files = list((ROOT / "records" / "scaling" / "isoflop").glob("*.json"))
    times = [json.loads(path.read_text())["provenance"]["wall_seconds"] for path in files]
    source = sources()["scaling/isoflop"]
    assert source.n_files == len(files) == 63
    assert sum(source.seconds.values()) == pytest.approx(sum(times))


def test_a_model_says_it_by_its_card():
    card = json.loads((ROOT / "records" / "course_gpt" / "card.json").read_text())["training"]
    source = sources()["course_gpt"]
    assert source.seconds == {card["hardware"]: 60 * card["minutes"]}
    assert (source.seeds, source.torch) == ([0], [card["torch"]])


def test_what_was_merged_from_several_devices_names_each():
    parts = records.load("sampling/determinism").data["devices"]
    assert list(sources()["sampling/determinism"].seconds) == [part["device"] for part in parts]


def test_every_file_with_a_provenance_belongs_to_a_source():
    n_files = 0
    for path in (ROOT / "records").rglob("*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        n_files += path.name == "card.json" or (
            isinstance(content, dict) and "provenance" in content
        )
    assert sum(source.n_files for source in sources().values()) == n_files


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("records.load('myths/authors')", ["myths/authors"]),
        ("load_runs('scaling/isoflop')", ["scaling/isoflop"]),
        ("read('records/course_gpt/card.json')", ["course_gpt"]),
        ("words = listed_word_rate(text)", ["sampling/words"]),
        ("read_ledger(root / 'forecasts')", ["forecasts", "forecasts/runs"]),
        ("label = 'seeds'  # 'myths/authors'", []),
    ],
)
def test_a_notebook_draws_on_what_its_code_names(tmp_path, code, names):
    assert drawn_on(notebook(tmp_path, code)) == names


def test_a_page_pastes_from_its_explorers_and_roles(tmp_path):
    page = tmp_path / "page.md"
    explorer = ":record: scaling/explorer.json\n:live: course_gpt\n"
    page.write_text(f"{explorer}It is {{record}}`copy_gpt/card.json::models.0`.\n")
    assert pasted_by(page) == ["copy_gpt", "course_gpt", "scaling/explorer"]


def test_every_function_of_the_library_that_reads_a_record_is_known():
    """Those of the explorers are left out: their pages name the record."""
    read = set()
    for path in (ROOT / "utils").rglob("*.py"):
        if {"book", "widgets"} & set(path.parts):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        read |= {text for text in constants if isinstance(text, str)} & sources().keys()
    known = {name for names in READERS.values() for name in names}
    assert read - known - {"copy_gpt", "judge_gpt"} - set(OF_THE_BOOK) == set()


def test_everything_that_is_stored_is_used():
    used = {name for path in all_notebooks() for name in drawn_on(path)}
    used |= {name for page in (ROOT / "book").glob("*.md") for name in pasted_by(page)}
    assert sources().keys() - used - set(OF_THE_BOOK) == UNSEEN.keys()
    for name, place in UNSEEN.items():
        assert name in (ROOT / place).read_text(encoding="utf-8")


TOY = Source("a/b|c", 2, {"CPU (x86_64)": 60.0, "NVIDIA H200": 5400.0}, [], [0], ["2026-01-31"], [])


def test_the_table_tells_what_is_known_and_dashes_elsewhere():
    lines = table({TOY.name: TOY}, {TOY.name: ["[one](one.ipynb)"]}).replace("\u00a0", " ")
    assert lines.splitlines()[-1] == (
        '| <span id="record-a-b|c">a/<wbr>b\\|c, 2 files</span> | [one](one.ipynb) '
        "| CPU (x86\\_64), NVIDIA H200 | 1.5 h | 2026-01-31 | – | 0 | – |"
    )
    assert anchor("a/b") == "record-a-b"
    told = summary({TOY.name: TOY}).replace("\u00a0", " ")
    assert told.endswith("they took 1.5 h on NVIDIA H200 and 60 s on processors.")


def test_the_page_shows_the_table(tmp_path):
    page = "# Page\n\n```{provenance-table}\n```\n"
    extensions = ["myst_nb", "tested_table"]
    # The links lead to the course's notebooks, which this small book does not hold.
    html = build(tmp_path, {"index.md": page}, extensions=extensions, suppress_warnings=["myst"])
    text = (html / "index.html").read_text(encoding="utf-8")
    assert text.count("<tr") == 1 + len(sources().keys() - set(OF_THE_BOOK))
    assert '<span id="record-trade_offs-data">' in text
