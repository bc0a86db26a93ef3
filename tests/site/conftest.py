"""The built book, found once. `make site` builds it first."""

from functools import cache
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from utils.runtime import repo_root

HTML = repo_root() / "_build" / "html"
MATH_IS_SET = "!window.MathJax?.startup?.promise || MathJax.startup.promise.then(() => true)"


def pages(root: Path = HTML) -> list[Path]:
    """Every page a reader can reach, without Sphinx's own search and index pages' sources."""
    skipped = {"_static", "_sources", "mathjax"}
    return sorted(p for p in root.rglob("*.html") if not skipped & set(p.relative_to(root).parts))


@cache
def soup(page: Path) -> BeautifulSoup:
    """A page's elements, to be read only: all tests share them, as parsing takes long."""
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="session")
def html() -> Path:
    if not (HTML / "index.html").is_file():
        pytest.fail(
            f"there is no built book in {HTML.relative_to(repo_root())}: run `make site`",
            pytrace=False,
        )
    return HTML
