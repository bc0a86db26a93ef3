"""The double-descent explorer in a real browser: guess, trace, touch, keyboard, paper."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from tests.browser import Finger
from tests.small_book import code_cell, notebook, widget_book
from utils.landscape import fourier_fit as ff
from utils.landscape.fourier_data import data_sets

NAME = "double-descent-explorer"
INDEX = f"""# Guesses

```{{anywidget}} utils/widgets/double_descent/widget.mjs
:label: Double-descent explorer
:name: {NAME}
{{"steps": [
  {{"text": "Draw your guess.", "settings": {{}}}},
  {{"text": "Is there a peak without noise?", "settings": {{"noise": 0, "traced": 301}}}}
]}}
```

## A section

{"Text below the explorer. " * 300}

## Another one

More text.

```{{toctree}}
stored
```
"""
COMPUTED = '.cw-descent [aria-busy="false"]'


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    from utils.widgets.double_descent.widget import DoubleDescent

    title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# Stored"}
    output = DoubleDescent(features=301, traced=301)._repr_mimebundle_()[0]
    pages = {"index.md": INDEX, "stored.ipynb": notebook(title, code_cell("explorer", output))}
    return widget_book(tmp_path_factory.mktemp("book"), pages)


@pytest.fixture
def opened(visit, site):
    """Open the explorer under some settings, and wait until its curve is computed."""

    def go(query: str = "", **options):
        hash = f"#{NAME}?{query}" if query else ""
        return visit(f"{site.as_uri()}/index.html{hash}", wait=COMPUTED, **options)

    return go


def verdict(page) -> str:
    return page.locator(".cw-verdict").inner_text()


def shown_up_to(page, path: str = ".cw-measured") -> int:
    """The number of features at which a curve ends; 0 where there is none."""
    points = re.findall(r"[\d.]+", page.locator(path).get_attribute("d") or "")
    if not points:
        return 0
    share = (float(points[-2]) - 36) / 356  # of the horizontal axis
    return round(math.exp(share * math.log(301)))


def guess(page) -> list[float]:
    """The error that each handle stands for."""
    handles = page.locator(".cw-descent .cw-handle").evaluate_all(
        "all => all.map(handle => handle.getAttribute('aria-valuenow'))"
    )
    return [10 ** float(level) for level in handles]


def place(page, features: float, error: float) -> tuple[float, float]:
    """Where this stands in the right chart, in pixels."""
    box = page.locator(".cw-descent svg[role=group]").bounding_box()
    unit = box["width"] / 400
    across = 36 + 356 * math.log(features) / math.log(301)
    down = 8 + 170 * (2 - math.log10(error)) / 4
    return box["x"] + unit * across, box["y"] + unit * down


def features_slider(page):
    return page.get_by_role("slider", name="Features", exact=True)


def short(error: float) -> str:
    """An error as the explorer says it."""
    return f"{error:.2g}" if error < 99.5 else f"{error:,.0f}"


def errors(features: int, ridge: float = 0.0, noise: float = 0.3) -> list[float]:
    """NumPy's test errors of all data sets."""
    found = []
    for points in data_sets():
        targets = ff.target(points.inputs) + noise * np.asarray(points.noise)
        found.append(ff.distance_from_target(ff.fit(points.inputs, targets, features, ridge)))
    return found


# ---- Before the guess


def test_untouched_both_charts_show_something_and_the_error_is_hidden(visit, address) -> None:
    page = visit(f"{address}/index.html", wait=COMPUTED)
    fit = page.locator(".cw-fit").get_attribute("d")
    heights = [float(number) for number in re.findall(r" ([\d.-]+)", fit)]
    assert min(heights) < 0  # at as many features as points it leaves the picture
    assert page.locator(".cw-point").count() == 15
    assert shown_up_to(page) == 5
    assert page.locator(".cw-rest").is_hidden()
    assert page.locator(".cw-own").is_hidden()
    assert "peak" not in verdict(page)
    assert page.locator(".cw-on-paper").is_hidden()
    assert not re.search(r"\d\.\d", verdict(page))
    assert verdict(page).endswith("Its test error appears once you have guessed or skipped.")
    page.wait_for_timeout(1000)
    assert page.locator(".cw-descent > [aria-live]").inner_text() == ""  # nobody has asked


