"""The claims of the two articles, with what the course says of each: the file ``claims.json``.

What a claim ``says`` is MyST, so that it may paste numbers, cite, and link. It goes on after the
verdict: with a capital letter as a new sentence, else in the same one. Its ``links`` name what
decided it: ``page#section``, ``notebooks/chapter/name``, or ``@key`` of the bibliography.
"""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.errors import SphinxError

VERDICTS = (
    "right",
    "half right",
    "wrong",
    "not found",
    "unsupported",
    "untested",
    "too vague to test",
)
WAYS = ("run", "source", "disputed", "reading")
ARTICLES = {"A": "the first article", "B": "the second article"}
FIELDS = {
    "id": str,
    "article": str,
    "line": str,
    "quote": str,
    "chapters": list,
    "verdict": str,
    "how": str,
    "says": str,
    "links": list,
    "draft_verdict": str,
    "disagrees": str,
}


class VerdictError(SphinxError):
    """A claim is not whole, or a page asks for what is not there. Always ends the build."""

    category = "Verdicts"


# ---- the claims ----------------------------------------------------------------------------------


def read(path: Path) -> list[dict[str, Any]]:
    """The claims of ``path``, by article and number.

    Raises ``VerdictError`` where the file cannot be read or a claim is not whole.
    """
    try:
        claims = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise VerdictError(f"no such file: {path.name}") from None
    except json.JSONDecodeError as error:
        raise VerdictError(f"{path.name} is not JSON ({error})") from None
    for claim in claims:
        problem = fault(claim)
        if problem:
            raise VerdictError(f"{path.name}: claim {claim.get('id')}: {problem}")
    names = [claim["id"] for claim in claims]
    if names != sorted(set(names), key=place):
        raise VerdictError(f"{path.name}: each claim must stand there once, in order of its id")
    return claims


def place(name: str) -> tuple[str, int]:
    """Where the claim ``name`` stands: ``A9`` comes before ``A10``.

    >>> place("A10")
    ('A', 10)
    """
    return name[0], int(name[1:])


def fault(claim: dict[str, Any]) -> str:
    """What is wrong with a claim, an empty text if nothing is."""
    if set(claim) != set(FIELDS):
        return f"the fields must be {', '.join(FIELDS)}, got {', '.join(claim)}"
    for field, kind in FIELDS.items():
        if not isinstance(claim[field], kind):
            return f"{field} must be a {kind.__name__}, got {claim[field]!r}"
    if not re.fullmatch(r"[AB][1-9]\d*", claim["id"]) or claim["article"] != claim["id"][0]:
        return f"article must be the letter of the id, A or B, got {claim['article']!r}"
    if claim["verdict"] not in VERDICTS:
        return f"verdict must be one of {', '.join(VERDICTS)}, got {claim['verdict']!r}"
    if claim["how"] not in WAYS:
        return f"how must be one of {', '.join(WAYS)}, got {claim['how']!r}"
    if not claim["links"]:
        return "links must name what decided it, got none"
    if claim["how"] == "run" and not any(map(is_notebook, claim["links"])):
        return "a run must link to its notebook, got none"
    differs = claim["verdict"] not in claim["draft_verdict"].split(" or ")
    if differs != bool(claim["disagrees"]):
        return "disagrees must say why where, and only where, the verdict is not that of the draft"
    return ""


def is_notebook(link: str) -> bool:
    """Whether a link names a notebook."""
    return link.startswith("notebooks/")


def judged(claim: dict[str, Any]) -> str:
    """A claim's verdict and what follows it, as MyST.

    >>> judged({"verdict": "wrong", "says": "It is 4."})
    '**Wrong.** It is 4.'
    >>> judged({"verdict": "wrong", "says": ", as history."})
    '**Wrong**, as history.'
    >>> judged({"verdict": "right", "says": "for the loss."})
    '**Right** for the loss.'
    """
    verdict = claim["verdict"].capitalize()
    says = claim["says"]
    if says and says[0] in ",:;.":
        return f"**{verdict}**{says}"
    if says and says[0].islower():
        return f"**{verdict}** {says}"
    return f"**{verdict}.** {says}".strip()


# ---- what decided it -----------------------------------------------------------------------------


def headings(page: Path) -> dict[str, str]:
    """The title of each section of a page, by its anchor; the page's own has an empty one."""
    found = {}
    fence = ""
    for line in page.read_text(encoding="utf-8").splitlines():
        opens = re.match(r"`{3,}|:{3,}|~{3,}", line)
        if opens and not fence:
            fence = opens[0]
        elif fence and line.strip() == fence:
            fence = ""
        heading = None if fence else re.match(r"(#{1,6}) (.+)", line)
        if heading:
            title = heading[2].replace("`", "").strip()
            found["" if heading[1] == "#" else nodes.make_id(title)] = title
    return found


def linked(claim: dict[str, Any], folder: Path) -> str:
    """What decided a claim, as MyST for a page in ``folder``.

    Raises ``VerdictError`` for a page, a section or a notebook that is not there.
    """
    parts = []
    for link in claim["links"]:
        if link.startswith("@"):
            if f"`{link[1:]}`" not in claim["says"]:  # cited there already
                parts.append(f"{{cite:t}}`{link[1:]}`")
        elif is_notebook(link):
            file = folder.parent / f"{link}.ipynb"
            if not file.is_file():
                raise VerdictError(f"claim {claim['id']}: no notebook {link}")
            parts.append(f"notebook [](../{link}.ipynb)")
        else:
            page, _, anchor = link.partition("#")
            file = folder / f"{page}.md"
            titles = headings(file) if file.is_file() else {}
            if not anchor or anchor not in titles:
                raise VerdictError(f"claim {claim['id']}: no section {link}")
            title = escape(f"{titles['']}: {titles[anchor]}")
            parts.append(f'<a href="{page}.html#{anchor}">{title}</a>')
    return "; ".join(parts)
