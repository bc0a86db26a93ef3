"""``{citation} text`` and ``{citation} bibtex``: how to cite the course, from ``CITATION.cff``.

The year is that of ``date-released``, or of the book's copyright while nothing has been released.
The address is that of the published book, or else of the repository; while it has neither, the
text says so.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parents[2]))  # the course's own library
from utils.book.cited import authors, read
from utils.book.words import tr

FILE = "CITATION.cff"
NO_ADDRESS = "[Its address, once the course has been published]"
KINDS = ("text", "bibtex")


def year(citation: dict[str, Any], otherwise: str) -> str:
    """The year of the release, or ``otherwise``.

    >>> year({"date-released": "2027-03-01"}, "2026"), year({}, "2026")
    ('2027', '2026')
    """
    return str(citation.get("date-released", otherwise))[:4]


def address(citation: dict[str, Any]) -> str:
    """Where the course is found; empty while it has not been published."""
    return citation.get("url") or citation.get("repository-code") or ""


def as_text(citation: dict[str, Any], the_year: str) -> str:
    """One line of Markdown for a list of references."""
    who = ", ".join(authors(citation))
    place = address(citation)
    where = f"<{place}>" if place else tr(NO_ADDRESS)
    version = tr("Version {version}", version=citation["version"])
    return f"{who} ({the_year}). *{citation['title']}*. {version}. {where}."


def as_bibtex(citation: dict[str, Any], the_year: str) -> str:
    """An entry for BibTeX; groups' names in braces of their own, so that they stay whole."""
    names = []
    for author, name in zip(citation["authors"], authors(citation), strict=True):
        names.append(f"{{{name}}}" if author.get("name") else name)
    fields = {
        "author": " and ".join(names),
        "title": f"{{{citation['title']}}}",
        "year": the_year,
        "note": tr("Version {version}", version=citation["version"]),
    }
    if address(citation):
        fields["url"] = address(citation)
    key = re.sub(r"\W", "", citation["title"].lower()) + the_year
    lines = [f"  {name:<6} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@misc{{{key},", *lines, "}"])


class Citation(SphinxDirective):
    """The citation in one of two forms."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Read the file anew with every build."""
        kind = directives.choice(self.arguments[0], KINDS)
        path = Path(self.env.srcdir) / FILE
        self.env.note_dependency(str(path))
        try:
            citation = read(path)
        except ValueError as error:
            raise ExtensionError(str(error)) from None
        the_year = year(citation, self.config.copyright)
        if kind == "bibtex":
            text = as_bibtex(citation, the_year)
            return [nodes.literal_block(text, text, language="bibtex")]
        holder = nodes.container(classes=["citation-text"])
        line = StringList([as_text(citation, the_year)], source=FILE)
        self.state.nested_parse(line, self.content_offset, holder)
        return [holder]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("citation", Citation)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
