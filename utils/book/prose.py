"""What stands in a page's source as running text, and how long it takes to read.

``prose(text)`` is the running text alone, for tests that look for words; ``n_words(text)`` counts
what a reader of the built page reads of it, captions and tables among it.
"""

from __future__ import annotations

import re

# Silent reading of English non-fiction by adults: Brysbaert (2019), 190 studies.
WORDS_PER_MINUTE = 238

FENCE = re.compile(r"(`{3,}|:{3,})(.*)")
ROLE = re.compile(r"\{([\w:-]+)\}`[^`]*`")
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
MATH = re.compile(r"\$[^$]+\$")
CODE = re.compile(r"`[^`]*`")
TERM_OR_CODE = re.compile(r"(\{term\}`[^`]*`)|(?:\{[\w:-]+\})?`[^`]*`")
TAG = re.compile(r"<[^>]+>")


def prose(text: str) -> str:
    """The running text of a page: no headings, fences, tables, formulas, links or code.

    Of the roles ``{term}`` stays, as it is written.

    >>> prose("# A title\\n\\nA {term}`token` and {cite}`key`, [a link](a.md), $x$.")
    'A {term}`token` and  ,  ,  .'
    """
    kept = []
    for _, line in _outside(text, within=()):
        if not re.match(r"#|\||\(.*\)=|<", line):
            kept.append(line)
    joined = re.sub(r"\$\$.*?\$\$", " ", "\n".join(kept), flags=re.DOTALL)
    joined = TERM_OR_CODE.sub(lambda found: found[1] or " ", joined)
    return LINK.sub(" ", MATH.sub(" ", joined)).strip()


def n_words(text: str) -> int:
    """How many words of a page are read: a pasted number or a formula counts as one.

    >>> n_words("# A title\\n\\nIt is {glue:text}`a.ipynb::x:.1f` of $a + b$ [here](there.md).")
    8
    """
    read = []
    for name, line in _outside(text, within=("notebook-figure", "figure", "admonition")):
        is_option = bool(name) and line.startswith(":")
        if not is_option and not re.match(r"\(.*\)=|\|\s*[-:]", line):
            read.append(line.lstrip("#> "))
    joined = "\n".join(read)
    joined = re.sub(r"\$\$.*?\$\$", " formula ", joined, flags=re.DOTALL)
    joined = LINK.sub(r"\1", MATH.sub("formula", ROLE.sub("number", joined)))
    joined = TAG.sub(" ", CODE.sub("code", joined))
    return sum(any(map(str.isalnum, word)) for word in joined.split())


def _outside(text: str, within: tuple[str, ...]) -> list[tuple[str, str]]:
    """Each line that stands in no fence, or in a directive of ``within``, with that one's name."""
    found = []
    fence = name = ""
    for line in text.splitlines():
        marker = FENCE.match(line)
        if not fence and marker:
            fence = marker[1]
            directive = re.match(r"\{([\w-]+)\}", marker[2])
            name = directive[1] if directive else "code"
        elif fence and line.strip() == fence:
            fence = name = ""
        elif not fence or name in within:
            found.append((name, line))
    return found
