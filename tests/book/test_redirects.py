"""An old address leads to the page's new one, and the build ends if it would lead nowhere."""

from __future__ import annotations

import json
import re
import threading
import urllib.request
from pathlib import Path
from urllib.parse import urljoin

import pytest
from redirects import read, targets
from sphinx.errors import ExtensionError

from tests import small_book
from tests.small_book import ROOT, BuildError, build
from utils.book.addresses import LIST, add_todays_pages, published_pages, todays_pages
from utils.book.serve import server

SITE = "https://someone.github.io/course/"
TITLE = "# Title\n\n```{toctree}\nnew\n../notebooks/one\n```\n"
PAGES = {
    "book/index.md": TITLE,
    "book/new.md": "# New & better\n\n## A part\n\nText.\n",
    "notebooks/one.md": "# One\n\nText.\n",
}
MOVED = {
    "book/old.html": "book/new.html",
    "older/deep/page.html": "book/old.html",
    "notebooks/zero.html": "notebooks/one.html",
}
SETTINGS = {"extensions": ["myst_parser", "redirects", "not_found"], "root_doc": "book/index"}


def pages_with(moved: object) -> dict[str, str]:
    return {**PAGES, "book/redirects.json": json.dumps(moved)}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("moved")
    return build(folder, pages_with(MOVED), html_baseurl=SITE, **SETTINGS)


# ---- arriving ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("book/old.html", "book/new.html"),
        ("older/deep/page.html", "book/new.html"),
        ("notebooks/zero.html", "notebooks/one.html"),
        ("index.html", "book/index.html"),
    ],
)
def test_an_old_address_arrives_with_its_anchor_and_its_query(address, visit, old, new):
    page = visit(f"{address}/{old}?q=ab#a-part", wait="h1")
    arrived = f"{address}/{new}?q=ab#a-part"
    page.wait_for_function("address => location.href === address", arg=arrived)


def test_it_arrives_without_scripts(web, chromium):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{web}/older/deep/page.html")
    page.wait_for_url(f"{web}/book/new.html")
    context.close()


def test_it_arrives_over_the_courses_own_server(site):
    with server(site, "0") as book:
        threading.Thread(target=book.serve_forever, daemon=True).start()
        old = f"http://127.0.0.1:{book.server_port}/older/deep/page.html"
        text = urllib.request.urlopen(old).read().decode()
        refresh = re.findall(r'http-equiv="refresh" content="0; url=([^"]+)"', text)
        link = re.findall(r'<a href="([^"]+)">New &amp; better</a>', text)
        assert refresh == link == ["../../book/new.html"]
        with urllib.request.urlopen(urljoin(old, link[0])) as answer:
            assert (answer.status, answer.url.endswith("/book/new.html")) == (200, True)
        book.shutdown()


def test_search_engines_are_told_the_new_address(site):
    text = (site / "older/deep/page.html").read_text(encoding="utf-8")
    assert f'<link rel="canonical" href="{SITE}book/new.html">' in text
    assert '<meta name="robots" content="noindex">' in text


def test_neither_menu_nor_search_knows_the_old_address(site):
    for name in ("book/index.html", "searchindex.js", "objects.inv"):
        assert b"old" not in (site / name).read_bytes(), name


def test_without_redirects_there_is_the_root_alone(tmp_path):
    site = build(tmp_path, PAGES, **SETTINGS)
    found = {page.relative_to(site).as_posix() for page in site.rglob("*.html")}
    of_sphinx = {"genindex.html", "search.html"}
    pages = {name.replace(".md", ".html") for name in PAGES}
    assert found == {"index.html"} | of_sphinx | pages, "nor is there a 404.html"
    assert 'rel="canonical" href="book/index.html"' in (site / "index.html").read_text()


def test_what_is_not_there_is_told_with_whole_addresses(site):
    text = (site / "404.html").read_text(encoding="utf-8")
    assert "<title>This page is not there – Title</title>" in text
    links = re.findall(r'(?:href|src)="([^"]+)"', text)
    assert links == [f"{SITE}book/index.html", f"{SITE}search.html"]


def test_both_speak_the_language_of_the_book(tmp_path, monkeypatch):
    monkeypatch.setattr(small_book, "sphinx", small_book.sphinx_in_german)
    site = build(tmp_path, pages_with(MOVED), html_baseurl=SITE, **SETTINGS)
    missing = (site / "404.html").read_text(encoding="utf-8")
    assert '<html lang="de">' in missing
    assert "<h1>Diese Seite gibt es nicht</h1>" in missing
    moved = (site / "book" / "old.html").read_text(encoding="utf-8")
    assert '<html lang="de">' in moved
    assert '<p>Sie heißt jetzt <a href="new.html">New &amp; better</a>.</p>' in moved


# ---- leading nowhere -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moved", "message"),
    [
        ({"a.html": "b.html"}, "a.html leads to b.html, which is no page of the book"),
        ({"new.html": "one.html"}, "new.html is a page of the book, so it cannot lead elsewhere"),
        ({"a.html": "a.html"}, "a.html → a.html is a circle"),
        ({"a.html": "b.html", "b.html": "a.html"}, "a.html → b.html → a.html is a circle"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused_in_one_line(moved, message):
    with pytest.raises(ExtensionError) as error:
        targets(moved, {"new.html", "one.html"})
    assert str(error.value) == f"redirects.json: {message}"


@pytest.mark.parametrize(
    "text", ["[", "[]", '{"a": "b.html"}', '{"../a.html": "b.html"}', '{"a.html": "b.html#c"}']
)
def test_a_file_that_is_no_map_of_pages_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "redirects.json"
    path.write_text(text)
    with pytest.raises(ExtensionError, match=r"^redirects\.json") as error:
        read(path)
    assert "\n" not in str(error.value)


def test_the_build_ends(tmp_path):
    with pytest.raises(BuildError, match=r"leads to book/gone.html, which is no page of the book"):
        build(tmp_path, pages_with({"a.html": "book/gone.html"}), **SETTINGS)


# ---- the course's own addresses ------------------------------------------------------------------


def test_every_address_ever_published_is_a_page_or_leads_to_one():
    pages = todays_pages(ROOT)
    leads = targets(read(ROOT / "book" / "redirects.json"), set(pages))
    gone = set(published_pages(ROOT)) - set(pages) - set(leads)
    assert gone == set(), "say in book/redirects.json where they are now"


def test_every_page_of_today_is_in_the_list_of_addresses():
    published = published_pages(ROOT)
    assert published == sorted(set(published))
    new = set(todays_pages(ROOT)) - set(published)
    assert new == set(), "run: python -m utils.book.addresses"


def test_the_list_of_addresses_only_grows(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / LIST).write_text("book/b.html\nbook/gone.html\n")
    (tmp_path / "_toc.yml").write_text(
        "root: book/a\nparts:\n  - caption: x\n    chapters:\n      - file: book/b\n"
        "        sections:\n          - file: notebooks/c\n"
    )
    assert add_todays_pages(tmp_path) == [
        "book/a.html",
        "index.html",
        "notebooks/c.html",
        "search.html",
    ]
    assert "book/gone.html" in published_pages(tmp_path)
    assert add_todays_pages(tmp_path) == []
