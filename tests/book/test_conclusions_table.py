"""The table of the conclusions on the page that tells how the book is tested."""

from __future__ import annotations

import json
from pathlib import Path

import conclusions_table
import pytest
from conclusions_table import less_often, pass_rate, table

from tests.small_book import build
from utils.book.conclusions import code_digest

SOURCE = "check('a', 1, 1)\ncheck_at_most('b', 1, 2, if_false=3)\n"


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path = tmp_path / "notebooks" / "chapter" / "01_toy.ipynb"
    path.parent.mkdir(parents=True)
    cell = {"cell_type": "code", "source": SOURCE, "metadata": {"tags": ["control"]}}
    path.write_text(json.dumps({"cells": [cell]}))
    return path


def entry(notebook: Path, **held: int) -> dict:
    return {"k": 20, "held": held, "errors": [], "code": code_digest(notebook)}


def test_a_row_tells_the_counts_and_the_pass_rate(notebook, tmp_path):
    entries = {"chapter/01_toy": entry(notebook, a=20, b=19)}
    seconds = {"chapter/01_toy": 150.4}
    lines = table([notebook], entries, tmp_path / "book", seconds).splitlines()
    link = "../notebooks/chapter/01_toy.ipynb"
    row = f"| [chapter 01]({link}) | 1 of 2 in 20 of 20 | 150\u00a0s | 2 | 1 | 0 | 1 | 1 |  |"
    assert lines[2] == row
    assert lines[3] == "| all | 1 of 2 in all of their runs | 3\u00a0min | 2 | 1 | 0 | 1 | 1 |  |"
    assert lines[-1] == "- `chapter/01_toy`: “b” in 19 of 20"


def test_what_was_not_run_or_has_changed_says_so(notebook, tmp_path):
    assert (
        table([notebook], {}, tmp_path)
        .splitlines()[2]
        .endswith(") | not run yet | – | 2 | 1 | 0 | 1 | 1 |  |")
    )
    changed = entry(notebook, a=20) | {"code": "0"}
    assert pass_rate(changed, code_digest(notebook)) == "1 of 1 in 20 of 20, before its last change"


def test_the_last_column_leads_to_the_records(notebook, tmp_path):
    code = "records.load('myths/authors')\nload('course_gpt')"
    cell = {"cell_type": "code", "source": code, "metadata": {}}
    notebook.write_text(json.dumps({"cells": [cell]}))
    row = table([notebook], {}, tmp_path).splitlines()[2]
    links = (
        '<a href="#record-course_gpt">course\\_gpt</a>, <a href="#record-myths-authors">authors</a>'
    )
    assert row.endswith(f"| {links} |")


def test_names_and_errors_cannot_break_the_table(notebook):
    found = entry(notebook, **{"a|b *c* [d]": 1}) | {"errors": ["seeds + 1000: a | b"]}
    assert less_often({"x": found}) == [
        "- `x`: “a\\|b \\*c\\* \\[d\\]” in 1 of 20",
        "- `x`: seeds + 1000: a \\| b",
    ]


def test_the_page_shows_the_table(tmp_path):
    page = "# Page\n\n```{conclusions-table}\n```\n"
    extensions = ["myst_nb", "conclusions_table"]
    # The links lead to the course's notebooks, which this small book does not hold.
    html = build(tmp_path, {"index.md": page}, extensions=extensions, suppress_warnings=["myst"])
    text = (html / "index.html").read_text()
    assert '<div class="conclusions-table' in text
    for notebook in conclusions_table.all_notebooks():
        chapter = notebook.parent.name.replace("_", " ")
        assert f">{chapter} {notebook.stem[:2]}<" in text.replace("</span>", "<")
