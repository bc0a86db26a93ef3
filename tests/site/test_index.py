"""The built index of terms: it holds what the course has to treat, and leads to the right pages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.site.conftest import soup
from utils.runtime import repo_root

COVERAGE = json.loads((repo_root() / "book" / "coverage.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def index(html) -> dict[str, set[str]]:
    """The pages to which each entry leads; an entry below another is ``one; other``."""
    found: dict[str, set[str]] = {}
    for item in soup(html / "genindex.html").select("table.genindextable td > ul > li"):
        subject = name_of(item)
        found[subject] = pages_of(item)
        for inner in item.select("ul > li"):
            found[f"{subject}; {name_of(inner)}"] = pages_of(inner)
    return found


def name_of(item) -> str:
    """What stands in front, with a link or without one."""
    return str(next(item.stripped_strings))


def pages_of(item) -> set[str]:
    links = item.find_all("a", recursive=False)
    return {Path(link["href"].partition("#")[0]).stem for link in links}


@pytest.mark.parametrize("item", COVERAGE, ids=lambda item: f"{item['section']}: {item['item']}")
def test_an_item_is_found_in_the_index(index, item, html):
    if not (html / "book" / f"{item['page']}.html").is_file():
        pytest.skip(f"the chapter on {item['page']} is not there yet")
    assert item["page"] in index[item["entry"]]


@pytest.mark.parametrize("page", ["book/index.html", "book/parameters.html", "search.html"])
def test_the_index_can_be_reached_from_every_page(html, page):
    links = soup(html / page).select("nav a[href], .bd-sidebar-primary a[href]")
    assert "genindex.html" in {str(link["href"]).rpartition("/")[2] for link in links}


def test_no_entry_of_the_index_leads_nowhere(index):
    parents = {entry.partition("; ")[0] for entry in index if "; " in entry}
    assert [entry for entry, pages in index.items() if not pages and entry not in parents] == []
