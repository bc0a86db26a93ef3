"""``{conclusions-table}``: what each notebook claims, and how often it holds with other seeds.

The counts are read from the notebooks' code, the pass rates from ``records/seeds.json``, which
``make seeds`` writes, and the times from ``records/notebook_times.json``. A notebook that has no
entry there says so, and one whose code has changed since then is marked. The last column names the
records that the notebook draws on; their rows stand in the table of ``{provenance-table}``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parents[2]))  # the course's own library
from utils.book.conclusions import code_digest, counts, name_of
from utils.book.notebooks import all_notebooks
from utils.book.provenance import drawn_on
from utils.book.times import RECORD
from utils.book.times import entries as times

ROOT = Path(__file__).parents[2]
HEAD = (
    "| notebook | hold with other seeds | time | conclusions | false case | identity | exact "
    "| control | records |"
)


def pass_rate(entry: dict[str, Any] | None, digest: str) -> str:
    """One cell of the table: in how many of K runs a notebook's conclusions hold.

    >>> pass_rate({"k": 5, "held": {"a": 5, "b": 4}, "errors": [], "code": "x"}, "x")
    '1 of 2 in 5 of 5'
    """
    if entry is None:
        return "not run yet"
    k = entry["k"]
    n_always = sum(n_held == k for n_held in entry["held"].values())
    told = f"{n_always} of {len(entry['held'])} in {k} of {k}"
    return told if entry["code"] == digest else f"{told}, before its last change"


def less_often(entries: dict[str, dict[str, Any]]) -> list[str]:
    """One line for every conclusion that did not hold in all of its runs."""
    lines = []
    for name, entry in entries.items():
        for claim, n_held in entry["held"].items():
            if n_held < entry["k"]:
                lines.append(f"- `{name}`: “{plain(claim)}” in {n_held} of {entry['k']}")
        lines += [f"- `{name}`: {plain(error)}" for error in entry["errors"]]
    return lines


def table(
    notebooks: list[Path],
    entries: dict[str, dict[str, Any]],
    here: Path,
    seconds: dict[str, float] | None = None,
) -> str:
    """The table as Markdown, for a page in the folder ``here``; ``seconds`` is the time of each."""
    lines = [HEAD, "|---|---|" + "---:|" * 6 + "---|"]
    totals = [0] * 5
    known = seconds or {}
    for notebook in notebooks:
        found = counts(notebook)
        numbers = [
            found.checks,
            found.with_false_case,
            found.identities,
            found.exact,
            found.controls,
        ]
        totals = [total + n for total, n in zip(totals, numbers, strict=True)]
        name = name_of(notebook)
        rate = pass_rate(entries.get(name), code_digest(notebook))
        link = link_to(notebook, here, short(notebook))
        spent = f"{known[name]:.0f} s" if name in known else "–"
        lines.append(_row(link, rate, spent, numbers, _records(notebook)))

    told = {name_of(notebook) for notebook in notebooks} & entries.keys()
    n_claims = sum(len(entries[name]["held"]) for name in told)
    n_always = sum(
        n_held == entries[name]["k"] for name in told for n_held in entries[name]["held"].values()
    )
    rate = f"{n_always} of {n_claims} in all of their runs" if told else "not run yet"
    whole = sum(known.get(name_of(notebook), 0) for notebook in notebooks)
    lines.append(_row("all", rate, f"{whole / 60:.0f} min", totals, ""))

    rare = less_often({name: entries[name] for name in sorted(told)})
    if rare:
        lines += ["", "These did not hold in every run:", "", *rare]
    return "\n".join(lines)


def short(notebook: Path) -> str:
    """Chapter and number alone, as in "double descent 01": the table has many columns."""
    number = notebook.stem.partition("_")[0]
    return f"{notebook.parent.name.replace('_', ' ')} {number}"


def link_to(notebook: Path, here: Path, text: str) -> str:
    """A link to a notebook from a page in the folder ``here``."""
    return f"[{text}]({Path(os.path.relpath(notebook, here)).as_posix()})"


def _records(notebook: Path) -> str:
    """Links to the rows of the records that a notebook draws on, each by its last name."""
    links = []
    for name in drawn_on(notebook):
        row = "record-" + name.replace("/", "-")
        links.append(f'<a href="#{row}">{plain(name.rpartition("/")[2])}</a>')
    return ", ".join(links)


def _row(name: str, rate: str, spent: str, numbers: list[int], used: str) -> str:
    told = [name, rate, spent.replace(" ", "\u00a0"), *map(str, numbers), used]
    return f"| {' | '.join(told)} |"


def plain(text: str) -> str:
    """A claim's name without characters that Markdown or the table would take for its own."""
    for special in "\\`*_|<>$[]":
        text = text.replace(special, "\\" + special)
    return text


class ConclusionsTable(SphinxDirective):
    """The table, made anew with every build."""

    def run(self) -> list[nodes.Node]:
        """Parse the Markdown of `table` in place."""
        record = ROOT / "records" / "seeds.json"
        entries = {}
        if record.exists():
            entries = json.loads(record.read_text(encoding="utf-8"))["data"]["notebooks"]
            self.env.note_dependency(str(record))
        notebooks = all_notebooks()
        for notebook in notebooks:
            self.env.note_dependency(str(notebook))
        here = Path(self.env.doc2path(self.env.docname)).parent
        self.env.note_dependency(f"records/{RECORD}.json")
        seconds = {name: entry["seconds"] for name, entry in times().items()}
        lines = table(notebooks, entries, here, seconds).splitlines()
        text = StringList(lines, source="conclusions-table")
        holder = nodes.container(classes=["conclusions-table"])
        self.state.nested_parse(text, self.content_offset, holder)
        return [holder]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("conclusions-table", ConclusionsTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
