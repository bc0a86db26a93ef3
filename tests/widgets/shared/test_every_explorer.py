"""What holds for each explorer on a page: touch, screen readers, forced colours, steps, Back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.browser import Finger
from tests.small_book import widget_book

LINE = "A line of text.\n\n"
# Each explorer's directive options, and two steps: settings, and one that is told by the first.
EXPLORERS = {
    "sampling_explorer": {
        "options": ":record: sampling/explorer.json\n:live: course_gpt\n",
        "steps": [{"temperature": 0.5}, {"temperature": 2, "top_p": 0.9}],
        "slider": "Temperature",
        "chart": ".cw-chart",
        "data": ".cw-now, .cw-keys i",
    },
    "parameter_budget": {
        "options": "",
        "steps": [{"preset": "gpt2-xl"}, {"preset": "llama3-8b", "context_length": 131072}],
        "slider": "Vocabulary",
        "chart": ".cw-summary .cw-bar",
        "data": ".cw-bar span:not(.cw-rest), dt i",
    },
    "solution_path": {
        "options": ":record: implicit_regularization/sample_orders.json\n",
        "steps": [{"method": "adam"}, {"model": "squares", "scale": 0.02}],
        "slider": "Start w₂",
        "chart": ".cw-plane",
        "data": ".cw-keys i",
    },
    "double_descent": {
        "options": "",
        "steps": [{"features": 301, "traced": 301}, {"ridge": 0.3, "traced": 301}],
        "slider": "Features",
        "chart": ".cw-charts",
        "data": ".cw-keys i",
    },
    "attention_explorer": {
        "options": ":record: parameters/attention.json\n",
        "steps": [{"layer": 1, "place": 6}, {"model": "course", "removed": 3}],
        "slider": "Words",
        "chart": ".cw-next",
        "data": ".cw-track i",
    },
    "compute_explorer": {
        "options": ":record: scaling/explorer.json\n",
        "steps": [{"law": "kaplan"}, {"law": "coupled", "budget": 1e15}],
        "slider": "Budget",
        "chart": ".cw-valley",
        "data": ".cw-keys i",
    },
    "compression_explorer": {
        "options": ":record: myths/compression_explorer.json\n",
        "steps": [{"bits": 3}, {"bits": 8, "sparsity": 0.5}],
        "slider": "Bits",
        "chart": ".cw-chart",
        "data": ".cw-keys i",
    },
    "one_shot_game": {
        "options": ":record: scaling/one_shot.json\n",
        "steps": [{"forecast": 3.2}, {"hero": 2, "rate": 1, "bought": "r12"}],
        "slider": "Forecast",
        "chart": ".cw-losses",
        "data": ".cw-keys i",
    },
    "temperature_bars": {
        "options": ":record: sampling/title.json\n",
        "steps": [{"temperature": 0.5}, {"temperature": 2}],
        "slider": "Temperature",
        "chart": ".cw-word-bars",
        "data": ".cw-track i",
    },
}
TEXTS = ["The first step's text.", "The second step's text."]
# What a screen reader would say unasked: every change in a live region, with the region's text.
LISTEN = """
window.heard = [];
const LIVE = "[aria-live=polite], [role=status]:not([aria-live=off]), output:not([aria-live=off])";
new MutationObserver((changes) => {
  for (const { target } of changes) {
    const element = target.nodeType === Node.TEXT_NODE ? target.parentElement : target;
    const region = element?.closest(LIVE);
    if (region && region.textContent) heard.push(region.textContent);
  }
}).observe(document, { subtree: true, childList: true, characterData: true });
"""


def page_of(name: str) -> str:
    """A page with the explorer ``name`` and its steps, between lines of text."""
    facts = EXPLORERS[name]
    steps = [
        {"text": text, "settings": settings}
        for text, settings in zip(TEXTS, facts["steps"], strict=True)
    ]
    directive = f"```{{anywidget}} utils/widgets/{name}/widget.mjs\n:label: The explorer\n"
    body = json.dumps({"steps": steps})
    link = f'<a href="#{name.replace("_", "-")}?{query(facts["steps"][0])}">A link</a>'
    before, after = LINE * 3, LINE * 40
    title = name.replace("_", " ")  # on a phone a line can break at a space
    return (
        f"# {title}\n\n{before}{directive}{facts['options']}{body}\n```\n\n## Below\n\n{link}\n\n"
        f"{after}"
    )


def query(settings: dict) -> str:
    return "&".join(f"{key}={value}" for key, value in settings.items())


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    toctree = "\n".join([*EXPLORERS, "plain"])
    pages = {"index.md": f"# Root\n\n```{{toctree}}\n{toctree}\n```\n"}
    pages |= {f"{name}.md": page_of(name) for name in EXPLORERS}
    pages["plain.md"] = page_of("solution_path").split("\n\n## ")[0]
    return widget_book(tmp_path_factory.mktemp("book"), pages)


@pytest.fixture(params=EXPLORERS)
def name(request) -> str:
    return request.param


@pytest.fixture
def address(site, name) -> str:
    return f"{site.as_uri()}/{name}.html"


def moved_slider(page, name: str):
    return page.get_by_role("slider", name=EXPLORERS[name]["slider"], exact=True)


def value_of(page, name: str) -> str | None:
    return moved_slider(page, name).get_attribute("aria-valuetext")


def current_step(page) -> str:
    return page.locator(".cw-steps [aria-current=step]").inner_text()


def settings_of(page) -> dict[str, str]:
    """Every control of the explorer that holds a setting, by its id."""
    return page.evaluate(
        """() => Object.fromEntries(
          [...document.querySelectorAll(".cw :is(input[type=range], select)")]
            .map((control) => [control.id, control.value]))"""
    )


# ---- a finger, a screen reader, forced colours, paper


def test_scrolling_over_a_slider_does_not_move_it(visit, address, name) -> None:
    page = visit(address, width=390, has_touch=True, is_mobile=True)
    slider = moved_slider(page, name)
    slider.evaluate("node => node.scrollIntoView({ block: 'center', behavior: 'instant' })")
    slider.element_handle().wait_for_element_state("stable")
    assert page.evaluate("innerWidth") == 390  # a wider page would first move within the screen
    before, from_top = settings_of(page), page.evaluate("scrollY")
    box = slider.bounding_box()
    x, y = box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2
    Finger(page).draw(*((x, y - 20 * step) for step in range(9)))
    page.wait_for_function(f"scrollY > {from_top + 50}")
    assert settings_of(page) == before
    page.wait_for_timeout(400)  # the address follows within 300 ms
    assert "?" not in page.url


def test_no_live_region_speaks_on_load(chromium, address, name) -> None:
    page = chromium.new_page()
    page.add_init_script(LISTEN)
    page.goto(address)
    page.wait_for_selector("[data-afm-ready]")
    page.wait_for_timeout(1000)  # longer than any region waits for the reader to rest
    assert page.evaluate("heard") == []
    moved_slider(page, name).focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("heard.length > 0")
    page.close()


def test_data_keep_their_colours_where_the_system_forces_its_own(visit, address, name) -> None:
    colours = (
        "nodes => nodes.filter((node) => node.offsetWidth > 0)"
        ".map((node) => getComputedStyle(node).backgroundColor)"
    )
    page = visit(address, forced_colors="active")
    canvas = page.evaluate("getComputedStyle(document.body).backgroundColor")
    shown = page.locator(".cw").locator(EXPLORERS[name]["data"]).evaluate_all(colours)
    assert len(shown) > 1
    # a diamond's outline is a border; everything else has a ground of its own
    assert [c for c in shown if c != "rgba(0, 0, 0, 0)" and c != canvas][:2] != []
    assert canvas not in shown


def test_data_are_printed(visit, address, name) -> None:
    page = visit(address, dark=True)
    page.emulate_media(media="print")
    shown = page.locator(".cw").locator(EXPLORERS[name]["data"])
    adjust = shown.evaluate_all(
        "nodes => nodes.map((node) => getComputedStyle(node).printColorAdjust)"
    )
    assert set(adjust) == {"exact"}
    ground = page.locator(".cw").evaluate("node => getComputedStyle(node).backgroundColor")
    assert ground == "rgb(255, 255, 255)"  # paper, whatever the screen's theme


def test_without_javascript_the_page_says_what_to_do(chromium, address, name) -> None:
    page = chromium.new_page(java_script_enabled=False)
    page.goto(address)
    assert "Allow JavaScript for this page" in page.locator(".course-widget").inner_text()
    page.close()


# ---- cause and effect in one view


def test_on_a_phone_the_chart_stays_in_view_while_a_slider_moves(visit, address, name) -> None:
    page = visit(address, width=390, has_touch=True, is_mobile=True)
    page.set_viewport_size({"width": 390, "height": 760})
    for slider in page.locator(".cw-desk input[type=range]:visible").all():
        slider.evaluate("node => node.scrollIntoView({ block: 'end', behavior: 'instant' })")
        page.evaluate(
            "scrollBy({ top: 100, behavior: 'instant' })"
        )  # the edge is no place to touch
        chart = page.locator(EXPLORERS[name]["chart"]).first.bounding_box()
        bar = page.locator(".bd-header-article").bounding_box()
        assert chart["y"] >= bar["y"] + bar["height"] - 1
        # the slider is not below the chart that covers what scrolls under it
        assert slider.bounding_box()["y"] > chart["y"] + chart["height"]


def test_on_a_desktop_it_takes_the_wide_column(visit, address) -> None:
    page = visit(address)
    explorer = page.locator(".course-widget").bounding_box()
    text = page.locator("article p").first.bounding_box()
    assert explorer["width"] > 1.3 * text["width"]
    assert explorer["height"] < 900  # one screen
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    page.locator(".course-widget").scroll_into_view_if_needed()
    page.wait_for_selector(".bd-sidebar-secondary.hide", state="attached")  # nothing lies below it


def test_on_a_page_without_an_outline_it_is_wide_and_nothing_fails(visit, site) -> None:
    page = visit(f"{site.as_uri()}/plain.html")  # the theme's script would stumble over its class
    assert page.locator(".bd-sidebar-secondary").count() == 0
    assert page.locator(".full-width").count() == 0
    explorer = page.locator(".course-widget").bounding_box()
    assert explorer["width"] > 1.3 * page.locator("article p").first.bounding_box()["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


# ---- steps, links, Back


def test_steps_set_the_explorer_where_it_stands(visit, address, name) -> None:
    page = visit(address)
    at_first = settings_of(page)
    first = page.get_by_role("link", name="Step 1 of 2")
    first.scroll_into_view_if_needed()
    place = page.evaluate("scrollY")
    first.click()
    page.wait_for_function(f"document.querySelector('.cw').innerText.includes({TEXTS[0]!r})")
    assert current_step(page) == "1"
    after_one = settings_of(page)
    assert after_one != at_first
    assert page.evaluate("scrollY") == place
    page.get_by_role("link", name="Next step").click()
    page.wait_for_function(f"document.querySelector('.cw').innerText.includes({TEXTS[1]!r})")
    assert settings_of(page) not in (at_first, after_one)
    assert page.get_by_role("link", name="Next step").is_hidden()
    assert page.evaluate("document.activeElement.textContent") == "2"
    page.go_back()
    page.wait_for_function(f"document.querySelector('.cw').innerText.includes({TEXTS[0]!r})")
    assert settings_of(page) == after_one
    page.go_back()
    page.wait_for_function("document.querySelectorAll('[aria-current=step]').length === 0")
    assert settings_of(page) == at_first


def test_back_works_although_the_theme_empties_the_history_entry(visit, site) -> None:
    """Sphinx's script for the words of a search does, and on a slow machine later than we keep."""
    page = visit(f"{site.as_uri()}/temperature_bars.html")
    at_first = settings_of(page)
    page.evaluate("history.replaceState({}, '', location.href)")
    page.get_by_role("link", name="Step 1 of 2").click()
    page.wait_for_function("document.querySelectorAll('[aria-current=step]').length === 1")
    page.go_back()
    page.wait_for_function("document.querySelectorAll('[aria-current=step]').length === 0")
    assert settings_of(page) == at_first


