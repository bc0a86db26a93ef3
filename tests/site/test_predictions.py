"""No page of the book shows an answer before the reader has guessed, and no option is favoured."""

from __future__ import annotations

import re
from collections import Counter

ASKED = re.compile(
    r'class="prediction"[^>]*data-answer="(\d+)"|data-answer="(\d+)"[^>]*class="pred'
)
# What of an unanswered page can be seen although it answers: nothing is expected.
SHOWN = """() => [...document.querySelectorAll(".prediction-answer, .prediction-rest")]
  .filter((part) => part.checkVisibility() || part.getClientRects().length > 0)
  .map((part) => part.textContent.trim().slice(0, 60))"""


def answers(text: str) -> list[int]:
    """The right option of each question on a page, 0 for one without options."""
    return [int(one or other) for one, other in ASKED.findall(text)]


def asking_pages(html) -> list:
    return [page for page in sorted(html.rglob("*.html")) if answers(page.read_text("utf-8"))]


def test_an_unanswered_page_shows_no_answer(html, visit):
    pages = asking_pages(html)
    assert len(pages) >= 20
    for path in pages:
        page = visit(path.as_uri(), wait=".predictions-bar")
        assert page.evaluate(SHOWN) == [], path.name
        n_asked = len(answers(path.read_text("utf-8")))
        assert page.locator(".prediction").count() == n_asked, path.name


def test_right_answers_are_spread_over_the_options(html):
    by_chapter: dict[str, Counter[int]] = {}
    for path in asking_pages(html):
        chapter = path.stem if path.parent.name == "book" else path.parent.name
        found = by_chapter.setdefault(chapter, Counter())
        found.update(answers(path.read_text("utf-8")))
    for chapter, found in by_chapter.items():
        of_three = [found[option] for option in (1, 2, 3)]
        assert max(of_three) - min(of_three) <= 3, f"{chapter}: {dict(found)}"
