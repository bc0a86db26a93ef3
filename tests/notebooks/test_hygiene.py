"""What every committed notebook must look like, whatever its subject."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from utils.book.conclusions import counts, without_false_case
from utils.book.notebooks import SETUP_TAG, all_notebooks, setup_source
from utils.runtime import repo_root

NOTEBOOKS = all_notebooks()
MAX_OUTPUT_BYTES = 1_000_000
MAX_LINES = 25
MAX_COLUMNS = 78  # what is longer is cut off on the page
MAX_UNCOMMENTED = 8
ABSOLUTE_PATH = re.compile(r"(?:/(?:home|Users|root|tmp|mnt|opt|var|content|work)/|[A-Z]:\\\\)\w")
LOOKS_LIKE_A_FILE = re.compile(r"\S+\.(png|svg|jpe?g|gif|ipynb)$|/")
ARXIV = re.compile(r"arxiv\.org/abs/(\d{4}\.\d{4,5})")
YES_OR_NO = re.compile(r"\(\s*[01]\s*=\s*(?:yes|no)\s*\)")
OWN_RANDOMNESS = re.compile(
    r"\bnp\.random\b|\bdefault_rng\b|\bmanual_seed\b|\btorch\.Generator\b|^import random\b", re.M
)

per_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: f"{p.parent.name}/{p.name}")


def read(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def code_cells(path: Path) -> list[dict]:
    return [cell for cell in read(path) if cell["cell_type"] == "code"]


def lesson_cells(path: Path) -> list[dict]:
    """The code cells after the two that find the course and import what is needed."""
    return code_cells(path)[2:]


def text_of(path: Path) -> str:
    return "\n".join("".join(c["source"]) for c in read(path) if c["cell_type"] == "markdown")


def test_there_are_notebooks():
    assert NOTEBOOKS


@per_notebook
def test_executed_once_from_top_to_bottom(path):
    counts = [cell["execution_count"] for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@per_notebook
def test_no_stored_error(path):
    failed = [
        c["id"] for c in code_cells(path) for o in c["outputs"] if o["output_type"] == "error"
    ]
    assert failed == []


@per_notebook
def test_title_then_setup_cell_equal_to_the_template(path):
    cells = read(path)
    assert cells[0]["cell_type"] == "markdown"
    assert "".join(cells[0]["source"]).startswith("# ")
    first = code_cells(path)[0]
    assert SETUP_TAG in first["metadata"]["tags"]
    assert "hide-cell" in first["metadata"]["tags"]
    assert "".join(first["source"]) == setup_source(), "run `make notebooks`"


@per_notebook
def test_no_absolute_path_in_sources_or_outputs(path):
    for cell in read(path):
        shown = json.dumps([cell["source"], cell.get("outputs", [])], ensure_ascii=False)
        assert not ABSOLUTE_PATH.search(shown), f"{cell['id']}: {ABSOLUTE_PATH.search(shown)}"


@per_notebook
def test_every_figure_has_a_description_and_a_finding(path):
    for cell in code_cells(path):
        figures = [o for o in cell["outputs"] if "image/svg+xml" in o.get("data", {})]
        if not figures:
            continue
        name, mystnb = cell["id"], cell["metadata"].get("mystnb", {})
        alt = mystnb.get("image", {}).get("alt", "")
        assert len(figures) == 1, f"{name}: one figure a cell"
        assert len(alt.split()) >= 8, f"{name}: alt text says too little: {alt!r}"
        assert not LOOKS_LIKE_A_FILE.match(alt), f"{name}: alt text is a file name"
        caption = mystnb.get("figure", {}).get("caption", "")
        assert len(caption.split()) >= 6, f"{name}: the caption states the finding"


@per_notebook
def test_outputs_are_small(path):
    size = sum(len(json.dumps(c["outputs"])) for c in code_cells(path))
    assert size < MAX_OUTPUT_BYTES


@per_notebook
def test_one_idea_a_cell(path):
    lines = {c["id"]: len("".join(c["source"]).splitlines()) for c in lesson_cells(path)}
    assert {k: n for k, n in lines.items() if n > MAX_LINES} == {}


@per_notebook
def test_no_line_of_code_is_cut_off_on_the_page(path):
    # The setup cell holds the repository's address, which may be long; no page shows it open.
    lines = [line for c in code_cells(path)[1:] for line in "".join(c["source"]).splitlines()]
    assert [line for line in lines if len(line) > MAX_COLUMNS] == []


@per_notebook
def test_every_longer_block_says_what_it_does(path):
    """A block is what stands between two blank lines; a docstring is a comment too."""
    silent = []
    for cell in lesson_cells(path):
        for block in re.split(r"\n\s*\n", "".join(cell["source"])):
            explained = "#" in block or '"""' in block
            if len(block.splitlines()) > MAX_UNCOMMENTED and not explained:
                silent.append((cell["id"], block.splitlines()[0]))
    assert silent == []


