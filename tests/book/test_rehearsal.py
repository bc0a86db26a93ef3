"""A rehearsal of Colab: the notebook alone in a folder, another environment's kernel, a record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import require_ended
from tests.small_book import notebook
from utils import records
from utils.book import rehearsal
from utils.book.conclusions import code_digest, name_of
from utils.book.freeze import read
from utils.book.notebooks import setup_source

PYTHON = Path(sys.executable)
ASKING = """
import os
import sys
from pathlib import Path

assert "google.colab.output" in sys.modules  # before anything of ours has run
sys.modules["google.colab.output"].enable_custom_widget_manager()
print("alone:", sorted(p.name for p in Path.cwd().iterdir()))
print("✓ the scale:", os.environ["COURSE_SCALE"])
assert os.environ["COURSE_SCALE"] == "colab"
"""


def cells(*sources: str) -> str:
    """The text of a notebook with these code cells."""
    found = []
    for number, source in enumerate(sources):
        cell = {"cell_type": "code", "id": f"c{number}", "metadata": {}, "source": source}
        found.append({**cell, "outputs": [], "execution_count": None})
    return notebook(*found)


@pytest.fixture
def course(tmp_path, monkeypatch) -> Path:
    """A committed course of two notebooks, the second of which fails; and a record elsewhere."""
    root = tmp_path / "course"
    for name in ("utils", "notebooks/chapter"):
        (root / name).mkdir(parents=True)
    (root / "utils" / "checks.py").touch()
    (root / "requirements-notebooks.txt").touch()
    first = root / "notebooks" / "chapter" / "01_first.ipynb"
    first.write_text(cells(setup_source(), ASKING, "sum([root == fetched])"))
    second = root / "notebooks" / "chapter" / "02_second.ipynb"
    second.write_text(cells("1 + 1", "raise ValueError('two\\nlines')", "print('✓ never')"))
    commit(root, "init", "-q", "-b", "work")

    monkeypatch.setattr(rehearsal, "RECORD", tmp_path / "rehearsal.json")
    monkeypatch.setattr(rehearsal, "repo_root", lambda: root)
    monkeypatch.setattr(rehearsal, "all_notebooks", lambda: [first, second])
    monkeypatch.setattr(rehearsal.freeze, "installed", lambda python: read("torch==2.11.0"))
    monkeypatch.setattr(rehearsal.freeze, "needs", lambda python, asked: {})
    return root


def commit(folder: Path, *first: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (first, ("add", "-A"), (*who, "commit", "-q", "-m", "x")):
        if words:
            subprocess.run(["git", *words], cwd=folder, check=True)


def run(*words: str) -> None:
    rehearsal.main(["run", "--python", str(PYTHON), "--scale", "colab", *words])


def results() -> dict:
    return rehearsal.stored()["notebooks"]


# ---- one notebook --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_notebook_runs_alone_in_its_folder_and_one_that_fails_is_named(course, capsys):
    with pytest.raises(SystemExit, match="^failed at the colab scale: chapter/02_second$"):
        run()
    passed = results()["chapter/01_first"]["colab"]
    assert (passed["error"], passed["cells"], passed["conclusions"]) == (None, 3, 1)
    assert passed["asked_of_colab"] == ["enable_custom_widget_manager"]
    assert passed["packages"] == {}
    assert 0 < passed["setup_wall_seconds"] <= passed["wall_seconds"]
    assert 0.5 < passed["seconds"] < 60  # of the processor: Jupyter's kernel and git among them
    failed = results()["chapter/02_second"]["colab"]
    assert failed["error"] == "cell 1: ValueError: two lines"
    assert (failed["cells"], failed["conclusions"]) == (2, 0)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("chapter/01_first: ")
    assert first.endswith("1 conclusions hold, 0 widgets, packages changed: none")
    assert second == "chapter/02_second: cell 1: ValueError: two lines"


def test_what_was_not_committed_is_not_rehearsed(course):
    clone = rehearsal.published(course.parent)
    (course / "notebooks" / "chapter" / "03_new.ipynb").write_text(cells("1"))
    assert (clone / "notebooks" / "chapter" / "01_first.ipynb").is_file()
    branch = subprocess.run(
        ["git", "branch", "--show-current"], cwd=clone, capture_output=True, text=True, check=True
    )
    assert branch.stdout == "main\n"  # which the setup cell asks for
    with pytest.raises(SystemExit, match="^NOTEBOOK must be a committed file, got '03_new.ipynb'$"):
        run(str(course / "notebooks" / "chapter" / "03_new.ipynb"))


def test_what_takes_too_long_is_ended_with_all_that_it_has_started(tmp_path):
    mark = tmp_path / "pid"
    command = ["sh", "-c", f"sleep 600 & echo $! > {mark}; wait"]
    seconds = 0.5
    while not mark.exists():  # a slow machine may need longer to start it
        assert rehearsal._run(command, dict(os.environ), seconds) is None
        seconds *= 2
    require_ended(int(mark.read_text()))


def test_a_package_that_changed_is_named(course, monkeypatch):
    undone = []
    after = read("torch==2.12.0\nnew==1")
    monkeypatch.setattr(rehearsal.freeze, "installed", lambda python: after)
    monkeypatch.setattr(rehearsal, "_run", lambda *words: (0, '{"error": null}\n', ""))
    monkeypatch.setattr(rehearsal.freeze, "_must_run", undone.append)
    path = course / "notebooks" / "chapter" / "01_first.ipynb"
    before = read("torch==2.11.0\nold==1")
    result = rehearsal.rehearse(path, PYTHON, course, "cpu", 1, before=before)
    assert result["packages"] == {
        "replaced": {"torch": "2.11.0 → 2.12.0"},
        "left_out": {"old": "1"},
        "added": {"new": "1"},
    }
    # The next notebook finds what this one found.
    assert [words[-1] for words in undone] == ["new", "torch==2.11.0", "old==1"]


def test_an_environment_without_a_kernel_fails_in_one_line(course, monkeypatch):
    said = "Traceback\n  File x\nModuleNotFoundError: No module named 'nbclient'\n"
    monkeypatch.setattr(rehearsal, "_run", lambda *words: (1, "", said))
    path = course / "notebooks" / "chapter" / "01_first.ipynb"
    packages = read("torch==2.11.0")
    result = rehearsal.rehearse(path, PYTHON, course, "cpu", 1, before=packages)
    assert result["error"] == "ModuleNotFoundError: No module named 'nbclient'"


# ---- stopping and going on -----------------------------------------------------------------------


@pytest.fixture
def rehearsed(monkeypatch) -> list[str]:
    """Which notebooks were executed, without executing them: the second fails."""
    done = []

    def rehearse(path, *words, **named):
        done.append(path.stem)
        error = "cell 0: it fails" if path.stem == "02_second" else None
        return {"seconds": 2.0, "wall_seconds": 2.0, "conclusions": 1, "widgets": 0} | {
            "error": error,
            "packages": {},
        }

    monkeypatch.setattr(rehearsal, "rehearse", rehearse)
    return done


def test_without_names_only_what_is_due_is_rehearsed(course, rehearsed):
    for _ in range(2):  # the second time only the one that failed
        with pytest.raises(SystemExit):
            run()
    assert rehearsed == ["01_first", "02_second", "02_second"]
    rehearsal.main(
        ["run", "--python", str(PYTHON), str(course / "notebooks/chapter/01_first.ipynb")]
    )
    assert rehearsed[3:] == ["01_first"]
    assert list(results()["chapter/01_first"]) == ["colab", "cpu"]  # each scale has its own
    assert records.load(rehearsal.RECORD).provenance["wall_seconds"] == 6.0

    changed = course / "notebooks" / "chapter" / "01_first.ipynb"
    changed.write_text(cells("1 + 2"))
    commit(course)
    with pytest.raises(SystemExit):
        run()
    assert rehearsed[4:] == ["01_first", "02_second"]
    assert results()["chapter/01_first"]["colab"]["code"] == code_digest(changed)


def test_when_the_minutes_are_up_what_was_finished_is_kept(course, monkeypatch, capsys):
    monkeypatch.setattr(rehearsal, "rehearse", lambda *words, **named: None)
    run("--minutes", "1")
    assert capsys.readouterr().out == "chapter/01_first: the minutes are up\n"
    assert results() == {}


def test_the_record_keeps_what_else_stands_in_it(course, rehearsed):
    kept = {"notebooks": {"a/01": {"cpu": {"error": None, "seconds": 1.0}}}, "widgets": {"x": 1}}
    records.write_json(rehearsal.RECORD, {"provenance": {}, "data": kept})
    run(str(course / "notebooks" / "chapter" / "01_first.ipynb"))
    data = json.loads(rehearsal.RECORD.read_text())["data"]
    assert data["widgets"] == {"x": 1}
    assert list(data["notebooks"]) == ["a/01", "chapter/01_first"]
    assert data["environment"]["replaced"] == {}
    assert data["environment"]["left_out"]["numpy"] == "2.1.3"


# ---- widgets -------------------------------------------------------------------------------------


def test_the_record_tells_how_each_test_of_the_widgets_ended(course, tmp_path, monkeypatch, capfd):
    tests = tmp_path / "test_toy.py"
    tests.write_text(
        "import os, pytest\n"
        "def test_folder(): assert os.environ['COLAB_FOLDER'] == '/folder'\n"
        "def test_broken(): assert os.environ['COLAB_MANAGER'] == 'none'\n"
        "def test_fixture(nothing): pass\n"
        "@pytest.mark.skip\ndef test_left_out(): pass\n"
    )
    monkeypatch.setattr(rehearsal, "WIDGETS", tests)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # the toy needs none of them
    records.write_json(rehearsal.RECORD, {"provenance": {"a": 1}, "data": {"notebooks": {"b": 2}}})
    failed = rehearsal.rehearse_widgets(Path("/folder"), None)
    assert failed == ["test_broken", "test_fixture"]
    record = records.load(rehearsal.RECORD)
    assert record.provenance == {"a": 1}
    assert record.data["notebooks"] == {"b": 2}
    assert record.data["widgets"] == {
        "test_folder": "passed",
        "test_broken": "failed",
        "test_fixture": "failed",
        "test_left_out": "skipped",
    }


# ---- the command line ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--python", "none/bin/python"],
            "python must be the Python of an environment, got 'none/",
        ),
        (["--python", str(PYTHON), "--minutes", "0"], "minutes must be a number in [(]0, inf[)], "),
        (
            ["--python", str(PYTHON), "--threads", "0"],
            "threads must be a whole number of at least 1",
        ),
        (["--python", str(PYTHON), "none.ipynb"], "NOTEBOOK must be a file in /.*, got '.*none.ip"),
    ],
)
def test_what_cannot_be_rehearsed_is_refused_in_one_line(words, line):
    with pytest.raises(SystemExit, match=f"^{line}"):
        rehearsal.main(["run", *words])


def test_the_committed_record_names_its_notebooks_and_what_pip_added():
    data = records.load("colab/rehearsal").data
    there = {name_of(path) for path in rehearsal.all_notebooks()}
    assert data["notebooks"].keys() <= there
    assert set(data["widgets"].values()) == {"passed"}
    runs = [run for scales in data["notebooks"].values() for run in scales.values()]
    changes = [run["packages"] for run in runs if run["packages"]]
    assert {tuple(change) for change in changes} == {("added",)}
    assert {name for change in changes for name in change["added"]} == {"jedi"}
