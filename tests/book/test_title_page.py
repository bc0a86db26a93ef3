"""What the title page promises: its articles, its verdicts, and captions that are seen."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.small_book import ROOT, build, code_cell, notebook

TITLE = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
CHAPTERS = sorted(
    path.stem
    for path in (ROOT / "book").glob("*.md")
    if "## What this settles" in path.read_text(encoding="utf-8")
)
PAGE = """# Figures

```{notebook-figure} one.ipynb::fig
:unnumbered:

A caption to be seen.
```

## Below

```{toctree}
one
```
"""
DRAWING = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="30pt" height="20pt"><!-- numbers: [] --></svg>'
)


def test_every_chapter_has_a_card():
    cards = re.findall(r"^:link: (\w+)$", TITLE, re.MULTILINE)
    assert sorted(cards) == CHAPTERS


def test_every_card_names_its_chapter_as_the_chapter_does():
    for name, chapter in re.findall(r"\{grid-item-card\} (.+)\n:link: (\w+)", TITLE):
        page = (ROOT / "book" / f"{chapter}.md").read_text(encoding="utf-8")
        assert page.startswith(f"# {name}\n")


def test_a_quoted_claim_stands_with_its_verdict():
    claims = re.findall(r"\((?:claim )?([AB]\d+)\)", TITLE)
    assert len(claims) == 3
    for claim in claims:
        assert f"{{verdict}}`{claim}`" in TITLE, claim


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("title")
    shutil.copytree(ROOT / "book" / "_static", folder / "static")
    alt = {"mystnb": {"image": {"alt": "A drawing of nothing."}}}
    title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# One"}
    one = notebook(title, code_cell("fig", {"image/svg+xml": DRAWING}, metadata=alt))
    return build(
        folder,
        {"index.md": PAGE, "one.ipynb": one},
        extensions=["myst_nb", "course_book", "notebook_content", "figures"],
        nb_execution_mode="off",
        html_theme="sphinx_book_theme",
        html_static_path=["static"],
        html_css_files=["course.css"],
        html_context={"default_mode": "auto"},
    )


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_figure_in_two_palettes_keeps_its_caption(visit, site, dark):
    page = visit(f"{site.as_uri()}/index.html", dark=dark, wait="figure")
    assert page.locator("figcaption").is_visible()
    assert page.locator("figure img:visible").count() == 1
