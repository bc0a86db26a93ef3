"""The book's own build steps.

MathJax travels with the pages, a few places of the theme's and the bibliography's HTML are
repaired, and what gettext and the pages' scripts miss is translated.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError
from sphinx.locale import init as init_locale
from sphinx.transforms import SphinxTransform
from sphinx.util.i18n import docname_to_domain

sys.path.insert(0, str(Path(__file__).parents[2]))  # the course's own library
from utils.book.words import language, tr, words

# The one bundle the pages load, and the TeX extensions it may fetch later (\cancel, \mathclap, …).
MATHJAX_PARTS = ("tex-svg.js", "input/tex/extensions")


def mathjax_folder() -> Path:
    """Where the PyPI package sphinx-mathjax-offline keeps MathJax 3."""
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ExtensionError(
            "sphinx-mathjax-offline is not installed: "
            "run `make book` or install requirements-book.txt"
        )
    return Path(spec.origin).parent / "static" / "mathjax"


def pages_were_written(app: Sphinx, exception: Exception | None) -> bool:
    """Whether a build that has finished has left HTML behind."""
    return exception is None and app.builder.format == "html"


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    """Copy what the pages need of MathJax into the built book, outside ``_static``.

    A script under ``_static`` would be loaded by every page at once.
    """
    if not pages_were_written(app, exception):
        return
    source = mathjax_folder()
    target = Path(app.outdir) / "mathjax"
    target.mkdir(parents=True, exist_ok=True)
    for part in MATHJAX_PARTS:
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        else:
            shutil.copy(source / part, target / part)


def name_the_search(app: Sphinx, config: Config) -> None:
    """Translate the words in the empty field of the search, which Jupyter Book has in English."""
    name = config.html_theme_options.get("search_bar_text")
    if name:
        config.html_theme_options["search_bar_text"] = tr(name)


# What to look for in a finished page, and what ought to stand there.
REPAIRS = (
    # The arrow that unfolds a chapter in the sidebar has no text.
    (
        '<summary><span class="toctree-toggle"',
        f'<summary aria-label="{tr("Sections")}"><span class="toctree-toggle"',
    ),
    # The outline beside the text follows the scrolling only if the browser's script can find it:
    # the theme names a class that it no longer uses, and the script then trips over every other
    # link.
    ('data-bs-target=".bd-toc-nav"', 'data-bs-target=".page-toc"'),
    # docutils calls a bibliography a list, and gives its entries another role.
    ('<div role="list" class="citation-list">', '<div class="citation-list">'),
    (' role="doc-biblioentry"', ""),
    # The corner of a table, above the names of its rows, is the head of nothing.
    ('<th class="head"><p></p></th>', '<td class="head"><p></p></td>'),
    # Three layers of the theme each tell a phone how wide the page is; Sphinx's own tag stays.
    ('<meta name="viewport" content="width=device-width, initial-scale=1" />', ""),
    ('<meta name="viewport" content="width=device-width, initial-scale=1"/>', ""),
)


# The link to the title page stands in no landmark: a screen reader's list of them misses it.
_LOGO = re.compile(r'<div class="sidebar-primary-item">(\s*<a class="navbar-brand logo")')
_LOGO_IN_A_LANDMARK = (
    rf'<div class="sidebar-primary-item" role="navigation" aria-label="{tr("Title page")}">\1'
)


# The pages write "88 %" and Python's format "88%".
_PERCENT = re.compile(r'(<span class="pasted-text">[^<]*\d)%(?=</span>)')


# A chapter's number stands before its title, but not before the one that is printed.
_NUMBER = re.compile(r'<h1>(<span class="section-number">[^<]*</span>)')
_PRINTED_TITLE = re.compile(r'(<div id="jb-print-docs-body" class="onlyprint">\s*<h1>)')


def repair_pages(app: Sphinx, exception: Exception | None) -> None:
    """Apply ``REPAIRS`` to every page that was written."""
    if not pages_were_written(app, exception):
        return
    for page in Path(app.outdir).rglob("*.html"):
        written = page.read_text(encoding="utf-8")
        repaired = repaired_page(written)
        if repaired != written:
            page.write_text(repaired, encoding="utf-8")


def repaired_page(text: str) -> str:
    """A page's HTML with ``REPAIRS``."""
    for wrong, right in REPAIRS:
        text = text.replace(wrong, right)
    text = _LOGO.sub(_LOGO_IN_A_LANDMARK, text)
    text = _PERCENT.sub("\\1\N{NO-BREAK SPACE}%", text)
    number = _NUMBER.search(text)
    if number:
        text = _PRINTED_TITLE.sub(lambda title: title[1] + number[1], text)
    if 'class="page-toc"' not in text:
        # A page without sections has no outline that could follow the scrolling.
        text = text.replace(' data-bs-spy="scroll"', "")
    return text


# ---- another language ----------------------------------------------------------------------------

SCRIPTS = Path(__file__).parents[1] / "_static"


def card_links(document: nodes.document) -> list[nodes.inline]:
    """The words of each card's link, which only a screen reader says."""
    found = []
    for link in document.findall(nodes.Element):
        if "sd-stretched-link" in link.get("classes", ()):
            found += link.findall(nodes.inline)
    return found


class WhatSphinxMisses(SphinxTransform):
    """Translate the cards' links and the menu's captions, which come after Sphinx has looked."""

    default_priority = 101  # sphinx_external_toc adds the menu at 100

    def apply(self, **kwargs: Any) -> None:
        """Look each up among the sentences of its page."""
        folders = [Path(self.env.srcdir, folder) for folder in self.config.locale_dirs]
        domain = docname_to_domain(self.env.docname, self.config.gettext_compact)
        translations, _ = init_locale(folders, self.config.language, domain)
        for menu in self.document.findall(addnodes.toctree):
            for caption in menu.extract_original_messages():
                menu.apply_translated_message(caption, translations.gettext(caption))
        for words_of_link in card_links(self.document):
            told = translations.gettext(words_of_link.astext())
            words_of_link[:] = [nodes.Text(told)]


def extract_card_links(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Let gettext extract the cards' links, which it takes for no sentences."""
    if app.builder.name != "gettext":
        return
    for text in card_links(doctree):
        text["translatable"] = True
        text.rawsource = text.astext()
        text.source = doctree["source"]
        text.line = text.parent.line or 1
        text.uid = ""  # it passes over what has none


def give_scripts_their_words(app: Sphinx) -> None:
    """Tell every page of a book in another language what its scripts say, as ``courseWords``."""
    files = [*SCRIPTS.glob("*.js"), Path(__file__).with_name("afm_host.js")]
    scripts = "\n".join(file.read_text(encoding="utf-8") for file in files)
    said = {text: told for text, told in words(language()).items() if f'"{text}"' in scripts}
    if said:
        body = f"globalThis.courseWords = {json.dumps(said, ensure_ascii=False)};"
        app.add_js_file(None, body=body, priority=1)


def setup(app: Sphinx) -> dict[str, object]:
    """Register the steps."""
    app.add_transform(WhatSphinxMisses)
    app.connect("doctree-resolved", extract_card_links)
    app.connect("builder-inited", give_scripts_their_words)
    app.connect("config-inited", name_the_search)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", repair_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
