"""How long each notebook takes on one core: ``make times``, whose record the pages read.

``python -m utils.book.times [NOTEBOOK …]`` executes notebooks as `make notebooks` does, on one
thread, leaves their files alone, and writes ``records/notebook_times.json``: for each notebook its
seconds and the digest of the code that was run. Without arguments it measures the notebooks whose
code has changed since they were last measured, or that never were.

The seconds are those of the processor (user and system), Jupyter's kernel included. On a quiet
machine a notebook on one thread takes as long; on a busy one the wall clock would tell of others.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from utils import records
from utils.book.conclusions import code_digest, name_of
from utils.book.notebooks import all_notebooks
from utils.runtime import repo_root
from utils.validate import require

RECORD = "notebook_times"
HOW = "make times: seconds of one processor core, on one thread, without a GPU"
COLOUR = re.compile(r"\x1b\[[\d;]*m")  # how a kernel paints its errors
ONE_THREAD = {
    "COURSE_SCALE": "cpu",
    "COURSE_QUIET": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def processor_seconds(notebook: Path) -> float:
    """Execute a notebook on one thread and return the processor's seconds, its kernel's included.

    Raises ``ChildProcessError`` in one line if a cell fails.
    """
    command = [sys.executable, "-m", "utils.book.notebooks", "refresh", "--dry-run", str(notebook)]
    before = _children_seconds()
    done = subprocess.run(
        command, cwd=repo_root(), env=os.environ | ONE_THREAD, capture_output=True, text=True
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        why = COLOUR.sub("", lines[-1]) if lines else f"ended with {done.returncode}"
        raise ChildProcessError(f"{name_of(notebook)}: {why}")
    return _children_seconds() - before


def _children_seconds() -> float:
    """Processor seconds of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def entries() -> dict[str, dict[str, Any]]:
    """What the record tells so far, by notebook."""
    path = records.path_of(RECORD)
    return records.load(RECORD).data["notebooks"] if path.exists() else {}


def outdated(notebooks: list[Path], known: dict[str, dict[str, Any]]) -> list[Path]:
    """The notebooks that were never measured, or whose code is another now."""
    found = []
    for notebook in notebooks:
        entry = known.get(name_of(notebook))
        if entry is None or entry["code"] != code_digest(notebook):
            found.append(notebook)
    return found


def measure(notebooks: list[Path]) -> None:
    """Measure each notebook, and store the record after each, so that a stop loses one at most."""
    for notebook in notebooks:
        started = time.time()
        digest = code_digest(notebook)  # before: somebody may edit it in the meantime
        seconds = round(processor_seconds(notebook), 1)
        date = datetime.datetime.now(datetime.UTC).date().isoformat()
        known = entries() | {name_of(notebook): {"seconds": seconds, "code": digest, "date": date}}
        there = {name_of(path) for path in all_notebooks()} | {name_of(notebook)}
        kept = {name: entry for name, entry in sorted(known.items()) if name in there}
        records.save(RECORD, {"notebooks": kept}, started=started, how=HOW)
        print(f"{name_of(notebook)}: {seconds:.0f} s", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    purpose = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m utils.book.times", description=purpose)
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    options = parser.parse_args(arguments)
    os.environ.update(ONE_THREAD)  # before torch is imported: the record tells its threads
    try:
        chosen = [path.resolve() for path in options.notebooks]
        for path in chosen:
            require(path.is_file(), "NOTEBOOK", "a file", str(path))
        measure(chosen or outdated(all_notebooks(), entries()))
    except (ValueError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
