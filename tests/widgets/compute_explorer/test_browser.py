"""The compute explorer in a real browser: the ball, the laws, our runs, touch, keyboard, paper."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from tests.browser import Finger
from tests.small_book import code_cell, notebook, widget_book
from utils import records
from utils.scaling.laws import Law
from utils.scaling.published import BESIROGLU
from utils.widgets.compute_explorer.settings import RECORD

NAME = "compute-explorer"
GOPHER = 5.76e23
INDEX = f"""# Budgets

```{{anywidget}} utils/widgets/compute_explorer/widget.mjs
:label: Compute explorer
:name: {NAME}
:record: {RECORD}.json
{{"steps": [
  {{"text": "Where is the bottom?", "settings": {{}}}},
  {{"text": "And by the law of 2020?", "settings": {{"law": "kaplan"}}}}
]}}
```

{"Text below the explorer. " * 300}

```{{toctree}}
stored
```
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    from utils.widgets.compute_explorer.widget import ComputeExplorer

    title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# Stored"}
    output = ComputeExplorer(law="coupled", budget=1e15)._repr_mimebundle_()[0]
    pages = {"index.md": INDEX, "stored.ipynb": notebook(title, code_cell("explorer", output))}
    return widget_book(tmp_path_factory.mktemp("book"), pages)


@pytest.fixture
def opened(visit, site):
    """Open the explorer under some settings."""

    def go(query: str = "", **options):
        hash = f"#{NAME}?{query}" if query else ""
        return visit(f"{site.as_uri()}/index.html{hash}", **options)

    return go


def verdict(page) -> str:
    return page.locator(".cw-verdict").inner_text().replace("\u00a0", " ")


def ball(page):
    return page.get_by_role("slider", name="The ball: parameters")


def size(page) -> float:
    """The parameters at which the ball lies."""
    return 10 ** float(ball(page).get_attribute("aria-valuenow"))


def across(page, n_params: float, budget: float = GOPHER) -> float:
    """Where this size stands in the valley, in pixels from the left."""
    box = page.locator(".cw-valley").bounding_box()
    middle = math.sqrt(budget / 120)
    share = 0.5 + math.log(n_params / middle) / (2 * math.log(100))
    return box["x"] + box["width"] * (46 + 346 * share) / 400


def middle_of(page) -> tuple[float, float]:
    """The middle of the ball, in pixels."""
    box = ball(page).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def triangle(page) -> float:
    """Where the mark of the bottom stands, in the picture's units."""
    path = page.locator(".cw-bottom path").get_attribute("d")
    return float(re.findall(r"[\d.]+", path)[0])


# ---- what it shows untouched


def test_untouched_gopher_lies_right_of_the_bottom(visit, address) -> None:
    page = visit(f"{address}/index.html")
    assert size(page) == pytest.approx(280e9, rel=0.02)
    best = BESIROGLU.optimal(GOPHER)
    apart = BESIROGLU.loss(280e9, GOPHER / 6 / 280e9) - BESIROGLU.loss(*best)
    assert verdict(page).startswith("280 billion parameters on 343 billion tokens, 1.2 per")
    assert f"{apart:.3f} (1.0 %) above the bottom" in verdict(page)
    assert f"The bottom is at {best.n_params / 1e9:.1f} billion parameters" in verdict(page)
    names = page.locator(".cw-valley .cw-models text").all_text_contents()
    assert {"Gopher", "Chinchilla", "GPT-3"} <= set(names)
    assert page.locator(".cw-valley .cw-runs circle").count() == 0
    assert page.locator(".cw-map .cw-runs circle").count() == 28
    assert page.locator(".cw-valley .cw-within").get_attribute("d") == ""  # far beyond its runs
    assert "16,852 days (46.1 years) on one H100" in page.locator(".cw-side").inner_text()
    page.wait_for_timeout(1000)
    assert page.locator(".cw-compute > [aria-live]").inner_text() == ""  # nobody has asked


def test_another_law_moves_the_bottom(opened) -> None:
    page = opened()
    at_first = triangle(page)
    page.get_by_role("combobox", name="Law", exact=True).select_option("kaplan")
    assert triangle(page) > at_first + 20
    assert "Their own table for choosing a size says 485" in verdict(page)
    page.get_by_role("combobox", name="Law", exact=True).select_option("hoffmann")
    assert triangle(page) < at_first - 20


def test_our_losses_are_dots_beside_our_law(opened) -> None:
    page = opened("law=coupled&budget=1e15&tokens_per_parameter=20")
    assert page.locator(".cw-valley .cw-runs circle").count() == 7
    assert page.locator(".cw-valley .cw-within").get_attribute("d")
    stored = records.load(RECORD).data["ours"]
    runs = [run for run in stored["runs"] if run["budget"] == 1e15]
    best = min(runs, key=lambda run: run["loss"])
    law = Law(**stored["laws"]["coupled"])
    said = float(law.loss(best["n_params"], 1e15 / 6 / best["n_params"]))
    assert f"The lowest is {best['loss']:.3f} at 1.97 million" in verdict(page)
    assert f"the law says {said:.3f} there" in verdict(page)
    page.get_by_role("combobox", name="Law", exact=True).select_option("hoffmann")
    assert page.locator(".cw-valley .cw-runs circle").count() == 0
    assert "their losses count other tokens" in verdict(page)


