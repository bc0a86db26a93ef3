"""Questions hide their answers until a guess: the transform, and the script in a browser."""

from __future__ import annotations

import json

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.small_book import BuildError, build, code_cell, notebook

QUESTION = """
**Predict.** Where is the error largest?

1. At 20 features.
2. At 400 features.
3. At 4000 features.

<details data-answer="2"><summary>Open after you have chosen</summary>

At 400, by a wide margin.

</details>

The peak is shown here.
"""
OPEN_QUESTION = """
**Predict.** How many?

<details><summary>Open after you have chosen</summary>

Fifty-seven.

</details>

(counted)=
The count stands here.
"""
PAGE = f"""# A page

See [the count](#counted).

## First

Before.
{QUESTION}
{OPEN_QUESTION}
### Below

Always open.

## Second

Open as well.
"""
SETTINGS = dict(
    extensions=["myst_nb", "predictions", "course_book"],
    nb_execution_mode="off",
    myst_enable_extensions=["colon_fence"],
    html_theme="sphinx_book_theme",
    html_context={"default_mode": "auto"},
    html_static_path=[],
)


def markdown(text: str) -> dict:
    return {"cell_type": "markdown", "id": "m", "metadata": {}, "source": text}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predictions")
    book = json.loads(notebook())
    book["cells"] = [
        markdown(f"# A notebook\n\n## Run\n{QUESTION}"),
        code_cell("c", {"text/plain": "0.877"}),
        {**markdown("## Next\n\nOpen."), "id": "n"},
    ]
    toc = "# Home\n\n```{toctree}\npage\nbook\n```\n"
    pages = {"index.md": toc, "page.md": PAGE, "book.ipynb": json.dumps(book)}
    from tests.small_book import ROOT

    static = str(ROOT / "book/_static")
    return build(folder, pages, **{**SETTINGS, "html_static_path": [static]})


def shown(page) -> str:
    """What a reader of the page can see of the article."""
    return page.inner_text(".bd-article")


def test_nothing_that_answers_is_seen_before_a_guess(address, visit):
    page = visit(f"{address}/page.html", wait=".prediction-controls")
    for answer in ("by a wide margin", "The peak is shown", "How many?", "Fifty-seven"):
        assert answer not in shown(page)
    for open_text in ("Before.", "At 4000 features.", "Always open.", "Open as well."):
        assert open_text in shown(page)


def test_the_output_of_a_later_cell_is_hidden_too(web, visit):
    page = visit(f"{web}/book.html", wait=".prediction-controls")
    assert "0.877" not in shown(page)
    assert "Open." in shown(page)
    page.get_by_text("At 20 features.").click()
    assert "0.877" in shown(page)


@pytest.mark.parametrize(
    ("option", "said", "marks"),
    [
        ("At 400 features.", "Your guess is right.", ["✓ your guess"]),
        (
            "At 20 features.",
            "Your guess was option 1; option 2 is right.",
            ["✗ your guess", "✓ the answer"],
        ),
    ],
)
def test_a_press_marks_the_guess_and_opens_the_answer(option, said, marks, web, visit):
    page = visit(f"{web}/page.html", wait=".prediction-controls")
    page.get_by_text(option).click()
    assert "by a wide margin" in shown(page)
    assert "The peak is shown" in shown(page)
    assert page.inner_text(".said") == said
    assert page.locator(".mark").all_inner_texts() == marks
    # The next question of the section is there now, with its own answer still closed.
    assert "How many?" in shown(page)
    assert "Fifty-seven" not in shown(page)
    page.get_by_role("button", name="I have my guess").click()
    assert "The count stands here" in shown(page)


def test_the_keyboard_moves_without_choosing(web, visit):
    page = visit(f"{web}/page.html", wait=".prediction-controls")
    page.get_by_role("radio").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert "by a wide margin" not in shown(page)
    assert page.get_by_role("radio").nth(2).is_checked()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Check my guess"
    page.keyboard.press("Enter")
    assert page.inner_text(".said") == "Your guess was option 3; option 2 is right."


def test_a_group_with_a_name_and_a_status_for_a_screen_reader(web, visit):
    page = visit(f"{web}/page.html", wait=".prediction-controls")
    assert page.get_by_role("group", name="Your guess").count() == 1
    assert page.get_by_role("radio", name="At 400 features.").count() == 1
    assert page.locator(".said").first.get_attribute("role") == "status"


def test_a_guess_is_remembered_and_everything_can_be_shown(web, visit):
    page = visit(f"{web}/page.html", wait=".prediction-controls")
    page.get_by_text("At 20 features.").click()
    page.reload()
    page.wait_for_selector(".predictions-bar")
    assert "option 2 is right" in shown(page)
    assert "Fifty-seven" not in shown(page)
    page.get_by_role("button", name="Show everything").click()
    assert "Fifty-seven" in shown(page)
    page.goto(f"{web}/book.html")
    assert "0.877" in shown(page)
    with page.expect_navigation():
        page.get_by_role("button", name="Ask me first again").click()
    page.wait_for_selector(".prediction-controls")
    assert "0.877" not in shown(page)


def test_a_link_into_a_hidden_part_opens_it(address, visit):
    page = visit(f"{address}/page.html#counted", wait=".predictions-bar")
    assert "The count stands here" in shown(page)
    page.evaluate("localStorage.clear()")
    page.goto(f"{address}/page.html")
    page.reload()
    page.wait_for_selector(".prediction-controls")
    page.get_by_role("link", name="the count").click()
    page.get_by_text("The count stands here").wait_for()


def test_everything_is_open_without_the_script_and_on_paper(web, visit, chromium):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{web}/page.html")
    assert "by a wide margin" in shown(page)
    assert "The count stands here" in shown(page)
    context.close()
    page = visit(f"{web}/page.html", wait=".prediction-controls")
    page.emulate_media(media="print")
    assert "by a wide margin" in shown(page)
    assert "Check my guess" not in shown(page)


def test_a_storage_that_is_closed_harms_nothing(web, visit, chromium):
    context = chromium.new_context()
    context.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('closed'); }})"
    )
    page = context.new_page()
    page.goto(f"{web}/book.html")
    page.get_by_text("At 20 features.").click()
    assert "0.877" in shown(page)
    context.close()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("answered", [False, True])
def test_no_barrier_before_or_after_a_guess(dark, answered, web, visit):
    page = visit(f"{web}/page.html", dark=dark, wait=".prediction-controls")
    if answered:
        page.get_by_text("At 20 features.").click()
    found = Axe().run(page, context=".prediction", options={"preload": False}).response
    assert [violation["id"] for violation in found["violations"]] == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            QUESTION.replace('"2"', '"4"'),
            r'data-answer="…" must be in \[1, 3\], the options, got 4',
        ),
        (QUESTION.replace(' data-answer="2"', ""), "must be in .1, 3., the options, got 0"),
        (OPEN_QUESTION.replace("<details>", '<details data-answer="1">'), "but no numbered list"),
        (QUESTION.replace("**Predict.** ", ""), r"no paragraph that begins with \*\*Predict"),
        (QUESTION.replace("</details>", ""), "</details> is missing"),
    ],
)
def test_a_question_that_is_not_whole_stops_the_build(tmp_path, text, problem):
    with pytest.raises(BuildError, match=problem):
        build(tmp_path, {"index.md": f"# Home\n\n## Part\n{text}"}, **SETTINGS)
