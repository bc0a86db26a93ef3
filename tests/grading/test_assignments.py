"""Every assignment: its solution is worth all points, its release none, and it says what it is."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from tests.small_book import ROOT
from utils.book.repository_links import address_of
from utils.grading import form
from utils.grading.grade import grade
from utils.grading.grade import main as grade_command
from utils.grading.make import release_text, sources
from utils.grading.prove import main as prove
from utils.grading.submissions import Submission

SOURCES = sources(ROOT)
IDS = [path.stem for path in SOURCES]
SEED = b"the seed of the tests"

each = pytest.mark.parametrize("path", SOURCES, ids=IDS)


@each
def test_the_solution_is_worth_all_points_and_the_release_none(path: Path):
    assignment = form.read(path)
    solved = grade(assignment, Submission("anna", form.solution(assignment)), SEED)
    lost = {n: r for n, r in solved.results.items() if r.visible is not None}
    assert lost == {}
    assert solved.points == assignment.points, solved
    assert solved.seconds < 60
    untouched = grade(assignment, Submission("eve", form.release(assignment)), SEED)
    assert [result.points for result in untouched.results.values()] == [0] * len(assignment.tasks)


@each
def test_the_source_passes_its_own_hidden_tests_as_nbgrader_would_run_them(path: Path):
    names: dict[str, object] = {}
    for cell in form.read(path).cells:
        if cell["cell_type"] == "code" and "course-setup" not in cell["metadata"].get("tags", []):
            exec(form.text(cell), names)


@each
def test_it_has_twenty_points_for_code_and_two_answers_in_words(path: Path):
    assignment = form.read(path)
    assert assignment.points == 20
    assert sorted(assignment.written.values()) == [5, 5]
    assert 4 <= len(assignment.tasks) <= 7


@each
def test_the_release_is_the_one_that_is_committed(path: Path):
    assignment = form.read(path)
    committed = ROOT / "assignments" / "release" / path.parent.name / path.name
    assert committed.read_text(encoding="utf-8") == release_text(assignment, address_of(ROOT))


@each
def test_the_release_holds_no_solution_and_no_hidden_test(path: Path):
    assignment = form.read(path)
    text = "".join(form.text(cell) for cell in form.release(assignment))
    for word in ("BEGIN SOLUTION", "END SOLUTION", "HIDDEN TESTS", "def mark", "def ask"):
        assert word not in text
    for cell in assignment.cells:
        if form.kind(cell) == "written":
            assert form.text(cell) not in text
        for region in form.SOLUTION.finditer(form.text(cell)):
            lines = region.group().splitlines()[1:-1]
            assert "\n".join(lines) not in text


@each
def test_its_lines_fit_a_page(path: Path):
    for cell in form.read(path).cells:
        if cell["cell_type"] != "code":
            continue
        visible = form.without_hidden(form.text(cell)).splitlines()
        assert max(map(len, visible), default=0) <= 80
        assert max(map(len, form.text(cell).splitlines()), default=0) <= 100


@each
def test_every_task_is_a_section_with_its_number(path: Path):
    assignment = form.read(path)
    texts = [form.text(c) for c in assignment.cells if c["cell_type"] == "markdown"]
    numbers = re.findall(r"^## (\d)\. ", "\n".join(texts), re.MULTILINE)
    assert [int(n) for n in numbers] == list(range(1, len(assignment.tasks) + 1))


def test_every_chapter_has_an_assignment():
    chapters = {path.parent.name for path in (ROOT / "notebooks").glob("*/*.ipynb")}
    assert set(IDS) == chapters


# ---- reading a source ----------------------------------------------------------------------------


def _written(tmp_path: Path, cell: dict) -> Path:
    path = tmp_path / "one" / "one.ipynb"
    path.parent.mkdir()
    path.write_text(json.dumps({"cells": [cell]}))
    return path


@pytest.mark.parametrize(
    ("told", "source", "message"),
    [
        ({"grade_id": "", "grade": True, "points": 1}, "", "grade_id must be"),
        ({"grade_id": "x", "grade": True, "points": 0}, "", "points of x must be above 0"),
        ({"grade_id": "x", "grade": True, "points": 1}, "", "hidden tests of x must be"),
    ],
)
def test_a_source_that_cannot_be_graded_is_refused_in_one_line(tmp_path, told, source, message):
    cell = {"cell_type": "code", "metadata": {"nbgrader": told}, "source": source}
    with pytest.raises(ValueError, match=message) as caught:
        form.read(_written(tmp_path, cell))
    assert "\n" not in str(caught.value)


# ---- the commands --------------------------------------------------------------------------------


def test_a_class_is_graded_by_the_command(tmp_path, capsys):
    assignment = form.read(ROOT / "assignments" / "source" / "sampling" / "sampling.ipynb")
    students = {"anna": form.solution(assignment), "eve": form.release(assignment)}
    (tmp_path / "class").mkdir()
    for name, cells in students.items():
        text = json.dumps(form.notebook(cells))
        (tmp_path / "class" / f"{name}.ipynb").write_text(text, encoding="utf-8")
    seed = tmp_path / "seed"
    seed.write_bytes(b"kept for a complaint")
    grade_command(
        ["sampling", str(tmp_path / "class"), "--to", str(tmp_path / "to"), "--seed", str(seed)]
    )
    text = (tmp_path / "to" / "grades.csv").read_text(encoding="utf-8")
    rows = list(csv.reader(text.splitlines()))
    assert [row[:2] + row[3:5] for row in rows[1:]] == [
        ["anna", "graded", "20", "20"],
        ["eve", "graded", "0", "20"],
    ]
    assert sorted(path.name for path in (tmp_path / "to" / "feedback").iterdir()) == [
        "anna.html",
        "eve.html",
    ]
    assert "2 submissions in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing", "."], "ASSIGNMENT must be one of"),
        (["sampling", "no/such/folder"], "SUBMISSIONS must be a folder"),
        (["sampling", ".", "--processes", "0"], "processes must be"),
    ],
)
def test_the_command_refuses_in_one_line(arguments, message):
    with pytest.raises(SystemExit, match=message) as caught:
        grade_command(arguments)
    assert "\n" not in str(caught.value)


def test_the_proof_is_a_command(capsys):
    prove(["sampling", "--seeds", "1"])
    assert "solution 20 of 20" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="CHAPTER must be one of"):
        prove(["nothing"])


def test_a_badge_leads_to_the_release_once_there_is_an_address():
    assignment = form.read(SOURCES[0])
    place = f"assignments/release/{assignment.chapter}/{assignment.chapter}.ipynb"
    with_badge = release_text(assignment, "https://github.com/somebody/course")
    assert f"colab.research.google.com/github/somebody/course/blob/main/{place}" in with_badge
    assert "colab-badge" not in release_text(assignment, "")
