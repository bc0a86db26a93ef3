"""axe-core on every page, in both themes and two widths: no violation of any severity.

Nor may a page be wider than the window, cut a line of code beside its sidebars, raise an error or
ask another host.
"""

from __future__ import annotations

import pytest

from tests.site.barriers import MARK, Barriers
from tests.site.conftest import HTML, MATH_IS_SET, pages

PAGES = [str(p.relative_to(HTML)) for p in pages()] if HTML.is_dir() else []
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
# What can be scrolled is made reachable by keyboard a moment after the width has changed.
SCROLLERS = """() => [
  ...document.querySelectorAll("pre, .cell_output > .output, .pst-scrollable-table-container"),
].every((box) => box.scrollWidth <= box.clientWidth || box.tabIndex === 0)"""
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


def violations(page, size: dict, barriers: Barriers, **which: bool) -> list[str]:
    """What axe finds on a page in a window of this size, one line each."""
    page.set_viewport_size(size)
    page.wait_for_function(SCROLLERS)
    page.wait_for_function(AT_REST)
    return barriers.found(**which)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_page(page, theme, html, visit):
    # The theme's script sets its colours after loading, and buttons fade to them: without motion,
    # and with whatever still moves finished, axe measures the colours a reader sees.
    address = (html / page).as_uri()
    tab = visit(address, dark=theme == "dark", wait="body", reduced_motion="reduce")
    tab.wait_for_function(MATH_IS_SET)
    tab.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)
    barriers = Barriers(tab)

    # Unanswered at the one width, then with every answer open at both. The dark theme shows the
    # same elements and dark twins of some figures: with answers open only colours are measured.
    first, second = (DESKTOP, PHONE) if theme == "light" else (PHONE, DESKTOP)
    which = {"only_colours": theme == "dark"}
    found = []
    show_all = tab.get_by_role("button", name="Show everything")
    if show_all.count() > 0:
        found += violations(tab, first, barriers)
        tab.set_viewport_size(DESKTOP)
        show_all.click()
    found += violations(tab, first, barriers, every_text=True, **which) + too_wide(tab, first)
    found += violations(tab, second, barriers, **which) + too_wide(tab, second)
    assert found == []


def test_there_are_pages(html):
    assert len(PAGES) > 3


# ---- whether the rules on colours still find what they should

PALE = """<main><h1>A page</h1>
<p>Dark.</p> <p>Dark.</p> <p style="color: #aaa">Pale.</p> <p style="color: #aaa">Pale.</p>
<pre><b>code</b> <b style="color: #bbb">code</b> <b style="color: #bbb">code</b></pre>
<p>What only a shade tells from the text around it is <a href="#a"
style="color: #333; text-decoration: none">no link</a> to many.</p>
<div class="course-widget"><p>Dark.</p> <p style="color: #ccc">Pale.</p></div>
<input aria-label="Field" value="pale" style="color: #ddd"></main>"""


@pytest.fixture
def pale(chromium):
    page = chromium.new_page()
    page.set_content(PALE)
    yield page
    page.close()


def targets(page, rule: str) -> list[str]:
    """The elements of a page that break a rule, as they begin."""
    run = f"axe.run({{ runOnly: '{rule}' }}).then((result) => result.violations)"
    return [node["html"] for v in page.evaluate(run) for node in v["nodes"]]


def n_pale(page, *, every_text: bool) -> tuple[int, int]:
    """How many texts are found too pale, and how many links too like the text around them."""
    page.evaluate(MARK, every_text)
    return len(targets(page, "color-contrast")), len(targets(page, "link-in-text-block"))


def test_a_text_is_measured_once_for_its_look_and_whenever_all_are(pale):
    Barriers(pale)
    assert n_pale(pale, every_text=False) == (4, 1)  # one per look: text, code, explorer, field
    assert n_pale(pale, every_text=False) == (2, 0)  # explorer and field, as every time
    assert n_pale(pale, every_text=True) == (4, 1)  # both texts; code was measured
    pale.evaluate("document.querySelectorAll('p')[1].style.color = '#bbb'")  # looks like none yet
    assert n_pale(pale, every_text=False) == (3, 0)
