"""With an address set, the book offers Colab and Binder for every notebook, at the right place."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from utils.book.notebooks import all_notebooks
from utils.book.repository import set_repository
from utils.runtime import repo_root

URL = "https://github.com/someone/course"
PARTS = ("CITATION.cff", "_config.yml", "_toc.yml", "genindex.md")
PARTS += ("book", "notebooks", "records", "utils")


@pytest.fixture(scope="module")
def with_address(tmp_path_factory) -> Path:
    root = repo_root()
    copy = tmp_path_factory.mktemp("addressed")
    for part in PARTS:
        source = root / part
        if source.is_dir():
            skip = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
            shutil.copytree(source, copy / part, ignore=skip)
        else:
            shutil.copy(source, copy)
    set_repository(URL, copy)
    builder = Path(sys.executable).with_name("jupyter-book")
    result = subprocess.run(
        [builder, "build", ".", "--quiet", "-W", "-n", "--keep-going"],
        cwd=copy,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return copy


def hrefs(page: Path) -> list[str]:
    return [
        a["href"]
        for a in BeautifulSoup(page.read_text("utf-8"), "html.parser").find_all("a", href=True)
    ]


def test_every_notebook_opens_on_colab_and_binder(with_address):
    for notebook in all_notebooks():
        name = notebook.relative_to(repo_root())
        links = hrefs(with_address / "_build" / "html" / name.with_suffix(".html"))
        assert (
            f"https://colab.research.google.com/github/someone/course/blob/main/{name.as_posix()}"
            in links
        )
        binder = (
            f"https://mybinder.org/v2/gh/someone/course/main?urlpath=lab/tree/{name.as_posix()}"
        )
        assert binder in links


def test_the_setup_cell_of_every_notebook_knows_the_address(with_address):
    for notebook in (with_address / "notebooks").rglob("*.ipynb"):
        assert f'(\\"COURSE_REPO\\", \\"{URL}\\")' in notebook.read_text("utf-8"), notebook.name
