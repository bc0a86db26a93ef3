"""The words that the explorers and the book's extensions print, in the reader's language.

English stands in the code, at the place where it is shown, as with gettext: ``tr("Temperature")``
in Python and in the explorers' JavaScript (``utils/widgets/shared/language.mjs``). Another language
is a folder ``locale/LANGUAGE``, whose ``words.json`` maps the English text to its translation; what
it lacks stays English. ``COURSE_LANGUAGE`` chooses the language, ``make book LANGUAGE=de`` sets it.
The text of the pages is translated by gettext (`utils.book.languages`).

A text may have holes in braces, which are filled after the translation, so that a language may
order them as it likes: ``tr("{n} of {all} tokens", n=3, all=7)``.
"""

from __future__ import annotations

import functools
import json
import os
import re
from pathlib import Path
from typing import Any

from utils.runtime import repo_root
from utils.validate import choice

ENGLISH = "en"
WORDS = "words.json"  # in a language's folder
HOLE = re.compile(r"\{(\w+)\}")


def locale_dir() -> Path:
    """The folder with a folder for each language but English."""
    return repo_root() / "locale"


def languages() -> list[str]:
    """English, and the languages that have a folder, by name."""
    folders = [path.name for path in locale_dir().glob("*") if path.is_dir()]
    return [ENGLISH, *sorted(folders)]


def language() -> str:
    """The language of this run: ``COURSE_LANGUAGE``, else ``en``.

    Raises ``ValueError`` for one that has no folder.
    """
    asked = os.environ.get("COURSE_LANGUAGE") or ENGLISH
    return choice("COURSE_LANGUAGE", asked, tuple(languages()))


@functools.cache
def words(language: str) -> dict[str, str]:
    """The translations of a language, by the English text; empty for English.

    Raises ``ValueError`` in one line for a file that is not such a table.
    """
    file = locale_dir() / language / WORDS
    if language == ENGLISH or not file.is_file():
        return {}
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{file} must be JSON: {error}") from None


def tr(text: str, **values: Any) -> str:
    """``text`` in the language of this run, its holes filled with ``values``.

    Raises ``ValueError`` as `language` does.

    >>> tr("{n} of {all} tokens", n=3, all=7)
    '3 of 7 tokens'
    """
    told = words(language()).get(text, text)
    return HOLE.sub(lambda hole: str(values.get(hole[1], hole[0])), told)


def page_data() -> dict[str, Any]:
    """What the explorers' JavaScript needs, as plain data that JSON can hold."""
    return {"TRANSLATIONS": words(language())}
