"""A page's description and title for search engines and previews, and one viewport tag."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from page_head import LONGEST, head, shortened

from tests.small_book import build

PAGES = {
    "index.md": """# A book & its name

The *first* paragraph
has a "quotation" and a mark[^mark].

[^mark]: A note.

```{toctree}
formula
none
long
```
""",
    "formula.md": "# Formula\n\n- A list.\n\nHere $x$ is a number.\n\n## Part\n\nPlain words.\n",
    "none.md": "# None\n\n- A list.\n",
    "long.md": "# Long\n\nA sentence. " + "word " * 100 + "\n",
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    return build(
        tmp_path_factory.mktemp("book"),
        PAGES,
        extensions=["myst_parser", "course_book", "page_head"],
        html_theme="sphinx_book_theme",
        myst_enable_extensions=["dollarmath"],
    )


def metadata(page: Path) -> dict[str, str]:
    """Name or property of each meta tag, and its content as it stands in the file."""
    text = page.read_text(encoding="utf-8")
    return dict(re.findall(r'<meta (?:name|property)="([^"]+)" content="([^"]*)"', text))


def test_the_first_paragraph_describes_the_page(pages):
    found = metadata(pages / "index.html")
    said = "The first paragraph has a “quotation” and a mark."
    assert found["description"] == found["og:description"] == said
    assert found["og:title"] == "A book &amp; its name"
    assert found["og:type"] == "website"


def test_lists_and_formulas_are_passed_over(pages):
    found = metadata(pages / "formula.html")
    assert found["description"] == "Plain words."
    assert found["og:type"] == "article"


def test_without_a_paragraph_there_is_a_title_only(pages):
    found = metadata(pages / "none.html")
    assert found["og:title"] == "None"
    assert "description" not in found
    assert "og:description" not in found


def test_a_long_paragraph_is_cut_at_a_sentence_or_a_word(pages):
    assert metadata(pages / "long.html")["description"] == "A sentence."
    cut = shortened("word " * 100)
    assert len(cut) <= LONGEST
    assert cut.endswith("word…")


def test_what_would_end_the_tag_is_escaped():
    assert '"><b>' not in head('"><b>', '"><b>', "article")


@pytest.mark.parametrize("name", ["index", "none", "search", "genindex"])
def test_a_page_has_one_viewport_tag(pages, name):
    text = (pages / f"{name}.html").read_text(encoding="utf-8")
    assert text.count('name="viewport"') == 1
