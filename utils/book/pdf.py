"""Print the whole book to one PDF, through a browser of the Chromium family.

A chapter at a time: for all its pages at once Chromium took 190 seconds of processor time and
4.4 GB; one after the other, and joined, they take 73 seconds and 1.2 GB.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from utils.book.browser import FLAGS, REMEDY, find_browser
from utils.book.built_pages import chapters, reading_order
from utils.book.merged_pdf import merge, places
from utils.book.paper import PAGE_NUMBER, book_of, chapter, front

if TYPE_CHECKING:
    from playwright.sync_api import Page

COLUMN = 657  # CSS pixels: the 174 mm between the margins of paper.css
PATIENCE = 600_000  # milliseconds for one chapter on a busy machine

# Everything is drawn: formulas, explorers, images.
DRAWN = """async () => {
  await window.MathJax?.startup.promise;
  await Promise.all([...document.images].map((image) => image.decode()));
  return [...document.querySelectorAll("[data-afm]")].every((it) => "afmReady" in it.dataset);
}"""
# A link of an explorer leads to the file that is printed. A formula is drawn, so whoever hears
# or searches the book needs its text. What is wider than its column shrinks.
FIT = """() => {
  for (const link of document.querySelectorAll("[data-afm] a[href]")) link.removeAttribute("href");
  for (const formula of window.MathJax?.startup.document.math ?? []) {
    const text = document.createElement("span");
    text.className = "tex";
    text.textContent = formula.math.trim();
    // Behind the box that cuts off what is wider than a phone.
    (formula.typesetRoot.closest(".math") ?? formula.typesetRoot).after(text);
  }
  for (const wide of document.querySelectorAll("article table, mjx-container[display]")) {
    const room = wide.parentElement.clientWidth;
    if (wide.scrollWidth > room) wide.style.zoom = room / wide.scrollWidth;
  }
}"""


def print_book(html: Path, cover: Mapping[str, str], path: Path) -> int:
    """Print the book in the folder ``html`` to the file ``path``; gives its number of pages.

    cover: title, abstract, authors, version and license for the cover, and the licence's text.

    Raises ``RuntimeError`` in one line where there is no browser or a page has an error,
    ``ValueError`` for a link that leads nowhere, and ``OSError`` if the file cannot be written.
    """
    pages = reading_order(html)
    book = book_of(html, pages)

    # The text of each document, given its first page and the pages of all ids.
    texts: list[Callable[[int, Mapping[str, int]], str]] = []
    texts.append(lambda first, numbers: front(book, cover, numbers))
    for group in chapters(pages):
        texts.append(lambda first, numbers, group=group: chapter(book, group, first, numbers))

    with printer() as printed:
        parts = []
        firsts = [1]
        numbers: dict[str, int] = {}
        naming = []  # the documents that name pages: the contents and the index
        for place, text in enumerate(texts):
            document = text(firsts[place], {})
            if PAGE_NUMBER in document:
                naming.append(place)
            parts.append(printed(document))
            n_pages, found = places(parts[place])
            numbers |= {id: firsts[place] + page for id, page in found.items()}
            firsts.append(firsts[place] + n_pages)

        # Now that all pages are known, these once more.
        for place in naming:
            parts[place] = printed(texts[place](firsts[place], numbers))
            if places(parts[place])[0] != firsts[place + 1] - firsts[place]:
                raise RuntimeError("the contents or the index took another number of pages")

    merge(parts, path, title=cover["title"], author=cover["authors"])
    return firsts[-1] - 1


@contextlib.contextmanager
def printer() -> Iterator[Callable[[str], bytes]]:
    """A function from a document of HTML to its PDF, while the block runs.

    Raises ``RuntimeError`` in one line where there is no browser. The function raises it if the
    document's scripts have an error.
    """
    from playwright.sync_api import sync_playwright

    browser = find_browser()
    if browser is None:
        raise RuntimeError(f"no browser to print with: {REMEDY}")
    with sync_playwright() as driver, TemporaryDirectory() as folder:
        chromium = driver.chromium.launch(executable_path=browser, args=list(FLAGS))
        page = chromium.new_page(viewport={"width": COLUMN, "height": 960})
        page.emulate_media(media="print")
        page.set_default_timeout(PATIENCE)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        file = Path(folder) / "chapter.html"

        def printed(text: str) -> bytes:
            file.write_text(text, encoding="utf-8")
            return _printed(page, file, errors)

        yield printed
        chromium.close()


def _printed(page: Page, file: Path, errors: list[str]) -> bytes:
    """The PDF of a file of HTML."""
    page.goto(file.as_uri())
    page.wait_for_function(DRAWN)
    page.evaluate(FIT)
    if errors:
        raise RuntimeError(f"a page to be printed has an error: {errors[0].splitlines()[0]}")
    return page.pdf(prefer_css_page_size=True, print_background=True, outline=True, tagged=True)
