"""The ledger of claims: one file, the tables made from it, and its controls in a browser."""

from __future__ import annotations

import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from claims import VERDICTS, WAYS, VerdictError, headings, judged, linked, read
from verdicts import tally

from tests.small_book import ROOT, BuildError, build, notebook
from utils.book.conclusions import counts
from utils.book.notebooks import all_notebooks

BOOK = ROOT / "book"
STORED = read(BOOK / "claims.json")
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in BOOK.glob("*.md")}
CHAPTERS = {name for name, text in PAGES.items() if "## What this settles" in text}

# ---- the stored file -----------------------------------------------------------------------------


def test_every_claim_stands_there_once():
    names = [f"A{i}" for i in range(1, 88)] + [f"B{i}" for i in range(1, 51)]
    assert [claim["id"] for claim in STORED] == names


@pytest.mark.parametrize("claim", STORED, ids=[claim["id"] for claim in STORED])
def test_a_claim_is_whole_and_leads_to_what_decided_it(claim):
    assert claim["verdict"] in VERDICTS
    assert claim["how"] in WAYS
    assert linked(claim, BOOK) or claim["links"][0].startswith("@")
    bibliography = (BOOK / "references.bib").read_text(encoding="utf-8")
    cited = re.findall(r"\{cite(?::\w)?\}`([^`]+)`", claim["says"])
    keys = [link[1:] for link in claim["links"] if link.startswith("@")]
    for key in keys + [key for several in cited for key in several.split(",")]:
        assert f"{{{key.strip()}," in bibliography, key


def test_a_run_is_in_a_notebook_that_checks_something():
    runs = [claim for claim in STORED if claim["how"] == "run"]
    for claim in runs:
        names = [link for link in claim["links"] if link.startswith("notebooks/")]
        found = [counts(ROOT / f"{name}.ipynb") for name in names]
        assert all(one.checks + one.identities for one in found), claim["id"]


def test_a_source_is_named():
    for claim in STORED:
        if claim["how"] == "source":
            cites = "{cite" in claim["says"] or any(link[0] == "@" for link in claim["links"])
            leads = any("#" in link for link in claim["links"])
            assert cites or leads, claim["id"]


def test_each_chapter_shows_its_own_claims_and_no_verdict_is_typed():
    assert {chapter for claim in STORED for chapter in claim["chapters"]} == CHAPTERS
    for chapter in CHAPTERS:
        assert f"```{{verdicts}} {chapter}\n```" in PAGES[chapter]
    words = "|".join(VERDICTS)
    for name, text in PAGES.items():
        assert not re.search(r"^\| *[AB]\d+\b", text, re.MULTILINE), name
        if name != "fact_check":  # it says what the words mean
            assert not re.search(rf"\*\*({words})\.?\*\*", text, re.IGNORECASE), name


def test_no_notebook_types_a_verdict_beside_a_claim():
    typed = re.compile(
        rf"^\| *[AB]\d+: .*\| *\**({'|'.join(VERDICTS)})\b", re.MULTILINE | re.IGNORECASE
    )
    for path in all_notebooks():
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            assert not typed.search("".join(cell["source"])), path.name


def test_the_counts_add_up():
    for verdict in VERDICTS:
        first, second, both, *ways = tally([c for c in STORED if c["verdict"] == verdict])
        assert first + second == both == sum(ways) > 0
    assert tally(STORED)[:3] == [87, 50, 137]


def test_the_sections_of_a_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n````{note}\n```\n## Inside\n```\n````\n\n### Who's `it`?\n")
    assert headings(page) == {"": "A page", "who-s-it": "Who's it?"}


# ---- tables and errors in a small book -----------------------------------------------------------


def claim(name: str, **changed) -> dict:
    return {
        "id": name,
        "article": name[0],
        "line": "3",
        "quote": f'it is "{name}"',
        "chapters": ["page"],
        "verdict": "wrong",
        "how": "run",
        "says": "It is *four*.",
        "links": ["page#a-section", "notebooks/c/n"],
        "draft_verdict": "wrong",
        "disagrees": "",
    } | changed


