"""The buttons that lead to the repository: launch, edit, report. None while it has no address.

The theme knows three hosts and stops at any other; of the three, Colab opens notebooks from one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

sys.path.insert(0, str(Path(__file__).parents[2]))  # the course's own library

from utils.book.repository_links import GITHUB, GITLAB, repository_of

OF_A_PAGE = ("use_repository_button", "use_edit_page_button", "use_issues_button")


def choose_buttons(app: Sphinx, config: Config) -> None:
    """Set the theme's options to the buttons that work for the repository's host."""
    options = config.html_theme_options
    url = options.get("repository_url", "")
    host = repository_of(url).host if url else ""
    if host not in (GITHUB, GITLAB):
        options.pop("repository_url", None)
        options.pop("launch_buttons", None)
        return
    for button in OF_A_PAGE:
        options[button] = True
    if host != GITHUB:
        options.get("launch_buttons", {}).pop("colab_url", None)


def setup(app: Sphinx) -> dict[str, object]:
    """Register the step."""
    app.connect("config-inited", choose_buttons)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
