"""The built book as a zip that opens from disk, and as a PDF with everything in it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pypdf
import pytest
from redirects import page_that_leads

from tests.small_book import ROOT, build, code_cell, notebook
from utils.book import dist as command
from utils.book.build import COMPLETE
from utils.book.built_pages import chapters, joined, reading_order, title_page

EXTENSIONS = ["myst_nb", "sphinx_exercise", "sphinx_togglebutton"]
EXTENSIONS += ["predictions", "course_widgets", "course_book", "first_paint"]
CITATION = """
title: A small book
abstract: It has two chapters and a notebook.
version: 1.2.3
license: MIT
authors:
  - name: Whoever wrote this test
"""
INDEX = """# Home

See [the second chapter](two.md).

```{toctree}
:hidden:
:caption: The first part
one
```

```{toctree}
:hidden:
:caption: The last part
two
genindex
```
"""
ONE = r"""# Chapter one

The area is $\pi r^2$.

**Predict.** Which one?

1. The first option.
2. The second option.

<details data-answer="2"><summary>Open after you have chosen</summary>

Because of what the answer says.

</details>

```{exercise} A task
:label: task
Do it.
```

```{solution} task
:class: dropdown
What the solution says.
```

```{toctree}
:hidden:
notebook
```
"""
TWO = """# Chapter two

```{anywidget} utils/widgets/toy/widget.mjs
:label: A toy
```

(far)=
## A section far away

```{index} word
```

Back to [the notebook](notebook.ipynb) and to <https://example.org/elsewhere>.
"""
WIDGET = """export default { render({ el }) {
  el.innerHTML = "<p>What the explorer draws.</p><a href='#toy'>a link of its own</a>";
} };
"""
LONG_LINE = "x = [" + ", ".join(["1234567890"] * 30) + "]"


def markdown(text: str) -> dict:
    return {"cell_type": "markdown", "id": "m", "metadata": {}, "source": text}


def one_notebook() -> str:
    book = json.loads(notebook())
    hidden = code_cell("hidden", metadata={"tags": ["hide-cell"]})
    long_code = code_cell("long")
    book["cells"] = [
        markdown("# A notebook\n\nGo to {ref}`far`."),
        {**hidden, "source": "what_is_hidden = 1"},
        {**long_code, "source": LONG_LINE + "\nlast_name_of_the_line = 2"},
    ]
    return json.dumps(book)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A folder with a small book, built as `make book` builds the course."""
    root = tmp_path_factory.mktemp("book")
    shutil.copytree(ROOT / "utils" / "widgets" / "shared", root / "utils" / "widgets" / "shared")
    pages = {
        "index.md": INDEX,
        "one.md": ONE,
        "two.md": TWO,
        "genindex.md": "# Index\n",
        "notebook.ipynb": one_notebook(),
        "utils/widgets/toy/widget.mjs": WIDGET,
        "CITATION.cff": CITATION,
        "LICENSE": (ROOT / "LICENSE").read_text(encoding="utf-8"),
    }
    build(
        root,
        pages,
        extensions=EXTENSIONS,
        nb_execution_mode="off",
        myst_enable_extensions=["dollarmath"],
        mathjax_path="../mathjax/tex-svg.js",
        html_theme="sphinx_book_theme",
        html_context={"default_mode": "auto"},
        html_static_path=[str(ROOT / "book" / "_static")],
        exclude_patterns=["_build", "utils"],
    )
    (root / "_build" / COMPLETE).touch()
    return root