CLAIMS = [
    claim("A2"),
    claim("A10", verdict="right", says="for the loss.", disagrees="Measured anew."),
    claim("B1", how="reading", links=["page#a-section"], says=", as a plum.", chapters=[]),
]
PAGE = (
    "# A page\n\n## A section\n\nText. {verdict}`A10` it is.\n\n## End\n\n```{verdicts} page\n```\n"
)
LEDGER = """# Ledger

There are {verdict-count}`all`, {verdict-count}`wrong` of them wrong.

```{verdict-tally}
```

```{verdict-ledger}
```
"""


def small(folder, claims=CLAIMS, page=PAGE):
    book = json.loads(notebook())
    title = {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "# A notebook"}
    book["cells"] = [title]
    toc = "# Home\n\n```{toctree}\nbook/page\nbook/fact_check\nnotebooks/c/n\n```\n"
    pages = {
        "index.md": toc,
        "book/page.md": page,
        "book/fact_check.md": LEDGER,
        "book/claims.json": json.dumps(claims),
        "notebooks/c/n.ipynb": json.dumps(book),
    }
    for name in pages:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    return build(
        folder,
        pages,
        extensions=["myst_nb", "verdicts", "course_book"],
        nb_execution_mode="off",
        html_theme="sphinx_book_theme",
        html_context={"default_mode": "auto"},
        html_static_path=[str(BOOK / "_static")],
        html_css_files=["course.css"],
        html_js_files=[["scrollers.js", {"defer": "defer"}]],
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return small(tmp_path_factory.mktemp("verdicts"))


def test_a_chapter_and_the_ledger_say_the_same(site):
    chapter = (site / "book/page.html").read_text(encoding="utf-8")
    ledger = (site / "book/fact_check.html").read_text(encoding="utf-8")
    for text in (chapter, ledger):
        assert "<strong>Wrong.</strong> It is <em>four</em>." in text
        assert "<strong>Right</strong> for the loss." in text
    assert "<strong>Wrong</strong>, as a plum." in ledger
    assert "plum" not in chapter
    assert "<strong>Right</strong> it is." in chapter
    assert 'href="fact_check.html#claim-A10"' in chapter
    assert '<a href="page.html#a-section">A page: A section</a>' in ledger
    assert "A notebook" in ledger
    assert "Measured anew." in ledger
    assert "There are 3, 2 of them wrong." in ledger
    assert re.search(
        r'<tr data-article="A" data-verdict="right" data-how="run"[^>]* id="claim-A10"', ledger
    )


@pytest.mark.parametrize(
    ("claims", "page", "problem"),
    [
        (
            [],
            PAGE.replace("{verdict}`A10` it is.", ""),
            "page.md:9: verdicts: no claim names the chapter 'page'",
        ),
        (CLAIMS, PAGE.replace("`A10`", "`A7`"), "page.md:5: verdict: no claim 'A7'"),
        (
            CLAIMS,
            PAGE + "\n{verdict-count}`rong`\n",
            "verdict-count: must be one of all, right, .* got 'rong'",
        ),
        ([CLAIMS[1], CLAIMS[0]], PAGE, "each claim must stand there once, in order of its id"),
        (
            [claim("A1", verdict="maybe")],
            PAGE,
            "claim A1: verdict must be one of right, .* got 'maybe'",
        ),
        ([claim("A1", how="luck")], PAGE, "claim A1: how must be one of run, .* got 'luck'"),
        ([claim("A1", links=[])], PAGE, "claim A1: links must name what decided it, got none"),
        (
            [claim("A1", links=["page#a-section"])],
            PAGE,
            "claim A1: a run must link to its notebook",
        ),
        ([claim("A1", says=4)], PAGE, "claim A1: says must be a str, got 4"),
        ([claim("A1", draft_verdict="right")], PAGE, "claim A1: disagrees must say why"),
        ([{"id": "A1"}], PAGE, "claim A1: the fields must be id, .* got id"),
    ],
)
def test_what_is_not_whole_ends_the_build_in_one_line(tmp_path, claims, page, problem):
    with pytest.raises(BuildError, match=problem) as caught:
        small(tmp_path, claims, page)
    [line] = [line for line in str(caught.value).splitlines() if re.search(problem, line)]
    assert line.startswith(str(tmp_path))


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("page#no-section", "claim A1: no section page#no-section"),
        ("nowhere#a-section", "claim A1: no section nowhere#a-section"),
        ("notebooks/c/other", "claim A1: no notebook notebooks/c/other"),
    ],
)
def test_a_link_to_nothing_is_an_error(tmp_path, link, problem):
    (tmp_path / "page.md").write_text(PAGE)
    with pytest.raises(VerdictError, match=problem):
        linked(claim("A1", links=[link]), tmp_path)


