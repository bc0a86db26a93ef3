"""How to cite is told by ``CITATION.cff`` and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup
from citation import NO_ADDRESS, as_bibtex, as_text

from tests.small_book import ROOT, BuildError, build
from utils.book.cited import read

PAGE = "# Cite\n\n```{citation} text\n```\n\n```{citation} bibtex\n```\n"
CITATION = {
    "title": "A course",
    "authors": [{"name": "The contributors"}, {"given-names": "Ada", "family-names": "Lovelace"}],
    "version": "1.2.0",
    "license": "MIT",
    "date-released": "2027-03-01",
    "url": "https://someone.github.io/course/",
    "repository-code": "https://github.com/someone/course",
}


def article(folder: Path, citation: dict) -> str:
    """What a reader sees of the page."""
    text = yaml.safe_dump(citation)
    pages = {"index.md": PAGE, "CITATION.cff": text}
    html = build(folder, pages, extensions=["myst_parser", "citation"], copyright="2026")
    page = BeautifulSoup((html / "index.html").read_text(encoding="utf-8"), "html.parser")
    return page.select_one("div.body").get_text()


def test_both_forms_stand_on_the_page(tmp_path):
    text = article(tmp_path, CITATION)
    assert (
        "The contributors, Ada Lovelace (2027). A course. Version 1.2.0. "
        "https://someone.github.io/course/." in text
    )
    bibtex = text[text.index("@misc{acourse2027,") :]
    assert "author = {{The contributors} and Ada Lovelace}," in bibtex
    assert "title  = {{A course}}," in bibtex
    assert "year   = {2027}," in bibtex
    assert "url    = {https://someone.github.io/course/}," in bibtex
    assert bibtex.count("{") == bibtex.count("}")


def test_without_an_address_and_a_release_it_says_so(tmp_path):
    without = ("url", "repository-code", "date-released")
    text = article(tmp_path, {k: v for k, v in CITATION.items() if k not in without})
    assert "(2026). A course." in text
    assert NO_ADDRESS in text
    assert "url " not in text


def test_an_unknown_address_is_told_in_the_language_of_the_book(monkeypatch):
    monkeypatch.setenv("COURSE_LANGUAGE", "de")
    without = {k: v for k, v in CITATION.items() if k not in ("url", "repository-code")}
    assert as_text(without, "2027").endswith(
        "Version 1.2.0. [Seine Adresse, sobald der Kurs veröffentlicht ist]."
    )


def test_without_a_published_book_the_repository_is_the_address():
    citation = {name: value for name, value in CITATION.items() if name != "url"}
    assert "<https://github.com/someone/course>" in as_text(citation, "2027")
    assert "url    = {https://github.com/someone/course}," in as_bibtex(citation, "2027")


def test_a_file_that_lacks_something_is_refused_in_one_line(tmp_path):
    path = tmp_path / "CITATION.cff"
    path.write_text("title: A course\nversion: 1.2.0\n")
    with pytest.raises(ValueError, match=r"^CITATION\.cff must say authors, license$"):
        read(path)
    path.write_text("title: A course\n<<<<<<< ours: [\n")
    with pytest.raises(ValueError, match=r"^CITATION\.cff must be YAML, see line \d+$"):
        read(path)


def test_a_build_ends_with_that_line(tmp_path):
    with pytest.raises(BuildError, match=r"CITATION\.cff must say authors, version, license"):
        article(tmp_path, {"title": "A course"})


def test_the_page_types_nothing_that_the_file_says():
    page = (ROOT / "book" / "citing.md").read_text(encoding="utf-8")
    citation = read(ROOT / "CITATION.cff")
    for kind in ("text", "bibtex"):
        assert f"```{{citation}} {kind}" in page
    assert citation["version"] not in page
    assert citation["authors"][0]["name"] not in page
    assert citation["license"] == "MIT", "the page tells what this licence allows"
    assert re.search(r"\bMIT licence\b", page)
