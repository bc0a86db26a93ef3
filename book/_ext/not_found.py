"""``404.html``, which GitHub Pages and other hosts show for an address that is not there.

It may be shown in place of a page of any folder, so its links are whole addresses, and it takes
nothing from the book's other files. Without an address of the published book there is none.
"""

from __future__ import annotations

import html
import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[2]))  # the course's own library
from utils.book.words import language, tr

PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{heading} – {title}</title>
<style>
body {{ max-width: 40rem; margin: 3rem auto; padding: 0 1rem; font: 1.1rem/1.5 system-ui; }}
[data-theme="light"] {{ background: #fff; color: #222; }}
[data-theme="light"] a {{ color: #0a5a9c; }}
[data-theme="dark"] {{ background: #14181e; color: #ddd; }}
[data-theme="dark"] a {{ color: #7cc4ff; }}
</style>
<script>
// In localStorage the pages keep what their reader chose; "auto" or nothing is the system's.
const chosen = localStorage.getItem("mode");
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
const theme = chosen === "dark" || chosen === "light" ? chosen : dark ? "dark" : "light";
document.documentElement.dataset.theme = theme;
</script>
</head>
<body>
<main><article>
<h1>{heading}</h1>
<p>{reason}</p>
<ul>
<li><a href="{site}{root}.html">{title_page}</a></li>
<li><a href="{site}search.html">{search}</a></li>
</ul>
</article></main>
</body>
</html>
"""


def write_page(app: Sphinx, exception: Exception | None) -> None:
    """Write ``404.html`` where the address of the published book is known."""
    site = app.config.html_baseurl
    if exception is not None or app.builder.format != "html":
        return
    page = Path(app.outdir) / "404.html"
    if not site:
        page.unlink(missing_ok=True)  # from a build that knew an address
        return
    title = html.escape(app.env.titles[app.config.root_doc].astext())
    text = PAGE.format(
        language=language(),
        title=title,
        site=site,
        root=app.config.root_doc,
        heading=tr("This page is not there"),
        reason=tr(
            "Perhaps it has another name by now, or the link that led here has a typing error."
        ),
        title_page=tr("The title page, with all chapters"),
        search=tr("Search the book"),
    )
    page.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, object]:
    """Register the step."""
    app.connect("build-finished", write_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
