"""The solution-path explorer in a real browser: drag, touch, keyboard, and what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.small_book import code_cell, notebook, widget_book
from utils.landscape import solution_path as sp

START = "document.querySelector('.cw-handle').getAttribute('aria-valuenow')"
START_TEXT = "document.querySelector('.cw-handle').getAttribute('aria-valuetext')"
INDEX = """# Paths

```{anywidget} utils/widgets/solution_path/widget.mjs
:label: Solution-path explorer
:record: implicit_regularization/sample_orders.json
```

```{toctree}
stored
```
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    from utils.widgets.solution_path.widget import SolutionPath

    title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# Stored"}
    output = SolutionPath(method="sgd", eta=0.3)._repr_mimebundle_()[0]
    pages = {"index.md": INDEX, "stored.ipynb": notebook(title, code_cell("explorer", output))}
    return widget_book(tmp_path_factory.mktemp("book"), pages)


def verdict(page) -> str:
    return page.locator(".cw-verdict").inner_text()


def norms(page) -> dict[str, list[str]]:
    """The counter: row name to its three numbers (start, now, flow's end)."""
    rows = page.locator(".cw-norms tbody tr").evaluate_all(
        "all => all.map(r => r.innerText.split('\\t'))"
    )
    return {name.strip(): [value.strip() for value in values] for name, *values in rows}


def centre(page, selector: str) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def unit(page) -> float:
    """Pixels in one unit of either axis."""
    return page.locator(".cw-plane").bounding_box()["width"] / 6


def test_dragging_the_start_moves_the_end(visit, address) -> None:
    page = visit(f"{address}/index.html")
    assert verdict(page) == "Ends at (0.30, 1.40), the solution nearest to its start."
    x, y = centre(page, ".cw-handle")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + unit(page), y + 2 * unit(page), steps=4)  # w1 up by one, w2 down by two
    page.mouse.up()
    assert page.get_by_role("slider", name="Start w₁").get_attribute("aria-valuetext") == "0.50"
    assert page.get_by_role("slider", name="Start w₂").get_attribute("aria-valuetext") == "−1.00"
    nearest = sp.flow_end((0.5, -1.0))
    assert verdict(page).startswith(
        f"Ends at ({nearest[0]:.2f}, {nearest[1]:.2f})".replace("-", "−")
    )


def test_touch_drags_and_taps(visit, address) -> None:
    page = visit(f"{address}/index.html", width=390, has_touch=True, is_mobile=True)
    x, y = centre(page, ".cw-handle")
    touch = page.context.new_cdp_session(page)
    to = {"x": x + unit(page), "y": y}
    for kind, points in (
        ("touchStart", [{"x": x, "y": y}]),
        ("touchMove", [{"x": x + 20, "y": y}]),
        ("touchMove", [to]),
        ("touchEnd", []),
    ):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.wait_for_function(f"{START} === '0.5'")
    box = page.locator(".cw-plane").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 3, box["y"] + 0.75 * box["height"])
    page.wait_for_function(f"{START} === '-0.5'")


