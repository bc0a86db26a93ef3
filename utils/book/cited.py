"""``CITATION.cff``: what the course is called, whose it is, and which version this is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

NEEDED = ("title", "authors", "version", "license")


def read(path: Path) -> dict[str, Any]:
    """What ``CITATION.cff`` says.

    Raises ``ValueError`` in one line if it is no YAML, or lacks what must stand there.
    """
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f", see line {error.problem_mark.line + 1}"
        raise ValueError(f"{path.name} must be YAML{line}") from None
    found = said if isinstance(said, dict) else {}
    missing = [name for name in NEEDED if not found.get(name)]
    if missing:
        raise ValueError(f"{path.name} must say {', '.join(missing)}")
    return found


def authors(citation: dict[str, Any]) -> list[str]:
    """The authors' names, persons' as well as groups'.

    >>> authors({"authors": [{"name": "A group"}, {"given-names": "Ada", "family-names": "L"}]})
    ['A group', 'Ada L']
    """
    names = []
    for author in citation["authors"]:
        person = f"{author.get('given-names', '')} {author.get('family-names', '')}".strip()
        names.append(author.get("name") or person)
    return names
