"""An assignment's source notebook in nbgrader's form, and the versions that are made from it.

A source notebook has four kinds of cells, told apart by nbgrader's metadata:

kind      what it is                                              in the release
plain     text and code to read and run                           as it stands, locked or not
solution  code between ``### BEGIN SOLUTION`` and its end         the code is taken out
tests     visible tests, and hidden ones between markers          the hidden ones are taken out
written   an answer in words, graded by a person                  the answer is taken out

The hidden tests of a cell define three functions, and a last line that lets nbgrader run them::

    ### BEGIN HIDDEN TESTS
    def ask(rng):
        # What the submission is asked; drawn anew for each student, from the grader's seed.
        return {"x": rng.normal(size=8)}

    def call(asked):
        # Runs beside the student's code, and knows nothing of the right answer.
        return {"y": softmax(asked["x"])}

    def mark(asked, values):
        # Runs in the grader. What part of the points the values are worth, from 0 to 1.
        return same(values["y"], expected(asked["x"]))

    from utils.grading.alone import passes
    assert passes(ask, call, mark)
    ### END HIDDEN TESTS

What ``ask`` returns under a name that begins with ``_``, such as the outcome of a run that is to be
forecast, only ``mark`` gets to see.

nbgrader runs student code and hidden tests in one process, so that the code can read the tests.
`utils.grading.grade` takes the functions apart instead: only ``call`` meets the code.
"""

from __future__ import annotations

import ast
import copy
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from utils.validate import require

SOLUTION = re.compile(r"^(\s*)### BEGIN SOLUTION\n.*?^\s*### END SOLUTION[^\n]*$", re.M | re.S)
HIDDEN = re.compile(
    r"\n*^\s*### BEGIN HIDDEN TESTS\n(.*?)^\s*### END HIDDEN TESTS[^\n]*$", re.M | re.S
)
MARKERS = re.compile(r"^\s*### (?:BEGIN|END) SOLUTION[^\n]*\n?", re.M)
CODE_STUB = "# YOUR CODE HERE\nraise NotImplementedError()"
TEXT_STUB = "YOUR ANSWER HERE"
HOOKS = ("ask", "call", "mark")


@dataclass(frozen=True)
class Task:
    """One graded cell of code.

    name : its ``grade_id``.
    points : what it is worth.
    visible : the tests that the student has.
    hidden : the source of ``ask``, ``call`` and ``mark``, by these names.
    """

    name: str
    points: float
    visible: str
    hidden: dict[str, str]


@dataclass(frozen=True)
class Assignment:
    """A source notebook.

    chapter : the chapter of the book that it belongs to.
    cells : its cells, as they stand in the notebook's JSON.
    tasks : its graded cells of code, in order.
    written : the points of its written answers, by their ``grade_id``.
    """

    chapter: str
    cells: list[dict[str, Any]]
    tasks: list[Task]
    written: dict[str, float]

    @property
    def points(self) -> float:
        """What its graded cells of code are worth together."""
        return sum(task.points for task in self.tasks)


def text(cell: dict[str, Any]) -> str:
    """A cell's source; a notebook may hold it as one text or as a list of lines."""
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def form(cell: dict[str, Any]) -> dict[str, Any]:
    """A cell's metadata of nbgrader; empty for a plain cell."""
    found = cell.get("metadata", {}).get("nbgrader", {})
    return found if isinstance(found, dict) else {}


def name_of(cell: dict[str, Any]) -> str | None:
    """A cell's ``grade_id``; None for a plain cell, and for one whose id is no text."""
    name = form(cell).get("grade_id")
    return name if isinstance(name, str) else None


def kind(cell: dict[str, Any]) -> str:
    """Which of the four kinds a cell of a source notebook is."""
    told = form(cell)
    if told.get("solution"):
        return "written" if told.get("grade") else "solution"
    return "tests" if told.get("grade") else "plain"


# ---- reading a source ----------------------------------------------------------------------------


def read(path: Path) -> Assignment:
    """Read a source notebook.

    Raises ``ValueError`` in one line if a graded cell has no name, no points or no hidden tests, or
    a name stands twice.
    """
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    tasks: list[Task] = []
    written: dict[str, float] = {}
    names: set[str] = set()
    for cell in cells:
        told = form(cell)
        if not told:
            continue
        name = name_of(cell)
        require(
            bool(name) and name not in names, "grade_id", f"one of its own, in {path.name}", name
        )
        assert name is not None
        names.add(name)
        if not told.get("grade"):
            continue
        points = told.get("points", 0)
        require(points > 0, f"points of {name}", "above 0", points)
        if kind(cell) == "written":
            written[name] = points
        else:
            tasks.append(Task(name, points, without_hidden(text(cell)), _hooks(name, text(cell))))
    return Assignment(path.parent.name, cells, tasks, written)


def without_hidden(source: str) -> str:
    """A cell without its hidden tests."""
    return HIDDEN.sub("", source)


def _hooks(name: str, source: str) -> dict[str, str]:
    """The source of the functions that the hidden tests of a cell define."""
    hidden = "\n".join(HIDDEN.findall(source))
    functions = [node for node in ast.parse(hidden).body if isinstance(node, ast.FunctionDef)]
    found = {function.name: ast.unparse(function) for function in functions}
    allowed = f"the functions {', '.join(HOOKS)}"
    require(set(found) == set(HOOKS), f"hidden tests of {name}", allowed, sorted(found))
    return found


# ---- making the versions -------------------------------------------------------------------------


def release(assignment: Assignment) -> list[dict[str, Any]]:
    """The cells that students get: no solution, no hidden test, no output."""
    cells = []
    for cell in assignment.cells:
        what = kind(cell)
        source = without_hidden(text(cell))
        if what == "solution":
            source = SOLUTION.sub(_stub, source)
        if what == "written":
            source = TEXT_STUB
        cells.append(_with_source(cell, source))
    return cells


def solution(assignment: Assignment) -> list[dict[str, Any]]:
    """The cells with their solutions, as a student would have handed them in."""
    cells = []
    for cell in assignment.cells:
        source = MARKERS.sub("", without_hidden(text(cell)))
        cells.append(_with_source(cell, source.rstrip("\n")))
    return cells


def notebook(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """A notebook of these cells, as its JSON."""
    return {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _stub(region: re.Match[str]) -> str:
    """What stands in place of a solution, as far indented as it was."""
    indent = region.group(1).lstrip("\n")
    return "\n".join(indent + line for line in CODE_STUB.split("\n"))


def _with_source(cell: dict[str, Any], source: str) -> dict[str, Any]:
    """A copy of a cell with another source, and without outputs."""
    made = copy.deepcopy(cell)
    made["source"] = source.splitlines(keepends=True)
    if made["cell_type"] == "code":
        made["outputs"] = []
        made["execution_count"] = None
    return made
