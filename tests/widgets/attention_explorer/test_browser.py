"""The attention explorer in a real browser: tap, keyboard, remove, compare, every reader."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.small_book import code_cell, notebook, widget_book
from utils import records
from utils.models.course import load
from utils.runtime import repo_root
from utils.widgets.attention_explorer.settings import RECORD, USUAL
from utils.widgets.attention_explorer.shares import attention_shares

NAME = "attention-explorer"
DIRECTIVE = """```{anywidget} utils/widgets/attention_explorer/widget.mjs
:label: Attention explorer
:record: parameters/attention.json
"""
# The book's page has this explorer too, whose style sheet must leave ours alone.
BUDGET = """```{anywidget} utils/widgets/parameter_budget/widget.mjs
:label: Parameter-budget explorer
{}
```
"""
INDEX = f"""# Attention

{DIRECTIVE}:live: course_gpt
{{}}
```

## A section

{"Text below the explorer. " * 300}

```{{toctree}}
stored
steps
```
"""
SAID = ".cw-heads > [aria-live=polite]"
RECORDED = records.load(RECORD).data
WORDS = json.loads((repo_root() / "records" / "copy_gpt" / "words.json").read_text())
SHOWN = [WORDS[i] for i in RECORDED["copy"]["sentences"][USUAL["words"] - 1]["twice"]]
FOLLOWER, NEXT = SHOWN[5], SHOWN[6]  # the word after the last word's first occurrence, and after it


def page_steps() -> str:
    """The steps on the book's page, as JSON."""
    page = (repo_root() / "book" / "parameters.md").read_text(encoding="utf-8")
    body = page.partition("attention_explorer/widget.mjs")[2].partition("```")[0]
    return body[body.index('{"steps"') :]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    from utils.widgets.attention_explorer.widget import AttentionExplorer

    title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# Stored"}
    output = {"text/html": AttentionExplorer(model="course", layer=2).static_html()}
    pages = {
        "index.md": INDEX,
        "stored.ipynb": notebook(title, code_cell("explorer", output)),
        "steps.md": f"# Steps\n\n{BUDGET}\n{DIRECTIVE}{page_steps()}```\n",
    }
    return widget_book(tmp_path_factory.mktemp("book"), pages)


@pytest.fixture
def opened(visit, site):
    """Open the explorer under some settings."""

    def go(query: str = "", **options):
        hash = f"#{NAME}?{query}" if query else ""
        return visit(f"{site.as_uri()}/index.html{hash}", **options)

    return go


def verdict(page) -> str:
    return page.locator(".cw-verdict").inner_text()


def row(page, place: int):
    """The row of a word of the text."""
    return page.locator(".cw-looks tbody tr").nth(place - 1)


def shares(page, place: int) -> list[str]:
    """What each head gives to a word, in per cent."""
    return row(page, place).locator(".cw-look .cw-number").all_inner_texts()


def chosen(page) -> int:
    """The word that looks."""
    return int(page.locator(".cw-looks input:checked").get_attribute("value"))


def next_words(page) -> dict[str, list[str]]:
    """The rows of the next word's chart: the probability now, and before or ""."""
    rows = page.locator(".cw-next tbody tr").all()
    return {r.locator("th").inner_text(): r.locator(".cw-number").all_inner_texts() for r in rows}


def percent(text: str) -> float:
    return float(text.strip("<>\u00a0%"))


# ---- choose a word -------------------------------------------------------------------------------


def test_untouched_it_shows_the_finding_and_says_nothing(visit, address) -> None:
    page = visit(f"{address}/index.html")
    assert page.locator(".cw-looks tbody tr:visible").count() == len(SHOWN)
    assert page.locator(".cw-token:visible").all_inner_texts() == SHOWN
    assert chosen(page) == 13
    assert min(int(share) for share in shares(page, 6)) > 50
    assert percent(next_words(page)[FOLLOWER][0]) > 95
    assert page.locator(".cw-effect:visible").count() == 0
    assert page.locator(".cw-next .cw-ghost:visible").count() == 0
    page.wait_for_timeout(900)
    assert page.text_content(SAID) == ""


