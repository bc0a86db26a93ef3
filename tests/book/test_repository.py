"""Setting the repository's address changes every place it stands, and can be undone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks import ensembles as benchmark
from utils.book import notebooks, repository
from utils.book.repository import ROOT, check, set_repository
from utils.book.repository_links import address_of, default_site, site_of

URL = "https://github.com/someone/course"
NOTEBOOK = "notebooks/double_descent/01_closed_form.ipynb"
SOURCE = "assignments/source/sampling/sampling.ipynb"
RELEASE = "assignments/release/sampling/sampling.ipynb"
FILES = ("_config.yml", "CITATION.cff", "README.md", "notebooks/setup_cell.py")
FILES += (NOTEBOOK, SOURCE, RELEASE)


@pytest.fixture
def copy(tmp_path):
    """What holds the address, with one notebook of each kind, and no address in it."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    set_repository("", root=tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def cells(path: Path) -> list[str]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"]]


def test_an_address_stands_everywhere_and_can_be_taken_out_again(copy):
    before = contents(copy)
    changed = set_repository(f"{URL}.git/", root=copy)
    assert sorted(changed) == sorted(copy / name for name in FILES)
    check(URL, copy)

    config = yaml.safe_load((copy / "_config.yml").read_text())
    assert config["repository"]["url"] == URL
    assert config["html"]["baseurl"] == "https://someone.github.io/course/"
    citation = yaml.safe_load((copy / "CITATION.cff").read_text())
    assert citation["repository-code"] == URL
    assert citation["url"] == "https://someone.github.io/course/"
    for name in (NOTEBOOK, SOURCE, RELEASE):
        assert f'    "COURSE_REPO",\n    "{URL}",\n)' in "".join(cells(copy / name)), name
    colab = f"https://colab.research.google.com/github/someone/course/blob/main/{RELEASE}"
    assert cells(copy / RELEASE)[0].endswith(f"]({colab})")
    assert "colab" not in cells(copy / SOURCE)[0]

    set_repository("", root=copy)
    assert contents(copy) == before


def test_another_address_takes_the_place_of_the_first(copy):
    set_repository("https://github.com/parent/course", root=copy)
    set_repository("https://github.com/child/fork", "https://course.example.org", copy)
    for path, content in contents(copy).items():
        assert b"github.com/parent" not in content, path
    assert site_of(copy) == "https://course.example.org/"
    assert 'url: "https://course.example.org/"' in (copy / "CITATION.cff").read_text()


def test_a_site_of_ones_own_stays_until_the_address_changes(copy):
    set_repository(URL, "https://course.example.org", copy)
    set_repository(URL, root=copy)  # as the workflow "adopt" does
    assert site_of(copy) == "https://course.example.org/"
    set_repository("https://github.com/child/fork", root=copy)
    assert site_of(copy) == "https://child.github.io/fork/"


def test_a_citation_that_is_broken_leaves_every_file_as_it_was(copy):
    (copy / "CITATION.cff").write_text("<<<<<<< ours: [\n")
    before = contents(copy)
    with pytest.raises(ValueError, match=r"^CITATION\.cff must be YAML, see line 2$"):
        set_repository(URL, root=copy)
    assert contents(copy) == before


