"""The ledger in the built book: every claim leads somewhere, and agrees with its chapter."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.site.conftest import soup
from utils.runtime import repo_root

CLAIMS = json.loads((repo_root() / "book" / "claims.json").read_text(encoding="utf-8"))
CHAPTERS = sorted({chapter for claim in CLAIMS for chapter in claim["chapters"]})


def words(cell) -> str:
    """A cell's text, with single spaces."""
    return re.sub(r"\s+", " ", cell.get_text()).strip()


def rows(html: Path) -> dict:
    """The ledger's rows, by the claim's name."""
    found = soup(html / "book" / "fact_check.html").select("tr[data-verdict]")
    return {row["id"].removeprefix("claim-"): row for row in found}


def test_every_claim_has_a_row_with_its_verdict(html):
    found = rows(html)
    assert list(found) == [claim["id"] for claim in CLAIMS]
    for claim in CLAIMS:
        row = found[claim["id"]]
        assert (row["data-verdict"], row["data-how"]) == (claim["verdict"], claim["how"])
        bold = words(row.select("td")[1].select_one("strong")).rstrip(".")
        assert bold.lower() == claim["verdict"]


def test_every_claim_leads_to_something_that_is_there(html):
    page = html / "book" / "fact_check.html"
    for name, row in rows(html).items():
        links = [urlsplit(link["href"]) for link in row.select("td:last-child a[href]")]
        local = [link for link in links if not link.netloc]
        assert local, name
        for link in local:
            target = (page.parent / unquote(link.path)).resolve() if link.path else page
            assert target.is_file(), (name, link.path)
            assert not link.fragment or soup(target).find(id=unquote(link.fragment)), (name, link)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_says_what_the_ledger_says(html, chapter):
    ledger = rows(html)
    found = {}
    for row in soup(html / "book" / f"{chapter}.html").select(".verdicts tbody tr"):
        claim, verdict = row.select("td")
        name, _, quote = words(claim).partition(": ")
        found[name] = (quote, words(verdict))
    assert list(found) == [c["id"] for c in CLAIMS if chapter in c["chapters"]]
    for name, (quote, verdict) in found.items():
        claim, decided = ledger[name].select("td")
        assert words(claim) == f"{name}: {quote}"
        assert words(decided.select_one("p")) == verdict


def test_the_tally_is_that_of_the_claims(html):
    tables = soup(html / "book" / "fact_check.html").select(".verdict-tally tbody tr")
    for row in tables:
        verdict, first, second, both, *ways = [words(cell) for cell in row.select("td")]
        fitting = [claim for claim in CLAIMS if verdict in (claim["verdict"], "all")]
        assert int(both) == len(fitting) == int(first) + int(second) == sum(map(int, ways))
    assert words(tables[-1].select("td")[3]) == str(len(CLAIMS))
