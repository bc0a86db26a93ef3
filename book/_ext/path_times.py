"""How long each of the three ways through the course takes, measured or counted.

``{path-time}`read` `` counts the words of the chapters' pages and divides them by the speed at
which adults read, ``{path-time}`learn` `` sums what the notebooks take on one core
(``records/notebook_times.json``), and ``{path-time}`teach` `` counts the exercises that have a
solution. All are made anew with every build.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util.docutils import SphinxRole

sys.path.insert(0, str(Path(__file__).parents[2]))  # the course's own library
from notebook_times import NO_BREAK, NOT_MEASURED

from utils.book.conclusions import name_of
from utils.book.notebooks import all_notebooks
from utils.book.prose import WORDS_PER_MINUTE, n_words
from utils.book.times import RECORD, entries
from utils.book.words import tr

SOLUTION = re.compile(r"^:{3,}\{solution\} (\S+)|^`{3,}\{solution\} (\S+)", re.MULTILINE)


class PathTimeError(SphinxError):
    """A page asks for a way that there is not. Always ends the build."""

    category = "Path time"


def read_in(words: int) -> str:
    """How many words, and how long they take to read, to a quarter of an hour.

    >>> read_in(41_234).replace(NO_BREAK, " ")
    '41,000 words, about 3 hours at 238 words per minute'
    >>> read_in(20_000).replace(NO_BREAK, " ")
    '20,000 words, about 1½ hours at 238 words per minute'
    """
    quarters = max(1, round(words / WORDS_PER_MINUTE / 15))
    hours, rest = divmod(quarters, 4)
    written = f"{hours or ''}{('', '¼', '½', '¾')[rest]}"
    unit = tr("hour") if quarters <= 4 else tr("hours")
    return tr(
        "{words}\u00a0words, about {time} at {speed} words per minute",
        words=f"{round(words, -3):,}",
        time=f"{written}{NO_BREAK}{unit}",
        speed=WORDS_PER_MINUTE,
    )


def computed_in(seconds: list[float]) -> str:
    """How many notebooks, and how long they take together.

    >>> computed_in([30.0, 40.0, 300.0]).replace(NO_BREAK, " ")
    '3 notebooks, 6 minutes of computing on one core'
    """
    minutes = max(1, round(sum(seconds) / 60))
    unit = tr("minutes") if minutes > 1 else tr("minute")
    return tr(
        "{n}\u00a0notebooks, {time} of computing on one core",
        n=len(seconds),
        time=f"{minutes}{NO_BREAK}{unit}",
    )


def n_solutions(notebook: Path) -> int:
    """How many exercises of a notebook have a solution."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return len(set(SOLUTION.findall(text)))


class PathTime(SphinxRole):
    """``{path-time}`WAY` ``, where WAY is read, learn or teach."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Write it; the page is built again when what was counted changes."""
        notebooks = all_notebooks()
        where = f"{self.env.doc2path(self.env.docname)}:{self.lineno}"
        if self.text == "read":
            told = self._read(notebooks)
        elif self.text == "learn":
            self.env.note_dependency(f"records/{RECORD}.json")
            known = entries()
            if any(name_of(path) not in known for path in notebooks):
                told = f"{tr('{n} notebooks', n=len(notebooks))}, {tr(NOT_MEASURED)}"
            else:
                told = computed_in([known[name_of(path)]["seconds"] for path in notebooks])
        elif self.text == "teach":
            for notebook in notebooks:
                self.env.note_dependency(str(notebook))
            n = sum(map(n_solutions, notebooks))
            told = tr("{n}\u00a0exercises with solutions", n=n)
        else:
            raise PathTimeError(f"{where}: must be read, learn or teach, got {self.text!r}")
        return [nodes.Text(told)], []

    def _read(self, notebooks: list[Path]) -> str:
        """The pages of the chapters, which are those that have notebooks."""
        folder = Path(self.env.doc2path(self.env.docname)).parent
        chapters = sorted({notebook.parent.name for notebook in notebooks})
        pages = [folder / f"{chapter}.md" for chapter in chapters]
        for page in pages:
            self.env.note_dependency(str(page))
        return read_in(sum(n_words(page.read_text(encoding="utf-8")) for page in pages))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the role."""
    app.add_role("path-time", PathTime())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
