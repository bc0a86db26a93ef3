"""The claims of the two articles and what the course says of each: one file, many tables.

``claims.json`` beside the pages holds every claim once, with its verdict and how it was decided.
No page writes a verdict of its own:

- ``{verdicts} parameters`` is the table at the end of a chapter, of the claims that name it;
- ``{verdict-ledger}`` is the table of all claims, with controls that choose among them;
- ``{verdict-tally}`` counts verdicts by the way of deciding;
- ``{verdict-count}`wrong` `` is one such number, ``{verdict-count}`all` `` that of the claims;
- ``{verdict}`A7` `` is the verdict of one claim, in bold.

A claim that is not whole, or links to nothing, ends the build with one line (``claims.py``).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from claims import ARTICLES, VERDICTS, WAYS, VerdictError, judged, linked, read
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole, SphinxTranslator

sys.path.insert(0, str(Path(__file__).parents[2]))  # the course's own library
from utils.book.words import tr

# How each way of deciding is told under a claim.
TOLD = {
    "run": "Decided by a run",
    "source": "Decided by a source",
    "disputed": "Disputed",
    "reading": "Decided by reading",
}


class claim_row(nodes.row):  # noqa: N801  (docutils names nodes so)
    """A row of the ledger; ``data`` is what the script chooses by."""


def visit_claim_row(self: SphinxTranslator, node: nodes.Element) -> None:
    """A row as any other, with its data."""
    self.visit_row(node)
    attributes = "".join(f' data-{key}="{escape(text)}"' for key, text in node["data"].items())
    self.body[-1] = self.body[-1].replace("<tr", f"<tr{attributes}", 1)


def depart_claim_row(self: SphinxTranslator, node: nodes.Element) -> None:
    """The end of a row."""
    self.depart_row(node)


class FromClaims(SphinxDirective):
    """What the directives share: the claims, and tables whose cells are MyST."""

    def claims(self) -> list[dict[str, Any]]:
        """All claims; the page is built again when they change."""
        return read_for(self.env)

    def folder(self) -> Path:
        """The folder of the page."""
        return Path(self.env.doc2path(self.env.docname)).parent

    def error(self, problem: object) -> VerdictError:
        """The error with the place on the page in front."""
        where = f"{self.env.doc2path(self.env.docname)}:{self.lineno}"
        return VerdictError(f"{where}: {self.name}: {problem}")

    def table(
        self, head: list[str], rows: Iterable[tuple[nodes.row, list[list[str]]]]
    ) -> nodes.table:
        """A table; each row comes with its cells, each cell with its paragraphs."""
        rows = list(rows)
        group = nodes.tgroup("", cols=len(head))
        group += [nodes.colspec("", colwidth=1) for _ in head]
        group += nodes.thead("", self._row(nodes.row(), [[title] for title in head]))
        group += nodes.tbody("", *[self._row(row, cells) for row, cells in rows])
        return nodes.table("", group, classes=["colwidths-auto"])

    def _row(self, row: nodes.row, cells: list[list[str]]) -> nodes.row:
        """Fill ``row``."""
        for paragraphs in cells:
            entry = nodes.entry()
            lines = "\n\n".join(paragraphs).splitlines()
            text = StringList(lines, source="claims.json")
            self.state.nested_parse(text, self.content_offset, entry)
            row += entry
        return row


def read_for(env: Any) -> list[dict[str, Any]]:
    """The claims beside the page that is read."""
    path = Path(env.doc2path(env.docname)).parent / "claims.json"
    env.note_dependency(str(path))
    return read(path)


class Verdicts(FromClaims):
    """``{verdicts} CHAPTER``: the claims of a chapter, a table for each article."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Build the tables."""
        chapter = self.arguments[0]
        try:
            claims = [claim for claim in self.claims() if chapter in claim["chapters"]]
        except VerdictError as error:
            raise self.error(error) from None
        if not claims:
            raise self.error(f"no claim names the chapter {chapter!r}")
        tables = []
        for article, name in ARTICLES.items():
            rows = []
            for claim in claims:
                if claim["article"] == article:
                    link = f'<a href="fact_check.html#claim-{claim["id"]}">{claim["id"]}</a>'
                    rows.append((nodes.row(), [[f"{link}: {claim['quote']}"], [judged(claim)]]))
            if rows:
                tables.append(self.table([f"claim of {name}", "verdict"], rows))
        return [nodes.container("", *tables, classes=["verdicts"])]


