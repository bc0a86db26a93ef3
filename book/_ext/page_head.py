"""What a link to a page says of it: a description and a title for search engines and previews.

Each page gets a ``<meta name="description">`` and Open Graph's title, description and type. The
description is the page's first paragraph as text, cut where it is long. Open Graph's address and
image need to know where the book is published, and are left out.
"""

from __future__ import annotations

import html
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

LONGEST = 200  # characters of a description; search engines show less


def first_paragraph(document: nodes.document) -> str:
    """The text of the first paragraph that stands directly in a section, "" where there is none.

    Paragraphs with a formula are passed over, as it would read as TeX.
    """
    for paragraph in document.findall(nodes.paragraph):
        in_a_section = isinstance(paragraph.parent, nodes.section | nodes.document)
        has_formula = next(paragraph.findall(nodes.math), None) is not None
        if in_a_section and not has_formula:
            return shortened(plain_text(paragraph))
    return ""


def plain_text(paragraph: nodes.paragraph) -> str:
    """The paragraph's words on one line, without its footnote marks."""
    parts = []
    for text in paragraph.findall(nodes.Text):
        if not isinstance(text.parent, nodes.footnote_reference):
            parts.append(text.astext())
    return " ".join("".join(parts).split())


def shortened(text: str) -> str:
    """At most `LONGEST` characters: whole sentences if one fits, else whole words and an ellipsis.

    >>> shortened("Short enough.")
    'Short enough.'
    >>> shortened("One sentence. " + "word " * 50)
    'One sentence.'
    """
    if len(text) <= LONGEST:
        return text
    start = text[: LONGEST - 1]  # one character is left for the ellipsis
    sentences = re.match(r".*[.?!](?=\s)", start)
    if sentences:
        return sentences[0]
    return start.rpartition(" ")[0] + "…"


def head(title: str, description: str, kind: str) -> str:
    """The tags for a page; the description's are left out where there is none."""
    tags = [f'<meta property="og:title" content="{html.escape(title)}"/>']
    tags.append(f'<meta property="og:type" content="{kind}"/>')
    if description:
        said = html.escape(description)
        tags.append(f'<meta name="description" content="{said}"/>')
        tags.append(f'<meta property="og:description" content="{said}"/>')
    return "\n".join(tags)


def add_head(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Add the tags to the page's head, except to pages that no file stands for, as the search."""
    if doctree is None:
        return
    title = app.env.titles[pagename].astext()
    kind = "website" if pagename == app.config.root_doc else "article"
    context["metatags"] += head(title, first_paragraph(doctree), kind)


def setup(app: Sphinx) -> dict[str, object]:
    """Register the step."""
    app.connect("html-page-context", add_head)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
