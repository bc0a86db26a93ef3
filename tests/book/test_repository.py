"""Setting the repository's address changes every place it stands, and can be undone."""

import json
import shutil

import pytest
import yaml

from benchmarks import ensembles as benchmark
from utils.book import notebooks, repository
from utils.book.repository import ROOT, set_repository


@pytest.fixture
def copy(tmp_path):
    shutil.copy(ROOT / "_config.yml", tmp_path)
    shutil.copy(ROOT / "CITATION.cff", tmp_path)
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "setup_cell.py", tmp_path / "notebooks")
    source = ROOT / "notebooks" / "double_descent" / "01_closed_form.ipynb"
    shutil.copy(source, tmp_path / "notebooks")
    return tmp_path


def test_round_trip_leaves_every_byte_as_it_was(copy):
    before = {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()}
    changed = set_repository("https://example.org/someone/course.git", copy)
    assert len(changed) == 4
    notebook = json.loads((copy / "notebooks" / "01_closed_form.ipynb").read_text())
    setup = next(c for c in notebook["cells"] if "course-setup" in c["metadata"].get("tags", []))
    assert '"COURSE_REPO", "https://example.org/someone/course")' in "".join(setup["source"])
    assert '  url: "https://example.org/someone/course"' in (copy / "_config.yml").read_text()
    citation = yaml.safe_load((copy / "CITATION.cff").read_text())
    assert citation["repository-code"] == "https://example.org/someone/course"
    set_repository("", copy)
    assert {p: p.read_bytes() for p in before} == before


@pytest.mark.parametrize(
    "url",
    [
        "example.org/a/b",
        "https://example.org/a",
        "https://example.org/a/b?x=1",
        "https://../../..",
        "https://a.b/../c",
        "https://a.b/c/..",
        None,
        3,
    ],
)
def test_what_is_no_address_is_refused(copy, url):
    with pytest.raises(ValueError, match="URL must be https://host/owner/name, or empty"):
        set_repository(url, copy)


def test_a_broken_notebook_leaves_every_file_as_it_was(copy):
    (copy / "notebooks" / "zz.ipynb").write_text("{")
    before = {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()}
    with pytest.raises(ValueError, match=r"^zz\.ipynb must be a Jupyter notebook$"):
        set_repository("https://example.org/someone/course", copy)
    assert {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    ("command", "arguments", "line"),
    [
        (notebooks.main, ["refresh", "none.ipynb"], "NOTEBOOK must be a file in "),
        (notebooks.main, ["refresh", "/etc/hostname"], "NOTEBOOK must be a file in "),
        (
            notebooks.main,
            ["refresh", str(ROOT / "README.md")],
            "NOTEBOOK must be a Jupyter notebook (.ipynb), got",
        ),
        (notebooks.main, ["run", str(ROOT / "README.md")], "notebook must be a Jupyter notebook"),
        *(
            (
                benchmark.main,
                [option, "0"],
                f"argument {option}: must be a whole number of at least 1, got 0",
            )
            for option in ("--n", "--n-seeds", "--steps", "--repeats", "--threads")
        ),
        (benchmark.main, ["--device", "foo"], "device must be a device of this machine"),
        (benchmark.main, ["--device", "cuda"], "device must be a device of this machine"),
    ],
)
def test_a_command_refuses_in_one_line(command, arguments, line, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit):
        command(arguments)
    told = capsys.readouterr().err.splitlines()
    assert "error: " + line in told[-1]


def test_an_address_that_is_none_is_one_line_and_nothing_else(capsys):
    with pytest.raises(SystemExit) as end:
        repository.main(["foo"])
    assert end.value.code == "URL must be https://host/owner/name, or empty, got 'foo'"
    assert capsys.readouterr() == ("", "")


def test_the_notebook_command_has_help(capsys):
    with pytest.raises(SystemExit):
        notebooks.main(["--help"])
    assert "Execute the course's notebooks" in capsys.readouterr().out
