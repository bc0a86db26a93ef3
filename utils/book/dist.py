"""The built book to carry away: ``make dist`` writes it as a zip and as a PDF.

``python -m utils.book.dist [--without-solutions]`` takes the book that ``make book`` has built and
writes to ``_build/dist/``

- ``overparameterized-VERSION.zip``: one folder, whose ``index.html`` opens from disk;
- ``overparameterized-VERSION.pdf``: all pages in reading order, with everything open.

VERSION is that of ``CITATION.cff``. Both files come from the same build and hold the licence, and
each appears whole or not at all; without a browser there is the zip alone. With
``--without-solutions`` they are made of the book that ``make book SOLUTIONS=hide`` has built, and
VERSION is followed by ``-without-solutions``.
"""

from __future__ import annotations

import argparse
import re
import sys
import zipfile
from pathlib import Path

from utils.book.build import COMPLETE
from utils.book.cited import authors, read
from utils.book.hide import FOLDER as HIDDEN
from utils.book.pdf import print_book
from utils.files import locked, replacing
from utils.runtime import repo_root
from utils.validate import require

NAME = "overparameterized"
LICENSE = "LICENSE"
MADE = (1980, 1, 1, 0, 0, 0)  # every file's date, so that the same pages make the same zip
MODE = 0o644 << 16  # a plain file that its owner may write, where zip keeps it
# What no page loads: what Sphinx and the theme keep for themselves, and translations.
NOT_READ = re.compile(
    r"\.buildinfo(\.bak)?|objects\.inv|.*\.map|_static/locales/.*"
    r"|_static/scripts/fontawesome\..*|_static/[\w-]*webpack-macros\.html"
)


def dist(root: Path, *, without_solutions: bool = False) -> list[Path]:
    """Write the zip and the PDF of the book built in ``root``; gives their paths.

    Raises ``ValueError`` where no complete book is built, ``CITATION.cff`` lacks something or a
    link leads nowhere, ``RuntimeError`` where there is no browser for the PDF or a page has an
    error (the zip is then written), and ``OSError`` where a file cannot be read or written, each in
    one line.
    """
    licence = root / LICENSE
    cover = cover_of(root / "CITATION.cff") | {"licence": licence.read_text(encoding="utf-8")}
    built = root / HIDDEN / "source" / "_build" if without_solutions else root / "_build"
    html = root / HIDDEN / "html" if without_solutions else built / "html"
    command = "make book SOLUTIONS=hide" if without_solutions else "make book"

    def require_complete() -> None:
        if not ((built / COMPLETE).is_file() and (html / "index.html").is_file()):
            where = html.relative_to(root)
            raise ValueError(f"no complete book is built in {where}: run {command}")

    require_complete()

    name = f"{NAME}-{cover['version']}" + ("-without-solutions" if without_solutions else "")
    folder = root / "_build" / "dist"
    packed = folder / f"{name}.zip"
    printed = folder / f"{name}.pdf"
    # No build changes the pages meanwhile: it takes the same lock. One that we waited for may fail.
    with locked(built / COMPLETE, wait=True):
        require_complete()
        pack(html, licence, packed, name)
        try:
            print_book(html, cover, printed)
        except RuntimeError as error:
            raise RuntimeError(f"{packed.name} is written, but no PDF: {error}") from None
    return [packed, printed]


def cover_of(citation: Path) -> dict[str, str]:
    """What the cover says: title, abstract, authors, version and license, from ``CITATION.cff``.

    Raises ``ValueError`` in one line for one that is missing.
    """
    said = read(citation)
    cover = {"authors": ", ".join(authors(said))}
    for name in ("title", "abstract", "version", "license"):
        value = said.get(name)
        require(value is not None, f"{name} in {citation.name}", "given", value)
        cover[name] = str(value).strip()
    # It becomes part of a file's name.
    is_version = re.fullmatch(r"[0-9A-Za-z][\w.+-]*", cover["version"]) is not None
    allowed = "letters, digits and . + - _"
    require(is_version, f"version in {citation.name}", allowed, cover["version"])
    return cover


def pack(html: Path, licence: Path, path: Path, top: str) -> None:
    """Write the zip ``path`` of the folder ``html``, named ``top`` in it, whole or not at all.

    The licence goes along.

    The same pages make the same bytes. Raises ``OSError`` if it cannot be written.
    """
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        sources = {source.relative_to(html).as_posix(): source for source in needed(html)}
        sources[LICENSE] = licence
        for place, source in sorted(sources.items()):
            entry = zipfile.ZipInfo(f"{top}/{place}", date_time=MADE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = MODE
            packed.writestr(entry, source.read_bytes())


def needed(html: Path) -> list[Path]:
    """The files of the built book that its reader needs, sorted by path."""
    files = []
    for path in sorted(html.rglob("*")):
        name = path.relative_to(html).as_posix()
        # A figure has two drawings, one for each palette; the one they were made of is not shown.
        is_drawn_twice = path.suffix == ".svg" and path.with_stem(f"{path.stem}-light").exists()
        if path.is_file() and not NOT_READ.fullmatch(name) and not is_drawn_twice:
            files.append(path)
    return files


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write the built book as a zip and as a PDF.")
    parser.add_argument(
        "--without-solutions", action="store_true", help="of the book built with SOLUTIONS=hide"
    )
    options = parser.parse_args(arguments)
    root = repo_root()
    try:
        made = dist(root, without_solutions=options.without_solutions)
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(str(error))
    for path in made:
        print(f"{path.relative_to(root)}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