def test_back_returns_to_what_the_reader_had_set(visit, address, name) -> None:
    page = visit(address)
    moved_slider(page, name).focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    own = settings_of(page)
    page.get_by_role("link", name="A link").click()  # at once: the address does not have it yet
    page.wait_for_function("document.querySelectorAll('[aria-current=step]').length === 1")
    assert settings_of(page) != own
    page.go_back()
    page.wait_for_function("document.querySelectorAll('[aria-current=step]').length === 0")
    assert settings_of(page) == own
    page.go_forward()
    page.wait_for_function("document.querySelectorAll('[aria-current=step]').length === 1")
    # an address that speaks of something else leaves the explorer alone, on the way back too
    page.go_back()
    page.wait_for_function("document.querySelectorAll('[aria-current=step]').length === 0")
    page.evaluate("location.hash = '#below'")
    moved_slider(page, name).focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(400)
    page.go_back()
    page.wait_for_timeout(200)
    assert settings_of(page) == own


def test_the_link_can_be_copied(visit, address, name) -> None:
    page = visit(address)
    moved_slider(page, name).focus()
    page.keyboard.press("ArrowLeft")
    page.evaluate(
        "() => { navigator.clipboard.writeText = async (text) => { window.copied = text; }; }"
    )
    copy = page.get_by_role("button", name="Copy link")
    copy.click()
    page.wait_for_function("document.querySelector('.cw-copied').textContent === 'Copied.'")
    assert settings_of(visit(page.evaluate("copied"))) == settings_of(page)
    moved_slider(page, name).focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator(".cw-copied").inner_text() == ""
    page.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed')); }"
    )
    copy.click()
    page.wait_for_function("document.querySelector('.cw-copied').textContent.includes('?')")


