"""Find what students have handed in, and read it without trusting it.

A folder of submissions holds one entry per student: ``anna.ipynb``, or a folder or a zip archive
``anna`` with one notebook in it. Nothing in it is executed or unpacked onto the disk here.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from utils.grading.form import Assignment, form, kind, name_of, text, without_hidden
from utils.validate import require

LARGEST = 20 * 2**20  # bytes of a notebook
LONGEST = 200  # bytes of a student's name


@dataclass(frozen=True)
class Submission:
    """What one student handed in.

    student : the name of the file or folder, without its ending.
    cells : the cells of the notebook; empty if it could not be read.
    fault : why it could not be read, in words; None if it could.
    """

    student: str
    cells: list[dict[str, Any]] = field(default_factory=list)
    fault: str | None = None


def submissions(folder: Path) -> Iterator[Submission]:
    """Every student's submission, by name. One that cannot be read has a fault, and stops nothing.

    Raises ``ValueError`` in one line if there is no such folder, or it is empty.
    """
    require(folder.is_dir(), "SUBMISSIONS", "a folder with one entry per student", str(folder))
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    require(bool(entries), "SUBMISSIONS", "a folder with one entry per student", f"{folder}, empty")
    names = [_student(entry) for entry in entries]
    for position, (entry, student) in enumerate(zip(entries, names, strict=True)):
        if names.count(student) > 1:
            number = names[: position + 1].count(student)
            yield Submission(f"{student} ({number})", fault=f"several entries are named {student}")
            continue
        try:
            yield Submission(student, _cells(_content(entry)))
        except Exception as error:  # a damaged archive raises whatever its compression raises
            yield Submission(student, fault=str(error) or type(error).__name__)


def _student(entry: Path) -> str:
    """The student's name, which a file of feedback can carry.

    What is no UTF-8, as in names from other systems, becomes a ``?``; long names are cut.
    """
    name = entry.name if entry.is_dir() else entry.stem
    whole = name.encode("utf-8", "replace")
    return whole[:LONGEST].decode("utf-8", "ignore")


def _content(entry: Path) -> bytes:
    """The bytes of the one notebook of an entry."""
    if entry.is_symlink():
        raise ValueError("a link, not a file")
    if entry.is_dir():
        found = [path for path in sorted(entry.rglob("*.ipynb")) if path.is_file()]
        found = [path for path in found if not _is_hidden(path.relative_to(entry))]
        if len(found) != 1 or found[0].is_symlink():
            raise ValueError(f"{len(found)} notebooks in the folder, not one")
        entry = found[0]
    if not entry.is_file():
        raise ValueError("not a file")
    if entry.suffix.lower() == ".zip":
        return _zipped(entry)
    with entry.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"larger than {LARGEST // 2**20} MiB")
    return content


def _is_hidden(path: str | Path) -> bool:
    """Whether a file is a checkpoint of Jupyter's, or what macOS packs beside a file."""
    return any(part.startswith(".") for part in Path(path).parts)


def _zipped(path: Path) -> bytes:
    """The bytes of the one notebook in an archive; no more than `LARGEST` are ever unpacked."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".ipynb")]
        names = [name for name in names if not _is_hidden(name)]
        if len(names) != 1:
            raise ValueError(f"{len(names)} notebooks in the archive, not one")
        with archive.open(names[0]) as file:
            content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"larger than {LARGEST // 2**20} MiB when unpacked")
    return content


def _cells(content: bytes) -> list[dict[str, Any]]:
    """The cells of a notebook."""
    try:
        notebook = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("not a notebook: it is no JSON") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not all(_is_cell(cell) for cell in cells):
        raise ValueError("not a notebook: it has no list of cells")
    return cells


def _is_cell(cell: Any) -> bool:
    """Whether something is a cell as far as the grader looks at one."""
    if not isinstance(cell, dict) or not isinstance(cell.get("metadata", {}), dict):
        return False
    source = cell.get("source", "")
    lines = source if isinstance(source, list) else [source]
    return all(isinstance(line, str) for line in lines)


# ---- what is executed ----------------------------------------------------------------------------


def missing(assignment: Assignment, cells: list[dict[str, Any]]) -> list[str]:
    """The names of the cells that a student was to fill in and that are not there."""
    there = {name_of(cell) for cell in cells}
    wanted = [cell for cell in assignment.cells if kind(cell) in ("solution", "written")]
    return [name for cell in wanted if (name := name_of(cell)) and name not in there]


def program(assignment: Assignment, cells: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The code to execute: the student's cells in their order, with our text in the locked ones.

    Each entry has a ``source``, and a ``task`` where a graded cell stands. A locked cell that the
    student deleted comes back after the one that it follows in the source.
    """
    ours = {name: cell for cell in assignment.cells if (name := name_of(cell)) is not None}
    locked = [name for name, cell in ours.items() if form(cell).get("locked")]
    order = list(ours)
    made: list[tuple[str | None, str]] = []  # name of the cell, code
    taken = set()
    for cell in cells:
        name = name_of(cell)
        if name is None or name not in ours or name in taken:
            name = None
        else:
            taken.add(name)
        if name in locked:
            cell = ours[name]
        if cell.get("cell_type") == "code":
            made.append((name, without_hidden(text(cell))))
        elif name is not None:
            made.append((name, ""))
    for name in locked:
        if name in taken:
            continue
        before = set(order[: order.index(name)])
        places = [i for i, (other, _) in enumerate(made) if other in before]
        source = without_hidden(text(ours[name])) if ours[name]["cell_type"] == "code" else ""
        made.insert(places[-1] + 1 if places else 0, (name, source))
    tasks = {task.name for task in assignment.tasks}
    return [{"source": source} | ({"task": name} if name in tasks else {}) for name, source in made]


def written_answers(assignment: Assignment, cells: list[dict[str, Any]]) -> dict[str, str]:
    """The student's answers in words, by the names of their cells; empty where there is none."""
    found = {name: "" for name in assignment.written}
    for cell in cells:
        name = name_of(cell)
        if name is not None and name in found and not found[name]:
            found[name] = text(cell).strip()
    return found
