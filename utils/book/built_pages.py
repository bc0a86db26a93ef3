"""What the built book's pages are, in the order in which they are read."""

from __future__ import annotations

import html as html_text
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from bs4 import BeautifulSoup, Tag

_REFRESH = re.compile(r'http-equiv="refresh" content="0; url=([^"]+)"', re.IGNORECASE)
_SIDEBAR = re.compile(r'<nav class="bd-links\b.*?</nav>', re.DOTALL)
_TITLE = re.compile(r"<h1>(.*?)<")
_ARTICLE = re.compile(r'<article class="bd-article">(.*)</article>', re.DOTALL)
_CHAPTER = "toctree-l1"  # the class of a chapter in the sidebar; deeper is a page of a chapter


@dataclass(frozen=True)
class BuiltPage:
    """A page of the built book.

    path: below the folder of HTML, as ``book/sampling.html``.
    title: as the sidebar shows it.
    is_chapter: whether it stands at the sidebar's first level.
    part: the heading above it in the sidebar, where it is the first page below one; else "".
    """

    path: str
    title: str
    is_chapter: bool
    part: str = ""

    @property
    def key(self) -> str:
        """The page's id in a document that holds several pages."""
        return self.path.removesuffix(".html").replace("/", "-")


def title_page(html: Path) -> str:
    """The path of the page that ``index.html`` sends its reader to, or its own.

    Raises ``OSError`` where there is no ``index.html``.
    """
    text = (html / "index.html").read_text(encoding="utf-8")
    sent = _REFRESH.search(text)
    return sent[1] if sent else "index.html"


def reading_order(html: Path) -> list[BuiltPage]:
    """The title page, and then every page that its sidebar lists, in the sidebar's order.

    Raises ``ValueError`` if the title page has no sidebar.
    """
    home = title_page(html)
    text = (html / home).read_text(encoding="utf-8")
    listed = _SIDEBAR.search(text)
    sidebar = BeautifulSoup(listed[0] if listed else "", "html.parser")
    pages: dict[str, BuiltPage] = {}
    part = ""
    for found in sidebar.select("p.caption, li > a"):
        if found.name == "p":
            part = found.get_text(strip=True)
            continue
        address = str(found["href"])
        path = home if address.startswith("#") else joined(home, address)
        is_chapter = found.parent is not None and _CHAPTER in (found.parent.get("class") or [])
        page = BuiltPage(path, found.get_text(" ", strip=True), is_chapter, part)
        if path not in pages:
            pages[path] = page
            part = ""
    if not listed:
        raise ValueError(f"{home} has no sidebar that lists the book's pages")
    if home not in pages:
        name = _TITLE.search(text)
        pages = {home: BuiltPage(home, html_text.unescape(name[1]) if name else "", True), **pages}
    return list(pages.values())


def chapters(pages: list[BuiltPage]) -> list[list[BuiltPage]]:
    """The pages in groups: a chapter and what stands under it in the sidebar."""
    groups: list[list[BuiltPage]] = []
    for page in pages:
        if page.is_chapter or not groups:
            groups.append([])
        groups[-1].append(page)
    return groups


def article(html: Path, page: BuiltPage) -> str:
    """The HTML inside a page's ``<article>``. Raises ``ValueError`` if there is none."""
    text = (html / page.path).read_text(encoding="utf-8")
    found = _ARTICLE.search(text)
    if found is None:
        raise ValueError(f"{page.path} has no <article>")
    return found[1]


def joined(path: str, address: str) -> str:
    """Where a relative address on the page ``path`` leads, below the folder of HTML.

    >>> joined("notebooks/sampling/01_temperature.html", "../../book/sampling.html")
    'book/sampling.html'
    """
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(address)))


def is_elsewhere(address: str) -> bool:
    """Whether an address names a scheme, such as ``https:`` or ``mailto:``."""
    return re.match(r"[a-z][a-z0-9+.-]*:", address, re.IGNORECASE) is not None


def classes(tag: Tag) -> list[str]:
    """The classes of an element."""
    return list(tag.get("class") or [])
