"""Every local link resolves, every image is described, nothing comes from another host."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.site.conftest import pages, soup

FETCHING = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "audio": "src",
    "video": "src",
    "source": "src",
}


@cache
def anchors(page: Path) -> frozenset[str]:
    return frozenset(tag["id"] for tag in soup(page).find_all(id=True))


def test_local_links_and_anchors_resolve(html):
    broken = []
    for page in pages(html):
        for tag in soup(page).find_all(["a", "link", *FETCHING]):
            address = tag.get("href") or tag.get("src") or ""
            parts = urlsplit(address)
            if parts.scheme or parts.netloc or not address:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if target.is_dir():
                target = target / "index.html"
            if not target.is_file():
                broken.append(f"{page.relative_to(html)}: no file {address}")
            elif parts.fragment and target.suffix == ".html":
                # The fragment "#" and the widgets' settings (#widget?key=value) are no anchors.
                name = unquote(parts.fragment).split("?")[0]
                if name and name not in anchors(target):
                    broken.append(f"{page.relative_to(html)}: no anchor {address}")
    assert broken == []


def test_images_are_described(html):
    bad = []
    for page in pages(html):
        for image in soup(page).select("article img"):
            alt = (image.get("alt") or "").strip()
            if len(alt.split()) < 3 or re.search(r"\.(png|svg|jpe?g)$|^_images", alt):
                bad.append(f"{page.relative_to(html)}: {image.get('src')} has alt {alt!r}")
    assert bad == []


def test_nothing_is_fetched_from_another_host(html):
    foreign = []
    for page in pages(html):
        for name, attribute in FETCHING.items():
            for tag in soup(page).find_all(name):
                if urlsplit(tag.get(attribute) or "").netloc:
                    foreign.append(f"{page.relative_to(html)}: {tag.get(attribute)}")
        for tag in soup(page).find_all("link"):
            fetched = {"stylesheet", "preload", "preconnect", "icon", "modulepreload"} & set(
                tag.get("rel") or []
            )
            if fetched and urlsplit(tag.get("href") or "").netloc:
                foreign.append(f"{page.relative_to(html)}: {tag['href']}")
    assert foreign == []


def test_every_page_has_one_title(html):
    wrong = {str(p.relative_to(html)): len(soup(p).select("article h1")) for p in pages(html)}
    exempt = {"index.html", "genindex.html", "search.html"}
    assert {page: n for page, n in wrong.items() if n != 1 and page not in exempt} == {}
