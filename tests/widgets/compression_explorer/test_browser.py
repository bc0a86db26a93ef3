"""The compression explorer in a real browser: the map, the texts, touch, keyboard, own text."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.small_book import code_cell, notebook, widget_book
from utils import records
from utils.models.course import load
from utils.widgets.compression_explorer.settings import RECORD

NAME = "compression-explorer"
DIRECTIVE = f"""```{{anywidget}} utils/widgets/compression_explorer/widget.mjs
:label: Compression explorer
:name: {NAME}
:record: {RECORD}.json
:live: course_gpt
{{"steps": [
  {{"text": "The original.", "settings": {{}}}},
  {{"text": "And with 4 bits?", "settings": {{"bits": 4}}}}
]}}
```
"""
INDEX = f"""# Bytes

{DIRECTIVE}

{"Text below the explorer. " * 300}

```{{toctree}}
stored
```
"""
DATA = records.load(RECORD).data


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    from utils.widgets.compression_explorer.widget import CompressionExplorer

    title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# Stored"}
    output = CompressionExplorer(view="text", text="twice")._repr_mimebundle_()[0]
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


def point(bits: int, sparsity: float = 0.0, granularity: str = "channel") -> dict:
    for found in DATA["points"]:
        if (found["bits"], found["sparsity"], found["granularity"]) == (
            bits,
            sparsity,
            granularity,
        ):
            return found
    raise LookupError


def quality(found: dict) -> float:
    return float(np.mean(found["bits_per_byte"]))


def text_of(key: str) -> dict:
    return next(text for text in DATA["texts"] if text["key"] == key)


def ring(page) -> tuple[float, float]:
    """Where the chosen mark stands, in pixels."""
    box = page.locator(".cw-ring").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def race(page) -> dict[str, list[str]]:
    """What the table says of each: bytes and bits per byte."""
    rows = page.locator(".cw-race tbody tr:visible")
    return {
        row.locator("th").inner_text(): row.locator(".cw-number").all_inner_texts()
        for row in rows.all()
    }


# ---- the map


def test_untouched_it_shows_the_original(visit, address) -> None:
    page = visit(f"{address}/index.html")
    original = point(16, 0.0, "none")
    size = f"{original['n_bytes'] / 1e6:.3g} MB"
    assert verdict(page).startswith(f"The course model in float16: {size}, and ")
    assert f"{quality(original):.2f} bits per byte on eight" in verdict(page)
    assert page.locator(".cw-chart g path").count() == len(DATA["points"])
    assert page.locator(".cw-sample").inner_text().endswith(original["sample"][-20:].rstrip())
    assert page.locator(".cw-ribbon").is_hidden()
    assert page.locator(".cw-live").is_hidden()


def test_the_sliders_move_the_ring_and_tell_the_loss(opened) -> None:
    page = opened()
    x, _ = ring(page)
    bits = page.get_by_role("slider", name="Bits", exact=True)
    bits.focus()
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    assert bits.get_attribute("aria-valuetext") == "4 per weight"
    assert ring(page)[0] < x - 20
    found = point(4)
    original = point(16, 0.0, "none")
    apart = np.subtract(found["bits_per_byte"], original["bits_per_byte"])
    se = apart.std(ddof=1) / math.sqrt(len(apart))
    assert f"(+{apart.mean():.3f} ± {se:.3f}, the standard error" in verdict(page)
    page.get_by_role("slider", name="Zeros", exact=True).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert "4 bits, 50 % zeros, a scale per row" in verdict(page)
    page.get_by_label("Scales", exact=True).select_option("tensor")
    assert "a scale per matrix" in verdict(page)
    sample = page.locator(".cw-sample").inner_text()
    assert sample.endswith(point(4, 0.5, "tensor")["sample"][-20:].rstrip())
    page.wait_for_function(f"location.hash === '#{NAME}?bits=4&sparsity=0.5&granularity=tensor'")


def test_a_tap_on_a_mark_chooses_it(opened) -> None:
    page = opened("bits=3&sparsity=0.5&granularity=group")
    x, y = ring(page)
    page.goto(page.url.split("#")[0] + f"#{NAME}?bits=2&granularity=tensor")
    page.wait_for_function("document.querySelector('.cw-verdict').textContent.startsWith('2 bits')")
    page.mouse.click(x, y)
    assert verdict(page).startswith("3 bits, 50 % zeros, a scale per 64 weights")
    page.get_by_role("button", name="Reset all").click()
    assert verdict(page).startswith("The course model in float16")


def test_in_float16_nothing_has_a_scale(opened) -> None:
    page = opened("sparsity=0.5")
    assert page.get_by_label("Scales", exact=True).is_disabled()
    assert verdict(page).startswith("float16, 50 % zeros: ")


# ---- a text in bits


def test_a_recorded_text_is_coloured_by_its_bits(opened) -> None:
    page = opened()
    page.get_by_label("Show", exact=True).select_option("text")
    text = text_of("willows")
    pieces = page.locator(".cw-ribbon span")
    assert pieces.all_text_contents() == text["tokens"]
    heat = pieces.evaluate_all(
        "all => all.map(x => parseFloat(x.style.getPropertyValue('--cw-heat')))"
    )
    order = np.argsort(text["model"], kind="stable")
    assert np.all(np.diff(np.array(heat)[order]) >= 0)
    shown = race(page)
    assert len(shown) == 5
    for name, key in (("the course model", "model"), ("how common each token is", "unigram")):
        total = sum(text[key]) / 8
        assert float(shown[name][0]) == pytest.approx(total, abs=0.51)
        assert float(shown[name][1]) == pytest.approx(8 * total / text["n_bytes"], abs=0.006)
    assert shown["deflate, the whole text"][0] == str(text["deflate_bytes"])
    model = f"the course model ({sum(text['model']) / 8:.0f})"
    assert f"go to {model}, ahead of deflate ({text['deflate_bytes']})." in verdict(page)


def test_the_race_can_be_stopped_at_every_token(opened) -> None:
    page = opened("view=text")
    text = text_of("willows")
    page.locator(".cw-ribbon span").nth(19).click()
    slider = page.get_by_role("slider", name="Read up to")
    assert slider.get_attribute("aria-valuetext") == f"token 20 of {len(text['ids'])}"
    assert float(race(page)["the course model"][0]) == pytest.approx(
        sum(text["model"][:20]) / 8, abs=0.51
    )
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".cw-ribbon .cw-chosen").inner_text() == text["tokens"][20].strip()
    assert f"costs the model {text['model'][20]:.1f} bits" in verdict(page)
    assert page.locator(".cw-ribbon .cw-later").count() == len(text["ids"]) - 21
    page.wait_for_function(f"location.hash === '#{NAME}?view=text&token=21'")
    page.get_by_label("Text", exact=True).select_option("code")
    assert page.locator(".cw-ribbon .cw-later").count() == 0  # another text is read to its end


def test_a_notebooks_stored_output_comes_to_life(visit, site) -> None:
    page = visit(f"{site.as_uri()}/stored.html")
    assert page.locator(".cw-ribbon span").count() == len(text_of("twice")["ids"])


# ---- the reader's own text


@torch.no_grad()
def test_the_course_model_reads_the_readers_own_text(visit, address) -> None:
    page = visit(f"{address}/index.html#{NAME}?view=text")
    page.get_by_role("button", name="Load the model").click()
    field = page.locator(".cw-own-text textarea")
    field.wait_for()
    assert field.evaluate("node => node === document.activeElement")
    status = page.locator(".cw-live [role=status]")
    field.fill("")
    page.get_by_role("button", name="Read", exact=True).click()
    assert status.inner_text() == "There is nothing to read yet."

    text = "He opened the door and went – “into” the café.\nHe opened the door and went"
    field.fill(text)
    page.get_by_role("button", name="Read", exact=True).click()
    model, tokenizer = load()
    ids = tokenizer.encode(text).ids
    page.wait_for_function(f"document.body.innerText.includes('Read: {len(ids)} tokens.')")
    row = torch.tensor([[0, *ids]])
    log_p = model(row[:, :-1])[0].log_softmax(-1)
    expected = -float(log_p[range(len(ids)), ids].sum()) / math.log(2) / 8
    shown = race(page)
    assert float(shown["the course model"][0]) == pytest.approx(expected, abs=1.5)
    assert "a four-gram of its books" not in shown  # too large a table for a page
    assert "deflate, the whole text" in shown
    assert page.locator(".cw-ribbon span").count() == len(ids)

    # A long text is read as far as the model can look back.
    field.fill("one two three " * 400)
    page.get_by_role("button", name="Read", exact=True).click()
    page.wait_for_function(
        "document.body.innerText.includes('Read: the first 255 of ')", timeout=90000
    )
    assert page.locator(".cw-ribbon span").count() == 255
    page.get_by_label("Text", exact=True).select_option("code")
    assert page.locator(".cw-ribbon span").count() == len(text_of("code")["ids"])


# ---- every reader


def test_a_finger_taps_a_mark_and_a_token(opened) -> None:
    page = opened("bits=4", width=390, has_touch=True, is_mobile=True)
    x, y = ring(page)
    page.goto(page.url.split("#")[0] + f"#{NAME}?bits=2")
    page.wait_for_function("document.querySelector('.cw-verdict').textContent.startsWith('2 bits')")
    page.touchscreen.tap(x, y)
    assert verdict(page).startswith("4 bits, no zeros, a scale per row")
    page.get_by_label("Show", exact=True).select_option("text")
    page.locator(".cw-ribbon span").nth(3).tap()
    assert page.locator(".cw-ribbon .cw-later").count() == len(text_of("willows")["ids"]) - 4


@pytest.mark.parametrize("query", ["", "bits=3&sparsity=0.7", "view=text", "view=text&text=code"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_fits_and_is_accessible(opened, dark, width, query) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(query, width=width, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    spill = page.locator(f"#{NAME} *").evaluate_all(
        "(all, w) => all.filter(x => x.getBoundingClientRect().right > w).map(x => x.className)",
        width,
    )
    assert spill == []
    results = axe.run(page, context=f"#{NAME}", options={"preload": False})
    assert [v["id"] for v in results.response["violations"]] == []