def test_a_guess_is_drawn_and_the_error_traces_itself(opened) -> None:
    page = opened()
    compare = page.get_by_role("button", name="Compare")
    assert compare.is_disabled()
    page.mouse.move(*place(page, 6, 0.03))
    page.mouse.down()
    page.mouse.move(*place(page, 15, 10), steps=5)
    page.mouse.move(*place(page, 301, 0.1), steps=12)
    page.mouse.up()
    drawn = guess(page)
    assert drawn[1] == pytest.approx(10, rel=0.3)
    assert drawn[4] == pytest.approx(0.1, rel=0.3)
    assert drawn[1] > drawn[2] > drawn[3] > drawn[4]
    compare.click()
    assert page.locator(".cw-question").is_hidden()
    assert features_slider(page).evaluate("node => node === document.activeElement")
    assert features_slider(page).get_attribute("aria-valuetext") == "5"
    for features in (6, 7, 8):
        page.keyboard.press("ArrowRight")
        assert shown_up_to(page) == features
    page.keyboard.press("ArrowLeft")
    assert shown_up_to(page) == 8  # what was seen stays
    page.keyboard.press("End")
    assert shown_up_to(page) == 301
    assert "Your guess had its peak at 15 features." in verdict(page)
    assert page.locator(".cw-guess").get_attribute("d")


def test_the_keyboard_makes_a_guess(opened) -> None:
    page = opened()
    handle = page.get_by_role("slider", name="Your guess of the test error at 32 features")
    handle.focus()
    before = float(handle.get_attribute("aria-valuenow"))
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowUp")
    assert float(handle.get_attribute("aria-valuenow")) == pytest.approx(before + 0.6, abs=0.01)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # Compare
    page.keyboard.press("End")
    assert "Your guess had its peak at 32 features." in verdict(page)
    page.wait_for_function(
        "document.querySelector('.cw-descent > [aria-live]').textContent.includes('32 features')"
    )


def test_a_tap_moves_the_nearest_handle(opened) -> None:
    page = opened()
    page.mouse.click(*place(page, 120, 5))
    assert guess(page)[3] == pytest.approx(5, rel=0.2)
    assert guess(page)[4] < 0.1


def test_a_finger_draws_the_guess_and_scrolls_past_it(opened) -> None:
    page = opened(width=390, has_touch=True, is_mobile=True)
    ways = [(7, 0.03), (9, 0.1), (12, 1), (15, 20), (40, 2), (120, 0.2), (290, 0.1)]
    Finger(page).draw(*(place(page, *way) for way in ways))
    page.wait_for_function("!document.querySelector('.cw-question button').disabled")
    drawn = guess(page)
    assert drawn[1] == pytest.approx(20, rel=0.4)
    assert page.evaluate("scrollY") == 0

    x, y = place(page, 50, 0.5)  # beside the handles, upwards
    Finger(page).draw((x, y), (x, y - 15), (x, y - 60), (x, y - 140))
    page.wait_for_function("scrollY > 50")
    assert guess(page) == pytest.approx(drawn)


def test_a_handle_follows_a_finger_up(opened) -> None:
    page = opened(width=390, has_touch=True, is_mobile=True)
    x, y = place(page, 104, guess(page)[3])
    Finger(page).draw((x, y), (x, y - 15), (x, y - 40), (x, y - 60))
    assert guess(page)[3] > 0.3
    assert page.evaluate("scrollY") == 0


def test_an_unanswered_page_prints_the_whole_curve(opened) -> None:
    page = opened()
    page.emulate_media(media="print")
    assert page.locator(".cw-rest").is_visible()
    assert shown_up_to(page, ".cw-rest") == 301
    assert page.locator(".cw-verdict").is_hidden()
    printed = page.locator(".cw-on-paper")
    assert printed.is_visible()
    assert "The peak is 2.6 at 15 features." in printed.inner_text()
    assert "guess" not in printed.inner_text()
    assert page.locator(".cw-question").is_hidden()


# ---- The measurement


@pytest.mark.parametrize("query", ["", "noise=1", "ridge=0.3", "ridge=0.01&noise=0.5"])
def test_the_page_says_numpys_numbers(opened, query) -> None:
    asked = dict(part.split("=") for part in query.split("&") if part)
    settings = {name: float(value) for name, value in asked.items()}
    page = opened(f"{query}&features=16&data=1&traced=301")
    found = errors(16, **settings)
    said = f"Test error {short(found[0])}; the median of 40 is {short(float(np.median(found)))}."
    assert said in verdict(page)
    assert f"{short(float(np.median(errors(301, **settings))))} at 301" in verdict(page)


