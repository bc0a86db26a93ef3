"""What a whole course on this subject must treat, and where this one does: ``book/coverage.json``.

Each item names the entry of the index under which it is found, as ``subject`` or as
``subject; under which heading``, and the page that treats it. ``tests/site/test_index.py`` looks
for the same entries in the built index.
"""

from __future__ import annotations

import json
import re
from functools import cache

import pytest

from tests.small_book import ROOT

BOOK = ROOT / "book"
COVERAGE = json.loads((BOOK / "coverage.json").read_text(encoding="utf-8"))
DIRECTIVE = re.compile(r"^```\{index\} (.+)$", re.MULTILINE)


@cache
def entries(page: str) -> frozenset[str]:
    """The entries of the index that a page makes; those of the glossary are its terms."""
    text = (BOOK / f"{page}.md").read_text(encoding="utf-8")
    found = {
        entry.strip().lstrip("!") for line in DIRECTIVE.findall(text) for entry in line.split(",")
    }
    if page == "glossary":
        found |= set(re.findall(r"^(\w.*)\n  ", text, re.MULTILINE))
    return frozenset(found)


def named(item: dict[str, str]) -> str:
    return f"{item['section']}: {item['item']}"


def test_each_item_is_whole_and_stands_there_once():
    assert len(COVERAGE) > 140
    for item in COVERAGE:
        assert set(item) == {"section", "item", "entry", "page"}
        assert all(isinstance(text, str) and text.strip() == text != "" for text in item.values())
    names = [named(item) for item in COVERAGE]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("item", COVERAGE, ids=named)
def test_the_page_of_an_item_has_its_entry(item):
    if item["page"] == "applications" and not (BOOK / "applications.md").is_file():
        pytest.skip("the chapter on applications is not there yet")
    assert item["entry"] in entries(item["page"])


def test_no_page_makes_an_entry_twice():
    for page in BOOK.glob("*.md"):
        lines = DIRECTIVE.findall(page.read_text(encoding="utf-8"))
        made = [entry.strip().lstrip("!") for line in lines for entry in line.split(",")]
        assert sorted(set(made)) == sorted(made), page.name


def test_an_entry_stands_in_a_section_and_in_front_of_its_text():
    """So that the index leads to the section that treats it, under its heading."""
    for page in BOOK.glob("*.md"):
        lines = page.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if line.startswith("```{index}"):
                assert lines[number - 1] == "", page.name
                assert lines[number - 2].startswith("##"), f"{page.name}:{number + 1}"
