"""The search of the built book finds the section that explains a term, over http and from disk."""

from __future__ import annotations

from pathlib import Path

import pytest

# A term, and where it is explained: a page, and how the title begins after the chapter's number.
TERMS = {
    "top-p": ("book/sampling.html", "Sampling > "),
    "min-p": ("book/sampling.html", "Sampling > "),
    "peak": ("book/double_descent.html", "Double descent > Why is there a peak?"),
    "KV cache": ("book/parameters.html", "What a parameter is > What does a window cost?"),
    "grokking": ("book/implicit_regularization.html", "Implicit regularization > "),
}


@pytest.fixture(scope="module")
def site(html) -> Path:
    return html


@pytest.mark.parametrize("term", TERMS)
def test_the_section_of_a_term_is_among_the_first_three(address, visit, term):
    wanted, title = TERMS[term]
    query = term.replace(" ", "+")
    page = visit(f"{address}/search.html?q={query}", wait="#search-results li a")
    page.wait_for_function(  # the results come one by one
        "document.querySelector('#search-summary, .search-summary')?.textContent.match(/\\d/)"
    )
    first = page.locator("#search-results li > a").all()[:3]
    found = {link.inner_text(): link.get_attribute("href") for link in first}
    places = {said: href.split("?")[0] for said, href in found.items()}
    right = [said for said, href in places.items() if href.startswith(f"{wanted}#")]
    titles = [said.partition(". ")[2] for said in right]  # without the chapter's number
    assert any(said.startswith(title) for said in titles), found


def test_a_result_leads_to_its_section(address, visit):
    page = visit(f"{address}/search.html?q=grokking", wait="#search-results li a")
    link = page.locator("#search-results li > a").first
    section = link.inner_text().partition(" > ")[2]
    link.click()
    page.get_by_role("heading", name=section).wait_for()
    page.wait_for_function(  # the page scrolls there smoothly
        """section => [...document.querySelectorAll("article h2, article h3")].some((heading) =>
          heading.textContent.includes(section) &&
          Math.abs(heading.getBoundingClientRect().top) < innerHeight)""",
        arg=section,
    )
