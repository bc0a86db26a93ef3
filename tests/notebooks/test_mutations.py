"""The tests are tested: a changed line, a reversed conclusion, a changed number are each noticed.

Each test copies a real notebook, breaks the copy, and runs the same commands as ``make nbval``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from utils.runtime import repo_root

ORIGINAL = repo_root() / "notebooks" / "double_descent" / "02_random_features.ipynb"
# The second descent: past the peak the error falls again.
CLAIM = "peak / error at ten features an image"


@pytest.fixture
def mutants():
    """A folder inside the checkout, where the setup cell finds the course."""
    folder = repo_root() / "_build" / f"mutants-{os.getpid()}"
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)


def run(notebook: Path, **environment: str) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--nbval",
        "--nbval-sanitize-with",
        "notebooks/nbval.cfg",
        str(notebook),
        "-x",
    ]
    return subprocess.run(
        command, cwd=repo_root(), env={**os.environ, **environment}, capture_output=True, text=True
    )


def mutate(folder: Path, change) -> Path:
    cells = json.loads(ORIGINAL.read_text(encoding="utf-8"))
    change(cells["cells"])
    target = folder / ORIGINAL.name
    target.write_text(json.dumps(cells), encoding="utf-8")
    return target


def claiming(cells: list[dict]) -> dict:
    """The one code cell that states the claim."""
    found = [c for c in cells if c["cell_type"] == "code" and CLAIM in "".join(c["source"])]
    assert len(found) == 1, f"{len(found)} cells of {ORIGINAL.name} state {CLAIM!r}"
    return found[0]


def test_a_changed_stored_line_is_noticed(mutants):
    def change(cells):
        output = claiming(cells)["outputs"][0]
        output["text"] = "".join(output["text"]).replace(CLAIM, CLAIM.upper())

    result = run(mutate(mutants, change))
    assert result.returncode == 1, result.stdout
    assert CLAIM.upper() in result.stdout


def test_other_digits_behind_a_conclusion_are_no_difference(mutants):
    def change(cells):
        output = claiming(cells)["outputs"][0]
        text = "".join(output["text"])
        assert "(measured " in text
        output["text"] = text.replace("(measured ", "(measured 1234.5; not ")

    result = run(mutate(mutants, change))
    assert result.returncode == 0, result.stdout


def test_a_reversed_conclusion_is_noticed(mutants):
    def change(cells):
        cell = claiming(cells)
        source = "".join(cell["source"])
        at = source.rindex("check_at_least(", 0, source.index(CLAIM))
        cell["source"] = source[:at] + source[at:].replace("check_at_least(", "check_at_most(", 1)
        # It must fail by itself, not only because the line it prints differs from the stored one.
        cell["metadata"]["tags"] = ["nbval-ignore-output"]

    result = run(mutate(mutants, change))
    assert result.returncode == 1, result.stdout
    assert "ClaimError" in result.stdout
    assert CLAIM in result.stdout


def test_a_changed_number_is_noticed(tmp_path):
    """The comparison itself, on every stored number changed by 20 %: each is found and named."""
    from tests.notebooks.test_glued_numbers import stored

    changed = [
        json.dumps({**e, "name": name, "value": 1.2 * e["value"]}) for name, e in stored().items()
    ]
    (tmp_path / "log").write_text("\n".join(changed))
    numbers = "tests/notebooks/test_glued_numbers.py::test_stored_number_agrees_with_a_fresh_run"
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", numbers],
        cwd=repo_root(),
        env={**os.environ, "COURSE_GLUE_LOG": str(tmp_path / "log")},
        capture_output=True,
        text=True,
    )
    assert f"{len(changed)} failed" in result.stdout, result.stdout[-3000:]
    assert all(name in result.stdout for name in stored())