def test_repeated_tokens_lift_the_valley(opened) -> None:
    page = opened("tokens_per_parameter=19.59")
    at_first = triangle(page)
    assert page.locator(".cw-free").get_attribute("d") == ""
    page.goto(page.url.split("#")[0] + f"#{NAME}?tokens_per_parameter=19.59&unique=1e11")
    page.wait_for_function("document.querySelector('.cw-free').getAttribute('d') !== ''")
    assert triangle(page) > at_first
    assert "13.7 passes over 100" in verdict(page)
    assert page.get_by_text("with fresh tokens alone").is_visible()


# ---- moving the ball


def test_a_mouse_drags_the_ball_along_its_valley(opened) -> None:
    page = opened()
    x, y = middle_of(page)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(across(page, 72.2e9), y, steps=8)
    page.mouse.up()
    assert size(page) == pytest.approx(72.2e9, rel=0.05)
    assert "less than 0.001 above the bottom" in verdict(page)
    page.wait_for_function("location.hash.includes('tokens_per_parameter')")


def test_a_tap_and_a_button_move_the_ball(opened) -> None:
    page = opened()
    box = page.locator(".cw-valley").bounding_box()
    page.mouse.click(across(page, 10e9), box["y"] + 0.5 * box["height"])
    assert size(page) == pytest.approx(10e9, rel=0.05)
    page.get_by_role("button", name="Roll to the bottom").click()
    assert size(page) == pytest.approx(72.2e9, rel=0.03)
    assert "less than 0.001 above the bottom" in verdict(page)
    page.get_by_role("button", name="Reset all").click()
    assert size(page) == pytest.approx(280e9, rel=0.02)
    page.wait_for_function(f"location.hash === '#{NAME}'")


def test_the_keyboard_moves_the_ball_and_is_heard_at_rest(opened) -> None:
    page = opened()
    ball(page).focus()
    before = size(page)
    page.keyboard.press("ArrowLeft")
    after_one = size(page)
    assert 0.5 < after_one / before < 1
    page.keyboard.press("Shift+ArrowLeft")
    assert size(page) < after_one / 1.5
    page.keyboard.press("ArrowUp")
    assert "parameters" not in ball(page).get_attribute("aria-valuetext")
    assert " on " in ball(page).get_attribute("aria-valuetext")
    page.wait_for_function(
        "document.querySelector('.cw-compute > [aria-live]').textContent.includes('parameters on')"
    )


def test_a_finger_drags_the_ball_and_scrolls_beside_it(opened) -> None:
    page = opened(width=390, has_touch=True, is_mobile=True)
    x, y = middle_of(page)
    goal = across(page, 72.2e9)
    Finger(page).draw((x, y), (x - 15, y + 5), ((x + goal) / 2, y + 10), (goal, y + 10))
    assert size(page) == pytest.approx(72.2e9, rel=0.1)
    assert page.evaluate("scrollY") == 0
    rested = size(page)
    box = page.locator(".cw-valley").bounding_box()
    x, y = box["x"] + 0.9 * box["width"], box["y"] + 0.7 * box["height"]
    Finger(page).draw((x, y), (x, y - 15), (x, y - 60), (x, y - 140))
    page.wait_for_function("scrollY > 50")
    assert size(page) == rested


def test_a_budget_keeps_the_tokens_per_parameter(opened) -> None:
    page = opened("tokens_per_parameter=20")
    page.get_by_role("slider", name="Budget", exact=True).focus()
    page.keyboard.press("Home")
    assert verdict(page).startswith(
        "28.9 thousand parameters on 577 thousand tokens, 20 per parameter"
    )
    page.keyboard.press("End")
    assert "20 per parameter" in verdict(page)
    assert page.locator(".cw-valley .cw-models text").count() == 0  # nobody has had such a budget


def test_a_step_of_the_page_changes_the_law(opened) -> None:
    page = opened()
    page.get_by_role("link", name="Step 2 of 2").click()
    page.wait_for_function(
        "document.querySelector('.cw-verdict').textContent.includes('by Kaplan et al. 2020')"
    )


def test_a_notebooks_stored_output_comes_to_life(visit, address) -> None:
    page = visit(f"{address}/stored.html")
    assert page.locator(".cw-valley .cw-runs circle").count() == 7


# ---- every reader


@pytest.mark.parametrize("slider", ["Budget", "Size", "Different tokens"])
def test_a_phone_shows_the_valley_while_a_slider_moves(opened, slider) -> None:
    page = opened(width=390, has_touch=True, is_mobile=True)
    control = page.get_by_role("slider", name=slider, exact=True)
    control.focus()
    page.keyboard.press("ArrowRight")
    moved = control.bounding_box()
    label = page.locator(".cw-side").get_by_text(slider, exact=True).bounding_box()
    chart = page.locator(".cw-valley").bounding_box()
    assert moved["y"] + moved["height"] <= 900
    assert chart["y"] >= 0
    assert chart["y"] + chart["height"] <= label["y"]


@pytest.mark.parametrize("query", ["", "law=coupled&budget=1e15&unique=1e7"], ids=["start", "ours"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_fits_and_is_accessible(opened, dark, width, query) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(query, width=width, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    spill = page.locator(f"#{NAME} *:not(svg *)").evaluate_all(
        "(all, w) => all.filter(x => x.getBoundingClientRect().right > w).map(x => x.className)",
        width,
    )
    assert spill == []
    results = axe.run(page, context=f"#{NAME}", options={"preload": False})
    assert [v["id"] for v in results.response["violations"]] == []