def test_skipping_shows_the_peak_and_that_the_valley_is_lower(opened) -> None:
    page = opened()
    page.get_by_role("button", name="Skip the guess").click()
    assert shown_up_to(page) == 301
    assert page.locator(".cw-own").is_visible()
    assert page.locator(".cw-guess").get_attribute("d") == ""
    valley, peak, end = (float(np.median(errors(p))) for p in (5, 15, 301))
    assert (
        f"The peak is {short(peak)} at 15 features. The error comes down again, to {short(end)} "
        f"at 301: {short(end / valley)} times the lowest, {short(valley)} at 5."
    ) in verdict(page)
    assert "guess" not in verdict(page)


@pytest.mark.parametrize(("slider", "key"), [("Ridge λ", "End"), ("Noise σ", "Home")])
def test_a_ridge_and_no_noise_remove_the_peak(opened, slider, key) -> None:
    page = opened("traced=301")
    page.get_by_role("slider", name=slider, exact=True).focus()
    page.keyboard.press(key)
    page.wait_for_function("document.querySelector('.cw-verdict').textContent.includes('No peak:')")
    assert shown_up_to(page, ".cw-before") == 301  # the curve with the peak, to compare with
    page.get_by_role("button", name=f"Reset {slider}").click()
    assert "The peak is 2.6 at 15 features." in verdict(page)
    assert shown_up_to(page, ".cw-before") == 0


def test_a_link_to_a_ridge_has_the_curve_to_compare_with(opened) -> None:
    page = opened("traced=301&ridge=0.3")
    assert shown_up_to(page) == 301
    assert shown_up_to(page, ".cw-before") == 301


def test_what_is_not_traced_yet_is_not_said(opened) -> None:
    page = opened("features=40&traced=10")
    assert shown_up_to(page) == 10
    assert page.locator(".cw-own").is_hidden()
    assert "Test error" not in verdict(page)


def test_new_data_and_reset(opened) -> None:
    page = opened("data=40&traced=301&ridge=0.1")
    before = page.locator(".cw-fit").get_attribute("d")
    page.get_by_role("button", name="New data").click()
    assert verdict(page).startswith("Data set 1,")  # after the last comes the first
    assert page.locator(".cw-fit").get_attribute("d") != before
    page.get_by_role("button", name="Reset all").click()
    assert shown_up_to(page) == 5
    assert page.locator(".cw-question").is_visible()
    page.wait_for_function(f"location.hash === '#{NAME}'")


def test_a_reset_forgets_the_guess(opened) -> None:
    page = opened()
    start = guess(page)
    page.mouse.click(*place(page, 301, 50))
    assert guess(page) != start
    page.get_by_role("button", name="Reset all").click()
    assert guess(page) == start
    assert page.get_by_role("button", name="Compare").is_disabled()


def test_a_step_of_the_page_shows_its_curve(opened) -> None:
    page = opened()
    page.get_by_role("link", name="Step 2 of 2").click()
    page.wait_for_function("document.querySelector('.cw-verdict').textContent.includes('No peak:')")
    assert shown_up_to(page) == 301


def test_a_notebooks_stored_output_comes_to_life(visit, address) -> None:
    page = visit(f"{address}/stored.html", wait=COMPUTED)
    assert shown_up_to(page) == 301
    assert verdict(page).startswith("Data set 3, 301 features for 15 points: many curves")


# ---- Every reader


@pytest.mark.parametrize("slider", ["Features", "Ridge λ", "Noise σ"])
def test_a_phone_shows_both_charts_while_a_slider_moves(opened, slider) -> None:
    page = opened("traced=301", width=390, has_touch=True, is_mobile=True)
    control = page.get_by_role("slider", name=slider, exact=True)
    control.focus()
    page.keyboard.press("ArrowRight")
    moved = control.bounding_box()
    label = page.get_by_text(slider, exact=True).bounding_box()
    assert moved["y"] + moved["height"] <= 900
    for chart in page.locator(".cw-descent svg").all():
        box = chart.bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= label["y"]


@pytest.mark.parametrize("query", ["", "traced=301&noise=0.5"], ids=["guess", "measured"])
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
