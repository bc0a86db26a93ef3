"""The title page's bars in a real browser: mouse, keyboard, and what the page says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.small_book import code_cell, notebook, widget_book
from utils import records

INDEX = """# Bars

```{anywidget} utils/widgets/temperature_bars/widget.mjs
:label: Temperature and the next word
:record: sampling/title.json
```

## Below

```{toctree}
stored
```
"""
SAID = ".cw-title-bars [aria-live=polite]"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    from utils.widgets.temperature_bars.widget import TemperatureBars

    title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# Stored"}
    output = {"text/html": TemperatureBars(temperature=0.5).static_html()}
    stored = notebook(title, code_cell("bars", output))
    pages = {"index.md": INDEX, "stored.ipynb": stored}
    return widget_book(tmp_path_factory.mktemp("bars"), pages)


def numbers(page) -> list[str]:
    """The column of probabilities."""
    return page.locator(".cw-word-bars tbody .cw-number").all_inner_texts()


def expected(temperature: float) -> list[str]:
    """What NumPy says should stand there."""
    data = records.load("sampling/title").data
    z = np.array(data["logits"]) / temperature
    p = np.exp(z - z.max())
    p /= p.sum()
    ids = [token["id"] for token in data["likeliest"]]
    column = [*p[ids], np.delete(p, ids).sum()]
    return [written(value) for value in column]


def written(p: float) -> str:
    if p < 0.0005:
        return "<0.1\u00a0%"
    return ">99.9\u00a0%" if p >= 0.9995 else f"{100 * p:.1f}\u00a0%"


def test_it_starts_at_one_and_says_nothing(visit, address) -> None:
    page = visit(f"{address}/index.html")
    assert numbers(page) == expected(1)
    assert "at temperature 1, “hand” comes about 32 times" in page.inner_text(".cw-summary")
    page.wait_for_timeout(900)
    assert page.text_content(SAID) == ""


def test_the_keyboard_moves_every_bar(visit, address) -> None:
    page = visit(f"{address}/index.html")
    slider = page.get_by_role("slider", name="Temperature")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert slider.get_attribute("aria-valuetext") == "0.95"
    page.keyboard.press("Home")
    assert slider.get_attribute("aria-valuetext") == "0.1"
    assert numbers(page) == expected(0.1)
    page.keyboard.press("End")
    assert numbers(page) == expected(2)
    page.wait_for_function(f"document.querySelector('{SAID}').textContent !== ''")
    assert page.text_content(SAID) == page.inner_text(".cw-summary")
    page.get_by_role("button", name="Reset temperature").click()
    assert numbers(page) == expected(1)


def test_bars_are_as_long_as_their_probabilities(visit, site) -> None:
    page = visit(f"{site.as_uri()}/index.html#temperature-bars?temperature=0.5")
    assert numbers(page) == expected(0.5)
    lengths = page.locator(".cw-track div").evaluate_all(
        "tracks => tracks.map(t => t.firstChild.offsetWidth / t.clientWidth)"
    )
    for length, text in zip(lengths, expected(0.5), strict=True):
        assert length == pytest.approx(float(text.strip("<>\u00a0%")) / 100, abs=0.01)


def test_a_notebooks_stored_output_comes_to_life(visit, site) -> None:
    page = visit(f"{site.as_uri()}/stored.html")
    assert numbers(page) == expected(0.5)


def test_an_address_out_of_range_is_corrected(visit, site) -> None:
    page = visit(f"{site.as_uri()}/index.html#temperature-bars?temperature=9")
    assert numbers(page) == expected(2)
    assert page.url.endswith("#temperature-bars?temperature=2")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_fits_and_is_accessible(visit, site, dark, width) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(f"{site.as_uri()}/index.html", width=width, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    results = axe.run(page, context="#temperature-bars", options={"preload": False})
    assert [v["id"] for v in results.response["violations"]] == []
