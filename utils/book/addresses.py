"""The addresses of the book's pages, so that those once published go on working.

``book/addresses.txt`` lists every page that was ever published, a path from the book's root on each
line. ``python -m utils.book.addresses`` adds today's pages to it. A page that goes or gets another
name stays in the list, and ``book/redirects.json`` says where it is now; the anchors inside pages
are not listed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from utils.files import write_text
from utils.runtime import repo_root

LIST = Path("book") / "addresses.txt"
# Pages that no line of the table of contents stands for: the root, and the search.
OTHERS = ("index.html", "search.html")


def todays_pages(root: Path) -> list[str]:
    """The paths of the pages that the table of contents below ``root`` leads to, sorted."""
    import yaml

    contents = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    pages = [f"{name}.html" for name in _named(contents)]
    return sorted([*pages, *OTHERS])


def _named(entry: Any) -> Iterator[str]:
    """The documents that a part of the table of contents names."""
    if isinstance(entry, list):
        for inner in entry:
            yield from _named(inner)
    elif isinstance(entry, dict):
        for key, value in entry.items():
            if key in ("root", "file"):
                yield value
            else:
                yield from _named(value)


def published_pages(root: Path) -> list[str]:
    """The paths in the list below ``root``. Raises ``OSError`` if it is not there."""
    return (root / LIST).read_text(encoding="utf-8").split()


def add_todays_pages(root: Path) -> list[str]:
    """Add the pages that the list below ``root`` lacks, and give their paths.

    Nothing is ever taken out. Raises ``OSError`` in one line if the list cannot be written.
    """
    published = published_pages(root) if (root / LIST).is_file() else []
    new = sorted(set(todays_pages(root)) - set(published))
    if new:
        write_text(root / LIST, "\n".join(sorted([*published, *new])) + "\n")
    return new


def main() -> None:
    """The command line."""
    try:
        new = add_todays_pages(repo_root())
    except OSError as error:
        sys.exit(str(error))
    for page in new:
        print(page)


if __name__ == "__main__":
    main()
