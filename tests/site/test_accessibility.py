"""axe-core on every page, in both themes and two widths: no violation of any severity.

Nor may a page be wider than the window, cut a line of code beside its sidebars, raise an error or
ask another host.
"""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser import Watch
from tests.site.conftest import HTML, pages

PAGES = [str(p.relative_to(HTML)) for p in pages()] if HTML.is_dir() else []
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
MATH_IS_SET = "!window.MathJax?.startup?.promise || MathJax.startup.promise.then(() => true)"
# What can be scrolled is made reachable by keyboard a moment after the width has changed.
SCROLLERS = """() => [
  ...document.querySelectorAll("pre, .cell_output > .output, .pst-scrollable-table-container"),
].every((box) => box.scrollWidth <= box.clientWidth || box.tabIndex === 0)"""
# Without preload axe does not fetch the style sheets again, which a page on file:// may not do; and
# it need not list the thousands of elements that pass.
OPTIONS = {"preload": False, "resultTypes": ["violations"]}
AT_REST = "() => document.getAnimations().every((a) => a.playState !== 'running')"

# The lines of code that a desktop's window cuts, those of folded cells among them.
CUT = """() => {
  for (const cell of document.querySelectorAll("details.hide")) cell.open = true;
  const cut = [...document.querySelectorAll(".cell_input pre")]
    .filter((code) => code.scrollWidth > code.clientWidth);
  for (const cell of document.querySelectorAll("details.hide")) cell.open = false;
  return cut.map((code) => code.textContent.slice(0, 60));
}"""


def too_wide(page, size: dict) -> list[str]:
    """What does not fit into a window of this size, one line each."""
    page.set_viewport_size(size)
    width = page.evaluate("document.documentElement.scrollWidth")
    found = [f"{width} px wide in a window of {size['width']}"] if width > size["width"] else []
    if size is DESKTOP:
        found += [f"a line is cut in {code!r}" for code in page.evaluate(CUT)]
    return found


def violations(page, size: dict) -> list[str]:
    """What axe finds on a page in a window of this size, one line each."""
    page.set_viewport_size(size)
    page.wait_for_function(SCROLLERS)
    page.wait_for_function(AT_REST)
    found = Axe().run(page, options=OPTIONS).response["violations"]
    where = {v["id"]: [node["target"] for node in v["nodes"][:3]] for v in found}
    return [f"{v['id']} ({v['impact']}): {v['help']}: {where[v['id']]}" for v in found]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_page(page, theme, html, chromium):
    # The theme's script sets its colours after loading, and buttons fade to them: without motion,
    # and with whatever still moves finished, axe measures the colours a reader sees.
    context = chromium.new_context(color_scheme=theme, reduced_motion="reduce", viewport=DESKTOP)
    tab = context.new_page()
    watch = Watch(tab)
    tab.goto((html / page).as_uri())
    tab.wait_for_function(MATH_IS_SET)
    tab.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)

    # Unanswered at the one width, then with every answer open at both.
    found = violations(tab, DESKTOP if theme == "light" else PHONE)
    show_all = tab.get_by_role("button", name="Show everything")
    if show_all.count() > 0:
        tab.set_viewport_size(DESKTOP)
        show_all.click()
        found += too_wide(tab, DESKTOP) + violations(tab, DESKTOP)
        found += too_wide(tab, PHONE) + violations(tab, PHONE)
    else:
        found += violations(tab, PHONE if theme == "light" else DESKTOP)
    context.close()
    watch.check()
    assert found == []


def test_there_are_pages(html):
    assert len(PAGES) > 3
