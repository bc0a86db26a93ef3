"""``{provenance-table}``: every stored result, who uses it, and how it came about.

Made anew with every build from the files under ``records/`` (`utils.book.provenance`). What a
record does not tell is a dash, and nothing is filled in.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parents[2]))  # the course's own library
from conclusions_table import link_to, plain, short

from utils.book.notebooks import all_notebooks
from utils.book.provenance import OF_THE_BOOK, Source, drawn_on, pasted_by, sources
from utils.runtime import repo_root

HEAD = "| record | used by | device | time | date | torch | seeds | made by |"
RULE = "|---|---|---|---:|---|---|---|---|"
NO_BREAK = "\u00a0"
MOST_SEEDS = 6  # so many are written out


def spent(seconds: float | None) -> str:
    """A time as the table writes it, with a space that does not break.

    >>> [spent(s).replace(NO_BREAK, " ") for s in (None, 0.1, 42.4, 966, 12378)]
    ['–', '< 1 s', '42 s', '16 min', '3.4 h']
    """
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"<{NO_BREAK}1{NO_BREAK}s"
    if seconds < 90:
        return f"{seconds:.0f}{NO_BREAK}s"
    if seconds < 5400:
        return f"{seconds / 60:.0f}{NO_BREAK}min"
    return f"{seconds / 3600:.1f}{NO_BREAK}h"


def told(texts: list[str]) -> str:
    """One cell: what the files say, or a dash."""
    return ", ".join(map(plain, texts)) or "–"


def seeds(numbers: list[int]) -> str:
    """The seeds, or how many they are.

    >>> [seeds([]), seeds([0, 1, 2]), seeds(list(range(24)))]
    ['–', '0, 1, 2', '24 of them']
    """
    if len(numbers) > MOST_SEEDS:
        return f"{len(numbers)} of them"
    return ", ".join(map(str, numbers)) or "–"


def made_by(how: list[str]) -> str:
    """The command, or the record's own words."""
    parts = []
    for text in how:
        is_command = text.startswith(("python -m ", "make "))
        parts.append(f"`{text.removeprefix('python -m ')}`" if is_command else plain(text))
    return "; ".join(parts) or "–"


def table(found: dict[str, Source], users: dict[str, list[str]]) -> str:
    """The rows as Markdown; ``users`` tells for each record the links to those who use it."""
    lines = [HEAD, RULE]
    for name, source in found.items():
        files = f", {source.n_files} files" if source.n_files > 1 else ""
        cells = [
            f'<span id="{anchor(name)}">{plain(name).replace("/", "/<wbr>")}{files}</span>',
            ", ".join(users.get(name, [])) or "–",
            told(list(source.seconds)),
            spent(sum(source.seconds.values()) if source.seconds else None),
            told(source.dates),
            told(source.torch),
            seeds(source.seeds),
            made_by(source.how),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([summary(found), "", *lines])


def summary(found: dict[str, Source]) -> str:
    """How many there are, and how long each kind of device was busy."""
    n_files = sum(source.n_files for source in found.values())
    busy: dict[str, float] = {}
    for device, seconds in (pair for one in found.values() for pair in one.seconds.items()):
        kind = "processors" if device.startswith("CPU") else device
        busy[kind] = busy.get(kind, 0) + seconds
    times = " and ".join(f"{spent(busy[kind])} on {plain(kind)}" for kind in sorted(busy))
    return f"{len(found)} results in {n_files} files; by what they say, they took {times}."


def anchor(name: str) -> str:
    """Where the row of a record is found on the page."""
    return "record-" + name.replace("/", "-")


class ProvenanceTable(SphinxDirective):
    """The table, made anew with every build."""

    def run(self) -> list[nodes.Node]:
        """Parse the Markdown of `table` in place."""
        page = Path(self.env.doc2path(self.env.docname))
        self.env.note_dependency(str(repo_root() / "records"))
        users: dict[str, list[str]] = {}
        for notebook in all_notebooks():
            self.env.note_dependency(str(notebook))
            for name in drawn_on(notebook):
                users.setdefault(name, []).append(link_to(notebook, page.parent, short(notebook)))
        for other in sorted(page.parent.glob("*.md")):
            for name in pasted_by(other):
                title = other.stem.replace("_", " ")
                link = f"[page: {title}]({other.name})"
                users.setdefault(name, []).append(link)
        found = {name: one for name, one in sources().items() if name not in OF_THE_BOOK}
        text = StringList(table(found, users).splitlines(), source="provenance-table")
        holder = nodes.container(classes=["provenance-table"])
        self.state.nested_parse(text, self.content_offset, holder)
        return [holder]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("provenance-table", ProvenanceTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
