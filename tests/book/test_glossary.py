"""The glossary: in order, linked from where each term is first used, and leading somewhere."""

from __future__ import annotations

import re
from functools import cache

import pytest
import yaml
from glossary_links import SectionError, title_of

from tests.small_book import ROOT, BuildError, build
from utils.book.prose import prose

BOOK = ROOT / "book"
ROLE = re.compile(r"\{term\}`([^`<]+?)(?: <([^>]+)>)?`")
EMPHASIZED = re.compile(r"\*[^*\n]*\{term\}`[^`]+`[^*\n]*\*")

# Terms that no page's prose uses, and the file that does; None where only the articles do.
ELSEWHERE = {
    "ChatGPT": "book/claims.json",
    "GPT-4V": "book/claims.json",
    "PaLM 2": None,
    "Llama 2": "notebooks/parameters/01_counting.ipynb",
    "gain": "notebooks/parameters/01_counting.ipynb",
    "maximum number of tokens": "notebooks/sampling/06_a_chatbot_preset.ipynb",
    "no-repeat n-gram": "notebooks/sampling/05_quality_and_diversity.ipynb",
    "typical sampling": "notebooks/sampling/02_truncation.ipynb",
}
# How such a file writes it, where not as the glossary does.
WRITTEN = {
    "maximum number of tokens": "max_tokens",
    "no-repeat n-gram": "no_repeat_ngram",
}
# Words that an earlier page uses in another meaning, and the page that uses them in this one.
OTHER_MEANING = {
    "calibration": "trade_offs",  # in the chapter on myths the inputs that GPTQ looks at
    "judge": "sampling",  # elsewhere a verb
}


@cache
def chapters() -> list[str]:
    """The chapters' pages in the order of the table of contents."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [page["file"] for part in contents["parts"] for page in part["chapters"]]
    with_notebooks = [page for page in files if (ROOT / "notebooks" / page[5:]).is_dir()]
    return [page.removeprefix("book/") for page in with_notebooks]


@cache
def source(page: str) -> str:
    return (BOOK / f"{page}.md").read_text(encoding="utf-8")


@cache
def entries() -> dict[str, str]:
    """Each term and its definition."""
    inside = source("glossary").split("```{glossary}\n")[1].rsplit("\n```")[0]
    pairs = [entry.split("\n", 1) for entry in inside.strip().split("\n\n")]
    return {term: definition for term, definition in pairs}


@cache
def links(page: str) -> list[tuple[str, str]]:
    """The glossary's terms that a page links to, each with the word that it shows."""
    return [(term or shown, shown) for shown, term in ROLE.findall(source(page))]


@cache
def forms(term: str) -> set[str]:
    """How the pages write a term: its name, its plural, and what its links show."""
    others = entries().keys() - {term}
    shown = {text for page in chapters() for name, text in links(page) if name == term}
    if term == "next-token distribution":  # "distribution" alone is many things
        shown = set()
    return {term, f"{term}s"} | {text for text in shown if text.lower() not in others}


def words(form: str) -> str:
    return rf"(?<![\w-]){re.escape(form)}(?![\w-])"


@cache
def uses(page: str) -> dict[str, int]:
    """Where each term is first used in a page's prose: longer terms first, so that "full batch" is
    no use of "batch"."""
    text = ROLE.sub(lambda link: link[1], prose(source(page)))
    found = {}
    longest_first = [(form, term) for term in entries() for form in forms(term)]
    for form, term in sorted(longest_first, key=lambda pair: -len(pair[0])):
        flags = re.IGNORECASE if form.islower() else 0
        hits = list(re.finditer(words(form), text, flags))
        if hits:
            found[term] = min(hits[0].start(), found.get(term, len(text)))
        text = re.sub(words(form), lambda hit: "." * len(hit[0]), text, flags=flags)
    return found


def first_page(term: str) -> str | None:
    """The first chapter whose prose uses a term, in this meaning; None if no chapter does."""
    if term in OTHER_MEANING:
        return OTHER_MEANING[term]
    return next((page for page in chapters() if term in uses(page)), None)


