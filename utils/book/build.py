"""Build the book, so that no interruption leaves it incomplete for good: ``make book``.

Sphinx builds again only what changed since its last build, and takes for granted that this one came
to its end. After one that was killed, pages stay without their images and the search without some
pages. So a file in ``_build`` says that the book there is whole. It is removed before a build and
written after one that succeeded; while it is missing, everything is built from the beginning.

What follows ``python -m utils.book.build`` on the command line goes to ``jupyter-book build``.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from utils.book.words import languages
from utils.files import locked, write_text
from utils.runtime import repo_root

COMPLETE = "book.complete"  # the file that says so; `make clean` removes it first
# Folders of other commands, which no build of this book has written: a class's grades above all.
OTHERS = ("assignments", "grades", "dist", "gettext", "without_solutions")


def build(builder: Callable[[], object], folder: Path) -> None:
    """Call ``builder``, which builds the book in ``folder``, when no other build is running there.

    It finds in ``folder`` either a book that is whole or none.

    Raises what ``builder`` raises, ``SystemExit`` included unless it means success, and ``OSError``
    in one line if ``folder`` cannot be written or emptied.
    """
    complete = folder / COMPLETE
    with locked(complete, wait=True):
        if not complete.exists():
            remove_built(folder)
        complete.unlink(missing_ok=True)

        # A process that is killed in here ends without writing the file again.
        try:
            builder()
        except SystemExit as end:
            if end.code not in (None, 0):
                raise

        # The pages first: after a power cut the file must not be there without them.
        os.sync()
        write_text(complete, "The last build of the book in this folder was finished.\n")


def remove_built(folder: Path) -> None:
    """Remove the folders in ``folder``: pages, doctrees, and what the book's extensions wrote.

    The folders of other commands stay, and the book in other languages. Files stay: they are ours,
    the lock among them, and what the notebooks' tests measured. A link to a folder, or to nothing,
    is removed as well, but not what it leads to.

    Raises ``OSError`` in one line, which says what to do, if something cannot be removed.
    """
    kept = (*OTHERS, *languages())
    found = sorted(path for path in folder.iterdir() if not path.is_file())
    built = [path for path in found if path.name not in kept]
    if built:
        print("The book in _build is not known to be whole: building all of it.", flush=True)
    for path in built:
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as error:
            raise OSError(
                f"{path} could not be removed ({error.strerror}): "
                "make sure that you may write there, then run make clean"
            ) from None


def jupyter_book(arguments: list[str]) -> None:
    """Run ``jupyter-book`` in this process, so that whatever kills it also lets go of the lock.

    Raises ``SystemExit`` at its end, with its exit status.
    """
    from jupyter_book.cli.main import main as command

    command(arguments, prog_name="jupyter-book")


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    # Ctrl-C ends the process at once and without a traceback: there is nothing to tidy up.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    options = sys.argv[1:] if arguments is None else arguments
    root = repo_root()
    try:
        build(lambda: jupyter_book(["build", str(root), *options]), root / "_build")
    except OSError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
