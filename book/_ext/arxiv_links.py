"""The arXiv numbers in the list of references, as links to the papers."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx

NUMBER = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


def link_numbers(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """In each entry of a bibliography, turn arXiv:1234.56789 into a link."""
    for entry in doctree.findall(nodes.citation):
        # From above: a text that stands in several entries knows one parent at most.
        for element in list(entry.findall(nodes.Element)):
            if not isinstance(element, nodes.reference):
                for child in list(element.children):
                    if isinstance(child, nodes.Text):
                        element.replace(child, with_links(child.astext()))


def with_links(text: str) -> list[nodes.Node]:
    """The pieces of a text in order, its arXiv numbers as links.

    >>> [piece.astext() for piece in with_links("2019. arXiv:1812.07956.")]
    ['2019. ', 'arXiv:1812.07956', '.']
    """
    pieces: list[nodes.Node] = []
    done = 0
    for found in NUMBER.finditer(text):
        pieces.append(nodes.Text(text[done : found.start()]))
        address = f"https://arxiv.org/abs/{found[1]}"
        pieces.append(nodes.reference("", found[0], refuri=address, internal=False))
        done = found.end()
    pieces.append(nodes.Text(text[done:]))
    return [piece for piece in pieces if piece.astext()]


def setup(app: Sphinx) -> dict[str, object]:
    """Register the step."""
    app.connect("doctree-resolved", link_numbers)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
