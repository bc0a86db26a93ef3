"""Old addresses of pages keep working: ``book/redirects.json`` says where each of them is now.

The file maps old pages to new ones, as ``{"book/old.html": "book/new.html"}``. For each a small
page is written that leads on, with the anchor and the query that the reader came with. It works
from disk, and without scripts, though only a script can hand on the anchor and the query. It is no
document, so neither search nor menu knows it. The root, ``index.html``, leads to the title page in
the same way.
"""

from __future__ import annotations

import html
import json
import sys
from os.path import relpath
from pathlib import Path, PurePosixPath

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

sys.path.insert(0, str(Path(__file__).parents[2]))  # the course's own library
from utils.book.words import language, tr

FILE = "redirects.json"
FOLDER = "book"
ROOT_PAGE = "index.html"

PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<link rel="canonical" href="{canonical}">
<script>location.replace("{target}" + location.search + location.hash);</script>
<noscript><meta http-equiv="refresh" content="0; url={target}"></noscript>
</head>
<body>
<main><article>
<h1>{heading}</h1>
<p>{now}</p>
</article></main>
</body>
</html>
"""


def read(path: Path) -> dict[str, str]:
    """Old pages and where they are now. No file is none.

    Raises ``ExtensionError`` in one line unless the file maps pages to pages.
    """
    if not path.is_file():
        return {}
    try:
        moved = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ExtensionError(f"{path.name} is not JSON ({error})") from None
    if not isinstance(moved, dict):
        raise ExtensionError(f"{path.name} must map old pages to new ones, got {moved!r}")
    for old, new in moved.items():
        for page in (old, new):
            if not is_page(page):
                raise ExtensionError(
                    f"{path.name}: a page must be a path from the book's root such as "
                    f"'book/index.html', got {page!r}"
                )
    return moved


def is_page(path: object) -> bool:
    """Whether this is the path of a page inside the book.

    >>> [is_page(p) for p in ("book/a.html", "../a.html", "/a.html", "a.html#b", "a//b.html", 3)]
    [True, False, False, False, False, False]
    """
    if not isinstance(path, str) or not path.endswith(".html"):
        return False
    inside = ".." not in PurePosixPath(path).parts and not path.startswith("/")
    plain = PurePosixPath(path).as_posix() == path and not set(path) & set("#?\\\"'<>&: ")
    return inside and plain


def targets(moved: dict[str, str], pages: set[str]) -> dict[str, str]:
    """For each old page the one of ``pages`` to which it leads in the end.

    Raises ``ExtensionError`` in one line for an old page that is there again, a new one that is
    not, and a circle.

    >>> targets({"a.html": "b.html", "b.html": "c.html"}, {"c.html"})
    {'a.html': 'c.html', 'b.html': 'c.html'}
    """
    final = {}
    # Two names that differ in their case are one file on some disks.
    taken = {page.lower() for page in pages}
    for old in moved:
        if old.lower() in taken:
            raise ExtensionError(
                f"{FILE}: {old} is a page of the book, so it cannot lead elsewhere"
            )
        path = [old]
        while path[-1] in moved:
            following = moved[path[-1]]
            if following in path:
                raise ExtensionError(f"{FILE}: {' → '.join([*path, following])} is a circle")
            path.append(following)
        if path[-1] not in pages:
            raise ExtensionError(f"{FILE}: {old} leads to {path[-1]}, which is no page of the book")
        final[old] = path[-1]
    return final


def page_that_leads(old: str, new: str, title: str, site: str) -> str:
    """The HTML of the page ``old``, which leads to ``new``, named ``title``.

    ``site`` is where the book is published, with a final slash, or empty.
    """
    target = relpath(new, PurePosixPath(old).parent)
    name = html.escape(title)
    return PAGE.format(
        language=language(),
        target=target,
        canonical=f"{site}{new}" if site else target,
        title=name,
        heading=tr("This page has moved"),
        now=tr("It is now {page}.", page=f'<a href="{target}">{name}</a>'),
    )


def built_pages(app: Sphinx) -> dict[str, str]:
    """The path of every page that Sphinx writes, and its title."""
    titles = {f"{name}.html": app.env.titles[name].astext() for name in app.env.found_docs}
    titles["search.html"] = tr("Search")
    titles["genindex.html"] = titles.get("genindex.html", tr("Index"))
    titles["404.html"] = tr("This page is not there")
    titles[ROOT_PAGE] = app.env.titles[app.config.root_doc].astext()
    return titles


def look_at_redirects(app: Sphinx, env: object) -> None:
    """End the build if an old address would lead nowhere."""
    if app.builder.format == "html":
        targets(read(Path(app.srcdir) / FOLDER / FILE), set(built_pages(app)))


def write_redirects(app: Sphinx, exception: Exception | None) -> None:
    """Write the small pages."""
    if exception is not None or app.builder.format != "html":
        return
    titles = built_pages(app)
    final = targets(read(Path(app.srcdir) / FOLDER / FILE), set(titles))
    if app.config.root_doc != "index":
        final[ROOT_PAGE] = f"{app.config.root_doc}.html"
    for old, new in final.items():
        place = Path(app.outdir) / old
        place.parent.mkdir(parents=True, exist_ok=True)
        text = page_that_leads(old, new, titles[new], app.config.html_baseurl or "")
        place.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, object]:
    """Register the steps."""
    app.connect("env-updated", look_at_redirects)
    app.connect("build-finished", write_redirects)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
