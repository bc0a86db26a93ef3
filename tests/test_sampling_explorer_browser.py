"""The sampling explorer in a real browser: over http and from disk, with no other host and no error."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.small_book import BuildError, build, code_cell, notebook, widget_book

pytestmark = pytest.mark.browser

INDEX = """# Sampling

```{anywidget} ../utils/widgets/sampling_explorer.mjs
:label: Sampling explorer
:record: sampling/explorer.json
:live: course_gpt
```

## A link to a setting

<a href="#sampling-explorer?engine=mlx&amp;top_k=3">Three tokens</a>
"""
ROOT_PAGE = """# Root

```{toctree}
book/sampling
stored
```
"""
WIDGET = "#sampling-explorer"


def stored_page() -> str:
    """A notebook whose one cell displayed the explorer, as JupyterLab would have stored it."""
    from utils.widgets.sampling_explorer import SamplingExplorer

    title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# Stored"}
    output = SamplingExplorer(engine="llama.cpp", temperature=2.0, top_p=0.9)._repr_mimebundle_()[0]
    return notebook(title, code_cell("explorer", {"text/html": output["text/html"]}))


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    pages = {"index.md": ROOT_PAGE, "book/sampling.md": INDEX, "stored.ipynb": stored_page()}
    return widget_book(tmp_path_factory.mktemp("book"), pages)


def slider(page, name: str):
    return page.locator(WIDGET).get_by_role("slider", name=name, exact=True)


def facts(page) -> list[str]:
    return page.locator(f"{WIDGET} .cw-facts b").all_inner_texts()


def widths(page) -> list[float]:
    return page.locator(f"{WIDGET} .cw-now").evaluate_all(
        "bars => bars.map(b => b.getBoundingClientRect().width)"
    )


def drag(page, name: str, share: float) -> None:
    """Take a slider's thumb and pull it to ``share`` of the track."""
    target = slider(page, name)
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.5, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * share, y, steps=4)
    page.mouse.up()


def test_sliders_move_the_bars_and_strike_tokens_out(visit, address) -> None:
    page = visit(f"{address}/book/sampling.html")
    assert facts(page)[0] == "4,096"
    before = widths(page)
    drag(page, "Temperature", 0.9)
    assert sum(widths(page)) < sum(before) - 10  # flatter: every shown token loses
    assert page.locator(f"{WIDGET} .cw-removed").count() == 0
    page.locator(WIDGET).get_by_label("Engine", exact=True).select_option("llama.cpp")
    drag(page, "Top-p", 0.6)
    kept = int(facts(page)[0].replace(",", ""))
    assert kept < 1000
    removed = page.locator(f"{WIDGET} .cw-removed")
    assert removed.count() >= 3
    assert "line-through" in removed.first.locator(".cw-token").evaluate(
        "node => getComputedStyle(node).textDecorationLine"
    )
    page.locator(WIDGET).get_by_role("button", name="Reset all").click()
    assert facts(page)[0] == "4,096"
    assert widths(page) == pytest.approx(before)


def test_the_engine_reorders_the_sliders(visit, address) -> None:
    page = visit(f"{address}/book/sampling.html{WIDGET}?temperature=2&top_p=0.9")

    def order() -> list[str]:
        return page.locator(f"{WIDGET} .cw-pipeline li:not(.cw-absent) label").all_inner_texts()

    first = facts(page)[0]
    assert order()[3:] == ["Temperature", "Min-p", "Top-k", "Top-p"]
    page.locator(WIDGET).get_by_label("Engine", exact=True).select_option("mlx")
    assert order()[3:] == ["Top-p", "Min-p", "Top-k", "Temperature"]
    assert int(facts(page)[0].replace(",", "")) < int(first.replace(",", ""))
    page.locator(WIDGET).get_by_label("Engine", exact=True).select_option("transformers")
    assert len(order()) == 5
    assert slider(page, "Presence penalty").is_disabled()
    assert slider(page, "Presence penalty").get_attribute("aria-valuetext") == "not in transformers"