@pytest.fixture(scope="module")
def made(root, chromium) -> tuple[Path, Path]:
    """The zip and the PDF."""
    # In a process of its own: this one drives the tests' browser already.
    script = (
        "from pathlib import Path; import sys; from utils.book.dist import dist; "
        "print(*dist(Path(sys.argv[1])), sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(root)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    packed, printed = (Path(line) for line in done.stdout.splitlines())
    return packed, printed


@pytest.fixture(scope="module")
def pdf(made) -> pypdf.PdfReader:
    return pypdf.PdfReader(made[1])


# ---- the zip -------------------------------------------------------------------------------------


def test_the_unpacked_zip_opens_from_disk_and_asks_nobody(made, tmp_path, chromium):
    assert made[0].name == "overparameterized-1.2.3.zip"
    zipfile.ZipFile(made[0]).extractall(tmp_path)
    [top] = tmp_path.iterdir()
    assert top.name == "overparameterized-1.2.3"
    page = chromium.new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    # The page's icon may be given up as the next page is opened.
    page.on(
        "requestfailed", lambda it: errors.append(it.url) if "ABORT" not in it.failure else None
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    for name in ("index.html", "one.html", "notebook.html", "two.html"):
        page.goto((top / name).as_uri())
        page.wait_for_load_state("networkidle")
    page.wait_for_selector("[data-afm-ready]")
    page.close()
    # A module is imported from a text of its own page.
    assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []
    assert errors == []


def test_the_same_pages_make_the_same_zip_without_what_nobody_reads(root, tmp_path):
    html = tmp_path / "html"
    shutil.copytree(root / "_build" / "html", html)
    drawing = html / "_images" / "a.svg"
    drawing.parent.mkdir(exist_ok=True)
    for path in (drawing, drawing.with_name("a-light.svg"), drawing.with_name("a-dark.svg")):
        path.write_text("<svg/>")
    (html / "_static" / "scripts" / "x.js.map").write_text("{}")
    command.pack(html, ROOT / "LICENSE", tmp_path / "one.zip", "top")
    for path in html.rglob("*.html"):
        path.touch()
    command.pack(html, ROOT / "LICENSE", tmp_path / "two.zip", "top")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()

    names = zipfile.ZipFile(tmp_path / "one.zip").namelist()
    assert names == sorted(names)
    assert {"top/index.html", "top/_images/a-light.svg", "top/_images/a-dark.svg"} <= set(names)
    assert "top/LICENSE" in names
    left = {
        "top/.buildinfo",
        "top/objects.inv",
        "top/_images/a.svg",
        "top/_static/scripts/x.js.map",
    }
    assert left & set(names) == set()


# ---- the PDF -------------------------------------------------------------------------------------


def test_the_pages_are_read_in_the_order_of_the_sidebar(root):
    pages = reading_order(root / "_build" / "html")
    assert [page.path for page in pages] == [
        "index.html",
        "one.html",
        "notebook.html",
        "two.html",
        "genindex.html",
    ]
    assert [len(group) for group in chapters(pages)] == [1, 2, 1, 1]
    assert [page.part for page in pages] == ["", "The first part", "", "The last part", ""]
    assert joined("a/b.html", "../c%20d.html") == "c d.html"


def test_everything_folded_is_open_and_what_a_screen_needs_is_gone(pdf):
    text = "\n".join(page.extract_text() for page in pdf.pages)
    for said in (
        "A small book",
        "Whoever wrote this test",
        "The second option.",
        "Answer: option 2",
        "Because of what the answer says.",
        "What the solution says.",
        "what_is_hidden",
        "last_name_of_the_line",
        "What the explorer draws.",
        "It is live in the course's web pages, on the page “Chapter two”.",
    ):
        assert said in text, said
    for gone in (
        "Show code cell",
        "Click to show",
        "Check my guess",
        "Search",
        "Next",
        "JavaScript",
    ):
        assert gone not in text, gone
    # Nothing of the long line is cut off, wherever it was broken.
    assert re.sub(r"\s", "", text).count("1234567890") == 30
    # The formula is drawn, and its text is there for those who cannot see it.
    assert r"\(" not in text
    assert re.search(r"The area is\s+\\pi r\^2\s*\.", text)


def test_the_outline_is_the_books_and_a_notebook_stands_below_its_chapter(pdf):
    titles = []

    def note(items: list, depth: int) -> None:
        for item in items:
            if isinstance(item, list):
                note(item, depth + 1)
            else:
                titles.append((depth, item.title, pdf.get_destination_page_number(item) + 1))

    note(pdf.outline, 0)
    assert [title[:2] for title in titles] == [
        (0, "Contents"),
        (0, "Home"),
        (0, "Chapter one"),
        (1, "A notebook"),
        (0, "Chapter two"),
        (1, "A section far away"),
        (0, "Index"),
        (1, "W"),
    ]
    numbers = [page for _, _, page in titles]
    assert numbers == sorted(numbers)
    # The cover, the licence, and then a page for each, as no text here is long.
    assert len(pdf.pages) == 8
    assert pdf.metadata.title == "A small book"


def targets(pdf: pypdf.PdfReader, page: int) -> list[int | str]:
    """Where the links of a page lead: to a page, from 1, or an address."""
    found = []
    for annotation in pdf.pages[page - 1].get("/Annots", []):
        link = annotation.get_object()
        if "/Dest" in link:
            place = pdf.named_destinations[link["/Dest"]]
            found.append(pdf.get_destination_page_number(place) + 1)
        else:
            found.append(link["/A"]["/URI"])
    return found


def test_links_lead_to_pages_of_the_book_and_the_rest_to_where_they_led(pdf):
    assert "Permission is hereby granted" in pdf.pages[1].extract_text()
    contents = pdf.pages[2].extract_text()
    for title, number in (("Home", 4), ("Chapter one", 5), ("A notebook", 6), ("Chapter two", 7)):
        assert re.search(rf"{title}\s*{number}\b", contents), contents
    assert sorted(set(targets(pdf, 3))) == [4, 5, 6, 7, 8]
    assert targets(pdf, 4) == [7]  # from the title page to a chapter
    assert targets(pdf, 6) == [7]  # from the notebook to a section
    assert targets(pdf, 7) == [6, "https://example.org/elsewhere"]  # and not the explorer's own
    # An entry of the index names its page.
    assert re.search(r"word,\s*7\b", pdf.pages[7].extract_text())
    assert targets(pdf, 8) == [7]


def test_the_pdf_is_tagged_from_the_first_page_to_the_last(pdf):
    tree = pdf.trailer["/Root"]["/StructTreeRoot"]
    [book] = [tree["/K"].get_object()]
    assert [part["/S"] for part in book["/K"]] == ["/Part"] * 5
    numbers = tree["/ParentTree"]["/Nums"][::2]
    assert numbers == list(range(len(numbers)))
    used = [page["/StructParents"] for page in pdf.pages]
    for page in pdf.pages:
        used += [link.get_object()["/StructParent"] for link in page.get("/Annots", [])]
    assert sorted(used) == numbers


# ---- what is refused -----------------------------------------------------------------------------


def refused(capsys, monkeypatch, root: Path, *arguments: str) -> str:
    """What the command says, in one line, as it ends without having written anything."""
    monkeypatch.setattr(command, "repo_root", lambda: root)
    with pytest.raises(SystemExit) as end:
        command.main(list(arguments))
    said = str(end.value.code)
    assert "\n" not in said
    assert list((root / "_build").glob("dist/*")) == []
    return said


@pytest.fixture
def copy(root, tmp_path) -> Path:
    """The built book in a folder that a test may change."""
    shutil.copytree(root / "_build" / "html", tmp_path / "_build" / "html")
    (tmp_path / "_build" / COMPLETE).touch()
    (tmp_path / "CITATION.cff").write_text(CITATION)
    shutil.copy(ROOT / "LICENSE", tmp_path)
    return tmp_path


def test_a_book_that_is_not_complete_is_refused(capsys, monkeypatch, copy):
    (copy / "_build" / COMPLETE).unlink()
    said = refused(capsys, monkeypatch, copy)
    assert said == "no complete book is built in _build/html: run make book"
    said = refused(capsys, monkeypatch, copy, "--without-solutions")
    assert said.endswith("_build/without_solutions/html: run make book SOLUTIONS=hide")


def test_a_book_without_a_version_is_refused(capsys, monkeypatch, copy):
    text = CITATION.replace("version: 1.2.3\n", "")
    (copy / "CITATION.cff").write_text(text)
    said = refused(capsys, monkeypatch, copy)
    assert said == "CITATION.cff must say version"
    (copy / "CITATION.cff").write_text(CITATION.replace("abstract:", "about:"))
    said = refused(capsys, monkeypatch, copy)
    assert said == "abstract in CITATION.cff must be given, got None"
    (copy / "CITATION.cff").write_text(text + "version: ../1\n")
    said = refused(capsys, monkeypatch, copy)
    assert said.startswith("version in CITATION.cff must be letters, digits")


def test_without_a_browser_there_is_the_zip_alone(capsys, monkeypatch, copy):
    monkeypatch.setenv("COURSE_BROWSER", "no-such-browser")
    monkeypatch.setattr(command, "repo_root", lambda: copy)
    with pytest.raises(SystemExit) as end:
        command.main([])
    said = str(end.value)
    assert said.startswith("overparameterized-1.2.3.zip is written, but no PDF: no browser to")
    assert "one that is there in COURSE_BROWSER" in said
    assert [path.suffix for path in (copy / "_build" / "dist").iterdir()] == [".zip"]


def test_persons_may_be_the_authors(copy):
    person = "given-names: Ada\n    family-names: Lovelace"
    (copy / "CITATION.cff").write_text(CITATION.replace("name: Whoever wrote this test", person))
    assert command.cover_of(copy / "CITATION.cff")["authors"] == "Ada Lovelace"


def test_the_title_page_is_where_the_root_leads(tmp_path):
    root = tmp_path / "index.html"
    root.write_text(page_that_leads("index.html", "book/index.html", "A book", ""))
    assert title_page(tmp_path) == "book/index.html"
    root.write_text("<h1>A book</h1>")
    assert title_page(tmp_path) == "index.html"