def test_a_finger_on_the_start_moves_it_and_not_the_page(visit, site) -> None:
    page = visit(f"{site.as_uri()}/index.html", width=390, has_touch=True, is_mobile=True)
    page.locator(".course-widget").evaluate("node => { node.style.marginBottom = '2000px'; }")
    page.locator(".cw-plane").evaluate(
        "node => node.scrollIntoView({ block: 'center', behavior: 'instant' })"
    )
    page.evaluate(
        """() => {
          window.cancelled = 0;
          addEventListener("pointercancel", () => { window.cancelled += 1; }, true);
        }"""
    )
    place, start = page.evaluate("scrollY"), page.evaluate(START)
    x, y = centre(page, ".cw-handle")
    touch = page.context.new_cdp_session(page)
    moves = [(x, y + share * unit(page)) for share in (0.2, 0.4, 0.6, 0.8, 1)]
    for kind, points in (
        ("touchStart", [(x, y)]),
        *(("touchMove", [point]) for point in moves),
        ("touchEnd", []),
    ):
        listed = [{"x": px, "y": py} for px, py in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": listed})
    page.wait_for_function(f"{START_TEXT} === 'w1 −0.50, w2 0.00'")
    assert page.evaluate(START) == start  # the first coordinate
    assert page.evaluate("scrollY") == place
    assert page.evaluate("cancelled") == 0


def test_the_keyboard_moves_the_start(visit, address) -> None:
    page = visit(f"{address}/index.html")
    handle = page.get_by_role("slider", name="Start, both coordinates")
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    assert handle.get_attribute("aria-valuetext") == "w1 −0.45, w2 0.75"
    page.wait_for_function("location.hash === '#solution-path?start1=-0.45&start2=0.75'")
    again = visit(page.url)
    assert again.locator(".cw-handle").get_attribute("aria-valuetext") == "w1 −0.45, w2 0.75"
    again.get_by_role("button", name="Reset all").click()
    assert verdict(again) == "Ends at (0.30, 1.40), the solution nearest to its start."


@pytest.mark.parametrize("method", sp.METHODS)
@pytest.mark.parametrize("model", sp.MODELS)
def test_the_page_ends_where_python_does(visit, site, method, model) -> None:
    page = visit(
        f"{site.as_uri()}/index.html#solution-path?model={model}&method={method}&eta=0.2&order=2"
    )
    order = [int(digit) for digit in sp.sample_orders()[2]]
    end = sp.run(method, 0.2, (-0.5, 1.0), order, model=model).points[-1]
    assert norms(page)["‖w‖₂"][1] == f"{(end[0] ** 2 + end[1] ** 2) ** 0.5:.3f}"
    assert norms(page)["‖w‖₁"][1] == f"{abs(end[0]) + abs(end[1]):.3f}"


def test_in_the_linear_model_only_adam_ends_elsewhere(visit, address) -> None:
    page = visit(f"{address}/index.html")
    said = {}
    for method in sp.METHODS:
        page.get_by_label("Method", exact=True).select_option(method)
        said[method] = verdict(page)
    assert len({said[m] for m in ("gd", "sgd", "normalized")}) == 1
    assert re.fullmatch(
        r"Ends at \(0.17, 1.67\): a solution, but 0.30 away from the one nearest to its start.",
        said["adam"],
    )


def test_beyond_the_edge_it_diverges(visit, address) -> None:
    page = visit(f"{address}/index.html#solution-path?eta=1.4")
    assert verdict(page).startswith("Ends at (0.30, 1.40)")
    page.evaluate("location.hash = '#solution-path?eta=1.6'")
    page.wait_for_function(
        "document.querySelector('.cw-verdict').textContent.startsWith('Diverges')"
    )
    assert verdict(page).endswith("The step is 1.13 times the edge.")
    assert "10" in norms(page)["loss"][1]


@pytest.mark.parametrize(
    ("query", "end"),
    [
        ("start1=2.5&start2=-1.5", "Ends at (1.90, −1.80)"),  # outside of where a start may be
        ("start1=-1.5&start2=2.5", "Ends at (−0.50, 3.00)"),
        ("eta=1.6", "Diverges"),  # far outside: an arrow at the edge
        ("method=adam&start1=2.5&start2=-1.5", "Ends at (2.00, −2.00)"),
    ],
)
def test_the_end_is_always_marked_in_the_picture(visit, site, query, end) -> None:
    page = visit(f"{site.as_uri()}/index.html#solution-path?{query}")
    assert verdict(page).startswith(end)
    frame, mark = (page.locator(s).bounding_box() for s in (".cw-plane", ".cw-end"))
    for side, size in (("x", "width"), ("y", "height")):
        assert frame[side] - 1 <= mark[side]
        assert mark[side] + mark[size] <= frame[side] + frame[size] + 1


def test_the_scale_moves_the_end(visit, address) -> None:
    query = "solution-path?model=squares&start1=0&start2=0&eta=0.02"
    small = visit(f"{address}/index.html#{query}&scale=0.02")
    large = visit(f"{address}/index.html#{query}&scale=2")
    assert float(norms(small)["‖w‖₁"][1]) < 1.02  # near the sparse solution, whose norm is 1
    assert float(norms(large)["‖w‖₂"][1]) < 0.9  # near the smallest one, 0.894
    assert float(norms(large)["‖w‖₁"][1]) > 1.15
    assert small.get_by_label("Initial scale α", exact=True).is_visible()
    small.get_by_label("Model", exact=True).select_option("linear")
    assert small.get_by_label("Initial scale α", exact=True).is_hidden()


def test_steps_can_be_watched_one_by_one(visit, address) -> None:
    page = visit(f"{address}/index.html", reduced_motion="no-preference")
    steps = page.get_by_role("slider", name="Steps shown")
    steps.focus()
    page.keyboard.press("Home")
    assert steps.get_attribute("aria-valuetext") == "0 of 500"
    assert norms(page)["‖w − w₀‖₂"][1] == "0.000"
    page.keyboard.press("ArrowRight")
    one = sp.run("gd", 0.1, (-0.5, 1.0), [0] * 500).points[1]
    assert norms(page)["‖w‖₂"][1] == f"{(one[0] ** 2 + one[1] ** 2) ** 0.5:.3f}"
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("+document.querySelector('[aria-valuetext$=\"of 500\"]').value > 20")
    page.get_by_role("button", name="Stop").click()
    assert page.get_by_role("button", name="Play").is_visible()


def test_no_animation_is_offered_to_who_asks_for_none(visit, site) -> None:
    page = visit(f"{site.as_uri()}/index.html", reduced_motion="reduce")
    assert page.get_by_text("Play", exact=True).is_hidden()


def test_a_notebooks_stored_output_comes_to_life(visit, address) -> None:
    page = visit(f"{address}/stored.html")
    assert page.get_by_label("Method", exact=True).input_value() == "sgd"
    assert verdict(page) == "Ends at (0.30, 1.40), the solution nearest to its start."


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_fits_and_is_accessible(visit, site, dark, width) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(f"{site.as_uri()}/index.html#solution-path?eta=1.6", width=width, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    spill = page.locator("#solution-path *:not(svg *)").evaluate_all(
        "(all, w) => all.filter(x => x.getBoundingClientRect().right > w).map(x => x.className)",
        width,
    )
    assert spill == []
    results = axe.run(page, context="#solution-path", options={"preload": False})
    assert [v["id"] for v in results.response["violations"]] == []
