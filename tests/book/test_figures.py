"""Figures follow the theme and show their numbers: from a notebook's SVG to the page."""

from __future__ import annotations

import json
import re

import matplotlib as mpl
import pytest
from figures import LEAST_CONTRAST, both_palettes, contrast, for_dark, tables, themed_page

from tests.small_book import build, code_cell, notebook
from utils import plots

mpl.use("agg")


@pytest.fixture(scope="module")
def svg() -> str:
    plots.use_course_style()
    _, (left, right) = plots.figure(2)
    left.plot([1, 2], [0.25, 1e-7], label="risk -- <test>")
    plots.mark_level(left, 0.5)
    left.set(xlabel="$n/p$", ylabel="error", title="Left")
    right.bar(["full", "none"], [1, 2])
    return plots.as_svg(left.figure)


# ---- colours


@pytest.mark.parametrize("color", [c for name, c in plots.COLORS.items() if name != "black"])
def test_every_colour_stands_out_in_both_themes(color):
    assert contrast(color, "#ffffff") >= LEAST_CONTRAST
    assert contrast(for_dark(color), "#121212") >= LEAST_CONTRAST


def test_the_palette_keeps_its_colours_apart_in_the_dark():
    dark = {for_dark(color) for color in plots.COLORS.values()}
    assert len(dark) == len(plots.COLORS)


@pytest.mark.parametrize("color", ["#440154", "#31688e", "#00007f", "#7f0000", "#fde725"])
def test_colours_of_a_colour_map_are_lightened_until_they_stand_out(color):
    assert contrast(for_dark(color), "#121212") >= LEAST_CONTRAST


def test_a_faint_grey_stays_faint():
    assert contrast(for_dark("#e4e4e4"), "#121212") < 2
    assert contrast(for_dark("#555555"), "#121212") > 7


def test_the_two_drawings(svg):
    light, dark = both_palettes(svg)
    assert "numbers:" not in light + dark
    assert light.count("#ffffff") < svg.count("#ffffff")  # the ground is transparent
    assert plots.COLORS["blue"].lower() in light.lower()
    assert plots.COLORS["blue"].lower() not in dark.lower()
    assert "#ffffff" not in dark
    assert dark.startswith('<svg fill="#f0f0f0"')


# ---- numbers


def test_the_table_holds_what_was_drawn(svg):
    panels = json.loads(re.search(r"<!-- numbers: (.*?) -->", svg)[1])
    table = tables(panels)
    cells = re.findall(r"<t[hd](?: [^>]*)?>(.*?)</t[hd]>", table)
    left = ["n/p", "risk -- &lt;test&gt;", "1", "0.25", "2", "1e−07"]
    assert cells == [*left, "x", "y", "full", "1", "none", "2"]
    assert "<caption>Left — error</caption>" in table
    assert table.count("<table>") == 2


def test_curves_with_the_same_places_share_a_table():
    x = [1.0, 2.0]
    series = [{"name": n, "x": x, "y": [3.0, None]} for n in "ab"]
    table = tables([{"title": "", "x": "n", "y": "", "series": series}])
    assert table.count("<table>") == 1
    assert "<tr><td>2</td><td>–</td><td>–</td></tr>" in table


def test_no_table_without_a_series():
    assert tables([]) == ""


# ---- pages


def test_an_image_becomes_two_and_a_second_pass_changes_nothing():
    page = '<img alt="A curve." src="../_images/x.svg" style="width: 10px" />'
    drawings = {"x": ('width="4" height="2"', "<table></table>")}
    once = themed_page(page, drawings)
    assert once == (
        '<img loading="lazy" width="4" height="2" class="only-light" alt="A curve." '
        'src="../_images/x-light.svg" />'
        '<img loading="lazy" width="4" height="2" class="only-dark" alt="A curve." '
        'src="../_images/x-dark.svg" /><table></table>'
    )
    assert themed_page(once, drawings) == once


@pytest.fixture(scope="module")
def site(tmp_path_factory, svg):
    alt = {"image": {"alt": "A curve that falls to nothing."}}
    cell = code_cell("risk", {"image/svg+xml": svg}, metadata={"mystnb": alt})
    book = json.loads(notebook(cell))
    title = {"cell_type": "markdown", "id": "t", "metadata": {}, "source": "# Title"}
    book["cells"].insert(0, title)
    page = "# Home\n\n```{notebook-figure} x.ipynb::risk\n:name: fig-risk\n\nThe risk falls.\n```\n"
    pages = {"index.md": page + "\n```{toctree}\nx\n```\n", "x.ipynb": json.dumps(book)}
    return build(
        tmp_path_factory.mktemp("figures"),
        pages,
        extensions=["myst_nb", "notebook_content", "course_book", "figures"],
        nb_execution_mode="off",
        numfig=True,
        html_theme="sphinx_book_theme",
        html_context={"default_mode": "auto"},
    )


@pytest.mark.parametrize("name", ["index", "x"])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_shows_the_drawing_of_its_theme(name, dark, address, visit):
    page = visit(f"{address}/{name}.html", dark=dark, wait="article img:visible")
    shown = page.locator("article img:visible")
    assert shown.count() == 1
    theme = "dark" if dark else "light"
    assert shown.get_attribute("src").endswith(f"-{theme}.svg")
    assert shown.evaluate("image => image.complete && image.naturalWidth > 100")
    assert page.locator("article").get_by_role("img").count() == 1  # the other is silent
    page.get_by_text("Show the numbers").click()
    assert "1e−07" in page.inner_text("article")
