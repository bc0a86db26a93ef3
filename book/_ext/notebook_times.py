"""How long notebooks take, as measured: ``records/notebook_times.json``, which `make times` writes.

``{notebook-time}`../notebooks/parameters/01_counting.ipynb` `` writes the time of one notebook on
one processor core, as in "10 s", and ``{chapter-time}`parameters` `` that of all notebooks of a
chapter, as in "5 notebooks, 2 min 30 s in all". Where a notebook was never measured they say so;
a test then fails.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util.docutils import SphinxRole

sys.path.insert(0, str(Path(__file__).parents[2]))  # the course's own library
from utils.book.conclusions import name_of
from utils.book.notebooks import all_notebooks
from utils.book.times import RECORD, entries
from utils.book.words import tr

NOT_MEASURED = "not measured yet"
NO_BREAK = "\u00a0"  # a space that keeps a number and its unit on one line


class NotebookTimeError(SphinxError):
    """A page asks for the time of what is no notebook or no chapter. Always ends the build."""

    category = "Notebook time"


def in_words(seconds: float) -> str:
    """A time to five seconds below a minute, and to ten seconds above.

    >>> [in_words(s).replace(NO_BREAK, " ") for s in (1, 23, 57, 60, 64, 87, 150)]
    ['5 s', '25 s', '55 s', '1 min', '1 min', '1 min 30 s', '2 min 30 s']
    """
    if seconds < 57.5:
        return f"{max(5, 5 * round(seconds / 5))}{NO_BREAK}s"
    minutes, rest = divmod(10 * round(seconds / 10), 60)
    whole = f"{minutes}{NO_BREAK}min"
    return f"{whole} {rest}{NO_BREAK}s" if rest else whole


class NotebookTime(SphinxRole):
    """``{notebook-time}`PATH.ipynb` ``: the time of one notebook."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Write the time; the page is built again when the record changes."""
        _, absolute = self.env.relfn2path(self.text)
        notebook = Path(absolute)
        if not notebook.is_file():
            raise _error(self, f"no such file: {self.text}")
        entry = _known(self).get(name_of(notebook))
        return [nodes.Text(in_words(entry["seconds"]) if entry else tr(NOT_MEASURED))], []


class ChapterTime(SphinxRole):
    """``{chapter-time}`NAME` ``: how many notebooks a chapter has, and the time of all of them."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Write the time; the page is built again when the record changes."""
        names = [name_of(path) for path in all_notebooks() if path.parent.name == self.text]
        if not names:
            raise _error(self, f"no notebooks in the folder notebooks/{self.text}")
        known = _known(self)
        count = tr("{n} notebooks", n=len(names)) if len(names) > 1 else tr("1 notebook")
        if any(name not in known for name in names):
            return [nodes.Text(f"{count}, {tr(NOT_MEASURED)}")], []
        total = in_words(sum(known[name]["seconds"] for name in names))
        return [nodes.Text(tr("{count}, {total} in all", count=count, total=total))], []


def _known(role: SphinxRole) -> dict[str, dict[str, Any]]:
    """What was measured, by notebook."""
    role.env.note_dependency(f"records/{RECORD}.json")
    return entries()


def _error(role: SphinxRole, message: str) -> NotebookTimeError:
    where = f"{role.env.doc2path(role.env.docname)}:{role.lineno}"
    return NotebookTimeError(f"{where}: {role.name}: {message}")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the roles."""
    app.add_role("notebook-time", NotebookTime())
    app.add_role("chapter-time", ChapterTime())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