def test_a_click_on_a_word_shows_where_it_looks(opened) -> None:
    page = opened("layer=1")
    row(page, 6).locator("label").click()
    assert chosen(page) == 6
    assert int(shares(page, 5)[3]) > 85
    assert sum(int(shares(page, place)[0]) for place in range(1, 7)) in range(97, 104)
    assert shares(page, 7) == [""] * 4  # what comes later is hidden from it
    assert f"from “{FOLLOWER}” (6): head 4 gives" in verdict(page)
    page.wait_for_function(f"document.querySelector('{SAID}').textContent.includes('(6)')")
    page.wait_for_function(f"location.hash === '#{NAME}?layer=1&place=6'")


def test_bars_are_as_long_as_their_shares(opened) -> None:
    page = opened()
    for place in (1, 6):
        lengths = (
            row(page, place)
            .locator(".cw-look .cw-track")
            .evaluate_all("tracks => tracks.map(t => t.firstChild.offsetWidth / t.clientWidth)")
        )
        for length, share in zip(lengths, shares(page, place), strict=True):
            assert 100 * length == pytest.approx(int(share), abs=3)


def test_the_keyboard_chooses_removes_and_puts_back(opened) -> None:
    page = opened()
    page.locator(".cw-looks input:checked").focus()
    for _ in range(7):
        page.keyboard.press("ArrowUp")
    assert chosen(page) == 6
    page.keyboard.press("Delete")
    page.wait_for_selector(".cw-gone")
    assert chosen(page) == 13  # the word that looked is gone, so the last one looks
    assert page.evaluate("document.activeElement.value") == "13"  # and has the keyboard
    assert f"Without “{FOLLOWER}” (6), “{FOLLOWER}” goes from " in verdict(page)
    page.keyboard.press("Shift+Tab")
    back = page.get_by_role("button", name=f"Put {FOLLOWER} back, place 6")
    assert back.evaluate("node => node === document.activeElement")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelectorAll('.cw-gone').length === 0")
    assert "Without" not in verdict(page)


def test_one_stop_of_the_keyboard_for_all_words(opened) -> None:
    page = opened()
    page.locator(".cw-looks input:checked").focus()
    page.keyboard.press("Tab")
    name = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert name == f"Remove {SHOWN[12]}, place 13"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "checkbox"


# ---- remove a word -------------------------------------------------------------------------------


def test_the_bars_move_when_the_word_is_removed(opened) -> None:
    page = opened()
    before = next_words(page)[FOLLOWER][0]
    page.get_by_role("button", name=f"Remove {FOLLOWER}, place 6").click()
    page.wait_for_selector(".cw-next .cw-ghost:visible")
    now = next_words(page)
    assert percent(now[FOLLOWER][0]) < 2
    assert now[FOLLOWER][1] == before
    assert percent(now[NEXT][0]) > 50
    assert f"and “{NEXT}” leads" in verdict(page)
    assert chosen(page) == 13
    outline = page.locator(".cw-next tbody tr").first.locator(".cw-track div")
    width = "track => track.lastChild.offsetWidth / track.clientWidth"
    assert 100 * outline.evaluate(width) == pytest.approx(percent(before), abs=2)
    page.wait_for_function(f"document.querySelector('{SAID}').textContent.startsWith('Layer')")


def test_another_word_leaves_them_where_they_were(opened) -> None:
    page = opened()
    page.get_by_role("button", name=f"Remove {SHOWN[1]}, place 2").click()
    page.wait_for_selector(".cw-gone")
    now, before = (percent(text) for text in next_words(page)[FOLLOWER])
    assert now == pytest.approx(before, abs=1)
    page.get_by_role("button", name=f"Remove {FOLLOWER}, place 6").click()  # one at a time
    page.wait_for_function("document.querySelector('.cw-gone .cw-place').textContent === '6'")
    assert page.locator(".cw-gone").count() == 1