def test_there_are_about_a_hundred_terms_in_alphabetical_order():
    assert 90 <= len(entries()) <= 180
    assert list(entries()) == sorted(entries(), key=str.lower)


@pytest.mark.parametrize("term", entries())
def test_a_definition_is_short_and_leads_to_a_place(term):
    definition = entries()[term]
    assert re.search(r"\{section\}`|\]\(\.\./notebooks/|The course measures nothing", definition)
    told = re.sub(r"(?:See|The \[notebook|The course).*", "", definition)
    assert 4 <= len(told.split()) <= 60


@pytest.mark.parametrize("term", entries())
def test_a_term_is_linked_from_the_first_page_that_uses_it(term):
    if term in ELSEWHERE:
        linked = [page for page in chapters() if term in dict(links(page))]
        place = ELSEWHERE[term]
        if place is not None and not linked:
            text = (ROOT / place).read_text(encoding="utf-8")
            assert WRITTEN.get(term, term.split()[0]) in text
        return
    page = first_page(term) or next(page for page in chapters() if term in dict(links(page)))
    assert term in dict(links(page)), f"{page}.md uses {term!r} first and does not link it"


@pytest.mark.parametrize("term", [term for term in entries() if term not in ELSEWHERE])
def test_the_link_stands_at_the_first_use_or_the_definition(term):
    """A definition is set in italics or bold."""
    page = next(page for page in chapters() if term in dict(links(page)))
    text = source(page)
    roles = [hit for hit in ROLE.finditer(text) if (hit[2] or hit[1]) == term]
    [role] = roles
    if any(hit.start() < role.start() < hit.end() for hit in EMPHASIZED.finditer(text)):
        return
    running = prose(text)
    place = running.index(role[0])  # not in a heading or a caption
    before = ROLE.sub(lambda link: link[1], running[:place])
    assert uses(page).get(term, len(before)) >= len(before) or term in OTHER_MEANING


@pytest.mark.parametrize("page", chapters())
def test_every_link_names_a_term(page):
    assert {term for term, _ in links(page)} - entries().keys() == set()


@pytest.mark.parametrize("page", chapters())
def test_no_heading_and_no_caption_holds_a_link(page):
    text = source(page)
    fenced = re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#.*$", text, re.MULTILINE)
    assert [part for part in [*fenced, *headings] if "{term}" in part] == []


def test_every_section_that_the_glossary_names_is_there():
    for target in re.findall(r"\{section\}`([^`]+)`", source("glossary")):
        assert ": " in title_of(target, BOOK)


def test_a_section_that_is_gone_is_an_error():
    with pytest.raises(SectionError, match="no section parameters#nothing"):
        title_of("parameters#nothing", BOOK)


GLOSSARY = """# Glossary

```{glossary-letters}
```

```{glossary}
token
  A piece of $x$.
  See {section}`index#one-section`.
```
"""
INDEX = """# Home

A *{term}`tokens <token>`*, {section}`as below <index#one-section>`.

## One section

```{toctree}
glossary
```
"""


def test_the_built_glossary_and_its_links(tmp_path):
    pages = {"index.md": INDEX, "glossary.md": GLOSSARY}
    extensions = ["myst_nb", "glossary_links"]
    settings = {"nitpicky": True, "myst_enable_extensions": ["dollarmath"]}
    html = build(tmp_path, pages, extensions=extensions, **settings)
    index = (html / "index.html").read_text(encoding="utf-8")
    assert 'href="glossary.html#term-token"' in index
    assert 'href="index.html#one-section">as below</a>' in index
    glossary = (html / "glossary.html").read_text(encoding="utf-8")
    assert 'href="index.html#one-section">Home: One section</a>' in glossary
    assert '<a class="reference internal" href="#term-token">' in glossary  # the letter T


def test_a_section_that_is_gone_ends_the_build(tmp_path):
    pages = {"index.md": INDEX.replace("One", "Another"), "glossary.md": GLOSSARY}
    with pytest.raises(BuildError, match="section: no section index#one-section"):
        build(tmp_path, pages, extensions=["myst_nb", "glossary_links"])
