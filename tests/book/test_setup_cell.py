"""The cell that fetches the course where there is no checkout, whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from utils.runtime import repo_root

CELL = repo_root() / "notebooks" / "setup_cell.py"


@pytest.fixture
def published(tmp_path) -> Path:
    """A git repository with what the cell looks for, wanting a package that does not exist."""
    folder = tmp_path / "published"
    (folder / "utils").mkdir(parents=True)
    (folder / "utils" / "checks.py").touch()
    (folder / "requirements-notebooks.txt").write_text("a-package-that-is-nowhere\n")
    commit(folder, "init", "-q", "-b", "main")
    return folder


def commit(folder: Path, *first: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (first, ("add", "-A"), (*who, "commit", "-q", "-m", "x")):
        if words:
            subprocess.run(["git", *words], cwd=folder, check=True)


def run(cwd: Path, repository: str) -> subprocess.CompletedProcess:
    environment = {
        **os.environ,
        "COURSE_REPO": repository,
        "COURSE_REF": "main",
        "PIP_NO_INDEX": "1",
    }
    code = CELL.read_text(encoding="utf-8") + "\nprint(root)"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True
    )


def test_a_failed_installation_is_tried_again(published, tmp_path):
    learner = tmp_path / "learner"
    learner.mkdir()
    assert "CalledProcessError" in run(learner, published.as_uri()).stderr

    # As if the package index answered again.
    (learner / "overparameterized" / "requirements-notebooks.txt").write_text("")
    done = run(learner, published.as_uri())
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == learner / "overparameterized"


def test_what_was_fetched_is_not_fetched_again(published, tmp_path):
    (published / "requirements-notebooks.txt").write_text("")
    commit(published)
    learner = tmp_path / "learner"
    learner.mkdir()
    assert run(learner, published.as_uri()).returncode == 0
    done = run(learner, (tmp_path / "gone").as_uri())
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == learner / "overparameterized"


def test_nothing_is_left_of_an_address_that_does_not_answer(tmp_path):
    done = run(tmp_path, (tmp_path / "gone").as_uri())
    assert "does not appear to be a git repository" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_inside_a_checkout_nothing_is_installed(published):
    chapter = published / "notebooks"  # the package it wants cannot be had
    chapter.mkdir()
    done = run(chapter, "")
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == published


def test_without_an_address_it_says_what_to_set(tmp_path):
    done = run(tmp_path, "")
    assert done.returncode == 1
    assert "Set COURSE_REPO to the course's repository" in done.stderr
