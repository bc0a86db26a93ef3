"""Execute the course's notebooks and write their outputs back so that a second run changes nothing.

``python -m utils.notebooks [NOTEBOOK …]`` (all of them by default; ``make notebooks``). Timings of
the run, widget states and random ids are left out, and streams are joined, so on one machine with
one set of packages the files come out byte for byte the same.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
from pathlib import Path

import nbclient
import nbformat

from utils.runtime import repo_root
from utils.validate import require

SETUP_TAG = "course-setup"
MODEL_ID = re.compile(r'"model_id": "([0-9a-f]{32})"')


def setup_source() -> str:
    """The one text of every notebook's first cell."""
    return (repo_root() / "notebooks" / "setup_cell.py").read_text(encoding="utf-8").rstrip()


def all_notebooks() -> list[Path]:
    """Every committed notebook of the course, in reading order within a chapter."""
    found = (repo_root() / "notebooks").rglob("*.ipynb")
    return sorted(p for p in found if ".ipynb_checkpoints" not in p.parts)


def execute(path: Path) -> None:
    """Run a notebook in its own folder at the cpu scale and write it back.

    A cell that fails raises ``nbclient.exceptions.CellExecutionError`` and the file stays as it was.
    Raises ``ValueError`` in one line for a file that is no notebook.
    """
    notebook = _read(path)
    for cell in notebook.cells:
        if SETUP_TAG in cell.metadata.get("tags", []):
            cell.source = setup_source()
    # Set here and restored by nobody: this module is a command of its own.
    os.environ.update(COURSE_SCALE="cpu", COURSE_QUIET="1", CUDA_VISIBLE_DEVICES="")
    nbclient.NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    text = nbformat.writes(notebook)
    for position, model in enumerate(dict.fromkeys(MODEL_ID.findall(text))):
        text = text.replace(model, f"{position:032x}")
    temporary = path.with_suffix(".part")
    try:
        temporary.write_text(nbformat.writes(nbformat.from_dict(json.loads(text))) + "\n", encoding="utf-8")
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _read(path: Path) -> nbformat.NotebookNode:
    try:
        notebook = nbformat.read(path, as_version=4)
        good = isinstance(notebook.cells, list)
    except (ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError):
        good = False  # nbformat has an error for each way in which a file is none
    require(good, "NOTEBOOK", "a Jupyter notebook (.ipynb)", path.name)
    return notebook


def main(arguments: list[str] | None = None) -> None:
    """The command line: execute the notebooks named, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m utils.notebooks", description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK", help="by default all of them")
    paths = [path.resolve() for path in parser.parse_args(arguments).notebooks] or all_notebooks()
    try:
        for path in paths:  # all before the first is executed, which takes minutes
            inside = path.is_relative_to(repo_root())
            require(path.is_file() and inside, "NOTEBOOK", f"a file in {repo_root()}", str(path))
            _read(path)
        for path in paths:
            print(path.relative_to(repo_root()), flush=True)
            execute(path)
    except (ValueError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
