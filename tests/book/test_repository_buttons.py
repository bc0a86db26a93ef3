"""A page's buttons are those that work for the repository's host, and none without an address."""

from __future__ import annotations

from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from tests.small_book import build, notebook

ONE = notebook({"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# One"})
THEME = {"repository_branch": "main", "path_to_docs": ""}
PAGES = {"index.md": "# Home\n\n```{toctree}\none\n```\n", "one.ipynb": ONE}
LAUNCH = {
    "notebook_interface": "jupyterlab",
    "colab_url": "https://colab.research.google.com",
    "binderhub_url": "https://mybinder.org",
}


def buttons(folder: Path, url: str) -> dict[str, str]:
    """The words of each button of the notebook's page that leads to another host, and where to."""
    html = build(
        folder,
        PAGES,
        extensions=["myst_nb", "course_book", "repository_buttons", "first_paint"],
        html_theme="sphinx_book_theme",
        html_context={"default_mode": "auto"},
        html_theme_options={**THEME, "repository_url": url, "launch_buttons": LAUNCH},
        nb_execution_mode="off",
    )
    page = BeautifulSoup((html / "one.html").read_text(encoding="utf-8"), "html.parser")
    links = page.select(".article-header-buttons a[href^=https]")
    return {link.get_text(strip=True): link["href"] for link in links}


def test_github_has_all_of_them(tmp_path):
    url = "https://github.com/someone/course"
    issue = "title=Issue%20on%20page%20%2Fone.html&body=Your%20issue%20content%20here."
    assert buttons(tmp_path, url) == {
        "Binder": "https://mybinder.org/v2/gh/someone/course/main?urlpath=lab/tree/one.ipynb",
        "Colab": "https://colab.research.google.com/github/someone/course/blob/main/one.ipynb",
        "Repository": url,
        "Suggest edit": f"{url}/edit/main/one.ipynb",
        "Open issue": f"{url}/issues/new?{issue}",
    }


def test_gitlab_has_all_but_colab(tmp_path):
    url = "https://gitlab.com/someone/course"
    found = buttons(tmp_path, url)
    assert sorted(found) == ["Binder", "Open issue", "Repository", "Suggest edit"]
    assert found["Binder"].startswith("https://mybinder.org/v2/gl/someone%2Fcourse/main?")
    assert found["Suggest edit"] == f"{url}/-/edit/main/one.ipynb"


@pytest.mark.parametrize("url", ["", "https://git.example.org:8443/someone/course"])
def test_other_hosts_have_none_and_the_book_is_built(tmp_path, url):
    assert buttons(tmp_path, url) == {}
