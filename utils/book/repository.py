"""Write the repository's address everywhere it stands: ``make set-repository URL=https://…``.

It stands in ``_config.yml`` (the pages' buttons, and where they are published), in the setup cell
of every notebook and assignment (what Colab clones), in the assignments' badges, in ``README.md``
(badges) and in ``CITATION.cff``. An empty address takes it out again.

``python -m utils.book.repository --check URL`` looks whether another address is committed, such as
that of the repository from which this one was forked.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from utils.book.cited import read
from utils.book.notebooks import SETUP_TAG
from utils.book.repository_links import (
    BOOK_PICTURE,
    address_of,
    checked_address,
    checked_site,
    colab_badge,
    default_site,
    readme_badges,
    site_of,
)
from utils.files import write_text
from utils.runtime import repo_root
from utils.validate import require

ROOT = repo_root()
CONFIG_LINE = re.compile(r'^  url: ".*"$', re.MULTILINE)
SITE_LINE = re.compile(r'^  baseurl: ".*"', re.MULTILINE)
SETUP_LINE = re.compile(
    r'^COURSE_REPO = os\.environ\.get\(\s*"COURSE_REPO",\s*"[^"]*",?\s*\)$', re.MULTILINE
)
CITATION_LINES = re.compile(r"^(?:url|repository-code): .*\n", re.MULTILINE)
# The line of badges as `readme_badges` writes it, and nobody else's.
_TESTS = r"Tests\]\(\S*/workflows/pages\.yml/"
_BOOK = rf"Read the book\]\({re.escape(BOOK_PICTURE)}"
README_BADGES = re.compile(rf"^\[!\[(?:{_TESTS}|{_BOOK}).*\n\n", re.MULTILINE)
RELEASE_BADGE = re.compile(r"\n\n\[!\[Open in Colab\].*\Z")


def set_repository(url: str, site: str = "", root: Path = ROOT) -> list[Path]:
    """Write the address wherever it stands below ``root``; return the files that changed.

    url : ``https://host/owner/name``, or empty.
    site : where the pages are published, ``https://host/…``; by default as it was if ``url``
        does not change; for a new ``url`` GitHub Pages' address of it, or nothing for other hosts.

    Raises ``ValueError`` in one line for another ``url`` or ``site``, and if a file is not what it
    should be; then no file is changed. Raises ``OSError`` in one line if a file cannot be written:
    it is as it was, those before it are changed, and calling this again finishes the others.
    """
    url = checked_address(url)
    known = site_of(root) if url == address_of(root) else ""
    site = checked_site(site) or known or default_site(url)
    require(bool(url) or not site, "SITE", "empty while URL is empty", site)

    new_text = _new_texts(url, site, root)
    for path, text in new_text.items():
        write_text(path, text)
    return list(new_text)


def check(url: str, root: Path = ROOT) -> None:
    """Raise ``ValueError`` in one line unless ``url`` stands everywhere below ``root``."""
    url = checked_address(url)
    remedy = f"run make set-repository URL={url}, and commit what it changes"
    committed = address_of(root)
    if committed != url:
        raise ValueError(
            f"the committed address is {committed or 'empty'}, not {url or 'empty'}: {remedy}"
        )
    missing = list(_new_texts(url, site_of(root), root))
    if missing:
        raise ValueError(f"the address is not set in {missing[0].relative_to(root)}: {remedy}")


def _new_texts(url: str, site: str, root: Path) -> dict[Path, str]:
    """The texts of all files that change; read first, so that a bad file stops all of them."""
    config = root / "_config.yml"
    setup_cell = root / "notebooks" / "setup_cell.py"
    readme = root / "README.md"
    citation = root / "CITATION.cff"
    text_of = {
        config: _configured(config, url, site),
        setup_cell: _with_setup_line(setup_cell.read_text(encoding="utf-8"), url, setup_cell),
        readme: _with_badges(readme, readme_badges(url, site)),
        citation: _cited_at(citation, url, site),
    }
    for folder in ("notebooks", "assignments/source"):
        for path in _notebooks(root / folder):
            text_of[path] = _notebook_text(path, url)
    for path in _notebooks(root / "assignments" / "release"):
        badge = colab_badge(url, path.relative_to(root).as_posix())
        text_of[path] = _notebook_text(path, url, badge)
    return {p: new for p, new in text_of.items() if new != p.read_text(encoding="utf-8")}


def _notebooks(folder: Path) -> list[Path]:
    """The notebooks below ``folder``, without the checkpoints that Jupyter keeps there."""
    found = sorted(folder.rglob("*.ipynb"))
    return [path for path in found if ".ipynb_checkpoints" not in path.parts]


# ---- one file each -------------------------------------------------------------------------------


def _configured(path: Path, url: str, site: str) -> str:
    """The text of ``_config.yml`` with the address, and where the pages are published."""
    text = path.read_text(encoding="utf-8")
    text = _with_line(text, CONFIG_LINE, f'  url: "{url}"', path)
    return _with_line(text, SITE_LINE, f'  baseurl: "{site}"', path)


def _with_setup_line(text: str, url: str, path: Path) -> str:
    """The setup cell of the file ``path``, with the address."""
    line = 'COURSE_REPO = os.environ.get("COURSE_REPO", "")'
    if url:
        # An argument a line, which `make lint` accepts whatever the length of the address.
        line = f'COURSE_REPO = os.environ.get(\n    "COURSE_REPO",\n    "{url}",\n)'
    return _with_line(text, SETUP_LINE, line, path)


def _with_line(text: str, pattern: re.Pattern[str], line: str, path: Path) -> str:
    """The text of the file ``path``, with ``line`` in place of the one that matches."""
    found = pattern.findall(text)
    if len(found) != 1:
        raise ValueError(f"{path.name} must hold the address once, found {found}")
    return pattern.sub(line, text)


def _notebook_text(path: Path, url: str, badge: str | None = None) -> str:
    """The text of a notebook whose setup cell knows the address.

    ``badge`` is what its first cell ends with, where it is an assignment for students.
    """
    notebook = _read_notebook(path)
    before = json.dumps(notebook)
    for cell in notebook["cells"]:
        if SETUP_TAG in cell["metadata"].get("tags", []):
            _set_source(cell, _with_setup_line(_source(cell), url, path))
    if badge is not None:
        first = notebook["cells"][0]
        below = f"\n\n{badge}" if badge else ""
        _set_source(first, RELEASE_BADGE.sub("", _source(first)) + below)
    if json.dumps(notebook) == before:  # whoever wrote it may have written it otherwise
        return path.read_text(encoding="utf-8")
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _read_notebook(path: Path) -> dict[str, Any]:
    """A notebook's JSON. Raises ``ValueError`` in one line for a file that is none."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        if not notebook["cells"]:
            raise ValueError("no cells")
        for cell in notebook["cells"]:
            _source(cell)
            list(cell["metadata"].get("tags", []))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path.name} must be a Jupyter notebook") from None
    return notebook


