"""What runs beside a student's code: execute the cells, ask the questions, write the answers down.

``python -I worker.py DESCRIPTOR`` reads a job from standard input, as JSON::

    {"root": "/the/course",
     "cells": [{"source": "…"},
               {"source": "…", "task": "min_p", "call": "def call(asked): …", "asked": {…}}]}

It executes the cells in order, in one IPython shell, whether or not one of them fails. After a cell
of a task it calls ``call(asked)`` among the names of the notebook, and writes one line of JSON to
the descriptor: ``{"task": "min_p", "error": null, "values": {…}}``, where "error" is what the
visible tests of that cell said, or why there are no values.

This file knows no right answer, and nothing that it writes is believed: the student's code runs in
the same process and could write such lines itself. It would have to know the values.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

MOST_NUMBERS = 200_000  # of one task


def plain(value: Any) -> Any:
    """A value as JSON holds it: numbers, texts, truth, None, and lists and dicts of such."""
    if hasattr(value, "detach"):  # a tensor of PyTorch
        value = value.detach().cpu().numpy()
    if hasattr(value, "tolist"):  # an array of NumPy, or a number of its own
        if getattr(value, "size", 1) > MOST_NUMBERS:
            raise ValueError(f"an answer of {value.size} numbers")
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ValueError(f"an answer of type {type(value).__name__}")


def said(error: BaseException | None) -> str | None:
    """An error in one line."""
    if error is None:
        return None
    return f"{type(error).__name__}: {error}"[:500]


def main() -> None:
    answers = os.fdopen(int(sys.argv[-1]), "w", encoding="utf-8")
    job = json.load(sys.stdin)
    sys.path.insert(0, job["root"])
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    for cell in job["cells"]:
        result = shell.run_cell(cell["source"], store_history=False)
        if "task" not in cell:
            continue
        error = said(result.error_before_exec or result.error_in_exec)
        values = None
        try:
            exec(cell["call"], shell.user_ns)
            values = plain(shell.user_ns["call"](cell["asked"]))
        except BaseException as fault:  # an exit, too, is no reason to end here
            error = error or said(fault)
        line = {"task": cell["task"], "error": error, "values": values}
        answers.write(json.dumps(line) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
