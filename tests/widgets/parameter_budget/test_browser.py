"""The parameter-budget explorer in a real browser, and what holds for every explorer on a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.small_book import code_cell, notebook, widget_book
from utils.models.presets import PRESETS

INDEX = """# Widgets

Before the widget.

```{anywidget} utils/widgets/parameter_budget/widget.mjs
:label: Parameter-budget explorer
{"preset": "gpt2"}
```

```{anywidget} utils/widgets/parameter_budget/widget.mjs
:label: A second explorer
:name: second
{"preset": "course", "n_layer": 4}
```

```{toctree}
stored
```
"""


def stored_page() -> str:
    """A notebook whose one cell displayed an explorer, as JupyterLab would have stored it."""
    from utils.widgets.parameter_budget.widget import ParameterBudget

    title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# Stored"}
    return notebook(
        title, code_cell("explorer", ParameterBudget("llama3.2-1b")._repr_mimebundle_()[0])
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    return widget_book(
        tmp_path_factory.mktemp("book"), {"index.md": INDEX, "stored.ipynb": stored_page()}
    )


CONTRASTS = """() => {
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const luminance = (node) => {
    const colour = getComputedStyle(node).backgroundColor;
    const rgb = colour.match(/[\\d.]+/g).map((v) => linear(v / 255));
    return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
  };
  const ground = luminance(document.querySelector(".cw"));
  const segments = document.querySelectorAll("#parameter-budget .cw-summary span:not(.cw-rest)");
  return [...segments].map((s) => {
    const own = luminance(s);
    return (Math.max(own, ground) + 0.05) / (Math.min(own, ground) + 0.05);
  });
}"""


def total(page, widget: str = "#parameter-budget") -> str:
    return page.locator(f"{widget} .cw-total strong").inner_text()


def shares(page) -> list[float]:
    return page.locator("#parameter-budget .cw-summary .cw-bar span").evaluate_all(
        "spans => spans.map(s => s.getBoundingClientRect().width)"
    )


def slider(page, name: str, widget: str = "#parameter-budget"):
    return page.locator(widget).get_by_role("slider", name=name, exact=True)


def test_dragging_a_slider_moves_the_bars(visit, address) -> None:
    page = visit(f"{address}/index.html", reduced_motion="reduce")
    assert total(page) == "124,439,808"
    before = shares(page)
    box = slider(page, "Layers").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, y, steps=5)
    page.mouse.up()
    assert int(total(page).replace(",", "")) > 500_000_000
    after = shares(page)
    assert after[3] > before[3] + 20  # the blocks' feed-forward matrices gain
    assert after[0] < before[0] - 20  # and the token embedding's share shrinks
    assert page.locator("#parameter-budget .cw-note").inner_text() == "GPT-2 (small), changed."


def test_keyboard_and_reset(visit, address) -> None:
    page = visit(f"{address}/index.html")
    layers = slider(page, "Layers")
    layers.focus()
    page.keyboard.press("ArrowRight")
    assert layers.get_attribute("aria-valuetext") == "13"
    assert total(page) != "124,439,808"
    page.keyboard.press("Tab")  # to the slider's own reset, which has just appeared
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Reset layers"
    page.keyboard.press("Enter")
    assert total(page) == "124,439,808"
    assert page.evaluate("document.activeElement.type") == "range"


def test_every_control_has_a_name_and_every_slider_a_value(visit, address) -> None:
    page = visit(f"{address}/index.html")
    widget = page.locator("#parameter-budget")
    assert widget.get_attribute("role") == "group"
    assert widget.get_attribute("aria-label") == "Parameter-budget explorer"
    sliders = widget.get_by_role("slider")
    assert sliders.count() == 11
    for i in range(sliders.count()):
        one = sliders.nth(i)
        row = one.locator("xpath=..")
        assert one.get_attribute("aria-valuetext") == row.locator("output").inner_text() != ""
        assert (
            row.get_by_role("button", include_hidden=True)
            .get_attribute("aria-label")
            .startswith("Reset ")
        )
    unnamed = widget.locator("select, input").evaluate_all(
        "all => all.filter(x => !x.labels?.length).map(x => x.outerHTML)"
    )
    assert unnamed == []
    ids = page.locator("[id]").evaluate_all("all => all.map(x => x.id)")
    assert len(ids) == len(set(ids))


def test_presets_show_the_published_counts(visit, address) -> None:
    page = visit(f"{address}/index.html")
    model = page.locator("#parameter-budget").get_by_label("Model", exact=True)
    for name, preset in PRESETS.items():
        model.select_option(name)
        if isinstance(preset["published"], int):
            assert total(page) == f"{preset['published']:,}"
            assert "equal to the released checkpoint" in page.locator(".cw-note").first.inner_text()


def test_address_holds_the_setting(visit, address) -> None:
    page = visit(f"{address}/index.html")
    slider(page, "Layers").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("location.hash === '#parameter-budget?n_layer=13'")
    wanted = total(page)
    again = visit(page.url)
    assert total(again) == wanted
    assert slider(again, "Layers").get_attribute("aria-valuetext") == "13"
    again.evaluate("location.hash = '#parameter-budget?preset=llama3-8b&tie_embeddings=true'")
    again.wait_for_function(
        "document.querySelector('.cw-total strong').textContent === '7,504,924,672'"
    )
    again.evaluate(
        "location.hash = '#before-the-widget'"
    )  # an ordinary link leaves the explorer alone
    assert total(again) == "7,504,924,672"


@pytest.mark.parametrize(
    "hash",
    [
        "%E0%A4%A",
        "parameter-budget?n_layer=-3&d_model=1e999&style=%3Cb%3E&preset=__proto__",
        "parameter-budget?n_head={}&x=1",
    ],
)
def test_a_strange_address_does_no_harm(visit, address, hash) -> None:
    page = visit(f"{address}/index.html#{hash}")
    assert int(total(page).replace(",", "")) > 0


def test_two_explorers_do_not_share_state(visit, address) -> None:
    page = visit(f"{address}/index.html#second?n_layer=5", wait="#second[data-afm-ready]")
    page.wait_for_selector("#parameter-budget[data-afm-ready]")
    assert total(page) == "124,439,808"
    assert slider(page, "Layers", "#second").get_attribute("aria-valuetext") == "5"


def test_a_notebooks_stored_output_comes_to_life(visit, address) -> None:
    page = visit(f"{address}/stored.html")
    assert total(page) == "1,235,814,400"
    slider(page, "Layers").focus()
    page.keyboard.press("ArrowLeft")
    assert total(page) != "1,235,814,400"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_fits_and_is_accessible(visit, site, dark, width) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(f"{site.as_uri()}/index.html", width=width, dark=dark)
    slider(page, "Layers").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    spill = page.locator("#parameter-budget *").evaluate_all(
        "(all, w) => all.filter(x => x.getBoundingClientRect().right > w).map(x => x.className)",
        width,
    )
    assert spill == []
    results = axe.run(page, context="#parameter-budget", options={"preload": False})
    assert [v["id"] for v in results.response["violations"]] == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_segments_stand_out_from_the_background(visit, site, dark) -> None:
    page = visit(f"{site.as_uri()}/index.html", dark=dark)
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) == 6
    assert min(contrasts) >= 3


def test_motion_only_where_it_is_welcome(visit, site) -> None:
    duration = "getComputedStyle(document.querySelector('.cw-bar span')).transitionDuration"
    assert visit(f"{site.as_uri()}/index.html", reduced_motion="reduce").evaluate(duration) == "0s"
    assert (
        visit(f"{site.as_uri()}/index.html", reduced_motion="no-preference").evaluate(duration)
        == "0.15s"
    )