def test_a_verdict_may_stand_alone():
    assert judged({"verdict": "untested", "says": ""}) == "**Untested.**"


# ---- the controls in a browser -------------------------------------------------------------------


def shown(page) -> list[str]:
    """The claims that a reader sees."""
    names = page.locator("tr[data-verdict]:visible td:first-child strong").all_inner_texts()
    return [name.strip() for name in names]


def test_the_controls_choose(address, visit):
    page = visit(f"{address}/book/fact_check.html", wait=".verdict-filter:visible")
    assert shown(page) == ["A2", "A10", "B1"]
    assert page.inner_text(".verdict-filter [role=status]") == "3 of 3 claims"
    page.get_by_label("Verdict").select_option("wrong")
    assert shown(page) == ["A2", "B1"]
    page.get_by_label("Article").select_option("A")
    assert shown(page) == ["A2"]
    assert page.inner_text(".verdict-filter [role=status]") == "1 of 3 claims"
    page.get_by_role("button", name="All claims").click()
    page.wait_for_function("document.querySelectorAll('tr[data-verdict][hidden]').length === 0")
    assert shown(page) == ["A2", "A10", "B1"]
    page.get_by_label("Decided by").select_option("reading")
    assert shown(page) == ["B1"]


def test_words_are_found_whatever_their_case_and_quotes(web, visit):
    page = visit(f"{web}/book/fact_check.html", wait=".verdict-filter:visible")
    page.get_by_label("Words").fill('plum  "b1"')
    assert shown(page) == ["B1"]
    page.get_by_label("Words").fill("no such thing")
    assert shown(page) == []
    assert page.inner_text(".verdict-filter [role=status]") == "0 of 3 claims"


def test_a_link_shows_a_claim_that_was_hidden(web, visit):
    page = visit(f"{web}/book/fact_check.html", wait=".verdict-filter:visible")
    page.get_by_label("Verdict").select_option("right")
    page.evaluate("location.hash = '#claim-A2'")
    page.locator("#claim-A2").wait_for()
    assert shown(page) == ["A2", "A10", "B1"]


def test_everything_is_there_without_the_script_and_on_paper(web, visit, chromium):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{web}/book/fact_check.html")
    assert shown(page) == ["A2", "A10", "B1"]
    assert not page.locator(".verdict-filter").is_visible()
    context.close()
    page = visit(f"{web}/book/fact_check.html", wait=".verdict-filter:visible")
    page.get_by_label("Verdict").select_option("right")
    page.emulate_media(media="print")
    assert shown(page) == ["A2", "A10", "B1"]
    assert not page.locator(".verdict-filter").is_visible()


@pytest.mark.parametrize("dark", [False, True])
def test_no_barrier(dark, web, visit):
    page = visit(f"{web}/book/fact_check.html", dark=dark, wait=".verdict-filter:visible")
    found = Axe().run(page, context=".verdict-ledger", options={"preload": False}).response
    assert [violation["id"] for violation in found["violations"]] == []