class VerdictLedger(FromClaims):
    """``{verdict-ledger}``: all claims, and controls that choose among them."""

    def run(self) -> list[nodes.Node]:
        """Build the controls and the table."""
        for page in self.folder().glob("*.md"):
            self.env.note_dependency(str(page))  # whose sections the claims name
        rows = []
        try:
            for claim in self.claims():
                data = {key: claim[key] for key in ("article", "verdict", "how")}
                row = claim_row("", ids=[f"claim-{claim['id']}"], data=data)
                rows.append((row, self._cells(claim)))
        except VerdictError as error:
            raise self.error(error) from None
        table = self.table(["claim", "verdict, and what decided it"], rows)
        controls = nodes.raw("", form(), format="html")
        return [nodes.container("", controls, table, classes=["verdict-ledger"])]

    def _cells(self, claim: dict[str, Any]) -> list[list[str]]:
        """The two cells of a claim."""
        links = linked(claim, self.folder())
        told = TOLD[claim["how"]]
        cell = [judged(claim), f"{told}: {links}" if links else f"{told}."]
        if claim["disagrees"]:
            cell.append(claim["disagrees"])
        return [[f"**{claim['id']}**: {claim['quote']}"], cell]


def form() -> str:
    """The controls, hidden until the script finds them; their choices are the closed lists."""
    choices = {
        "article": {"": tr("both"), "A": tr("the first (A)"), "B": tr("the second (B)")},
        "verdict": {"": tr("any")} | {verdict: tr(verdict) for verdict in VERDICTS},
        "how": {"": tr("any way")} | {way: tr(way) for way in WAYS},
    }
    labels = {"article": tr("Article"), "verdict": tr("Verdict"), "how": tr("Decided by")}
    name = tr("Choose among the claims")
    parts = [f'<form class="verdict-filter" aria-label="{name}" hidden>']
    for name, options in choices.items():
        inner = "".join(
            f'<option value="{value}">{text}</option>' for value, text in options.items()
        )
        parts.append(f'<label>{labels[name]} <select name="{name}">{inner}</select></label>')
    search = '<input type="search" name="words" autocomplete="off">'
    parts.append(f"<label>{tr('Words')} {search}</label>")
    parts.append(f'<button type="reset">{tr("All claims")}</button>')
    parts.append('<p role="status"></p></form>')
    return "\n".join(parts)


class VerdictTally(FromClaims):
    """``{verdict-tally}``: how many claims have each verdict, by article and by way of deciding."""

    def run(self) -> list[nodes.Node]:
        """Count."""
        try:
            claims = self.claims()
        except VerdictError as error:
            raise self.error(error) from None
        head = ["verdict", "first article", "second article", "both", *WAYS]
        rows = []
        for verdict in (*VERDICTS, "all"):
            counts = tally([c for c in claims if verdict in (c["verdict"], "all")])
            rows.append((nodes.row(), [[verdict], *[[str(count)] for count in counts]]))
        return [nodes.container("", self.table(head, rows), classes=["verdict-tally"])]


def tally(claims: list[dict[str, Any]]) -> list[int]:
    """How many claims are of each article, of both, and decided in each way."""
    of_article = [sum(claim["article"] == article for claim in claims) for article in ARTICLES]
    by_way = [sum(claim["how"] == way for claim in claims) for way in WAYS]
    return [*of_article, len(claims), *by_way]


class FromClaimsRole(SphinxRole):
    """What the roles share: the claims, and an error that names the place."""

    def claims(self) -> list[dict[str, Any]]:
        """All claims; the page is built again when they change."""
        try:
            return read_for(self.env)
        except VerdictError as error:
            raise self.error(error) from None

    def error(self, problem: object) -> VerdictError:
        """The error with the place on the page in front."""
        where = f"{self.env.doc2path(self.env.docname)}:{self.lineno}"
        return VerdictError(f"{where}: {self.name}: {problem}")


class VerdictCount(FromClaimsRole):
    """``{verdict-count}`wrong` ``: how many claims have a verdict, or a way of deciding."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Write the number."""
        known = ("all", *VERDICTS, *WAYS)
        if self.text not in known:
            raise self.error(f"must be one of {', '.join(known)}, got {self.text!r}")
        count = sum(self.text in ("all", c["verdict"], c["how"]) for c in self.claims())
        return [nodes.Text(str(count))], []


class Verdict(FromClaimsRole):
    """``{verdict}`A7` ``: the verdict of one claim, in bold."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Write the verdict."""
        for claim in self.claims():
            if claim["id"] == self.text:
                verdict = tr(claim["verdict"]).capitalize()
                return [nodes.strong("", verdict)], []
        raise self.error(f"no claim {self.text!r}")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives, the role, the script and the styles."""
    app.add_directive("verdicts", Verdicts)
    app.add_directive("verdict-ledger", VerdictLedger)
    app.add_directive("verdict-tally", VerdictTally)
    app.add_role("verdict-count", VerdictCount())
    app.add_role("verdict", Verdict())
    app.add_node(claim_row, html=(visit_claim_row, depart_claim_row))
    app.add_js_file("verdicts.js", loading_method="defer")
    app.add_css_file("verdicts.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
