"""The search page's own script: excerpts without menus and answers, and a guess at a typo.

Terms that the search's index cuts to pieces, as "top-p", are found by index entries in the pages
(```` ```{index} !top-p ``` ````), which come before all other results.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx


def add_script(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Load the script on the search page only."""
    if pagename == "search":
        app.add_js_file("search_page.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, object]:
    """Register the step."""
    app.connect("html-page-context", add_script)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
