"""The search page's own script: excerpts without menus and answers, and a guess at a typo.

Terms that the search's index cuts to pieces, as "top-p", are found by index entries in the pages
(```` ```{index} !top-p ``` ````), which come before all other results. Such a result is named by
its page alone, so the search page is told in which section each entry stands.
"""

from __future__ import annotations

import json
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def sections(env: BuildEnvironment) -> dict[str, dict[str, str]]:
    """For each page the anchors of its index entries, and the title of the section of each."""
    if not hasattr(env, "index_sections"):
        env.index_sections = {}  # pyright: ignore[reportAttributeAccessIssue]
    return env.index_sections  # pyright: ignore[reportAttributeAccessIssue]


def note_sections(app: Sphinx, doctree: nodes.document) -> None:
    """Remember the section of every index entry of a page that was read."""
    found = {}
    for index in doctree.findall(addnodes.index):
        section = index.parent
        while section is not None and not isinstance(section, nodes.section):
            section = section.parent
        is_page = section is None or isinstance(section.parent, nodes.document)
        for _, _, anchor, _, _ in index["entries"]:
            if not is_page:
                found[anchor] = section[0].astext()  # the first child of a section is its title
    sections(app.env)[app.env.docname] = found


def forget_sections(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Forget a page that is read again or gone."""
    sections(env).pop(docname, None)


def merge_sections(app: Sphinx, env: BuildEnvironment, docnames: Any, other: Any) -> None:
    """Take over what another process has read."""
    sections(env).update(sections(other))


def add_script(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Load the script, and what it has to know, on the search page only."""
    if pagename == "search":
        known = {name: found for name, found in sections(app.env).items() if found}
        app.add_js_file(None, body=f"const INDEX_SECTIONS = {json.dumps(known)};")
        app.add_js_file("search_page.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, object]:
    """Register the steps."""
    app.connect("doctree-read", note_sections)
    app.connect("env-purge-doc", forget_sections)
    app.connect("env-merge-info", merge_sections)
    app.connect("html-page-context", add_script)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
