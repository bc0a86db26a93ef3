"""The one-shot game in a real browser: buying, forecasting, committing, touch, keyboard."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import Finger
from tests.small_book import code_cell, notebook, widget_book
from utils import records
from utils.widgets.one_shot_game.settings import LENGTHS, RECORD

NAME = "one-shot-game"
GRID = "r122232728292d2e2f2j2k2l2"  # the rival's grid, as an address has it
INDEX = f"""# A game

```{{anywidget}} utils/widgets/one_shot_game/widget.mjs
:label: One-shot game
:name: {NAME}
:record: {RECORD}.json
{{}}
```

{"Text below the game. " * 300}

```{{toctree}}
stored
```
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    from utils.widgets.one_shot_game.widget import OneShotGame

    title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# Stored"}
    output = OneShotGame(hero=2)._repr_mimebundle_()[0]
    pages = {"index.md": INDEX, "stored.ipynb": notebook(title, code_cell("game", output))}
    return widget_book(tmp_path_factory.mktemp("book"), pages)


@pytest.fixture
def opened(visit, site):
    """Open the game under some settings."""

    def go(query: str = "", **options):
        hash = f"#{NAME}?{query}" if query else ""
        return visit(f"{site.as_uri()}/index.html{hash}", **options)

    return go


@pytest.fixture(scope="module")
def game() -> dict:
    return records.load(RECORD).data["game"]


def cell(page, width: int, length: int):
    return page.locator(".cw-board tbody tr").nth(width).locator("button").nth(length)


def task(page) -> str:
    return page.locator(".cw-task").inner_text()


def forecast(page) -> float:
    return float(page.locator(".cw-handle").get_attribute("aria-valuenow"))


def test_untouched_it_shows_prices_and_no_losses(visit, address, game) -> None:
    page = visit(f"{address}/index.html")
    assert "The hero: width 96, 2,048,000 tokens, c = 0.5." in task(page)
    assert "300 of 300 seconds" in task(page)
    texts = page.locator(".cw-run").all_inner_texts()
    assert len(texts) == 36
    assert texts[-1] == "hero"
    assert all(text.endswith(" s") for text in texts[:-1])
    price = game["seconds_per_step"][0] * LENGTHS[0] / 512
    assert texts[0] == f"{price:.1f} s"
    assert page.locator(".cw-results").is_hidden()
    assert page.locator(".cw-bought circle").count() == 0
    page.wait_for_timeout(1000)
    assert page.locator(".cw-game > [aria-live]").inner_text() == ""  # nobody has asked


def test_a_run_is_bought_once_and_its_loss_appears(opened, game) -> None:
    page = opened()
    cell(page, 3, 2).click()
    assert cell(page, 3, 2).inner_text() == f"{game['losses'][3][2][2]:.2f}"
    left = task(page)
    cell(page, 3, 2).click(force=True)  # it says that it is disabled, and playwright would wait
    assert task(page) == left
    page.get_by_role("combobox").select_option("2")
    assert cell(page, 3, 2).inner_text().endswith(" s")  # at another rate it is another run
    cell(page, 3, 2).click()
    assert cell(page, 3, 2).inner_text() == f"{game['losses'][3][2][4]:.2f}"
    assert page.locator(".cw-bought circle").count() == 2
    cell(page, 5, 5).click(force=True)  # the hero is not for sale, at no rate
    assert page.locator(".cw-bought circle").count() == 2
    page.wait_for_function("location.hash.includes('bought=rk2k4')")


def test_the_money_ends(opened) -> None:
    page = opened()
    for length in (5, 4, 3):
        for width in (4, 3, 2, 1, 0):
            cell(page, width, length).click(force=True)
    spent = page.locator(".cw-have").count()
    assert 3 < spent < 10
    assert " of 300 seconds are left" in task(page)
    assert cell(page, 0, 3).get_attribute("aria-disabled") in ("true", "false")
    assert cell(page, 4, 5).get_attribute("aria-disabled") == "true"


def test_a_forecast_is_committed_and_cannot_be_changed(opened, game) -> None:
    page = opened()
    page.get_by_role("button", name="Buy a grid").click()
    assert "You have bought 12 runs" in task(page)
    slider = page.get_by_role("slider", name="Forecast", exact=True)
    slider.focus()
    page.keyboard.press("Home")
    for _ in range(60):
        page.keyboard.press("ArrowRight")
    assert forecast(page) == 3.1
    page.get_by_role("button", name="Commit").click()
    results = page.locator(".cw-results")
    said = results.inner_text().replace("\u00a0", " ")
    outcome = game["losses"][5][5][2]
    assert f"The hero came out at {outcome:.3f} nats." in said
    miss = 100 * (3.1 / outcome - 1)
    assert f"You: 3.10 [2.90, 3.30], miss +{miss:.1f} %, interval held, score 0.40." in said
    assert "from an L of 11 runs" in said
    assert "from a grid of 12 runs" in said
    assert slider.is_disabled()
    page.locator(".cw-handle").focus()
    page.keyboard.press("ArrowUp")
    cell(page, 0, 0).click(force=True)
    assert page.get_by_role("button", name="Buy an L").is_disabled()
    assert forecast(page) == 3.1
    assert "You have bought 12 runs" in task(page)
    page.wait_for_function("location.hash.includes('committed=true')")
    page.get_by_role("button", name="New game").click()
    assert "The hero: width 96, 1,024,000 tokens" in task(page)
    assert results.is_hidden()
    assert page.locator(".cw-have").count() == 0


def test_what_comes_after_is_heard(opened) -> None:
    page = opened(f"bought={GRID}&forecast=3.2")
    page.get_by_role("button", name="Commit").focus()
    page.keyboard.press("Enter")
    page.wait_for_function(
        "document.querySelector('.cw-game > [aria-live]').textContent.includes('came out at')"
    )


def test_a_finger_drags_the_forecast(opened) -> None:
    page = opened(f"bought={GRID}", width=390, has_touch=True, is_mobile=True)
    box = page.locator(".cw-handle circle").nth(1).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    Finger(page).draw(*((x, y + down) for down in (0, 12, 30, 45)))
    assert 2.8 < forecast(page) < 3.6
    assert page.evaluate("scrollY") == 0


def test_the_keyboard_moves_the_forecast(opened) -> None:
    page = opened()
    page.locator(".cw-handle").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    assert forecast(page) == pytest.approx(3.89)


def test_a_link_to_too_many_runs_stays_within_the_money(opened) -> None:
    every = "r" + "".join(f"{c}2" for c in "0123456789abcdefghijklmnopqrstuvwxyz")
    page = opened(f"bought={every}")
    assert page.locator(".cw-correction").is_visible()
    assert page.locator(".cw-have").count() < 30


def test_a_notebooks_stored_output_comes_to_life(visit, address) -> None:
    page = visit(f"{address}/stored.html")
    assert "The hero: width 96, 1,024,000 tokens" in task(page)


@pytest.mark.parametrize(
    "query", ["", f"bought={GRID}&forecast=3.2&committed=true"], ids=["start", "end"]
)
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
