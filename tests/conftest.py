"""What the tests share: the course and its extension on the path, and a browser where there is one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
for folder in (ROOT, ROOT / "book" / "_ext"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@pytest.fixture(scope="session")
def chromium():
    """A running headless Chromium (playwright ``Browser``). Without one: skipped, but failed under CI."""
    from tests.browser import FLAGS, find_browser

    path = find_browser()
    if path is None:
        reason = "no browser: install Chromium, or name one in COURSE_BROWSER"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def web(site):
    """The test module's own ``site`` (a folder of HTML) over http."""
    from tests.browser import serve

    with serve(site) as url:
        yield url


@pytest.fixture(params=["http", "file"])
def address(request, site, web) -> str:
    """The address of ``site``, once over http and once from disk."""
    return web if request.param == "http" else site.as_uri()


@pytest.fixture
def visit(chromium):
    """Open an address; afterwards the page must have asked no other host and raised no error."""
    from tests.browser import Watch

    opened = []

    def go(url: str, *, width: int = 1280, dark: bool = False, wait: str = "[data-afm-ready]", **options):
        theme = "dark" if dark else "light"
        page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=theme, **options)
        opened.append((page, Watch(page)))
        page.goto(url)
        page.wait_for_selector(wait)
        return page

    yield go
    for page, watch in opened:
        watch.check()
        page.close()
