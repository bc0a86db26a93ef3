"""Execute every notebook at a larger scale: ``make colab-scale``, which a nightly job runs.

``python -m utils.book.scales --scale colab [--shard 1/3] [NOTEBOOK …]`` executes each notebook (all
by default) in a process of its own and prints its seconds. A conclusion that fails, or any other
error, is told at once; the other notebooks still run, and the command then ends with an error.
Where there is no CUDA, the sections that need it run three steps of a reduced model.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from utils.book.conclusions import name_of
from utils.book.notebooks import all_notebooks
from utils.book.shards import share
from utils.runtime import SCALES, repo_root
from utils.validate import require


def executed(notebook: Path, scale: str) -> tuple[float, str | None]:
    """Execute a notebook at ``scale``: its seconds, and the last line of its error, if any."""
    began = time.monotonic()
    command = [sys.executable, "-m", "utils.book.notebooks", "run", str(notebook), "--scale", scale]
    done = subprocess.run(command, cwd=repo_root(), capture_output=True, text=True)
    seconds = time.monotonic() - began
    if done.returncode == 0:
        return seconds, None
    lines = done.stderr.strip().splitlines()
    return seconds, lines[-1] if lines else f"ended with {done.returncode}"


def execute_all(notebooks: list[Path], scale: str) -> list[str]:
    """Execute the notebooks one after the other, and return the names of those that failed."""
    failed = []
    for notebook in notebooks:
        seconds, error = executed(notebook, scale)
        print(
            f"{name_of(notebook)}: {seconds:.0f} s, {error or 'all conclusions hold'}", flush=True
        )
        if error:
            failed.append(name_of(notebook))
    return failed


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    purpose = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m utils.book.scales", description=purpose)
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    parser.add_argument("--scale", choices=SCALES, default="colab")
    parser.add_argument("--shard", default="1/1", help="such as 2/3: every third from the second")
    options = parser.parse_args(arguments)
    try:
        chosen = [path.resolve() for path in options.notebooks] or all_notebooks()
        for path in chosen:
            require(path.is_file(), "NOTEBOOK", "a file", str(path))
        failed = execute_all(list(share(chosen, options.shard)), options.scale)
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    if failed:
        sys.exit(f"failed at the {options.scale} scale: {', '.join(failed)}")


if __name__ == "__main__":
    main()
