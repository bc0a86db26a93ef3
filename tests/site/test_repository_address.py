"""With an address set, all links to the repository and to the published book are right."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.site.conftest import pages, soup
from utils.book.addresses import todays_pages
from utils.book.hide import PARTS
from utils.book.notebooks import all_notebooks
from utils.book.repository import check, set_repository
from utils.book.repository_links import address_of
from utils.runtime import repo_root

URL = "https://github.com/someone/course"
SITE = "https://someone.github.io/course/"
COLAB = "https://colab.research.google.com/github/someone/course/blob/main"
BINDER = "https://mybinder.org/v2/gh/someone/course/main?urlpath=lab/tree"
OF_SPHINX = ("search.html", "genindex.html")  # pages whose text stands in no file
LAUNCHERS = re.compile(r"colab\.research|mybinder\.org|/edit/|/issues/new")


@pytest.fixture(scope="module")
def with_address(tmp_path_factory) -> Path:
    """A copy of the course with an address, and its book."""
    root = repo_root()
    copy = tmp_path_factory.mktemp("addressed")
    for part in (*PARTS, "assignments", "README.md"):
        source = root / part
        if source.is_dir():
            skip = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
            shutil.copytree(source, copy / part, ignore=skip)
        else:
            shutil.copy(source, copy)
    set_repository(URL, root=copy)
    builder = Path(sys.executable).with_name("jupyter-book")
    result = subprocess.run(
        [builder, "build", ".", "--quiet", "-W", "-n", "--keep-going"],
        cwd=copy,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return copy


@pytest.fixture(scope="module")
def built(with_address) -> Path:
    return with_address / "_build" / "html"


def hrefs(page: Path) -> list[str]:
    return [tag["href"] for tag in soup(page).find_all("a", href=True)]


def source_of(page: str, root: Path) -> str:
    """The file in the repository from which a page is made."""
    stem = page.removesuffix(".html")
    [source] = [f"{stem}{end}" for end in (".md", ".ipynb") if (root / f"{stem}{end}").is_file()]
    return source


def test_every_notebook_opens_on_colab_and_binder_and_no_other_page_does(built):
    notebooks = {path.relative_to(repo_root()).as_posix() for path in all_notebooks()}
    for page in pages(built):
        name = page.relative_to(built).with_suffix(".ipynb").as_posix()
        found = [href for href in hrefs(page) if re.search(r"colab\.research|mybinder\.org", href)]
        expected = [f"{BINDER}/{name}", f"{COLAB}/{name}"] if name in notebooks else []
        assert sorted(found, reverse=True) == expected, name


def test_every_page_leads_to_its_source_and_to_a_new_issue(built):
    of_the_theme = set(todays_pages(repo_root())) - {"index.html"}
    for page in pages(built):
        name = page.relative_to(built).as_posix()
        found = {href for href in hrefs(page) if href.startswith(URL)}
        expected = set()
        if name in of_the_theme:
            title = f"{quote('Issue on page')}%20%2F{name}"
            body = quote("Your issue content here.")
            expected = {URL, f"{URL}/issues/new?title={title}&body={body}"}
            if name not in OF_SPHINX:
                expected.add(f"{URL}/edit/main/{source_of(name, repo_root())}")
        assert found == expected, name


def test_every_page_names_its_published_address(built):
    for page in pages(built):
        name = page.relative_to(built).as_posix()
        canonical = [tag["href"] for tag in soup(page).select("link[rel=canonical]")]
        leads_to = {"index.html": "book/index.html"}.get(name, name)
        assert canonical == ([] if name == "404.html" else [f"{SITE}{leads_to}"]), name


def test_whatever_leads_to_the_published_book_leads_to_a_page(built):
    found = {href for page in pages(built) for href in hrefs(page) if href.startswith(SITE)}
    assert f"{SITE}search.html" in found, "the page for what is not there names it"
    for href in found:
        place = built / href.removeprefix(SITE)
        assert (place / "index.html" if place.is_dir() else place).is_file(), href


def test_the_page_on_citing_gives_the_address(built):
    text = soup(built / "book" / "citing.html").select_one("article").get_text()
    assert text.count(SITE) == 3, "as text, for BibTeX, and in the file"
    assert f'repository-code: "{URL}"' in text


def test_the_setup_cell_of_every_notebook_knows_the_address(with_address):
    check(URL, with_address)
    notebooks = [p for p in with_address.rglob("*.ipynb") if "_build" not in p.parts]
    assert len(notebooks) > len(all_notebooks())
    for notebook in notebooks:
        assert f'\\"{URL}\\"' in notebook.read_text("utf-8"), notebook.name


def test_the_assignments_are_as_make_assignments_writes_them(with_address):
    release = sorted((with_address / "assignments" / "release").rglob("*.ipynb"))
    before = {path: path.read_text("utf-8") for path in release}
    command = [sys.executable, "-m", "utils.grading.make"]
    subprocess.run(command, cwd=with_address, check=True, capture_output=True)
    assert len(before) > 0
    for path, text in before.items():
        assert path.read_text("utf-8") == text, path.name
        assert f"{COLAB}/assignments/release/{path.parent.name}/{path.name}" in text


def test_without_an_address_no_page_leads_to_a_repository(html):
    if address_of(repo_root()):
        pytest.skip("this repository has an address")
    found = [
        f"{page.relative_to(html)}: {href}"
        for page in pages(html)
        for href in hrefs(page)
        if LAUNCHERS.search(href)
    ]
    assert found == []
    assert not (html / "404.html").exists()