def test_a_draw_can_be_replayed_and_linked(visit, address) -> None:
    page = visit(f"{address}/book/sampling.html")
    result = page.locator(f"{WIDGET} .cw-result")
    page.get_by_role("button", name="Draw", exact=True).click()
    assert result.inner_text().startswith("Draw 1: u = 0.")
    page.get_by_role("button", name="Draw 100").click()
    said = result.inner_text()
    assert said.startswith("Draw 101: u = 0.")
    page.wait_for_function("location.hash === '#sampling-explorer?draws=101'")
    assert visit(page.url).locator(f"{WIDGET} .cw-result").inner_text() == said
    page.get_by_label("Seed", exact=True).fill("2")
    page.keyboard.press("Enter")
    assert result.inner_text() != said
    page.get_by_role("button", name="Clear").click()
    assert "running sum" in result.inner_text()


def test_keyboard_reset_and_address(visit, address) -> None:
    page = visit(f"{address}/book/sampling.html")
    temperature = slider(page, "Temperature")
    temperature.focus()
    page.keyboard.press("ArrowRight")
    assert temperature.get_attribute("aria-valuetext") == "1.05"
    page.wait_for_function("location.hash === '#sampling-explorer?temperature=1.05'")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Reset temperature"
    page.keyboard.press("Enter")
    assert temperature.get_attribute("aria-valuetext") == "1 (off)"
    page.evaluate("location.hash = '#sampling-explorer?engine=transformers&temperature=0&top_k=7'")
    page.wait_for_function("document.querySelector('.cw-facts b').textContent === '1'")
    assert "refuses 0" in page.locator(".cw-pipeline").inner_text()


def test_a_link_on_the_page_sets_the_sliders(visit, address) -> None:
    page = visit(f"{address}/book/sampling.html")
    page.get_by_role("link", name="Three tokens").click()
    page.wait_for_function("document.querySelector('.cw-facts b').textContent === '3'")
    # the theme's table of contents still follows the reader
    assert page.evaluate("document.querySelector(document.body.dataset.bsTarget) !== null")


@pytest.mark.parametrize(
    "hash", ["%E0%A4%A", "sampling-explorer?temperature=1e999&engine=__proto__&prompt=none&top_k=-1&seed=x"]
)
def test_a_strange_address_does_no_harm(visit, site, hash) -> None:
    page = visit(f"{site.as_uri()}/book/sampling.html#{hash}")
    assert int(facts(page)[0].replace(",", "")) > 0


def test_the_model_writes_in_the_page(visit, address) -> None:
    page = visit(f"{address}/book/sampling.html")
    status, text = page.locator(".cw-status"), page.locator(".cw-text")
    page.get_by_role("button", name="Load the model").click()
    page.get_by_label("Prompt", exact=True).fill("The old man said 🙂")
    page.get_by_label("Tokens", exact=True).fill("30")
    page.get_by_role("button", name="Write").click()
    page.wait_for_function("document.querySelector('.cw-status').textContent.startsWith('Ended')")
    assert "30 tokens" in status.inner_text()
    said = text.inner_text()
    assert said.startswith("The old man said 🙂")
    assert "nats" in text.locator("span").nth(1).get_attribute("title")
    assert page.get_by_label("After", exact=True).input_value() == ""  # the chart shows the text's next token
    page.get_by_role("button", name="Write").click()  # the same seed writes the same text
    page.wait_for_function("document.querySelector('.cw-status').textContent.startsWith('Ended')")
    assert text.inner_text() == said

    stop = said.removeprefix("The old man said 🙂")[9:14].replace("\n", "\\n")  # across tokens' borders
    page.get_by_label("Stop strings").fill(stop)
    page.get_by_role("button", name="Write").click()
    page.wait_for_function(
        "document.querySelector('.cw-status').textContent.startsWith('Ended: stopped before')"
    )
    assert said.startswith(text.inner_text())
    assert len(text.inner_text()) < len(said)

    page.get_by_label("Stop strings").fill("")
    page.get_by_label("Tokens", exact=True).fill("200")
    page.get_by_role("button", name="Write").click()
    page.wait_for_function("document.querySelectorAll('.cw-text span').length > 8")
    page.get_by_role("button", name="Pause").click()
    assert status.inner_text().startswith("Paused")
    paused = text.inner_text()
    page.wait_for_timeout(150)
    assert text.inner_text() == paused
    page.get_by_role("button", name="Go on").click()
    page.wait_for_function(f"document.querySelector('.cw-text').textContent.length > {len(paused)}")
    page.get_by_role("button", name="Pause").click()
    slider(page, "Top-k").focus()  # the sliders act on the text being written
    page.keyboard.press("ArrowRight")
    assert facts(page)[0] == "1"
    page.get_by_label("Prompt", exact=True).fill("")
    page.get_by_role("button", name="Write").click()
    assert status.inner_text() == "The prompt must hold at least one token."


