"""What `make` does with what is typed behind it, in a folder where every command is a fake."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports import ROOT

# A Python that does nothing but answer which Python it is, as the tests' own would.
IDLE = f"""#!/bin/sh
[ "$1" = -c ] && exec "{sys.executable}" "$@"
"""
# One that also writes down its other arguments, each ended by a zero byte.
FAKE = (
    IDLE
    + """printf '%s\\0' "$@" >> asked
"""
)

# Each would make the file "ran" if make or the shell ran what stands in it.
NASTY = [
    "`touch ran`",
    "$(touch ran)",
    "$$(touch ran)",
    "$(shell touch ran)",
    "$$(shell touch ran)",
    "${shell touch ran}",
    "$(eval $(shell touch ran))",
    "$(file >ran)",
    "$(info $(shell touch ran))",
    "$(error ran)",
    "$(URL)",
    "$URL",
    '"; touch ran; "',
    "'; touch ran; '",
    '"; touch ran #',
    '\\"; touch ran; \\"',
    "; touch ran",
    "& touch ran &",
    "| touch ran",
    "&& touch ran",
    "|| touch ran",
    "> ran",
    '"$(touch ran)"',
    "'$(touch ran)'",
    "a\n\ttouch ran\n",  # make drops the white space at the front
    "\\\ntouch ran",
    "https://example.org/a/b$(shell touch ran)`touch ran`$$(touch ran)",
    "a b  c",
    "#",
    "%",
    "--help",
    "",
]


@pytest.fixture
def folder(tmp_path) -> Path:
    """A checkout whose environment is whole, as far as make can see."""
    for path in [ROOT / "Makefile", *ROOT.glob("requirements*.txt")]:
        shutil.copy(path, tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(FAKE)
    python.chmod(0o755)
    for stamp in (".book", ".all"):
        (tmp_path / ".venv" / stamp).touch()
    return tmp_path


def make(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make as a reader does, not as one that runs these tests."""
    inherited = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PORT", "PYTHON", "SITE", "URL", "VENV")
    clean = {name: value for name, value in os.environ.items() if name not in inherited}
    return subprocess.run(
        ["make", *words],
        cwd=folder,
        env={**clean, **environment},
        capture_output=True,
        text=True,
    )


def asked(folder: Path) -> list[str]:
    """The arguments of the fake Python, of all its calls together."""
    return (folder / "asked").read_text().split("\0")[:-1]


# ---- the book ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "options"),
    [("book", ["--quiet"]), ("site", ["--all", "--quiet", "-W", "-n", "--keep-going"])],
)
def test_every_build_of_the_book_is_guarded(folder, target, options):
    make(folder, target)
    arguments = asked(folder)
    assert arguments[: 2 + len(options)] == ["-m", "utils.book.build", *options]
    assert "jupyter-book build" not in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_a_build_that_fails_is_not_called_built(folder):
    (folder / ".venv" / "bin" / "python").write_text("#!/bin/sh\nexit 3\n")
    (folder / ".venv" / ".book").touch()
    done = make(folder, "book")
    assert done.returncode != 0
    assert "Built" not in done.stdout
    assert "Error 3" in done.stderr


def test_cleaning_first_removes_what_says_that_the_book_is_whole(folder):
    steps = make(folder, "-n", "clean").stdout.splitlines()
    assert steps[0] == "rm -f _build/book.complete"
    assert steps[1].startswith("rm -rf _build ")


# ---- words that neither make nor the shell may run -----------------------------------------------


@pytest.mark.parametrize("url", NASTY)
@pytest.mark.parametrize("exported", [False, True], ids=["argument", "environment"])
def test_an_address_is_handed_on_as_it_was_typed(folder, url, exported):
    if exported:
        done = make(folder, "set-repository", URL=url)
    else:
        done = make(folder, "set-repository", f"URL={url}")
    assert not (folder / "ran").exists()
    assert done.returncode == 0, done.stderr
    assert asked(folder) == ["-m", "utils.book.repository", "--", url, ""]


@pytest.mark.parametrize("text", NASTY)
def test_so_is_the_address_of_a_site_and_one_to_be_looked_at(folder, text):
    make(folder, "set-repository", "URL=https://example.org/a/b", f"SITE={text}")
    make(folder, "check-repository", f"URL={text}")
    assert not (folder / "ran").exists()
    set_it = ["-m", "utils.book.repository", "--", "https://example.org/a/b", text]
    assert asked(folder) == [*set_it, "-m", "utils.book.repository", "--check", "--", text]


@pytest.mark.parametrize("name", ["PORT", "PYTHON"])
@pytest.mark.parametrize("value", ["$(shell touch ran)", "`touch ran`", '"; touch ran; "'])
def test_neither_are_the_other_names(folder, name, value):
    make(folder, "serve", f"{name}={value}")
    assert not (folder / "ran").exists()


