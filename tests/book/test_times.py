"""The pages' times are measured ones: the command, its record, and the roles that read it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.small_book import BuildError, build, notebook
from utils import records
from utils.book import times
from utils.book.conclusions import code_digest, name_of
from utils.book.notebooks import all_notebooks
from utils.runtime import repo_root

BUSY = "import time\n\nwhile time.process_time() < {}:\n    pass"
PAGE = """# Home

One takes {notebook-time}`notebooks/double_descent/01_closed_form.ipynb`, all take
{chapter-time}`double_descent`.
"""


@pytest.fixture
def written():
    """Write a notebook of one cell into a folder of the course, where it may be executed."""
    cache = repo_root() / ".cache"
    cache.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:

        def write(source: str) -> Path:
            cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": source}
            path = Path(folder) / "01_toy.ipynb"
            path.write_text(notebook({**cell, "outputs": [], "execution_count": None}))
            return path

        yield write


@pytest.fixture(autouse=True)
def record(tmp_path, monkeypatch) -> Path:
    """A place of its own for the record, except where the course's is looked at."""
    monkeypatch.setattr(times, "RECORD", tmp_path / "times.json")
    return tmp_path / "times.json"


def test_every_notebook_has_a_time(monkeypatch):
    monkeypatch.undo()
    known = times.entries()
    assert [name_of(path) for path in all_notebooks() if name_of(path) not in known] == []


def test_the_seconds_are_the_processors_the_kernels_among_them(written):
    path = written(BUSY.format(3))
    before = path.read_bytes()
    times.main([str(path)])
    entry = times.entries()[name_of(path)]
    assert 3 < entry["seconds"] < 15  # three of the cell's, and those of starting Jupyter
    assert entry["code"] == code_digest(path)
    assert path.read_bytes() == before


def test_a_cell_that_fails_ends_the_command_and_leaves_no_time(written, record):
    with pytest.raises(SystemExit, match=r"/01_toy: .*ZeroDivisionError: division by zero"):
        times.main([str(written("1 / 0"))])
    assert not record.exists()


def test_without_arguments_only_what_has_changed_is_measured(monkeypatch):
    monkeypatch.setattr(times, "processor_seconds", lambda path: 12.34)
    first, second, *_ = all_notebooks()
    monkeypatch.setattr(times, "all_notebooks", lambda: [first, second])
    times.main([])
    assert set(times.entries()) == {name_of(first), name_of(second)}
    assert times.outdated([first, second], times.entries()) == []
    monkeypatch.setattr(times, "code_digest", lambda path: "other" + path.name)
    assert times.outdated([first, second], times.entries()) == [first, second]


# ---- the pages


def built(folder, page: str) -> str:
    """The text of a page that asks for times of the course's notebooks."""
    source = folder / "notebooks" / "double_descent"
    source.mkdir(parents=True)
    (source / "01_closed_form.ipynb").touch()
    html = build(
        folder,
        {"index.md": page},
        extensions=["myst_parser", "notebook_times"],
        exclude_patterns=["_build", "notebooks"],
    )
    return (html / "index.html").read_text(encoding="utf-8").replace("\u00a0", " ")


def test_a_page_tells_the_measured_times(tmp_path):
    text = built(tmp_path, PAGE)
    known = records.load("notebook_times").data["notebooks"]
    seconds = known["double_descent/01_closed_form"]["seconds"]
    assert f"One takes {max(5, 5 * round(seconds / 5))} s, all take" in text
    assert " in all." in text


@pytest.mark.parametrize(
    ("role", "line"),
    [
        ("{notebook-time}`none.ipynb`", "notebook-time: no such file: none.ipynb"),
        ("{chapter-time}`none`", "chapter-time: no notebooks in the folder notebooks/none"),
    ],
)
def test_what_is_no_notebook_and_no_chapter_ends_the_build(tmp_path, role, line):
    with pytest.raises(BuildError, match=line):
        built(tmp_path, f"# Home\n\n{role}\n")