def test_another_order_changes_what_is_copied(opened) -> None:
    page = opened()
    page.get_by_label("Text", exact=True).select_option("shuffled")
    ids = RECORDED["copy"]["sentences"][USUAL["words"] - 1]["shuffled"]
    follower = WORDS[ids[ids.index(ids[12]) + 1]]
    page.wait_for_function(
        f"document.querySelector('.cw-verdict').textContent.includes('{follower}')"
    )
    now = next_words(page)
    assert percent(now[follower][0]) > 90
    assert percent(now[FOLLOWER][0]) < 1
    assert percent(now[FOLLOWER][1]) > 95  # when they were said twice


def test_the_effects_stand_beside_the_shares(opened) -> None:
    page = opened()
    page.get_by_label("Show what removing each word does").check()
    page.wait_for_selector("td.cw-effect:visible")
    effects = page.locator("td.cw-effect:visible .cw-number").all_inner_texts()
    assert len(effects) == 13
    assert float(effects[4].replace("−", "-")) < -90
    assert max(int(share) for share in shares(page, 5)) < 5
    assert f"“{SHOWN[4]}” (5) gets less than 5\u00a0% from each head" in verdict(page)
    page.wait_for_function("location.hash.endsWith('?compare=true')")


# ---- the course model ----------------------------------------------------------------------------


def test_the_course_model_is_shown_as_it_was_recorded(opened) -> None:
    page = opened("removed=6&layer=1")
    page.get_by_label("Model", exact=True).select_option("course")
    page.wait_for_function("document.querySelector('.cw-token').textContent === 'M'")
    prompt = RECORDED["course"]["prompts"][0]
    visible = page.locator(".cw-token:visible").all_inner_texts()
    assert visible == [token.strip() for token in prompt["tokens"]]
    assert page.locator(".cw-gone").count() == 0
    assert page.get_by_role("slider", name="Words").is_hidden()
    assert page.get_by_role("slider", name="Layer").get_attribute("aria-valuetext") == "5 of 6"
    p = dict(zip(prompt["candidates"], prompt["readings"][0]["p"], strict=True))
    shown = next_words(page)
    for text in sorted(p, key=lambda text: -p[text])[:6]:
        assert shown[text.strip()][0] == f"{100 * p[text]:.1f}\u00a0%"
    page.get_by_label("Text", exact=True).select_option("door")
    page.wait_for_function("document.querySelector('.cw-token').textContent === 'She'")
    assert "“door” leads" in verdict(page)
    page.get_by_role("button", name="Reset all").click()
    page.wait_for_function(f"document.querySelector('.cw-token').textContent === '{SHOWN[0]}'")


def test_a_notebooks_stored_output_comes_to_life(visit, site) -> None:
    page = visit(f"{site.as_uri()}/stored.html")
    assert verdict(page).startswith("Layer 2 of 6, from “at” (10): head ")


def test_each_step_of_the_page_shows_what_it_speaks_of(visit, site) -> None:
    page = visit(f"{site.as_uri()}/steps.html", wait=f"#{NAME}[data-afm-ready]")
    seen = []
    for number in range(1, 8):
        link = page.get_by_role("link", name=f"Step {number} of 7")
        link.click()
        page.wait_for_function(
            f"document.querySelector('.cw-steps [aria-current]').textContent === '{number}'"
        )
        seen.append(verdict(page))
    assert len(set(seen)) == 7
    assert "the word after its first occurrence" in seen[0]
    assert f"from “{FOLLOWER}” (6): head 4 gives" in seen[1]
    assert f"and “{NEXT}” leads" in seen[2]
    assert f"Without “{SHOWN[1]}” (2)" in seen[3]
    assert "the word after its first occurrence" in seen[4]
    assert "gets less than" in seen[5]
    assert "“him” leads" in seen[6]
    for before in reversed(seen[:-1]):
        page.go_back()
        page.wait_for_function(
            "text => document.querySelector('.cw-verdict').textContent === text", arg=before
        )


# ---- the reader's own text -----------------------------------------------------------------------


