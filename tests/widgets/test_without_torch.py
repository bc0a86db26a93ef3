"""Building the book has no torch, and a widget can be imported where there is none."""

from __future__ import annotations

import subprocess
import sys

import pytest

from utils.runtime import repo_root

ROOT = repo_root()
BOOK = sorted((ROOT / "utils" / "book").glob("*.py"))
WIDGETS = sorted((ROOT / "utils" / "widgets").rglob("*.py"))
TABLES = [ROOT / "utils" / "sampling" / "settings.py", ROOT / "utils" / "models" / "budget.py"]


def dotted(path) -> str:
    """The name by which a file of the course is imported."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def test_the_book_and_every_widget_import_without_torch() -> None:
    names = [dotted(path) for path in (*TABLES, *BOOK, *WIDGETS)]
    assert "utils.widgets.sampling_explorer.widget" in names
    assert "utils.book.notebooks" in names
    code = f"""
import importlib, sys
sys.modules["torch"] = None  # importing it raises ModuleNotFoundError
for name in {names}:
    importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(
    "name", ["ParameterBudget", "SolutionPath", "SamplingExplorer", "TemperatureBars", "Panel"]
)
def test_a_name_at_the_door_comes_without_torch(name) -> None:
    code = f"import sys; from utils.widgets import {name}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