def _source(cell: dict[str, Any]) -> str:
    """A cell's text, which a notebook may hold as one text or as a list of lines."""
    return "".join(cell["source"])


def _set_source(cell: dict[str, Any], text: str) -> None:
    """Give a cell another text, as the list of lines that Jupyter writes."""
    cell["source"] = text.splitlines(keepends=True)


def _with_badges(path: Path, badges: str) -> str:
    """The text of ``README.md`` with the badges below its title, or without any."""
    text = README_BADGES.sub("", path.read_text(encoding="utf-8"))
    title, empty_line, rest = text.partition("\n\n")
    if badges:
        return f"{title}{empty_line}{badges}\n\n{rest}"
    return text


def _cited_at(path: Path, url: str, site: str) -> str:
    """The text of ``CITATION.cff`` with the addresses as its last lines, or without them."""
    read(path)  # so that a file that is broken stops this here
    text = CITATION_LINES.sub("", path.read_text(encoding="utf-8"))
    if site:
        text += f'url: "{site}"\n'
    if url:
        text += f'repository-code: "{url}"\n'
    return text


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    purpose = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m utils.book.repository", description=purpose)
    parser.add_argument(
        "url", nargs="?", default="", help="https://host/owner/name; empty takes it out"
    )
    parser.add_argument(
        "site",
        nargs="?",
        default="",
        help="where the pages are published; by default as before if the address does not change, "
        "else what GitHub Pages makes of it",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail unless this is the address"
    )
    options = parser.parse_args(arguments)
    try:
        if options.check:
            check(options.url)
            return
        changed = set_repository(options.url, options.site)
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    for path in changed:
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
