"""On paper a page is light, has all of its figures, and carries its chapter's number."""

from __future__ import annotations

import pytest

SHOWN = """() => [...document.querySelectorAll("article figure img")]
  .filter((image) => image.checkVisibility())
  .map((image) => [image.className, image.complete && image.naturalWidth > 0])"""
LOADED = """() => [...document.querySelectorAll("article img.only-light")]
  .every((image) => image.complete && image.naturalWidth > 0)"""
THEME = "theme => document.documentElement.dataset.theme === theme"
CONTRAST = """() => {
  const style = getComputedStyle(document.querySelector("article p"));
  return [style.color, getComputedStyle(document.body).backgroundColor];
}"""
PAGES = ["book/double_descent", "notebooks/double_descent/02_random_features"]


@pytest.mark.parametrize("name", PAGES)
def test_a_dark_page_is_printed_light_with_all_its_figures(visit, html, name):
    page = visit((html / f"{name}.html").as_uri(), dark=True, wait="article h1")
    page.wait_for_function(LOADED)  # without scrolling there
    page.emulate_media(media="print")
    page.wait_for_function(THEME, arg="light")
    shown = page.evaluate(SHOWN)
    assert len(shown) > 5
    assert [entry for entry in shown if "only-dark" in entry[0] or not entry[1]] == []
    text, ground = page.evaluate(CONTRAST)
    assert max(map(int, text[4:-1].split(","))) < 100  # dark letters
    assert ground in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")  # on white
    page.emulate_media(media="screen", color_scheme="dark")
    page.wait_for_function(THEME, arg="dark")


def test_the_printed_title_has_the_chapters_number(visit, html):
    page = visit((html / "book" / "double_descent.html").as_uri())
    title = page.locator("#jb-print-docs-body > h1")
    assert title.is_hidden()
    page.emulate_media(media="print")
    assert title.inner_text() == "3. Double descent"