@per_notebook
def test_yes_or_no_is_stated_with_check_true(path):
    labels = [m for c in code_cells(path) for m in YES_OR_NO.findall("".join(c["source"]))]
    assert labels == [], "check_true(name, condition) prints no number"


@per_notebook
def test_every_random_generator_is_made_by_the_course(path):
    """So that one offset moves every seed of the course: see `utils.runtime.generator`."""
    found = [m for c in code_cells(path) for m in OWN_RANDOMNESS.findall("".join(c["source"]))]
    assert found == []


@per_notebook
def test_conclusions_are_stated_and_compared_strictly(path):
    stating = [
        c for c in code_cells(path)[1:] if re.search(r"^check(_\w+)?\(", "".join(c["source"]), re.M)
    ]
    assert stating, "a notebook states what it found with check(...)"
    ignored = [c["id"] for c in stating if "nbval-ignore-output" in c["metadata"].get("tags", [])]
    assert ignored == [], "check lines are the same everywhere: leave them to strict comparison"


@per_notebook
def test_every_bound_names_the_value_that_would_refute_it(path):
    """The check itself then makes sure, whenever it runs, that this value is refused."""
    assert without_false_case(path) == []


def test_causes_are_removed_somewhere_in_every_chapter():
    of_chapter: dict[str, int] = {}
    for path in NOTEBOOKS:
        of_chapter[path.parent.name] = of_chapter.get(path.parent.name, 0) + counts(path).controls
    assert [chapter for chapter, n_controls in of_chapter.items() if n_controls == 0] == []


@per_notebook
def test_glued_measurements_stand_in_cells_that_are_not_compared_letter_by_letter(path):
    for cell in code_cells(path):
        scraps = [
            o["metadata"]["scrapbook"]
            for o in cell["outputs"]
            if "scrapbook" in o.get("metadata", {})
        ]
        measured = [s["name"] for s in scraps if s["rtol"] or s["atol"]]
        if measured:
            assert "nbval-ignore-output" in cell["metadata"].get("tags", []), (
                f"{cell['id']}: {measured}"
            )


@per_notebook
def test_cells_that_time_something_are_not_compared(path):
    for cell in code_cells(path):
        if "perf_counter" in "".join(cell["source"]) and cell["outputs"]:
            assert "nbval-ignore-output" in cell["metadata"].get("tags", []), cell["id"]


@per_notebook
def test_exercises_have_solutions(path):
    text = text_of(path)
    exercises = re.findall(r"^:::\{exercise\}.*\n:label: (\S+)", text, re.M)
    solutions = re.findall(r"^:::\{solution\} (\S+)\n:class: dropdown", text, re.M)
    assert 3 <= len(exercises) <= 6
    assert solutions == exercises


@per_notebook
def test_cited_papers_stand_in_the_bibliography(path):
    known = (repo_root() / "book" / "references.bib").read_text(encoding="utf-8")
    missing = {number for number in ARXIV.findall(text_of(path)) if f"arXiv:{number}" not in known}
    assert missing == set()


def test_glued_names_are_unique():
    names = [
        (output["metadata"]["scrapbook"]["name"], path.name)
        for path in NOTEBOOKS
        for cell in code_cells(path)
        for output in cell["outputs"]
        if "scrapbook" in output.get("metadata", {})
    ]
    seen = [name for name, _ in names]
    assert sorted(set(seen)) == sorted(seen)


def test_every_notebook_is_in_the_book():
    contents = (repo_root() / "_toc.yml").read_text(encoding="utf-8")
    pages = [p.relative_to(repo_root()).with_suffix("").as_posix() for p in NOTEBOOKS]
    assert [page for page in pages if page not in contents] == []
