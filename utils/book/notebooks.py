"""Execute the course's notebooks: to refresh their stored outputs, or to make records.

``python -m utils.book.notebooks refresh [NOTEBOOK …]`` (all of them by default; ``make notebooks``)
writes the outputs back. Timings of the run, widget states and random ids are left out, and streams
are joined, so on one machine with one set of packages the files come out byte for byte the same.

``python -m utils.book.notebooks run NOTEBOOK --scale full`` executes the code cells in one process,
without Jupyter, so that it also works on a bare GPU machine. The notebook stays as it is; what it
saves are records.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.book.conclusions import SETUP_TAG
from utils.files import write_text
from utils.runtime import SCALES, repo_root
from utils.validate import require

if TYPE_CHECKING:
    import nbformat

MODEL_ID = re.compile(r'"model_id": "([0-9a-f]{32})"')


def setup_source() -> str:
    """The one text of every notebook's first cell."""
    return (repo_root() / "notebooks" / "setup_cell.py").read_text(encoding="utf-8").rstrip()


def all_notebooks() -> list[Path]:
    """Every committed notebook of the course, in reading order within a chapter."""
    found = (repo_root() / "notebooks").rglob("*.ipynb")
    return sorted(path for path in found if ".ipynb_checkpoints" not in path.parts)


# ---- refreshing stored outputs -------------------------------------------------------------------


def refresh(path: Path, *, write: bool = True) -> None:
    """Run a notebook in its own folder at the cpu scale, and write it back unless `write` is off.

    Raises ``nbclient.exceptions.CellExecutionError`` for a cell that fails, and ``ValueError`` in
    one line for a file that is no notebook; the file then stays as it was.
    """
    import nbclient
    import nbformat

    notebook = _read(path)
    # Every notebook begins with the same setup cell, whose text stands in one file.
    for cell in notebook.cells:
        if SETUP_TAG in cell.metadata.get("tags", []):
            cell.source = setup_source()

    # Set here and restored by nobody: this module is a command of its own.
    os.environ.update(COURSE_SCALE="cpu", COURSE_QUIET="1", CUDA_VISIBLE_DEVICES="")
    client = nbclient.NotebookClient(
        notebook,
        timeout=600,  # seconds per cell
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,  # two prints in a row are one output, whenever they arrive
        resources={"metadata": {"path": str(path.parent)}},  # where the kernel starts
    )
    client.execute()
    if not write:
        return

    # The kernel's version and path differ from machine to machine.
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    text = _with_numbered_widgets(nbformat.writes(notebook))
    # Once more through nbformat, which sorts by key: an id may have been a key.
    sorted_again = nbformat.writes(nbformat.from_dict(json.loads(text)))
    write_text(path, sorted_again + "\n")


def _with_numbered_widgets(text: str) -> str:
    """The text of a notebook with its widgets' random ids replaced by 0, 1, 2 …, in order."""
    random_ids = dict.fromkeys(MODEL_ID.findall(text))  # each once, in the order of the text
    for position, random_id in enumerate(random_ids):
        text = text.replace(random_id, f"{position:032x}")
    return text


def _read(path: Path) -> nbformat.NotebookNode:
    """A notebook as nbformat reads it. Raises ``ValueError`` in one line if it is none."""
    import nbformat

    # nbformat has an error for each of the ways in which a file is no notebook.
    no_notebook = (ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError)
    try:
        notebook = nbformat.read(path, as_version=4)
        valid = isinstance(notebook.cells, list)
    except no_notebook:
        notebook = nbformat.NotebookNode()
        valid = False
    require(valid, "NOTEBOOK", "a Jupyter notebook (.ipynb)", path.name)
    return notebook


def refresh_all(paths: list[Path], *, write: bool = True) -> None:
    """Refresh each notebook, after all of them have been looked at: executing takes minutes."""
    root = repo_root()
    for path in paths:
        inside = path.is_relative_to(root)
        require(path.is_file() and inside, "NOTEBOOK", f"a file in {root}", str(path))
        _read(path)
    for path in paths:
        print(path.relative_to(root), flush=True)
        refresh(path, write=write)


# ---- making records ------------------------------------------------------------------------------


def run(path: Path) -> None:
    """Execute a notebook's code cells in order in this process, figures unseen.

    Raises whatever a cell raises, after naming the cell, and ``ValueError`` for a file without
    cells.
    """
    import matplotlib as mpl

    mpl.use("Agg")  # draws into memory, so no screen is needed
    cells = _cells(path)
    # The cells' namespace. Jupyter would have given them ``display``.
    names: dict[str, Any] = {"__name__": "__main__", "display": print}
    before = Path.cwd()
    os.chdir(path.resolve().parent)
    try:
        for number, cell in enumerate(cells):
            if cell["cell_type"] != "code":
                continue
            source = "".join(cell["source"])  # a list of lines or one text: both are allowed
            try:
                exec(compile(source, f"{path.name}, cell {number}", "exec"), names)
            except BaseException:
                print(f"cell {number} of {path.name} failed", file=sys.stderr)
                raise
    finally:
        os.chdir(before)


def _cells(path: Path) -> list[dict[str, Any]]:
    """The cells of a notebook, read without nbformat, which a bare GPU machine may lack."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        valid = all("cell_type" in cell and "source" in cell for cell in cells)
    except (ValueError, KeyError, TypeError, RecursionError):
        cells = []
        valid = False
    require(valid, "notebook", "a Jupyter notebook (.ipynb)", path.name)
    return cells


# ---- the command line ----------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> None:
    """The command line, with its two commands."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.command == "refresh":
            chosen = [path.resolve() for path in options.notebooks]
            refresh_all(chosen or all_notebooks(), write=not options.dry_run)
            return
        if not options.notebook.is_file():
            parser.error(f"there is no notebook {options.notebook}")
        _cells(options.notebook)  # here, because an error of a cell is to keep its traceback
    except (ValueError, OSError) as error:
        parser.error(str(error))
    os.environ["COURSE_SCALE"] = options.scale
    run(options.notebook)


def _parser() -> argparse.ArgumentParser:
    purpose = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m utils.book.notebooks", description=purpose)
    commands = parser.add_subparsers(dest="command", required=True)

    refreshing = commands.add_parser(
        "refresh", help="execute notebooks and write their outputs back"
    )
    refreshing.add_argument(
        "notebooks", nargs="*", type=Path, metavar="NOTEBOOK", help="by default all of them"
    )
    refreshing.add_argument(
        "--dry-run", action="store_true", help="execute them and leave the files as they are"
    )

    running = commands.add_parser(
        "run", help="execute one notebook's code cells, for the records they save"
    )
    running.add_argument("notebook", type=Path, metavar="NOTEBOOK")
    running.add_argument("--scale", choices=SCALES, default="full")
    return parser


if __name__ == "__main__":
    main()
