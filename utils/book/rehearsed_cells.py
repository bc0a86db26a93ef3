"""Execute one notebook cell by cell, with the kernel of the Python that runs this.

``PYTHON -I utils/book/rehearsed_cells.py NOTEBOOK`` prints one line of JSON. `utils.book.rehearsal`
starts it with the Python of another environment, where the course cannot be imported: so this file
imports nothing of the course, and runs with the older nbclient that Colab has.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from nbclient.exceptions import CellExecutionError

CELL_SECONDS = 3600  # after which a cell is given up
WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(path: Path) -> dict[str, Any]:
    """Execute a notebook in its own folder until a cell fails, and tell how that went.

    Gives the ``wall_seconds`` of all cells and of the first, which is the setup cell; how many
    ``cells`` were executed, ``conclusions`` held and ``widgets`` were shown; and the ``error`` in
    one line, or None.
    """
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},  # where the kernel starts
    )
    seconds = []
    error = None
    with client.setup_kernel():
        for position, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                continue
            began = time.monotonic()
            try:
                client.execute_cell(cell, position)
            except Exception as failure:  # of the cell, or of the kernel: both end the rehearsal
                error = f"cell {position}: {_in_one_line(failure)}"
            seconds.append(time.monotonic() - began)
            if error:
                break

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "\n".join(output.get("text", "") for output in outputs)
    return {
        "wall_seconds": round(sum(seconds), 1),
        "setup_wall_seconds": round(seconds[0], 1) if seconds else 0.0,
        "cells": len(seconds),
        "conclusions": sum(line.startswith("✓ ") for line in printed.splitlines()),
        "widgets": sum(WIDGET in output.get("data", {}) for output in outputs),
        "error": error,
    }


def _in_one_line(failure: Exception) -> str:
    """The name and the message of an error in a cell, without its traceback."""
    if isinstance(failure, CellExecutionError):
        text = f"{failure.ename}: {failure.evalue}"
    else:
        text = f"{type(failure).__name__}: {failure}"
    return " ".join(text.split())[:300]


if __name__ == "__main__":
    print(json.dumps(execute(Path(sys.argv[1]))))