@pytest.mark.parametrize(
    ("name", "asked", "used", "said"),
    [
        (
            "sampling_explorer",
            "temperature=1e9",
            "temperature=3",
            "temperature 1000000000 (here 3)",
        ),
        ("sampling_explorer", "top_k=abc", "", "top k abc (here "),
        ("parameter_budget", "n_gpu=0&n_layer=9", "n_layer=9", "n gpu 0 (here 1)"),
        ("solution_path", "start1=77", "start1=2.5", "start1 77 (here 2.5)"),
        ("double_descent", "features=1e9", "features=301", "features 1000000000 (here 301)"),
        ("attention_explorer", "layer=7&removed=2", "removed=2", "layer 7 (here 2)"),
        ("compression_explorer", "bits=5&sparsity=0.5", "bits=4&sparsity=0.5", "bits 5 (here 4)"),
        (
            "compute_explorer",
            "law=moore&unique=1e8",
            "unique=100000000",
            "law moore (here besiroglu)",
        ),
        ("one_shot_game", "hero=9&spread=0.1", "hero=3&spread=0.1", "hero 9 (here 3)"),
        ("temperature_bars", "temperature=1e9", "temperature=2", "temperature 1000000000 (here 2)"),
    ],
    indirect=["name"],
)
def test_an_address_that_asks_for_too_much_is_corrected(
    visit, address, name, asked, used, said
) -> None:
    anchor = "#" + name.replace("_", "-")
    page = visit(f"{address}{anchor}?{asked}")
    assert page.url.endswith(anchor + (f"?{used}" if used else ""))
    note = page.locator(".cw-correction")
    assert said in note.inner_text()
    moved_slider(page, name).focus()
    page.keyboard.press("ArrowLeft")
    assert note.is_hidden()
    page.evaluate(f"location.hash = {anchor + '?' + asked!r}")  # the same while the page is open
    note.wait_for()
    assert said in note.inner_text()
    assert page.url.endswith(anchor + (f"?{used}" if used else ""))
