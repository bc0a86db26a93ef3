"""The directive that pastes a notebook's figure into a page, and the role that pastes a number."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from notebook_content import NotebookContentError, figure_of, find_cell, record_value

from tests.small_book import BuildError, build, code_cell, notebook

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="3pt" height="2pt"></svg>'


def cell(
    cell_id: str, alt: str | None = "A curve that peaks at one.", images: int = 1, **metadata
) -> dict:
    if alt is not None:
        metadata["mystnb"] = {"image": {"alt": alt}}
    return code_cell(cell_id, *[{"image/svg+xml": SVG}] * images, metadata=metadata)


def test_find_cell_by_id_and_by_name() -> None:
    book = json.loads(notebook(cell("a1"), cell("b2", name="peak")))
    assert find_cell(book, "a1")["id"] == "a1"
    assert find_cell(book, "peak")["id"] == "b2"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([cell("a1")], r"no cell called 'x' \(cells with a figure: a1\)"),
        ([cell("x"), cell("y", name="x")], "2 cells called 'x'"),
    ],
)
def test_find_cell_says_what_is_there(cells, message) -> None:
    with pytest.raises(NotebookContentError, match=message):
        find_cell({"cells": cells}, "x")


@pytest.mark.parametrize("alt", [None, "", "  ", "figure.png", "../_build/x_1.png"])
def test_figure_needs_a_description(alt) -> None:
    with pytest.raises(NotebookContentError, match="alt is not a description"):
        figure_of(cell("x", alt))


@pytest.mark.parametrize("images", [0, 2])
def test_figure_needs_exactly_one_image(images) -> None:
    with pytest.raises(NotebookContentError, match=f"{images} image/svg.xml outputs"):
        figure_of(cell("x", images=images))


RECORD = {"data": {"widths": [1, 2], "risk": {"peak": 3.14159}, "name": "cnn", "ok": True}}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("data.risk.peak:.2f", "3.14"),
        ("data.widths.1", "2"),
        ("data.widths.1:,.1f", "2.0"),
        ("data.name", "cnn"),
    ],
)
def test_record_value(tmp_path, path, text) -> None:
    (tmp_path / "r.json").write_text(json.dumps(RECORD))
    assert record_value(tmp_path, f"r.json::{path}") == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("absent.json::a", "no such file"),
        ("r.json", "write FILE.json::path"),
        ("r.json::data.peak", r"no 'peak' at data \(there: widths, risk, name, ok\)"),
        ("r.json::data.widths.7", "no '7' at data.widths"),
        ("r.json::data.risk", "is a dict"),
        ("r.json::data.ok", "is a bool"),
        ("r.json::data.risk.peak", "state how to write it"),
        ("r.json::data.name:.2f", "cannot format 'cnn'"),
    ],
)
def test_record_value_fails_in_one_line(tmp_path, text, message) -> None:
    (tmp_path / "r.json").write_text(json.dumps(RECORD))
    with pytest.raises(NotebookContentError, match=message) as caught:
        record_value(tmp_path, text)
    assert "\n" not in str(caught.value)


def page_html(folder: Path, page: str) -> str:
    """Build ``page`` beside one notebook and one record, and return its HTML."""
    pages = {
        "index.md": "# Book\n\n```{toctree}\nbook/page\n```\n",
        "book/page.md": page,
        "notebooks/dd/01_x.ipynb": notebook(cell("peak")),
        "records/dd/run.json": json.dumps(RECORD),
    }
    build(folder, pages, extensions=["myst_parser", "notebook_content"], numfig=True)
    return (folder / "_build/html/book/page.html").read_text()


PAGE = """# Page

See {{numref}}`fig-peak`, where the risk is {{record}}`dd/run.json::data.risk.peak:.2f`.

```{{notebook-figure}} {target}
:name: fig-peak
The risk *peaks* where the model just fits.
```
"""


def test_page_shows_the_stored_figure(tmp_path) -> None:
    html = page_html(tmp_path, PAGE.format(target="../notebooks/dd/01_x.ipynb::peak"))
    figure = re.search(r"<figure.*?</figure>", html, re.DOTALL).group()
    assert 'id="fig-peak"' in figure
    assert 'alt="A curve that peaks at one."' in figure
    assert "<em>peaks</em>" in figure
    assert "Fig. 1" in figure
    assert "Fig. 1" in html.split("<figure")[0]  # the reference resolves to the number
    assert "the risk is 3.14" in html
    source = re.search(r'src="([^"]+)"', figure).group(1)
    stored = tmp_path / "_build" / "html" / "book" / source
    assert stored.read_text() == SVG
    assert stored.name == "dd-01_x-peak.svg"


def test_an_unnumbered_figure_takes_no_number_from_the_others(tmp_path) -> None:
    first = (
        "```{notebook-figure} ../notebooks/dd/01_x.ipynb::peak\n:unnumbered:\n\nThe same.\n```\n"
    )
    page = PAGE.format(target="../notebooks/dd/01_x.ipynb::peak")
    html = page_html(tmp_path, page.replace("# Page\n", f"# Page\n\n{first}"))
    without, numbered = re.findall(r"<figure.*?</figure>", html, re.DOTALL)
    assert "The same." in without
    assert "Fig." not in without
    assert "Fig. 1" in numbered


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("../notebooks/dd/01_x.ipynb::other", "page.md:5: .*no cell called 'other'"),
        ("../notebooks/dd/02_y.ipynb::peak", "page.md:5: .*no such file"),
        ("../notebooks/dd/01_x.ipynb", "page.md:5: .*write NOTEBOOK.ipynb::CELL"),
    ],
)
def test_page_fails_when_the_figure_is_missing(tmp_path, target, message) -> None:
    with pytest.raises(BuildError, match=message):
        page_html(tmp_path, PAGE.format(target=target))
