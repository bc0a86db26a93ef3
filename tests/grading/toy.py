"""A small assignment: two tasks and one answer in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DOUBLE = '''def double(x):
    """Twice a list of numbers."""
    ### BEGIN SOLUTION
    return [2 * one for one in x]
    ### END SOLUTION'''
DOUBLE_TESTS = """assert double([1.0, 2.0]) == [2.0, 4.0]
### BEGIN HIDDEN TESTS
def ask(rng):
    return {"x": rng.normal(size=5)}

def call(asked):
    return {"y": double(asked["x"])}

def mark(asked, values):
    return same(values["y"], 2 * np.array(asked["x"]))

from utils.grading.alone import passes
assert passes(ask, call, mark)
### END HIDDEN TESTS"""
TOTAL = '''def total(x):
    """The sum of a list of numbers."""
    ### BEGIN SOLUTION
    return sum(x)
    ### END SOLUTION'''
TOTAL_TESTS = """assert total([1, 2]) == 3
### BEGIN HIDDEN TESTS
def ask(rng):
    x = rng.integers(0, 100, size=5)
    return {"x": x, "_sum": int(x.sum())}

def call(asked):
    return {"sum": total(asked["x"]), "told": "_sum" in asked}

def mark(asked, values):
    return equal([values["sum"], values["told"]], [asked["_sum"], False])

from utils.grading.alone import passes
assert passes(ask, call, mark)
### END HIDDEN TESTS"""


def _cell(name: str | None, source: str, kind: str = "code", **form: Any) -> dict[str, Any]:
    metadata = {}
    if name is not None:
        told = {"grade_id": name, "schema_version": 3, "solution": False, "grade": False}
        metadata = {"nbgrader": told | {"locked": False, "task": False} | form}
    cell = {"cell_type": kind, "id": name or "plain", "metadata": metadata, "source": source}
    return cell | ({"outputs": [], "execution_count": None} if kind == "code" else {})


def cells() -> list[dict[str, Any]]:
    """The cells of the source."""
    return [
        _cell("start", "import numpy as np", locked=True),
        _cell("double", DOUBLE, solution=True),
        _cell("double_tests", DOUBLE_TESTS, grade=True, locked=True, points=2),
        _cell("total", TOTAL, solution=True),
        _cell("total_tests", TOTAL_TESTS, grade=True, locked=True, points=3),
        _cell("why", "Because.", "markdown", solution=True, grade=True, points=4),
    ]


def write(folder: Path, made: list[dict[str, Any]], name: str = "toy") -> Path:
    """A notebook of cells in a folder."""
    path = folder / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path
