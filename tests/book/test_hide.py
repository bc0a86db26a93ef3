"""The book without solutions is built from a copy that holds none."""

from __future__ import annotations

import json
import re

import pytest

from tests.small_book import ROOT
from utils.book.hide import (
    PARTS,
    copy_without_solutions,
    notebook_without_solutions,
    without_solutions,
)

MARKER = "MARKER-OF-A-SOLUTION"
FENCES = [":::", "::::", "```", "````", "~~~"]


@pytest.mark.parametrize("fence", FENCES)
def test_a_solution_goes_and_everything_else_stays(fence):
    text = f"Before.\n\n{fence}{{solution}} ex\n:class: dropdown\n\nSecret.\n{fence}\n\nAfter.\n"
    assert without_solutions(text) == "Before.\n\nAfter.\n"


def test_what_a_solution_holds_goes_with_it():
    inner = "```python\nsecret = 1\n```\n\n:::{note}\nMore.\n:::\n"
    text = f"Before.\n\n::::{{solution}} ex\n\n{inner}::::\n\n:::{{exercise}} Two\nAsk.\n:::\n"
    assert without_solutions(text) == "Before.\n\n:::{exercise} Two\nAsk.\n:::\n"


def test_a_solution_that_does_not_end_is_refused():
    with pytest.raises(ValueError, match="must end with the fence"):
        without_solutions(":::{solution} ex\nSecret.\n")


def test_a_marker_in_every_solution_is_gone_from_the_whole_copy(tmp_path):
    # Everything that the book is made from, with a marker planted in each solution.
    planted = tmp_path / "planted"
    copied = tmp_path / "copied"
    planted.mkdir()
    n_planted = 0
    for name in PARTS:
        if name in ("utils", "records"):
            continue  # no page and no notebook lies there
        paths = [ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*")
        for path in paths:
            if not path.is_file() or "__pycache__" in path.parts:
                continue
            content = path.read_bytes()
            if path.suffix in (".ipynb", ".md"):
                text = content.decode()
                # In JSON a line ends with an escaped one.
                end = r"\\n" if path.suffix == ".ipynb" else "\n"
                text, n = re.subn(r"(\{solution\} [\w-]+)", rf"\1{end}{MARKER}{end}", text)
                content = text.encode()
                n_planted += n
            place = planted / path.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    n_solutions = sum(
        "".join(cell["source"]).count("{solution}")
        for path in (ROOT / "notebooks").rglob("*.ipynb")
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
    )
    assert n_planted == n_solutions >= 150

    changed = copy_without_solutions(planted, copied)
    assert len(changed) >= 35
    left = [
        path
        for path in copied.rglob("*")
        if path.is_file() and MARKER.encode() in path.read_bytes()
    ]
    assert left == []


def test_code_and_outputs_of_a_notebook_stay():
    path = ROOT / "notebooks" / "myths" / "05_interpretability.ipynb"
    before = json.loads(path.read_text(encoding="utf-8"))
    after = json.loads(notebook_without_solutions(path.read_text(encoding="utf-8")))
    code = [[c for c in nb["cells"] if c["cell_type"] == "code"] for nb in (before, after)]
    assert code[0] == code[1]
    exercises = [
        sum("".join(c["source"]).count("{exercise}") for c in nb["cells"]) for nb in (before, after)
    ]
    assert exercises[0] == exercises[1] > 0