def test_without_url_make_changes_nothing():
    # `make test` hands an empty URL to what it starts.
    environment = {name: value for name, value in os.environ.items() if name != "URL"}
    done = subprocess.run(
        ["make", "-C", str(ROOT), "set-repository"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert done.stderr.startswith("URL must be given: URL=https://host/owner/name, or URL= to")


def test_the_badges_stand_below_the_title(copy):
    set_repository(URL, root=copy)
    title, badges, rest = (copy / "README.md").read_text(encoding="utf-8").split("\n\n", 2)
    assert title == "# Overparameterized"
    assert f"({URL}/actions/workflows/pages.yml)" in badges
    assert "(https://someone.github.io/course/)" in badges
    [notebook] = re.findall(r"/blob/main/([^)]+)\)", badges)
    assert (ROOT / notebook).is_file()
    assert not rest.startswith("[![")


def test_badges_of_ones_own_stay(copy):
    readme = copy / "README.md"
    title, rest = readme.read_text(encoding="utf-8").split("\n\n", 1)
    readme.write_text(f"{title}\n\n[![Mine](https://a.b/c.svg)](https://a.b)\n\n{rest}")
    before = contents(copy)
    set_repository(URL, "https://course.example.org", copy)
    set_repository("https://example.org/someone/course", "https://course.example.org", copy)
    set_repository("", root=copy)
    assert contents(copy) == before


def test_another_host_gets_nothing_that_only_github_has(copy):
    set_repository("https://git.example.org:8443/someone/course", root=copy)
    assert site_of(copy) == ""
    assert "url: " not in (copy / "CITATION.cff").read_text().replace("repository-code: ", "")
    assert "[![" not in (copy / "README.md").read_text(encoding="utf-8")
    assert "colab.research" not in cells(copy / RELEASE)[0]
    assert "git.example.org:8443/someone/course" in "".join(cells(copy / NOTEBOOK))


@pytest.mark.parametrize("name", ["c", "course", "a-course-" * 4 + "x", "a-course-" * 12 + "x"])
def test_make_lint_accepts_an_address_of_any_length(copy, name):
    for config in ("pyproject.toml", "notebooks/ruff.toml"):
        shutil.copy(ROOT / config, copy / config)
    set_repository(f"https://github.com/someone/{name}", root=copy)
    ruff = Path(sys.executable).with_name("ruff")
    for words in (["format", "--check"], ["check"]):
        command = [ruff, *words, "--no-cache", copy / "notebooks"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
    # It is found again, to be replaced.
    set_repository(URL, root=copy)
    check(URL, copy)


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
    before = contents(copy)
    with pytest.raises(ValueError, match="URL must be https://host/owner/name, or empty"):
        set_repository(url, root=copy)
    assert contents(copy) == before


@pytest.mark.parametrize(
    "site",
    [
        "http://example.org",
        "https://example.org/?x=1",
        "https://example.org/../x",
        'https://example.org/"',
        "https:///x",
        3,
    ],
)
def test_what_is_no_site_is_refused(copy, site):
    before = contents(copy)
    with pytest.raises(ValueError, match="SITE must be https://host/…, without a query, or empty"):
        set_repository(URL, site, copy)
    assert contents(copy) == before


def test_a_site_without_an_address_is_refused(copy):
    with pytest.raises(ValueError, match="SITE must be empty while URL is empty, got 'https://"):
        set_repository("", "https://example.org", copy)


def test_a_broken_notebook_leaves_every_file_as_it_was(copy):
    (copy / "notebooks" / "zz.ipynb").write_text("{")
    before = contents(copy)
    with pytest.raises(ValueError, match=r"^zz\.ipynb must be a Jupyter notebook$"):
        set_repository("https://example.org/someone/course", root=copy)
    assert contents(copy) == before


def test_a_setup_cell_without_the_line_leaves_every_file_as_it_was(copy):
    cell = {"metadata": {"tags": ["course-setup"]}, "source": ["import os"]}
    (copy / "notebooks" / "zz.ipynb").write_text(json.dumps({"cells": [cell]}))
    before = contents(copy)
    with pytest.raises(ValueError, match=r"^zz\.ipynb must hold the address once, found \[\]$"):
        set_repository(URL, root=copy)
    assert contents(copy) == before


# ---- the site that follows from an address -------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://github.com/Someone/Course", "https://someone.github.io/Course/"),
        ("https://github.com/Someone/someone.github.io", "https://someone.github.io/"),
        ("https://gitlab.com/someone/course", ""),
        ("", ""),
    ],
)
def test_only_where_github_publishes_is_known(url, site):
    assert default_site(url) == site


# ---- looking without writing ---------------------------------------------------------------------


def test_the_address_of_a_parent_is_found(copy):
    set_repository("https://github.com/parent/course", root=copy)
    with pytest.raises(
        ValueError, match="the committed address is https://github.com/parent/"
    ) as e:
        check(URL, copy)
    assert str(e.value).endswith(f"run make set-repository URL={URL}, and commit what it changes")
    assert "\n" not in str(e.value)


def test_a_notebook_without_the_address_is_found(copy):
    shutil.copy(copy / NOTEBOOK, copy / "notebooks" / "new.ipynb")
    set_repository(URL, root=copy)
    shutil.copy(ROOT / NOTEBOOK, copy / "notebooks" / "new.ipynb")
    if address_of(ROOT) != URL:
        with pytest.raises(ValueError, match=r"^the address is not set in notebooks/new\.ipynb:"):
            check(URL, copy)


def test_a_site_of_ones_own_is_no_fault(copy):
    set_repository(URL, "https://course.example.org", copy)
    check(URL, copy)


def test_the_command_looks_and_writes_nothing(capsys, monkeypatch, copy):
    monkeypatch.setattr(repository, "ROOT", copy)
    before = contents(copy)
    monkeypatch.setattr(repository, "check", lambda url: check(url, copy))
    with pytest.raises(SystemExit) as end:
        repository.main(["--check", "--", URL])
    assert end.value.code.startswith(f"the committed address is empty, not {URL}: run make ")
    repository.main(["--check", ""])
    assert capsys.readouterr() == ("", "")
    assert contents(copy) == before


def test_the_committed_address_stands_everywhere():
    check(address_of(ROOT))


# ---- commands that refuse in one line ------------------------------------------------------------


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
