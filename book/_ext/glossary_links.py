"""``{section}`parameters#what-is-attention` ``: a link to a section, named as its page names it.

The glossary says with it where a term is measured. The text of the link is the title of the page
and that of the section, so that neither is typed twice; in a sentence it may be another one, as in
``{section}`how it is computed <parameters#what-is-attention>` ``. A section that is not there,
because its title was changed, ends the build.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util.docutils import ReferenceRole
from verdicts import headings


class SectionError(SphinxError):
    """A link to a section that is not there. Always ends the build."""

    category = "Section"


def title_of(target: str, folder: Path) -> str:
    """The title of ``page#section``, the page's own in front; ``folder`` holds the pages.

    Raises ``SectionError`` for a page or a section that is not there.
    """
    page, _, anchor = target.partition("#")
    file = folder / f"{page}.md"
    titles = headings(file) if file.is_file() else {}
    if not anchor or anchor not in titles:
        raise SectionError(f"no section {target}")
    return f"{titles['']}: {titles[anchor]}"


class Section(ReferenceRole):
    """The role; pages stand in one folder."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Write the link; the page is built again when the other one changes."""
        folder = Path(self.env.doc2path(self.env.docname)).parent
        page, _, anchor = self.target.partition("#")
        self.env.note_dependency(str(folder / f"{page}.md"))
        try:
            title = title_of(self.target, folder)
        except SectionError as error:
            where = f"{self.env.doc2path(self.env.docname)}:{self.lineno}"
            raise SectionError(f"{where}: {self.name}: {error}") from None
        text = self.title if self.has_explicit_title else title
        link = nodes.reference("", text, internal=True, refuri=f"{page}.html#{anchor}")
        return [link], []


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the role."""
    app.add_role("section", Section())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