# ---- the environment -----------------------------------------------------------------------------


# Every command begins with VENV, so what is no plain path is refused before any of them.
NO_PATH = [
    " ",
    "a b",
    "a:b",
    "x;y",
    "x'y",
    'x"y',
    "-n",
    "+n",
    "a%b",
    "a=b",
    "a\\b",
    "a#b",
    "a*",
    "ä",
]
SPACELESS = [
    "$$(touch$${IFS}ran)x",
    "$(touch$${IFS}ran)x",
    "`touch$${IFS}ran`",
    "a&touch$${IFS}ran",
]


@pytest.mark.parametrize("value", [*NO_PATH, *SPACELESS, *NASTY])
@pytest.mark.parametrize("exported", [False, True], ids=["argument", "environment"])
def test_a_venv_that_is_no_plain_path_is_one_line(folder, value, exported):
    if exported:
        done = make(folder, "-n", "lint", VENV=value)
    else:
        done = make(folder, "-n", "lint", f"VENV={value}")
    assert not (folder / "ran").exists()
    assert not (folder / "asked").exists()
    assert (done.returncode, done.stdout) == (2, "")
    allowed = "of letters, digits and . _ / ~ + - (the last two not in front)"
    got = " ".join(value.split())
    line = f"VENV must be the path of a folder, {allowed}, got '{got}'.  Stop."
    assert done.stderr.endswith(f" *** {line}\n")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("value", ["env", "./my-envs/A_z.0~9+", "../env", "/nowhere/.venv/"])
def test_a_venv_that_is_a_plain_path_is_used(folder, value):
    for done in (
        make(folder, "-n", "types", f"VENV={value}"),
        make(folder, "-n", "types", VENV=value),
    ):
        assert done.stdout.splitlines()[-1].startswith(f"{value}/bin/basedpyright ")


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("value", ["no-such-python", "my python", "false", "true", "echo"])
def test_a_python_that_does_not_suit_is_one_line(folder, value, whole):
    if not whole:
        shutil.rmtree(folder / ".venv")
    done = make(folder, "book", f"PYTHON={value}")
    assert done.returncode != 0
    lines = done.stderr.splitlines()
    assert lines[0] == f"PYTHON must be Python 3.11, 3.12 or 3.13, got '{value}'"
    assert len(lines) == 2, "the other one is make's own"
    assert not (folder / "asked").exists()


def test_a_python_may_have_a_space_in_its_path(folder):
    python = folder / "my pythons" / "python"
    python.parent.mkdir()
    shutil.move(folder / ".venv" / "bin" / "python", python)
    (folder / ".venv" / ".book").unlink()
    make(folder, ".venv/.book", f"PYTHON={python}")
    looks = ["-m", "utils.book.environment", ".venv"]
    assert asked(folder) == [*looks, *looks, "requirements-book.txt"]


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("book", ["requirements-book.txt"]),
        ("lint-python", ["requirements.txt"]),
        ("install-cpu", ["requirements.txt", "--cpu-torch"]),
    ],
)
def test_an_environment_without_its_python_is_looked_at(folder, target, arguments):
    shutil.move(folder / ".venv" / "bin" / "python", folder / "python3")
    make(folder, target, PATH=f"{folder}:{os.environ['PATH']}")
    expected = ["-m", "utils.book.environment", ".venv", *arguments]
    assert asked(folder)[: len(expected)] == expected


def test_an_environment_that_is_whole_is_left_alone(folder):
    make(folder, "book")
    assert asked(folder) == ["-m", "utils.book.build", "--quiet"]


def test_an_environment_that_failed_ends_make(folder):
    python = folder / "python3"
    python.write_text(IDLE + "exit 3\n")
    python.chmod(0o755)
    (folder / ".venv" / ".book").unlink()
    done = make(folder, "book", PATH=f"{folder}:{os.environ['PATH']}")
    assert done.returncode != 0
    assert not (folder / "asked").exists()


@pytest.mark.parametrize("status", [0, 3])
@pytest.mark.parametrize("target", ["book", "lint-python", "install-cpu"])
def test_only_what_installs_marks_as_installed(folder, target, status):
    for stamp in (".book", ".all"):
        (folder / ".venv" / stamp).unlink()
    python = folder / "python3"
    python.write_text(f"{IDLE}exit {status}\n")
    python.chmod(0o755)
    make(folder, "--ignore-errors", target, PATH=f"{folder}:{os.environ['PATH']}")
    assert sorted(path.name for path in (folder / ".venv").iterdir()) == ["bin"]
