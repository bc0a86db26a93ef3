"""Every explorer on its real page: near the top, and moved by a finger that does not scroll."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup

from tests.browser import Finger
from tests.site.conftest import HTML, MATH_IS_SET
from tests.widgets.shared.test_every_explorer import EXPLORERS
from utils.runtime import repo_root

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
TOUCH = {"has_touch": True, "is_mobile": True}
TOC = yaml.safe_load((repo_root() / "_toc.yml").read_text(encoding="utf-8"))
CHAPTERS = [
    Path(chapter["file"]).name
    for part in TOC["parts"]
    for chapter in part["chapters"]
    if part.get("numbered")
]
WITHOUT = {"trade_offs", "applications"}  # chapters that have no explorer


@cache
def explorers_of(page: Path) -> frozenset[str]:
    """The names of the explorers that a page mounts."""
    soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    return frozenset(node["data-afm"] for node in soup.select("[data-afm]"))


@cache
def page_of(name: str) -> Path:
    """The page of the book that mounts an explorer."""
    found = [page for page in (HTML / "book").glob("*.html") if name in explorers_of(page)]
    assert found, f"no page has {name}"
    return found[0]


@pytest.fixture
def opened(visit, html):
    """Open a page of the built book in a window of this size."""

    def go(path: Path, size: dict, **options):
        page = visit(path.as_uri(), width=size["width"], **options)
        page.set_viewport_size(size)
        page.wait_for_function(MATH_IS_SET)  # until then formulas push down what is below them
        return page

    return go


# ---- where it stands


@pytest.mark.parametrize(("size", "screens"), [(DESKTOP, 2), (PHONE, 2.5)], ids=["1280", "390"])
@pytest.mark.parametrize("chapter", ["index", *(c for c in CHAPTERS if c not in WITHOUT)])
def test_the_first_explorer_stands_near_the_top(opened, html, chapter, size, screens):
    options = TOUCH if size is PHONE else {}
    page = opened(html / "book" / f"{chapter}.html", size, **options)
    top = page.locator(".course-widget").first.bounding_box()["y"]
    assert top <= screens * size["height"]


# ---- a finger on a phone


def in_view(page, chart) -> bool:
    """Whether a chart lies between the page's bar and the lower edge of the screen."""
    box = chart.bounding_box()
    bar = page.locator(".bd-header-article").bounding_box()
    return box["y"] >= bar["y"] + bar["height"] - 1 and box["y"] + box["height"] <= 844


def explorer_on_a_phone(opened, name: str):
    """The page of an explorer on a phone, and the explorer there."""
    page = opened(page_of(name), PHONE, **TOUCH)
    return page, page.locator(f'[data-afm="{name}"]')


@pytest.mark.parametrize("name", [name for name, facts in EXPLORERS.items() if "slider" in facts])
def test_a_finger_drags_the_slider_with_the_chart_in_view(opened, name):
    page, explorer = explorer_on_a_phone(opened, name)
    slider = explorer.get_by_role("slider", name=EXPLORERS[name]["slider"], exact=True)
    chart = explorer.locator(EXPLORERS[name]["chart"]).first
    slider.evaluate("node => node.scrollIntoView({ block: 'end', behavior: 'instant' })")
    page.evaluate("scrollBy({ top: 60, behavior: 'instant' })")  # no thumb works at the very edge
    slider.element_handle().wait_for_element_state("stable")
    before, place = slider.get_attribute("aria-valuetext"), page.evaluate("scrollY")

    box = slider.bounding_box()
    share = float(slider.evaluate("s => (s.value - s.min) / (s.max - s.min)"))
    x = box["x"] + 8 + share * (box["width"] - 16)  # the middle of the thumb
    y = box["y"] + box["height"] / 2
    to = box["x"] + (0.25 if share > 0.5 else 0.75) * box["width"]
    finger = Finger(page)
    finger.down(x, y)
    for step in range(1, 9):
        finger.move(x + (to - x) * step / 8, y + step)
        assert in_view(page, chart)
    said = slider.get_attribute("aria-valuetext")
    finger.up()
    assert said != before
    assert slider.get_attribute("aria-valuetext") == said
    assert page.evaluate("scrollY") == place


def test_a_finger_drags_the_start_of_the_path(opened):
    page, explorer = explorer_on_a_phone(opened, "solution_path")
    handle = explorer.locator(".cw-handle")
    handle.evaluate("node => node.scrollIntoView({ block: 'center', behavior: 'instant' })")
    handle.element_handle().wait_for_element_state("stable")
    before, place = handle.get_attribute("aria-valuetext"), page.evaluate("scrollY")
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    finger = Finger(page)
    finger.down(x, y)
    for step in range(1, 9):
        finger.move(x + 4 * step, y + 6 * step)  # downwards: what would scroll the page
        assert in_view(page, explorer.locator(".cw-plane"))
    finger.up()
    assert handle.get_attribute("aria-valuetext") != before
    assert page.evaluate("scrollY") == place


def test_a_finger_draws_the_guess(opened):
    page, explorer = explorer_on_a_phone(opened, "double_descent")
    chart = explorer.locator("svg[role=group]")
    chart.evaluate("node => node.scrollIntoView({ block: 'center', behavior: 'instant' })")
    chart.element_handle().wait_for_element_state("stable")
    place = page.evaluate("scrollY")
    box = chart.bounding_box()
    finger = Finger(page)
    for step in range(9):  # sideways and up: what goes straight up scrolls
        x = box["x"] + (0.4 + 0.06 * step) * box["width"]
        y = box["y"] + (0.6 - 0.04 * max(0, step - 2)) * box["height"]
        (finger.move if step else finger.down)(x, y)
        assert in_view(page, chart)
    finger.up()
    assert explorer.get_by_role("button", name="Compare").is_enabled()
    assert page.evaluate("scrollY") == place


def test_every_explorer_of_the_pages_is_dragged(html):
    mounted = set()
    for page in (html / "book").glob("*.html"):
        mounted |= explorers_of(page)
    assert mounted <= set(EXPLORERS)
