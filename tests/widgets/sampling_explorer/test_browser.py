"""The sampling explorer in a real browser: over http and from disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.small_book import code_cell, notebook, widget_book

INDEX = """# Sampling

```{anywidget} ../utils/widgets/sampling_explorer/widget.mjs
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
    from utils.widgets.sampling_explorer.widget import SamplingExplorer

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


def wait_for_status(page, start: str) -> None:
    page.wait_for_function(
        f"document.querySelector('.cw-status').textContent.startsWith({json.dumps(start)})"
    )


def write(page, tokens: int | str, prompt: str | None = None, until: str = "Ended") -> None:
    """Load the model if need be, press Write, wait for the status that starts with ``until``."""
    if (load := page.get_by_role("button", name="Load the model")).is_visible():
        load.click()
    page.get_by_label("Tokens", exact=True).fill(str(tokens))
    if prompt is not None:
        page.get_by_label("Prompt", exact=True).fill(prompt)
    page.get_by_role("button", name="Write").click()
    wait_for_status(page, until)


def shown_prompt(page) -> str:
    """The prompt that the chart shows; empty for the text being written."""
    return page.get_by_label("After", exact=True).input_value()


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


def test_a_screen_reader_hears_which_token_was_drawn(visit, site) -> None:
    page = visit(f"{site.as_uri()}/book/sampling.html")
    spoken = page.locator(f"{WIDGET} > div > .cw > [aria-live=polite]")
    assert spoken.inner_text() == ""
    page.get_by_role("button", name="Draw", exact=True).click()
    page.wait_for_function(f"document.querySelector('{WIDGET} .cw > .cw-hidden').textContent")
    token = page.locator(f"{WIDGET} .cw-result b").inner_text().replace("␣", "")
    said = spoken.inner_text()
    assert said.startswith(f"Draw 1 gives “{token}”, probability ")
    assert "can be drawn" not in said  # that has not changed
    slider(page, "Top-k").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        f"document.querySelector('{WIDGET} .cw > .cw-hidden').textContent.includes('can be drawn')"
    )


def test_the_seed_that_is_shown_is_the_one_used_and_linked(visit, site) -> None:
    page = visit(f"{site.as_uri()}/book/sampling.html")
    seed = page.get_by_label("Seed", exact=True)
    for typed, used in (("99999999999", 2**31 - 1), ("-4", 0), ("", 1)):
        seed.fill(typed)
        page.keyboard.press("Enter")
        assert seed.input_value() == str(used)
        hash = "#sampling-explorer" + (f"?seed={used}" if used != 1 else "")
        page.wait_for_function(f"location.hash === {json.dumps(hash)}")


def test_the_marks_of_few_draws_are_true(visit, site) -> None:
    page = visit(f"{site.as_uri()}/book/sampling.html{WIDGET}?draws=2")
    rows = page.locator(f"{WIDGET} .cw-chart tbody tr:not(.cw-more)").evaluate_all(
        """rows => rows.map(row => [".cw-now", ".cw-own", ".cw-drawn"]
             .map(s => row.querySelector(s))
             .map(x => x.hidden ? 0 : parseFloat(x.style.left || x.style.width)))"""
    )
    assert (
        max(drawn for _, _, drawn in rows) == 100
    )  # half of the draws, more than any token's probability
    top = page.locator(f"{WIDGET} .cw-number").first.inner_text()
    assert max(now for now, _, _ in rows) == pytest.approx(2 * float(top.split()[0]), abs=0.2)


def test_focus_stays_when_the_draws_run_out(visit, site) -> None:
    page = visit(f"{site.as_uri()}/book/sampling.html{WIDGET}?draws=950")
    page.get_by_role("button", name="Draw 100").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "Clear"


@pytest.mark.parametrize(
    ("query", "name", "value", "effect"),
    [
        ("engine=mlx&top_p=0", "Top-p", "0 (off in mlx-lm)", ""),
        ("temperature=0.005", "Temperature", "0.005 (raised to 0.01)", "leaves"),
        ("temperature=0&top_k=5", "Top-k", "5", "ignored at temperature 0"),
        ("engine=mlx&temperature=0&top_p=0.5", "Top-p", "0.5", "ignored at temperature 0"),
        ("engine=llama.cpp&temperature=0&top_k=5", "Top-k", "5", "leaves 5"),
    ],
)
def test_a_slider_says_what_is_applied(visit, site, query, name, value, effect) -> None:
    page = visit(f"{site.as_uri()}/book/sampling.html{WIDGET}?{query}", width=390)
    assert slider(page, name).get_attribute("aria-valuetext") == value
    item = slider(page, name).locator("xpath=ancestor::li")
    assert item.locator(".cw-effect").inner_text().startswith(effect)
    output = item.locator("output")
    assert output.evaluate("node => node.scrollWidth <= node.clientWidth + 1")


def test_a_penalised_token_stays_in_the_chart(visit, site) -> None:
    page = visit(
        f"{site.as_uri()}/book/sampling.html{WIDGET}?prompt=i-am-greedy&frequency_penalty=1&draws=3"
    )
    row = page.locator(f"{WIDGET} .cw-chart tbody tr").filter(has_text="92.6\u00a0%")
    assert row.locator(".cw-token").inner_text() == "␣to"


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
    "hash",
    [
        "%E0%A4%A",
        "sampling-explorer?temperature=1e999&engine=__proto__&prompt=none&top_k=-1&seed=x",
        "sampling-explorer?engine=llama.cpp&temperature=1e-310",
    ],
)
def test_a_strange_address_does_no_harm(visit, site, hash) -> None:
    page = visit(f"{site.as_uri()}/book/sampling.html#{hash}")
    assert int(facts(page)[0].replace(",", "")) > 0
    assert "NaN" not in page.locator(WIDGET).inner_text()
    assert shown_prompt(page) == "he-opened-the-door-and-went"
    page.wait_for_function("!location.hash.includes('prompt=none')")


def test_the_model_writes_in_the_page(visit, address) -> None:
    page = visit(f"{address}/book/sampling.html")
    status, text = page.locator(".cw-status"), page.locator(".cw-text")
    write(page, 30, "The old man said 🙂")
    assert "30 tokens" in status.inner_text()
    said = text.inner_text()
    assert said.startswith("The old man said 🙂")
    assert "nats" in text.locator("span").nth(1).get_attribute("title")
    assert shown_prompt(page) == ""  # the chart shows the text's next token
    write(page, 30)  # the same seed writes the same text
    assert text.inner_text() == said

    stop = said.removeprefix("The old man said 🙂")[9:14].replace(
        "\n", "\\n"
    )  # across tokens' borders
    page.get_by_label("Stop strings").fill(stop)
    write(page, 30, until="Ended: stopped before")
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
    page.get_by_role("button", name="Go on").click()
    write(
        page, 200, "", until="The prompt must hold at least one token."
    )  # the text before it pauses
    left = text.inner_text()
    page.wait_for_timeout(150)
    assert text.inner_text() == left
    assert status.inner_text().endswith("The text below is the one before.")
    assert page.get_by_role("button", name="Go on").is_enabled()


def test_the_chart_stands_behind_the_whole_text(visit, site) -> None:
    page = visit(f"{site.as_uri()}/book/sampling.html{WIDGET}?temperature=0")
    write(page, 1, "She looked at him with tears in her")
    assert page.locator(".cw-context").inner_text().rstrip("?").endswith("her eyes")
    assert page.locator(".cw-context mark").inner_text() == " eyes"
    assert page.locator(f"{WIDGET} .cw-token").first.inner_text() != "␣eyes"


def test_links_and_reset_leave_the_written_text(visit, site) -> None:
    page = visit(f"{site.as_uri()}/book/sampling.html")
    link, reset = (
        page.get_by_role("link", name="Three tokens"),
        page.get_by_role("button", name="Reset all"),
    )
    link.click()
    for control in (
        link,
        reset,
        reset,
    ):  # the link to the present address, and a reset that changes nothing
        write(page, 3)
        assert shown_prompt(page) == ""
        control.click()
        page.wait_for_function(f"document.querySelector('{WIDGET} select').value !== ''")
        assert int(facts(page)[0].replace(",", "")) == (3 if control is link else 4096)


def test_a_recorded_prompt_can_be_chosen_while_a_text_is_written(visit, site) -> None:
    page = visit(f"{site.as_uri()}/book/sampling.html", width=390)
    write(page, "", "\n".join("abcdefghijklmnopqrstuvwxyz"), until="Writing")
    assert page.get_by_label("Tokens", exact=True).input_value() == "120"
    page.wait_for_function(f"document.querySelector('{WIDGET} select').value === ''")
    page.get_by_label("After", exact=True).select_option("it-was")
    wait_for_status(page, "Ended")
    assert shown_prompt(page) == "it-was"
    page.get_by_label("After", exact=True).select_option(label="the text being written below")
    assert page.locator(".cw-context").inner_text().startswith("a\nb")
    below = page.locator(".cw-text").evaluate("x => x.scrollHeight - x.clientHeight - x.scrollTop")
    assert abs(below) < 2  # the text was followed to its end


def test_the_fields_say_what_is_used_and_focus_is_kept(visit, site) -> None:
    page = visit(f"{site.as_uri()}/book/sampling.html")
    count = page.get_by_label("Tokens", exact=True)
    write(page, 0)
    assert count.input_value() == "1"
    assert "1 token," in page.locator(".cw-status").inner_text()
    count.fill("999")
    page.keyboard.press("Tab")
    assert count.input_value() == "255"
    write(page, 60, "a" * 10_000 + " " * 10_000, until="The prompt has")
    write(page, 60, "It was", until="Writing")
    page.get_by_role("button", name="Pause").focus()
    wait_for_status(page, "Ended")
    assert page.evaluate("document.activeElement.textContent") == "Write"


def test_a_very_long_word_is_counted_and_refused(visit, site) -> None:
    page = visit(f"{site.as_uri()}/book/sampling.html")
    write(page, 5, "あ" * 50_000, until="The prompt has")
    assert "at most" in page.locator(".cw-status").inner_text()


def test_loading_the_model_shows_how_far_it_is(visit, web, site) -> None:
    page = visit(f"{web}/book/sampling.html")
    held = []
    page.route("**/live/*-9.js", lambda route: held.append(route))  # the ninth of sixteen
    page.get_by_role("button", name="Load the model").click()
    bar = page.get_by_role("progressbar", name="Loading the model")
    page.wait_for_function(
        "(({ value, max }) => Math.abs(value / max - 0.5) < 0.01)"
        "(document.querySelector('.cw-progress progress'))"
    )
    sizes = [path.stat().st_size / 1e6 for path in (site / "live").iterdir()]
    said = page.locator(".cw-progress span").inner_text()
    assert said == f"{sum(sizes) / 2:.1f} of {sum(sizes):.1f} MB"
    held[0].continue_()
    wait_for_status(page, "The model is loaded")
    assert bar.is_hidden()


@pytest.mark.parametrize("truncated", ["document.currentScript.modelPart = ", ""])
def test_a_truncated_model_is_called_incomplete(chromium, web, truncated) -> None:
    page = chromium.new_page()  # the browser reports half a script on the console, as it should
    page.goto(f"{web}/book/sampling.html")
    page.route(
        "**/live/*-2.js",
        lambda route: route.fulfill(body=truncated, content_type="text/javascript"),
    )
    page.get_by_role("button", name="Load the model").click()
    wait_for_status(page, "Could not load")
    said = page.locator(".cw-status").inner_text()
    assert "course_gpt-2.js is incomplete" in said
    assert page.get_by_role("progressbar").is_hidden()
    page.unroute("**/live/*-2.js")
    page.get_by_role("button", name="Load the model").click()
    wait_for_status(page, "The model is loaded")
    page.close()


def test_a_missing_model_is_said_in_one_line(chromium, web) -> None:
    page = chromium.new_page()  # the console names the file, as it should
    page.goto(f"{web}/book/sampling.html")
    page.route("**/live/*.js", lambda route: route.abort())
    page.get_by_role("button", name="Load the model").click()
    wait_for_status(page, "Could not load")
    assert "is not there" in page.locator(".cw-status").inner_text()
    assert page.get_by_role("button", name="Load the model").is_enabled()
    page.close()


def test_a_text_that_cannot_go_on_says_so_in_one_line(visit, site) -> None:
    page = visit(f"{site.as_uri()}/book/sampling.html")
    write(page, 5, "It was")
    page.get_by_label("Stop strings").fill("\ufffd")
    write(page, 5, until="A stop string must not hold half a character")
    page.get_by_label("Stop strings").fill("")
    page.evaluate("Math.sqrt = () => NaN")  # as if the weights were damaged
    write(page, 5, until="Could not go on: The logits must be free of NaN")
    assert page.get_by_role("button", name="Pause").is_disabled()
    assert int(facts(page)[0].replace(",", "")) > 0


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
        write(page, 12)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    spill = page.locator(f"{WIDGET} *").evaluate_all(
        "(all, w) => all.filter(x => x.getBoundingClientRect().right > w).map(x => x.className)",
        width,
    )
    assert spill == []
    cut = page.locator(f"{WIDGET} :is(.cw-facts dd, .cw-number, output)").evaluate_all(
        """all => all.filter(x => x.scrollWidth > x.clientWidth + 1 && x.clientWidth)
                     .map(x => x.textContent)"""
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
    assert [
        (v["id"], [n["html"] for n in v["nodes"]][:2]) for v in results.response["violations"]
    ] == []
