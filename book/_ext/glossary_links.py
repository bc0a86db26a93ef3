"""``{section}`parameters#what-is-attention` ``: a link to a section, named as its page names it.

The glossary says with it where a term is measured. The text of the link is the title of the page
and that of the section, so that neither is typed twice; in a sentence it may be another one, as in
``{section}`how it is computed <parameters#what-is-attention>` ``. A section that is not there,
because its title was changed, ends the build.

``{glossary-letters}`` is a line of links to the first term of each letter of the glossary below it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from claims import headings
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util.docutils import ReferenceRole, SphinxDirective


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


def letters(text: str) -> str:
    """Links to the first term of each letter, as MyST; ``text`` holds the glossary.

    >>> letters("```{glossary}\\nAdam\\n  One.\\n\\nattention\\n  Two.\\n\\nbatch\\n  Three.\\n```")
    '{term}`A <Adam>` · {term}`B <batch>`'
    """
    inside = text.partition("```{glossary}\n")[2].partition("\n```")[0]
    first: dict[str, str] = {}
    for term in re.findall(r"^(\S.*)$", inside, re.MULTILINE):
        first.setdefault(term[0].upper(), term)
    return " · ".join(f"{{term}}`{letter} <{term}>`" for letter, term in first.items())


class GlossaryLetters(SphinxDirective):
    """The line of letters, made from the page on which it stands."""

    def run(self) -> list[nodes.Node]:
        """Parse the links in place."""
        page = Path(self.env.doc2path(self.env.docname))
        line = letters(page.read_text(encoding="utf-8"))
        holder = nodes.container(classes=["glossary-letters"])
        text = StringList([line], source="glossary-letters")
        self.state.nested_parse(text, self.content_offset, holder)
        return [holder]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the role and the directive."""
    app.add_role("section", Section())
    app.add_directive("glossary-letters", GlossaryLetters)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
