"""Figures are numbered by chapter, and a page's text names them as their captions do."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests.site.conftest import pages, soup
from utils.runtime import repo_root

CAPTION = re.compile(r"Fig\. (\d+)\.(\d+)\s*")
TOC = yaml.safe_load((repo_root() / "_toc.yml").read_text(encoding="utf-8"))
# The names of the numbered chapters, in the order of the table of contents.
CHAPTERS = [
    Path(chapter["file"]).name
    for part in TOC["parts"]
    for chapter in part["chapters"]
    if part.get("numbered")
]


def numbers_by_chapter(html) -> dict[str, list[tuple[int, int]]]:
    """The numbers of the captions: of each chapter's page first, then of its notebooks."""
    found: dict[str, list[tuple[int, int]]] = {chapter: [] for chapter in CHAPTERS}
    for page in pages(html):  # the book's pages come before the notebooks
        chapter = page.parent.name if page.parent.name in CHAPTERS else page.stem
        for caption in soup(page).select("figure .caption-number"):
            match = CAPTION.fullmatch(caption.get_text())
            assert match, f"{page.relative_to(html)}: {caption.get_text()!r}"
            assert chapter in found, f"{page.relative_to(html)} belongs to no chapter"
            found[chapter].append((int(match[1]), int(match[2])))
    return found


def test_each_chapter_counts_its_own_figures(html):
    for number, (chapter, figures) in enumerate(numbers_by_chapter(html).items(), start=1):
        assert len(figures) > 5, chapter
        assert figures == [(number, k) for k in range(1, len(figures) + 1)], chapter


def test_chapters_show_the_number_that_their_figures_carry(html):
    for number, chapter in enumerate(CHAPTERS, start=1):
        page = soup(html / "book" / f"{chapter}.html")
        assert page.select_one("article h1").get_text().startswith(f"{number}. ")
        current = page.select_one(".bd-sidebar-primary .current > a")
        assert current.get_text().strip().startswith(f"{number}. ")
        # No section carries one: a reader need not know "1.4.2" to find it.
        assert len(page.select("article .section-number")) == 1


def test_a_reference_names_the_figure_as_its_caption_does(html):
    n_references = 0
    for page in pages(html):
        for reference in soup(page).select("a.reference:has(> .std-numref)"):
            target = reference["href"]
            if not target.startswith("#"):
                continue  # on another page: the link's test follows it
            caption = soup(page).find(id=target[1:]).select_one(".caption-number")
            assert reference.get_text().strip() == caption.get_text().strip()
            n_references += 1
    assert n_references > 10