@torch.no_grad()
def test_the_course_model_reads_the_readers_own_text(visit, site, address) -> None:
    page = visit(f"{address}/index.html")
    page.get_by_role("button", name="Load the model").click()
    field = page.locator(".cw-own-text input")
    field.wait_for()
    assert field.evaluate("node => node === document.activeElement")
    field.fill("")
    page.keyboard.press("Enter")
    status = page.locator(".cw-live [role=status]")
    assert status.inner_text() == "The text has 0 tokens; it must have 2 to 16."
    field.fill("the old man and the young man and the old woman and the young woman and the child")
    page.keyboard.press("Enter")
    assert "tokens; it must have 2 to 16." in status.inner_text()

    text = "He opened the door and went"
    field.fill(text)
    page.get_by_role("button", name="Read").click()
    page.wait_for_function("document.querySelector('.cw-token').textContent === 'He'")
    model, tokenizer = load()
    ids = tokenizer.encode(text).ids
    tokens = page.locator(".cw-token:visible").all_inner_texts()
    assert tokens == [tokenizer.decode([token]).strip() for token in ids]
    p = model(torch.tensor([ids]))[0, -1].softmax(-1)
    shown = next_words(page)
    for token in p.topk(4).indices.tolist():
        name = tokenizer.decode([token]).strip()
        assert percent(shown[name][0]) == pytest.approx(100 * float(p[token]), abs=2)
    looks = attention_shares(model, ids)[4, :, -1]  # (H, T) of layer 5
    for place in range(len(ids)):
        own = [int(share) for share in shares(page, place + 1)]
        assert own == pytest.approx((100 * looks[:, place]).tolist(), abs=4)

    page.get_by_label("Show what removing each word does").check()
    page.wait_for_selector("td.cw-effect:visible")
    page.get_by_role("button", name="Remove went, place 6").click()
    page.wait_for_function("document.querySelector('.cw-verdict').textContent.includes('Without')")
    field.fill("Once upon a time")  # the settings stay, the text is another
    page.get_by_role("button", name="Read").click()
    page.wait_for_function("document.querySelector('.cw-token').textContent !== 'He'")
    assert page.locator(".cw-gone").count() == 0
    page.get_by_label("Model", exact=True).select_option("copy")
    page.wait_for_function(f"document.querySelector('.cw-token').textContent === '{SHOWN[0]}'")


# ---- every reader --------------------------------------------------------------------------------


def test_a_finger_chooses_and_removes_and_sees_the_bars_move(opened) -> None:
    page = opened(width=390, has_touch=True, is_mobile=True)
    page.set_viewport_size({"width": 390, "height": 760})
    target = row(page, 6)
    target.evaluate("node => node.scrollIntoView({ block: 'center', behavior: 'instant' })")
    place = page.evaluate("scrollY")
    target.locator("label").tap()
    assert chosen(page) == 6
    remove = page.get_by_role("button", name=f"Remove {SHOWN[4]}, place 5")
    size = remove.bounding_box()
    assert min(size["width"], size["height"]) >= 24  # WCAG 2.2, target size
    remove.tap()
    page.wait_for_selector(".cw-gone")
    assert page.evaluate("scrollY") == place  # nothing jumped under the finger
    chart = page.locator(".cw-next").bounding_box()
    bar = page.locator(".bd-header-article").bounding_box()
    assert chart["y"] >= bar["y"] + bar["height"] - 1
    assert chart["y"] + chart["height"] < target.bounding_box()["y"] < 760


def test_names_and_groups_are_told(opened) -> None:
    page = opened("removed=2")
    assert page.get_by_role("radio", name=f"6 {FOLLOWER}", exact=True).count() == 1
    assert page.get_by_role("radio", name=f"2 {SHOWN[1]}, removed").is_disabled()
    table = page.get_by_role("table", name="Where the chosen word looks")
    heads = table.get_by_role("columnheader").all_inner_texts()
    assert heads[:5] == ["Who looks?", "Head 1", "Head 2", "Head 3", "Head 4"]


def test_it_is_accessible_beside_the_other_explorer_of_its_page(visit, site) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(f"{site.as_uri()}/steps.html", wait=f"#{NAME}[data-afm-ready]")
    results = axe.run(page, context=f"#{NAME}", options={"preload": False})
    assert [v["id"] for v in results.response["violations"]] == []


@pytest.mark.parametrize("query", ["", "removed=6&compare=true", "model=course&compare=true"])
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
