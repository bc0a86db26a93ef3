"""The book in another language: its pages by gettext, its explorers by a table of words.

``python -m utils.book.languages build de`` builds the book in German, in ``_build/de/html``:
``make book LANGUAGE=de``. What nobody has translated stays English.

``python -m utils.book.languages messages`` extracts every sentence of the pages and notebooks to
``_build/gettext``, and brings the translations that exist up to date: ``make messages``. A sentence
that has changed is marked as fuzzy and stays English until somebody has looked at it.

``python -m utils.book.languages start de book/sampling`` begins the translation of a page, or of a
notebook as ``notebooks/sampling/01_temperature``: its sentences stand in
``locale/de/LC_MESSAGES/book/sampling.po``, ready for any editor of such files. A language begins
with its first page. Its words for the explorers stand in ``locale/de/words.json``
(`utils.book.words`).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.messages.catalog import Catalog
from babel.messages.pofile import PoFileError, read_po, write_po

from utils.book.build import build
from utils.book.words import ENGLISH, WORDS, languages, locale_dir
from utils.files import replacing
from utils.runtime import repo_root
from utils.validate import choice, require

MESSAGES = "LC_MESSAGES"  # where gettext looks in a language's folder
PER_PAGE = {"gettext_compact": False}  # a file of sentences for each page


def build_language(language: str, arguments: list[str]) -> Path:
    """Build the book in ``language``, and give the folder of its pages.

    ``arguments``: of ``jupyter-book build``; ``--all``, ``--quiet``, ``-W``, ``-n`` and
    ``--keep-going`` are known. Raises ``ValueError`` for a language without a folder, and
    ``SystemExit`` where the build fails.
    """
    choice("LANGUAGE", language, tuple(languages()[1:]))
    options = _options(arguments)
    folder = repo_root() / "_build" / language
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["COURSE_LANGUAGE"] = language  # for what the extensions and the explorers say

    def builder() -> None:
        # Sphinx follows the translations of the pages, but knows nothing of the other words.
        translations = folder / "locale"
        if _text(translations / language / WORDS) != _text(locale_dir() / language / WORDS):
            options["freshenv"] = True
        # It writes the compiled translations beside their sources, which stay as they are. What
        # was translated once, and is no longer, must go.
        shutil.rmtree(translations, ignore_errors=True)
        shutil.copytree(locale_dir(), translations)
        settings = {"language": language, "locale_dirs": [str(translations)], **PER_PAGE}
        run_sphinx(folder / "html", settings, options)

    build(builder, folder)
    return folder / "html"


def run_sphinx(
    out: Path, settings: Mapping[str, Any], options: Mapping[str, Any], toc: Path | None = None
) -> None:
    """Build the book as ``jupyter-book build`` does, with ``settings`` in place of its own.

    ``options``: of ``build_sphinx``. ``toc``: a table of contents in place of the book's.
    Raises ``SystemExit`` where the build fails; Sphinx has then said why.
    """
    from jupyter_book.sphinx import build_sphinx

    root = repo_root()
    contents = toc or root / "_toc.yml"
    overrides = {"external_toc_path": contents.as_posix(), "latex_individualpages": False}
    status = build_sphinx(
        root,
        out,
        noconfig=True,
        path_config=root / "_config.yml",
        confoverrides={**overrides, **settings},
        **options,
    )
    if status != 0:  # a number, or the error
        raise SystemExit(1)


def _text(path: Path) -> str:
    """A file's text, empty where there is none."""
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _options(arguments: list[str]) -> dict[str, bool]:
    """What ``build_sphinx`` calls the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m utils.book.languages build LANGUAGE")
    parser.add_argument("--all", action="store_true", dest="freshenv")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--keep-going", action="store_true")
    parser.add_argument("-W", action="store_true", dest="warningiserror")
    parser.add_argument(
        "-n", action="store_true", help="has no effect: the book is always nitpicky"
    )
    known = vars(parser.parse_args(arguments))
    known.pop("n")
    return known


# ---- the sentences of the pages ------------------------------------------------------------------


def extract(out: Path, toc: Path | None = None) -> None:
    """Write the English sentences of each page to ``out/PAGE.pot``; of all, or of those of ``toc``.

    Raises ``SystemExit`` where a page cannot be read.
    """
    options = {"builder": "gettext", "quiet": True, "freshenv": True}
    settings = {**PER_PAGE, "language": ENGLISH}
    run_sphinx(out, settings, {**options, "doctreedir": out / ".doctrees"}, toc)


def update(pot: Path, po: Path) -> int:
    """Bring the translations in ``po`` up to the sentences in ``pot``.

    Gives the number of sentences that are not translated, the fuzzy ones among them. What is no
    longer on the page is dropped.
    """
    known = read(po)
    begun = known.creation_date
    known.update(read(pot), update_header_comment=False)
    known.creation_date = begun  # else every update would change the file
    known.obsolete.clear()
    write(po, known)
    return sum(1 for message in known if message.id and (message.fuzzy or not message.string))


def read(path: Path) -> Catalog:
    """A file of sentences. Raises ``ValueError`` in one line where it is none."""
    try:
        with path.open("rb") as file:
            return read_po(file, locale=_locale_of(path), abort_invalid=True)
    except (PoFileError, ValueError) as error:
        raise ValueError(f"{path} must be a file of gettext: {error}") from None


def write(path: Path, catalog: Catalog) -> None:
    """Write a file of sentences, whole or not at all.

    It does not say where on its page a sentence stands, which every edit of the page would change.
    """
    for message in catalog:
        message.flags &= {"fuzzy"}  # what Babel takes for Python's formats are MyST's roles
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        write_po(file, catalog, width=0, no_location=True)


def _locale_of(path: Path) -> str | None:
    """The language of a translation, by its folder; None for a file outside of ``locale``."""
    if path.is_relative_to(locale_dir()):
        return path.relative_to(locale_dir()).parts[0]
    return None


def messages() -> None:
    """Extract all sentences, and bring every translation up to date."""
    out = repo_root() / "_build" / "gettext"
    extract(out)
    for language in languages()[1:]:
        folder = locale_dir() / language / MESSAGES
        for po in sorted(folder.rglob("*.po")):
            page = po.relative_to(folder).with_suffix("")
            pot = out / f"{page}.pot"
            require(
                pot.is_file(), str(po.relative_to(repo_root())), "the name of a page", str(page)
            )
            missing = update(pot, po)
            print(f"{po.relative_to(repo_root())}: {missing} to translate")


def start(language: str, page: str) -> None:
    """Begin the translation of a page.

    Raises ``ValueError`` for what is no language, or no page, or has been begun.
    """
    try:
        Locale.parse(language)
    except (UnknownLocaleError, ValueError):
        require(False, "LANGUAGE", "a code such as de or pt_BR", language)
    po = locale_dir() / language / MESSAGES / f"{page}.po"
    require(not po.exists(), "PAGE", "one that is not begun yet", page)
    out = repo_root() / "_build" / "gettext"
    pot = out / f"{page}.pot"
    files = [repo_root() / f"{page}{ending}" for ending in (".md", ".ipynb")]
    known = ".." not in page and any(file.is_file() for file in files)
    require(known, "PAGE", "a page or notebook without its ending, such as book/sampling", page)
    extract(out)
    require(pot.is_file(), "PAGE", "a page that _toc.yml names", page)
    catalog = Catalog(Locale.parse(language), project="Overparameterized", fuzzy=False)
    catalog.header_comment = f"# {page}; see `A language` in CONTRIBUTING.md."
    for message in read(pot):
        if message.id:
            catalog[message.id] = message
    write(po, catalog)
    print(f"wrote {po.relative_to(repo_root())}")


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    purpose = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m utils.book.languages", description=purpose)
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="the book in a language that has a folder")
    building.add_argument("language", metavar="LANGUAGE")
    commands.add_parser("messages", help="extract all sentences and update the translations")
    beginning = commands.add_parser("start", help="begin the translation of a page")
    beginning.add_argument("language", metavar="LANGUAGE")
    beginning.add_argument("page", metavar="PAGE", help="such as book/sampling")
    options, others = parser.parse_known_args(arguments)
    try:
        if options.command == "build":
            html = build_language(options.language, others)
            print(f"Built {html.relative_to(repo_root())}/index.html.")
        elif options.command == "messages":
            messages()
        else:
            start(options.language, options.page)
    except (ValueError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