def test_a_missing_model_is_said_in_one_line(visit, web, site) -> None:
    page = visit(f"{web}/book/sampling.html")
    page.route("**/live/*.js", lambda route: route.fulfill(body="", content_type="text/html", status=200))
    page.get_by_role("button", name="Load the model").click()
    page.wait_for_function("document.querySelector('.cw-status').textContent.startsWith('Could not load')")
    assert page.get_by_role("button", name="Load the model").is_enabled()


def test_a_notebooks_stored_output_comes_to_life(visit, address) -> None:
    page = visit(f"{address}/stored.html")
    assert slider(page, "Top-p").get_attribute("aria-valuetext") == "0.9"
    assert page.locator(".cw-live").count() == 0  # no weights travel with a notebook


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_fits_and_is_accessible(visit, site, dark, width) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    settings = "engine=llama.cpp&temperature=1.5&top_p=0.9&draws=20"
    page = visit(f"{site.as_uri()}/book/sampling.html{WIDGET}?{settings}", width=width, dark=dark)
    if width == 390:
        page.get_by_role("button", name="Load the model").click()
        page.get_by_label("Tokens", exact=True).fill("12")
        page.get_by_role("button", name="Write").click()
        page.wait_for_function("document.querySelector('.cw-status').textContent.startsWith('Ended')")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    spill = page.locator(f"{WIDGET} *").evaluate_all(
        "(all, w) => all.filter(x => x.getBoundingClientRect().right > w).map(x => x.className)", width
    )
    assert spill == []
    cut = page.locator(f"{WIDGET} :is(.cw-facts dd, .cw-number, output)").evaluate_all(
        "all => all.filter(x => x.scrollWidth > x.clientWidth + 1 && x.clientWidth).map(x => x.textContent)"
    )
    assert cut == []
    unnamed = page.locator(f"{WIDGET} :is(select, input, textarea)").evaluate_all(
        "all => all.filter(x => !x.labels?.length).map(x => x.outerHTML)"
    )
    assert unnamed == []
    # Without it JupyterLab takes a slider's arrow keys for its own.
    guarded = page.locator(f"{WIDGET} :is(select, input, textarea, button)").evaluate_all(
        "all => all.every(x => x.hasAttribute('data-lm-suppress-shortcuts'))"
    )
    assert guarded
    results = axe.run(page, context=WIDGET, options={"preload": False})
    assert [(v["id"], [n["html"] for n in v["nodes"]][:2]) for v in results.response["violations"]] == []


def test_a_model_that_is_not_there_ends_the_build(tmp_path) -> None:
    (tmp_path / "demo.mjs").write_text("export default { render }")
    page = "# Page\n\n```{anywidget} demo.mjs\n:label: x\n:live: nothing\n```\n"
    with pytest.raises(BuildError, match=r"records/nothing holds no model.safetensors"):
        build(tmp_path, {"index.md": page}, extensions=["myst_parser", "course_widgets"])
