"""However a build of the book ends, the next one ends with the whole book."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports import ROOT
from utils.book import build as building
from utils.book.build import COMPLETE, build

# The command with a builder of our own, which writes a page and then waits until it may end.
COMMAND = """
import sys, time
from pathlib import Path
from utils.book import build as building

folder = Path(sys.argv[1])

def builder(arguments):
    page = folder / "_build" / "html" / "page.html"
    found = "found a book" if page.exists() else "found none"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("")
    print(found, flush=True)
    while not (folder / "go").exists():
        time.sleep(0.01)

building.repo_root = lambda: folder
building.jupyter_book = builder
building.main([])
"""


class Builder:
    """Writes one page, and remembers which there were when it was called."""

    def __init__(self, folder: Path, error: BaseException | None = None) -> None:
        self.folder = folder
        self.error = error
        self.found: list[str] = []

    def __call__(self) -> None:
        self.found = sorted(path.name for path in self.folder.rglob("*.html"))
        number = len(list(self.folder.rglob("*.html")))
        page = self.folder / "html" / f"{number}.html"
        page.parent.mkdir(exist_ok=True)
        page.write_text("")
        if self.error:
            raise self.error


@pytest.fixture
def begin(tmp_path):
    """Begin the command in a process of its own; whatever happens, none outlives the test."""
    begun = []

    def begin() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", COMMAND, str(tmp_path)]
        pipe = subprocess.PIPE
        begun.append(subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True))
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def test_a_book_that_is_whole_is_kept(tmp_path):
    build(Builder(tmp_path), tmp_path)
    for success in (None, SystemExit(0), SystemExit(None)):
        again = Builder(tmp_path, success)
        build(again, tmp_path)
        assert "0.html" in again.found


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(3), SystemExit("no"), RuntimeError("no"), OSError(28)]
)
def test_a_build_that_failed_is_followed_by_one_from_the_beginning(tmp_path, error, capsys):
    build(Builder(tmp_path), tmp_path)
    with pytest.raises(type(error)) as raised:
        build(Builder(tmp_path, error), tmp_path)
    assert raised.value is error, "its exit status and its words are kept"

    (tmp_path / "glue.jsonl").write_text("measured")
    (tmp_path / "doctrees").mkdir()
    after = Builder(tmp_path)
    build(after, tmp_path)
    assert after.found == []
    assert not (tmp_path / "doctrees").exists()
    assert (tmp_path / "glue.jsonl").read_text() == "measured"
    assert "not known to be whole" in capsys.readouterr().out


def test_a_book_of_before_there_was_such_a_file_is_built_anew(tmp_path):
    Builder(tmp_path)()
    after = Builder(tmp_path)
    build(after, tmp_path)
    assert after.found == []


def test_an_interruption_while_removing_is_one_as_well(tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        build(Builder(tmp_path, KeyboardInterrupt()), tmp_path)
    (tmp_path / "figures").mkdir()

    def interrupted(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(building.shutil, "rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build(Builder(tmp_path), tmp_path)
    after = Builder(tmp_path)
    build(after, tmp_path)
    assert after.found == []


@pytest.mark.parametrize("target", ["elsewhere", "nowhere"])
def test_a_link_in_the_way_is_removed_and_what_it_leads_to_is_kept(tmp_path, target):
    folder = tmp_path / "_build"
    folder.mkdir()
    kept = tmp_path / "elsewhere" / "kept.html"
    kept.parent.mkdir()
    kept.write_text("")
    (folder / "html").symlink_to(tmp_path / target)
    after = Builder(folder)
    build(after, folder)
    assert after.found == []
    assert (folder / "html").is_dir()
    assert not (folder / "html").is_symlink()
    assert kept.exists()


@pytest.mark.parametrize("name", ["grades", "assignments", "dist", "de"])
def test_what_other_commands_wrote_stays(tmp_path, name):
    written = tmp_path / name / "file.html"
    written.parent.mkdir()
    written.write_text("written")
    build(Builder(tmp_path), tmp_path)
    assert written.read_text() == "written"


def test_what_cannot_be_removed_is_one_line_that_says_what_to_do(tmp_path, monkeypatch):
    Builder(tmp_path)()

    def refused(path):
        raise PermissionError(13, "Permission denied", "0.html")

    monkeypatch.setattr(building.shutil, "rmtree", refused)
    after = Builder(tmp_path)
    with pytest.raises(OSError, match="could not be removed") as raised:
        build(after, tmp_path)
    told = f"{tmp_path / 'html'} could not be removed (Permission denied): "
    assert str(raised.value) == told + "make sure that you may write there, then run make clean"
    assert not (tmp_path / COMPLETE).exists()


def test_the_pages_are_on_the_disk_before_the_file_that_says_so(tmp_path, monkeypatch):
    found = []
    monkeypatch.setattr(
        os, "sync", lambda: found.append([path.name for path in tmp_path.rglob("*.*")])
    )
    build(Builder(tmp_path), tmp_path)
    assert len(found) == 1
    assert "0.html" in found[0]
    assert COMPLETE not in found[0]


def test_what_a_killed_process_left_of_the_file_is_removed(tmp_path):
    part = tmp_path / f"{COMPLETE}.a1b2c3d4.part"
    part.touch()
    build(Builder(tmp_path), tmp_path)
    assert not part.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_build_says_nothing_and_leaves_nothing_in_the_way(tmp_path, begin, number):
    folder = tmp_path / "_build"
    build(Builder(folder), folder)
    process = begin()
    process.stdout.readline()
    process.send_signal(number)
    assert process.communicate() == ("", "")
    assert process.returncode == -number
    after = Builder(folder)
    build(after, folder)
    assert after.found == []


def test_a_second_build_waits_for_the_first_and_says_so(tmp_path, begin):
    first = begin()
    assert first.stdout.readline() == "found none\n"
    second = begin()
    told = second.stderr.readline()
    assert told == f"book.complete is in use by process {first.pid}: waiting for it\n"
    (tmp_path / "go").touch()
    assert second.communicate() == ("found a book\n", "")
    first.communicate()
    assert (first.returncode, second.returncode) == (0, 0)


def test_a_build_that_waited_for_one_that_was_killed_begins_anew(tmp_path, begin):
    first = begin()
    first.stdout.readline()
    second = begin()
    second.stderr.readline()
    first.kill()
    (tmp_path / "go").touch()
    said, _ = second.communicate()
    assert said.endswith("found none\n")


def test_the_command_hands_on_its_options_and_the_exit_status(tmp_path, monkeypatch):
    called = []

    def jupyter_book(arguments):
        called.append(arguments)
        raise SystemExit(len(called) - 1)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(building, "repo_root", lambda: tmp_path)
    monkeypatch.setattr(building, "jupyter_book", jupyter_book)
    try:
        building.main(["--all", "-W"])
        assert (tmp_path / "_build" / COMPLETE).exists()
        with pytest.raises(SystemExit) as end:
            building.main(["--quiet"])
    finally:
        signal.signal(signal.SIGINT, before)
    assert end.value.code == 1
    assert not (tmp_path / "_build" / COMPLETE).exists()
    assert called == [["build", str(tmp_path), "--all", "-W"], ["build", str(tmp_path), "--quiet"]]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, begin):
    (tmp_path / "_build").write_text("in the way")
    process = begin()
    said, told = process.communicate()
    assert (process.returncode, said) == (1, "")
    assert told == f"could not write book.complete: {tmp_path / '_build'} is no folder\n"
