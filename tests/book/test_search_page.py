"""The search page finds terms, cuts clean excerpts, and guesses at a typo."""

from __future__ import annotations

import pytest

from tests.small_book import ROOT, build

PAGE = """# Sampling

## Nothing here

At the top there is some text, and p stands for a probability.

## Which tokens stay?

```{index} !top-p, !nucleus sampling
```

The smallest set that reaches the sum is kept.
"""
OTHER = """# Other

The top of this page, p. 3, top, p. It repeats top and p: top-p, top-p, top-p.

**Predict.** Which plum?

1. Red.
2. Blue.

<details data-answer="1"><summary>Open after you have chosen</summary>

The red plum.

</details>
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    toc = "# Home\n\n```{toctree}\nsampling\nother\n```\n"
    return build(
        tmp_path_factory.mktemp("search"),
        {"index.md": toc, "sampling.md": PAGE, "other.md": OTHER},
        extensions=["myst_parser", "predictions", "search_page", "course_book"],
        html_theme="sphinx_book_theme",
        html_context={"default_mode": "auto"},
        html_static_path=[str(ROOT / "book/_static")],
    )


def test_a_term_leads_to_its_section_first(address, visit):
    page = visit(f"{address}/search.html?q=top-p", wait="#search-results li a")
    first = page.locator("#search-results li a").first
    assert "sampling.html#index-0" in first.get_attribute("href")
    assert first.inner_text() == "Sampling > Which tokens stay?"


def test_an_excerpt_holds_the_article_and_no_answer(web, visit):
    page = visit(f"{web}/search.html?q=plum", wait="#search-results p.context")
    excerpt = page.inner_text("#search-results p.context")
    assert excerpt.lstrip(".\n ").startswith("Other")  # not with the download menu
    assert "Which plum" in excerpt
    assert "red plum" not in excerpt


def test_the_excerpt_of_a_term_is_of_its_section(web, visit):
    page = visit(f"{web}/search.html?q=nucleus+sampling", wait="#search-results p.context")
    assert page.locator("#search-results p.context").count() >= 1


def test_a_typo_is_answered_with_the_nearest_term(address, visit):
    page = visit(f"{address}/search.html?q=nucleus+samplign", wait="#search-results p a")
    assert page.inner_text("#search-results p a") == "nucleus sampling"


def test_nothing_is_suggested_for_what_is_far_from_every_term(web, visit):
    page = visit(f"{web}/search.html?q=zzzzzzzz", wait="#search-results")
    page.get_by_text("did not match any documents").wait_for()
    assert page.locator("#search-results p a").count() == 0
