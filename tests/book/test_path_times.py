"""The times of the three ways through the course: counted words, measured seconds."""

from __future__ import annotations

import pytest
from path_times import computed_in, n_solutions, read_in

from tests.small_book import ROOT, BuildError, build
from utils.book.conclusions import name_of
from utils.book.notebooks import all_notebooks
from utils.book.prose import n_words, prose
from utils.book.times import entries

PAGE = """# Title

(label)=
Some *plain* words {cite}`key2020`, then a {term}`word <token>` [with a link](there.md).
A number, {glue:text}`a.ipynb::x:.1f`, and $a + b$.

```{index} !nothing
```

```{notebook-figure} a.ipynb::fig
:name: fig-a

The caption has five words.
```

| head | two |
|---|---|
| cell | {notebook-time}`a.ipynb` |

```{anywidget} a.mjs
{"steps": [{"text": "not read in this count"}]}
```

<details data-answer="1"><summary>Open</summary>

The first.

</details>
"""


def test_what_is_read_of_a_page_is_counted():
    read = "Title | Some plain words number then a number with a link | A number number and formula"
    read += " | The caption has five words | head two | cell number | Open | The first"
    assert n_words(PAGE) == len(read.replace("|", "").split())


def test_prose_has_no_headings_captions_tables_or_links():
    text = " ".join(prose(PAGE).split())
    assert text == "Some *plain* words , then a {term}`word <token>` . A number, , and . The first."


CHAPTERS = sorted({path.parent.name for path in all_notebooks()})


def built(folder, way: str) -> str:
    """The title page of a small book whose chapters have five words each."""
    pages = {f"{chapter}.md": f"# {chapter}\n\nFour words of text.\n" for chapter in CHAPTERS}
    contents = "\n".join(["```{toctree}", *CHAPTERS, "```"])
    pages["index.md"] = f"# Home\n\nIt takes {{path-time}}`{way}`.\n\n{contents}\n"
    html = build(folder, pages, extensions=["myst_parser", "path_times"])
    return (html / "index.html").read_text(encoding="utf-8")


def test_the_title_page_tells_what_is_counted(tmp_path):
    assert f"It takes {read_in(5 * len(CHAPTERS))}." in built(tmp_path / "read", "read")
    n_exercises = sum(map(n_solutions, all_notebooks()))
    assert f"It takes {n_exercises}\u00a0exercises" in built(tmp_path / "teach", "teach")
    assert n_exercises >= 3 * len(all_notebooks())


def test_the_title_page_tells_what_is_measured(tmp_path):
    known = entries()
    times = [known[name]["seconds"] for name in map(name_of, all_notebooks()) if name in known]
    assert times, "run `make times`"
    told = computed_in(times) if len(times) == len(all_notebooks()) else "not measured yet"
    assert told in built(tmp_path, "learn")


def test_another_way_ends_the_build(tmp_path):
    with pytest.raises(BuildError, match="must be read, learn or teach, got 'sleep'"):
        built(tmp_path, "sleep")


def test_the_pages_of_the_chapters_are_counted():
    """A page is longer in the file than what is read of it."""
    for chapter in CHAPTERS:
        page = ROOT / "book" / f"{chapter}.md"
        if page.is_file():
            text = page.read_text(encoding="utf-8")
            assert 0.5 < n_words(text) / len(text.split()) < 1.1
