"""The books that two benchmarks open: built ones, and one of an earlier state to compare with."""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from utils.runtime import repo_root

BUILT = Path("_build/html")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The two options by which a command is told its books."""
    parser.add_argument("--book", type=Path, action="append", help="a built book's folder of HTML")
    parser.add_argument(
        "--before", metavar="COMMIT", help="also build the book of this state and measure it first"
    )


@contextlib.contextmanager
def chosen_books(options: argparse.Namespace) -> Iterator[dict[str, Path]]:
    """The books to measure in turns, by the name to print; by default the one in `_build/html`.

    Raises ``FileNotFoundError`` in one line for a folder that holds no book.
    """
    folders = options.book or [repo_root() / BUILT]
    for folder in folders:
        if not (folder / "book" / "index.html").is_file():
            raise FileNotFoundError(f"there is no built book in {folder}: run `make book`")
    now = {folder.name if options.book else "now": folder for folder in folders}
    if len(now) < len(folders):
        now = {str(folder): folder for folder in folders}
    if options.before is None:
        yield now
        return
    with earlier_book(options.before) as before:
        yield {options.before: before, **now}


@contextlib.contextmanager
def earlier_book(commit: str) -> Iterator[Path]:
    """Build the book of ``commit`` in a worktree of its own, which is removed in the end."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(repo_root()), "worktree"]
        subprocess.run(
            [*git, "add", "--detach", str(tree), commit], check=True, capture_output=True
        )
        try:
            builder = Path(sys.executable).with_name("jupyter-book")
            subprocess.run([builder, "build", ".", "--quiet"], cwd=tree, check=True)
            yield tree / BUILT
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True, capture_output=True)
