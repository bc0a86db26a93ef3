"""Make what a teacher hands out: ``make assignments``.

``python -m utils.grading.make`` reads every notebook in ``assignments/source/`` and writes

- ``assignments/release/CHAPTER/CHAPTER.ipynb``, without solutions and hidden tests, which is
  committed so that Colab can open it once the repository has an address;
- ``_build/assignments/solution/CHAPTER.ipynb``, with the solutions;
- ``_build/assignments/class.zip``, all releases in one file for a class.
"""

from __future__ import annotations

import argparse
import io
import json
import zipfile
from pathlib import Path
from typing import Any

from utils.book.notebooks import SETUP_TAG, setup_source
from utils.book.repository_links import address_of, colab_badge
from utils.files import write_text, write_whole
from utils.grading.form import Assignment, notebook, read, release, solution
from utils.grading.form import text as text_of
from utils.runtime import repo_root


def sources(root: Path) -> list[Path]:
    """The source notebooks of all chapters, by name."""
    return sorted((root / "assignments" / "source").glob("*/*.ipynb"))


def release_text(assignment: Assignment, address: str) -> str:
    """The release as the text of a notebook, with a badge where Colab can open it."""
    cells = [_with_setup(cell) for cell in release(assignment)]
    path = f"assignments/release/{assignment.chapter}/{assignment.chapter}.ipynb"
    badge = colab_badge(address, path)
    if badge:
        cells[0]["source"] = f"{text_of(cells[0])}\n\n{badge}".splitlines(keepends=True)
    return _text(cells)


def make(root: Path, address: str) -> list[Path]:
    """Write the versions of every assignment below ``root``, and give their paths."""
    written = []
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sources(root):
            assignment = read(path)
            name = f"{assignment.chapter}.ipynb"
            texts = {
                root / "assignments" / "release" / assignment.chapter / name: release_text(
                    assignment, address
                ),
                root / "_build" / "assignments" / "solution" / name: _text(solution(assignment)),
            }
            for place, text in texts.items():
                place.parent.mkdir(parents=True, exist_ok=True)
                write_text(place, text)
                written.append(place)
            archive.writestr(f"{assignment.chapter}/{name}", release_text(assignment, address))
    together = root / "_build" / "assignments" / "class.zip"
    write_whole(together, packed.getvalue())
    return [*written, together]


def _text(cells: list[dict[str, Any]]) -> str:
    return json.dumps(notebook(cells), indent=1, ensure_ascii=False) + "\n"


def _with_setup(cell: dict[str, Any]) -> dict[str, Any]:
    """The cell, or the course's setup cell as it stands today in its place."""
    if SETUP_TAG in cell["metadata"].get("tags", []):
        cell["source"] = setup_source().splitlines(keepends=True)
    return cell


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    purpose = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m utils.grading.make", description=purpose)
    parser.parse_args(arguments)
    root = repo_root()
    try:
        for path in make(root, address_of(root)):
            print(path.relative_to(root))
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
