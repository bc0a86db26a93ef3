"""How the notebooks state their conclusions: counted by reading their code, without running it.

``counts(notebook)`` tells how many conclusions a notebook states, how many of them name the value
that would be measured if they were false, how many are identities, and in how many cells a cause
is removed. ``without_false_case(notebook)`` lists those that name no such value although their
bound leaves room for it; the tests want that list to be empty.
"""

from __future__ import annotations

import ast
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

BOUNDED = ("check_at_least", "check_at_most", "check_between", "check_true")
NAMES = ("check", "check_identity", *BOUNDED)
CONTROL_TAG = "control"
SETUP_TAG = "course-setup"


@dataclass(frozen=True)
class Counts:
    """Of one notebook: its check calls as they stand in the code, and its control cells."""

    checks: int
    with_false_case: int
    identities: int
    controls: int

    @property
    def exact(self) -> int:
        """Conclusions that any other value refutes, such as a count."""
        return self.checks - self.with_false_case - self.identities


def counts(notebook: Path) -> Counts:
    """Count the conclusions of a notebook file."""
    calls = _calls(notebook)
    return Counts(
        checks=len(calls),
        with_false_case=sum("if_false" in _keywords(call) for call in calls),
        identities=sum(_name(call) == "check_identity" for call in calls),
        controls=sum(CONTROL_TAG in _tags(cell) for cell in _code(notebook)),
    )


def without_false_case(notebook: Path) -> list[str]:
    """The calls, as they begin, whose bound leaves room and which name no false case."""
    found = []
    for call in _calls(notebook):
        keywords = _keywords(call)
        has_room = _name(call) in BOUNDED
        has_room |= _name(call) == "check" and bool({"rtol", "atol"} & keywords)
        if has_room and "if_false" not in keywords:
            found.append(ast.unparse(call)[:80])
    return found


def name_of(notebook: Path) -> str:
    """A notebook as the records call it: ``chapter/01_topic``."""
    return f"{notebook.parent.name}/{notebook.stem}"


def code_digest(notebook: Path) -> str:
    """Twelve hexadecimal digits that change with what a notebook computes.

    They do not change with its prose, nor with its setup cell, which holds the course's address.
    """
    cells = [cell for cell in _code(notebook) if SETUP_TAG not in _tags(cell)]
    code = ["".join(cell["source"]) for cell in cells]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()[:12]


def _code(notebook: Path) -> list[dict]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def code_trees(notebook: Path) -> list[ast.Module]:
    """The code of each cell, parsed."""
    return [ast.parse("".join(cell["source"])) for cell in _code(notebook)]


def _tags(cell: dict) -> list[str]:
    return cell.get("metadata", {}).get("tags", [])


def _calls(notebook: Path) -> list[ast.Call]:
    """Every call of a check in the notebook's code."""
    calls = []
    for tree in code_trees(notebook):
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        calls += [call for call in nodes if _name(call) in NAMES]
    return calls


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _keywords(call: ast.Call) -> set[str]:
    return {keyword.arg or "" for keyword in call.keywords}
