"""However the making of the environment ends, the next attempt mends it or says what to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports import ROOT
from utils.book import environment
from utils.book.environment import MARKER, check_version, fault_of, is_whole, prepare

# A Python that makes and fills environments in no time, and writes down what it was asked for.
# Where a file "wait" stands beside it, it installs until a file "go" does, unless it is killed.
FAKE = """#!/bin/sh
here="{here}"
echo "$*" >> "$here/asked"
case "$*" in
  "-m venv "*)
    [ -e "$here/no-venv" ] && echo "No module named venv" >&2 && exit 1
    mkdir -p "$3/bin" "$3/lib/python{version}/site-packages"
    touch "$3/pyvenv.cfg" && cp "$0" "$3/bin/python" ;;
  "-m pip install "*)
    [ -e "$here/no-network" ] && exit 1
    if [ -e "$here/wait" ]; then
      echo waiting
      while [ ! -e "$here/go" ]; do sleep 0.01; done; fi ;;
esac
"""
PYTHON = sys.executable  # the tests' own
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
REQUIREMENTS = Path("requirements-book.txt")

COMMAND = """
import sys
from utils.book import environment
sys.executable = sys.argv[1]
environment.main(sys.argv[2:])
"""


@pytest.fixture
def python(tmp_path, monkeypatch) -> Path:
    """The Python that makes environments."""
    monkeypatch.delenv("PYTHON", raising=False)
    fake = tmp_path / "python"
    fake.write_text(FAKE.format(here=tmp_path, version=VERSION))
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    return fake


@pytest.fixture
def folder(tmp_path, python) -> Path:
    """A whole environment that we made."""
    path = tmp_path / "venv"
    prepare(path, REQUIREMENTS)
    (tmp_path / "asked").unlink()
    (path / "kept").touch()
    add_package(path, "torch", "torch/__init__.py")
    return path


def add_package(folder: Path, name: str, *files: str) -> Path:
    """Put an installed package into an environment."""
    packages = folder / "lib" / f"python{VERSION}" / "site-packages"
    info = packages / f"{name}-1.0.dist-info"
    listed = [*files, f"{info.name}/INSTALLER", f"{info.name}/RECORD", "__pycache__/gone.pyc"]
    for file in listed[:-1]:
        (packages / file).parent.mkdir(parents=True, exist_ok=True)
        (packages / file).touch()
    (info / "RECORD").write_text("".join(f'"{file}",sha256=x,0\n' for file in listed))
    return info


def asked(folder: Path) -> list[str]:
    """What the fake Pythons were asked for, in short."""
    lines = (folder.parent / "asked").read_text().splitlines()
    return [line.split()[1] + " " + line.split()[2] for line in lines]


@pytest.fixture
def begin(python, folder):
    """Begin the command in a process of its own; whatever happens, none outlives the test."""
    begun = []

    def begin() -> subprocess.Popen[str]:
        command = [PYTHON, "-c", COMMAND, str(python), str(folder), str(REQUIREMENTS)]
        pipe = subprocess.PIPE
        begun.append(subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True))
        return begun[-1]

    yield begin
    (folder.parent / "go").touch()  # which ends an installer that was left at work
    for process in begun:
        process.kill()
        process.communicate()


# ---- what is whole stays -------------------------------------------------------------------------


@pytest.mark.parametrize("there", [False, True], ids=["missing", "empty"])
def test_a_new_environment_is_made_and_filled(tmp_path, python, there):
    folder = tmp_path / "deep" / "venv"
    if there:
        folder.mkdir(parents=True)
    prepare(folder, REQUIREMENTS)
    assert (folder / MARKER).exists()
    lines = (tmp_path / "asked").read_text().splitlines()
    assert [line.split()[1] for line in lines] == ["venv", "pip"]
    assert lines[-1].endswith(f"-r {REQUIREMENTS}")


def test_a_whole_environment_is_only_filled(folder):
    prepare(folder, REQUIREMENTS)
    assert asked(folder) == ["pip --version", "pip install"]
    assert (folder / "kept").exists()


def test_a_readers_own_environment_is_used_and_never_marked(folder):
    (folder / MARKER).unlink()
    prepare(folder, REQUIREMENTS)
    assert asked(folder) == ["pip --version", "pip install"]
    assert not (folder / MARKER).exists()


def test_torch_without_cuda_is_installed_with_uv(folder):
    uv = folder / "bin" / "uv"
    uv.symlink_to("python")
    prepare(folder, REQUIREMENTS, cpu_torch=True)
    lines = (folder.parent / "asked").read_text().splitlines()
    python = folder / "bin" / "python"
    assert lines[1].endswith(" uv")
    assert lines[2] == f"pip install --python {python} --torch-backend=cpu -r {REQUIREMENTS}"


# ---- what is broken is made again, or named ------------------------------------------------------


def no_python(folder: Path) -> None:
    (folder / "bin" / "python").unlink()


def python_gone(folder: Path) -> None:
    no_python(folder)
    (folder / "bin" / "python").symlink_to("python-that-was-uninstalled")


def no_pip(folder: Path) -> None:
    (folder / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")


def no_record(folder: Path) -> None:
    (add_package(folder, "sphinx") / "RECORD").unlink()


def a_file_missing(folder: Path) -> None:
    add_package(folder, "sphinx", "../../../bin/sphinx")
    (folder / "bin" / "sphinx").unlink()


def a_file_cut_short(folder: Path) -> None:
    """As a power cut leaves it: its name is on the disk, its bytes are not."""
    record = add_package(folder, "sphinx", "a.py") / "RECORD"
    record.write_text(record.read_text().replace('"a.py",sha256=x,0', '"a.py",sha256=x,12'))


def record_of_zeros(folder: Path) -> None:
    """Longer than a line that the module csv reads."""
    (add_package(folder, "sphinx") / "RECORD").write_bytes(bytes(200_000))


def record_of_something_else(folder: Path) -> None:
    (add_package(folder, "sphinx") / "RECORD").write_bytes(b"\xff\xfe")


def record_of_the_wheel(folder: Path) -> None:
    """As uv leaves it when it is killed before it has written its own."""
    (add_package(folder, "sphinx", "a.py") / "RECORD").write_text("a.py,sha256=x,0\n")


BREAK = {
    no_python: "it has no Python",
    python_gone: "it has no Python",
    no_pip: "its pip does not run",
    no_record: "sphinx-1.0 was not installed to its end",
    a_file_missing: "sphinx-1.0 was not installed to its end",
    a_file_cut_short: "sphinx-1.0 was not installed to its end",
    record_of_zeros: "sphinx-1.0 was not installed to its end",
    record_of_something_else: "sphinx-1.0 was not installed to its end",
    record_of_the_wheel: "sphinx-1.0 was not installed to its end",
}


@pytest.mark.parametrize("damage", BREAK)
def test_what_we_made_is_made_again(folder, damage):
    damage(folder)
    assert fault_of(folder) == BREAK[damage]
    prepare(folder, REQUIREMENTS)
    assert asked(folder)[-2:] == [f"venv {folder}", "pip install"]
    assert not (folder / "kept").exists()
    assert fault_of(folder) == ""


@pytest.mark.parametrize("damage", BREAK)
def test_what_we_did_not_make_is_named_and_left_alone(folder, damage):
    (folder / MARKER).unlink()
    damage(folder)
    before = sorted(folder.rglob("*"))
    line = f"^{folder} is broken [(]{BREAK[damage]}[)]: remove it, or name another with VENV=…$"
    with pytest.raises(ValueError, match=line):
        prepare(folder, REQUIREMENTS)
    assert sorted(folder.rglob("*")) == before


def test_what_python_compiled_may_be_missing(folder):
    assert is_whole(add_package(folder, "numpy", "numpy/__init__.py"))


@pytest.mark.parametrize("row", ['"a.py",,', '"a.py"', '"a.py",sha256=x,5'])
def test_a_file_of_no_listed_size_or_of_more_is_whole(folder, row):
    info = add_package(folder, "numpy", "a.py")
    (info.parent / "a.py").write_text("# changed by the reader")
    record = info / "RECORD"
    record.write_text(record.read_text().replace('"a.py",sha256=x,0', row))
    assert is_whole(info)


def test_an_interruption_while_removing_is_one_as_well(folder, monkeypatch):
    no_pip(folder)

    def interrupted(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(environment.shutil, "rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare(folder, REQUIREMENTS)
    prepare(folder, REQUIREMENTS)
    assert fault_of(folder) == ""


@pytest.mark.parametrize("content", ["thesis.tex", ".book", "bin"])
def test_a_folder_that_is_no_environment_is_refused(tmp_path, python, content):
    folder = tmp_path / "home"
    (folder / content).mkdir(parents=True)
    line = "^VENV must be a virtual environment, or a folder that is not there yet, got '.*home'$"
    with pytest.raises(ValueError, match=line):
        prepare(folder, REQUIREMENTS)
    assert [path.name for path in folder.iterdir()] == [content]


# ---- what fails, and what is killed --------------------------------------------------------------


@pytest.mark.parametrize(
    ("requirements", "stamps"),
    [("requirements-book.txt", [".book"]), ("requirements.txt", [".all", ".book"])],
)
def test_what_was_installed_to_its_end_is_remembered(tmp_path, python, requirements, stamps):
    folder = tmp_path / "venv"
    prepare(folder, Path(requirements))
    assert sorted(path.name for path in folder.glob(".*") if path.name != MARKER) == stamps


def test_it_is_on_the_disk_before_it_is_remembered(folder, monkeypatch):
    found = []
    monkeypatch.setattr(os, "sync", lambda: found.append((folder / ".book").exists()))
    prepare(folder, REQUIREMENTS)
    assert found == [False]
    assert (folder / ".book").exists()


def test_what_was_installed_is_forgotten_before_something_changes(folder):
    (folder.parent / "no-network").touch()
    (folder / ".book").touch()
    (folder / ".all").touch()
    with pytest.raises(RuntimeError, match="^Could not install requirements-book.txt: is the net"):
        prepare(folder, REQUIREMENTS)
    assert not (folder / ".book").exists()
    assert not (folder / ".all").exists()
    assert (folder / "kept").exists(), "an environment that is whole stays, network or not"


def test_a_python_without_venv_is_one_line_and_its_own_words(tmp_path, python, capsys):
    (tmp_path / "no-venv").touch()
    with pytest.raises(
        SystemExit, match=r"^Could not make .*: Python needs its venv module"
    ) as end:
        environment.main([str(tmp_path / "venv"), str(REQUIREMENTS)])
    assert "\n" not in str(end.value)
    assert capsys.readouterr().err == "No module named venv\n"


def test_a_place_that_cannot_be_written_is_one_line(tmp_path, python):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="venv could not be made: .*Not a directory") as end:
        environment.main([str(tmp_path / "file" / "venv"), str(REQUIREMENTS)])
    assert "\n" not in str(end.value)


def test_another_python_than_the_environments_is_one_line(folder, monkeypatch):
    check_version(folder)
    check_version(folder / "missing")
    library = folder / "lib" / f"python{VERSION}"
    library.rename(library.with_name("python3.9"))
    line = f"^PYTHON is Python {VERSION}, but {folder} has 3.9: remove that folder, or "
    monkeypatch.setenv("PYTHON", "python3")
    with pytest.raises(SystemExit, match=line):
        environment.main([str(folder)])
    monkeypatch.setenv("PYTHON", "")
    environment.main([str(folder)])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_installer_left_at_work_is_waited_for(folder, begin, number):
    (folder.parent / "wait").touch()
    first = begin()
    first.stdout.readline()
    assert first.stdout.readline() == "waiting\n"
    first.send_signal(number)
    assert first.wait() == -number

    second = begin()
    told = second.stderr.readline()
    assert told == f"Another process is at work in {folder}: waiting for it\n"
    assert asked(folder).count("pip install") == 1
    (folder.parent / "go").touch()
    assert second.communicate()[1] == ""
    assert second.returncode == 0
    assert asked(folder).count("pip install") == 2
    assert first.communicate()[1] == ""
