"""axe-core on every page, in both themes: no violation, no page error, no foreign request."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser import Watch
from tests.site.conftest import HTML, pages

PAGES = [str(p.relative_to(HTML)) for p in pages()] if HTML.is_dir() else []
SERIOUS = {"serious", "critical"}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_page(page, theme, html, chromium):
    # The theme's script sets its colours after loading, and buttons fade to them: without motion,
    # and with whatever still moves finished, axe measures the colours a reader sees.
    context = chromium.new_context(
        color_scheme=theme, reduced_motion="reduce", viewport={"width": 1280, "height": 900}
    )
    # Every answer is open: what is hidden is not looked at (tests/book has the unanswered state).
    context.add_init_script("localStorage.setItem('course-predictions-open', '1')")
    tab = context.new_page()
    watch = Watch(tab)
    tab.goto((html / page).as_uri())
    tab.wait_for_function(
        "!window.MathJax?.startup?.promise || MathJax.startup.promise.then(() => true)"
    )
    tab.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)
    tab.wait_for_function("() => document.getAnimations().every(a => a.playState !== 'running')")
    # Without preload axe does not fetch the style sheets again, which a page on file:// may not do.
    results = Axe().run(tab, options={"preload": False}).response
    context.close()
    found = [
        f"{v['id']} ({v['impact']}): {v['help']}: {[n['target'] for n in v['nodes'][:3]]}"
        for v in results["violations"]
        if v["impact"] in SERIOUS
    ]
    watch.check()
    assert found == []


def test_there_are_pages(html):
    assert len(PAGES) > 3
