"""The book's pages as documents for paper: one a chapter, made from the built HTML.

A screen hides answers, has sliders and buttons, and shows one page at a time. On paper everything
is open, what can be pressed is gone, and a link leads to a place in the same book: to an id where
it stands in the same document, and else to an address of the scheme ``book:``, which
`utils.book.merged_pdf` makes a link once the documents are one.
"""

from __future__ import annotations

import html as html_text
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bs4 import BeautifulSoup

from utils.book.built_pages import BuiltPage, article, classes, is_elsewhere, joined

ELSEWHERE = "book:"  # the scheme of a link to another document of the book
STYLE = Path(__file__).with_name("paper.css")
PAGE_NUMBER = 'class="page-number"'  # of a link whose text is the number of a page
UNKNOWN = 888  # that number before it is known: as wide as most

# Code in the colour of plain text: more than half of all elements, and nothing to be seen of them.
_PLAIN_CODE = re.compile(r'<span class="(?:n|nn|p|w)">([^<]*)</span>')
_STYLE_SHEET = re.compile(r'<link [^>]*href="([^"?]+\.css)[^"]*"')
_MATHJAX = re.compile(
    r'(<script>window\.MathJax = .*?</script>)\s*<script[^>]*src="([^"]*mathjax/tex-svg\.js)[^"]*"',
    re.DOTALL,
)
_HREF = re.compile(r'<a [^>]*href="([^"]*)"')
_NAMING = ("for", "aria-labelledby", "aria-describedby", "aria-controls")  # attributes with ids
# What a reader of paper has no use for.
ON_SCREEN_ONLY = ".only-dark, .headerlink, .figure-numbers, .genindex-jumpbox, .glossary-letters"
ON_SCREEN_ONLY += ", .verdict-filter"
SHORT_CODE = 15  # lines: code of up to so many stays on one page
SETUP_CELL = ".cell.tag_course-setup"
LIVE = "The explorer as it starts. It is live in the course's web pages, on the page “{title}”."


@dataclass
class Needs:
    """What the pages of one document load or run."""

    style_sheets: dict[str, None] = field(default_factory=dict)  # addresses, in order
    styles: dict[str, None] = field(default_factory=dict)
    scripts: dict[str, None] = field(default_factory=dict)  # the explorers', as HTML
    math: str = ""


@dataclass(frozen=True)
class Book:
    """What a document needs to know of all others.

    html: the folder of the built book. pages: in reading order. linked: the ids that some link
    names. setup_cell: the text of the first notebook's setup cell, and the id of its page.
    """

    html: Path
    pages: dict[str, BuiltPage]
    linked: frozenset[str]
    setup_cell: tuple[str, str]


def book_of(html: Path, pages: list[BuiltPage]) -> Book:
    """Read from all pages what a single document has to know of them."""
    by_path = {page.path: page for page in pages}
    linked = {page.key for page in pages}
    setup_cell = ("", "")
    for page in pages:
        text = article(html, page)
        for address in _HREF.findall(text):
            target = _target(by_path, page, html_text.unescape(address))
            if target:
                linked.add(target)
        if not setup_cell[0] and "tag_course-setup" in text:
            setup_cell = (_code(BeautifulSoup(text, "html.parser")), page.key)
    return Book(html, by_path, frozenset(linked), setup_cell)


def chapter(book: Book, group: list[BuiltPage], first: int, numbers: Mapping[str, int]) -> str:
    """The document of a chapter and its notebooks, whose first page is number ``first``.

    numbers: the page on which each id stands, as far as it is known.
    """
    needs = Needs()
    bodies = []
    rules = []
    for place, page in enumerate(group):
        content = _for_paper(book, page, needs, numbers)
        inside = {other.key for other in group}
        _lead_links(content, inside)
        part = f'<p class="part">{html_text.escape(page.part)}</p>' if page.part else ""
        bodies.append(
            f'<article class="bd-article" id="{page.key}" style="page: sheet-{place}">'
            f"{part}{content}</article>"
        )
        rules.append(_running_head(place, group[0].title, page.title))
    return _document("".join(bodies), needs, first, rules, _targets(book, "".join(bodies)))


def front(book: Book, cover: Mapping[str, str], numbers: Mapping[str, int]) -> str:
    """The document of the cover and the contents.

    cover: title, abstract, authors, version, license, and the licence's text.
    """
    needs = Needs()
    home = next(iter(book.pages.values()))
    _note_head(book.html, home, needs)
    said = {name: html_text.escape(text) for name, text in cover.items()}
    licence = "".join(f"<p>{part}</p>" for part in said["licence"].split("\n\n"))
    lines = []
    for page in book.pages.values():
        if page.part:
            lines.append(f'<p class="part">{html_text.escape(page.part)}</p>')
        kind = "chapter" if page.is_chapter else "section"
        lines.append(
            f'<p class="{kind}"><a href="{ELSEWHERE}{page.key}">{html_text.escape(page.title)}</a>'
            f'<span class="dots"></span>{_number(page.key, numbers)}</p>'
        )
    body = (
        f'<header class="cover"><p class="title">{said["title"]}</p><p>{said["abstract"]}</p>'
        f"<p>{said['authors']}</p><p>Version {said['version']}, {said['license']} licence</p>"
        "<p>This is the course's web book on paper: every answer and every solution is open, and an"
        " explorer is shown as it starts.</p></header>"
        f'<section class="licence">{licence}</section>'
        f'<nav class="book-contents bd-article"><h1>Contents</h1>{"".join(lines)}</nav>'
    )
    return _document(body, needs, 1, ["@page :first { @bottom-center { content: none; } }"], [])


# ---- one page ------------------------------------------------------------------------------------


def _for_paper(
    book: Book, page: BuiltPage, needs: Needs, numbers: Mapping[str, int]
) -> BeautifulSoup:
    """The page's article as it goes to paper; what it needs is added to ``needs``."""
    text = _PLAIN_CODE.sub(r"\1", article(book.html, page))
    content = BeautifulSoup(text, "html.parser")
    _note_head(book.html, page, needs)
    _take_assets(content, needs)
    for tag in content.select(ON_SCREEN_ONLY):
        tag.decompose()
    _open(content)
    _shorten_setup(content, book, page)
    _name_explorers(content, page)
    _keep_short_code_together(content)
    _number_index(content)
    if not page.is_chapter:
        _lower_headings(content)

    # Ids and addresses come last: no step above has to know the new ones.
    for image in content.find_all("img"):
        image["src"] = (book.html / joined(page.path, str(image["src"]))).as_uri()
        image["loading"] = "eager"
    _rename_ids(content, page)
    for link in content.find_all("a", href=True):
        address = str(link["href"])
        target = _target(book.pages, page, address)
        if target:
            link["href"] = ELSEWHERE + target
            if "page-number" in str(link.get("class", "")):
                link.string = str(numbers.get(target, UNKNOWN))
        elif not is_elsewhere(address):
            del link["href"]  # a file that is no page of the book
    return content


def _target(pages: Mapping[str, BuiltPage], page: BuiltPage, address: str) -> str:
    """The id, among those of the whole book, of what a link on ``page`` leads to; "" if nothing."""
    if is_elsewhere(address):
        return ""
    path, _, fragment = address.partition("#")
    name = fragment.partition("?")[0]  # behind it stand an explorer's settings
    other = pages.get(joined(page.path, path) if path else page.path)
    if other is None:
        return ""
    return f"{other.key}--{name}" if name else other.key


def _note_head(html: Path, page: BuiltPage, needs: Needs) -> None:
    """Add what the page's head loads: style sheets, and MathJax where it has a formula."""
    head = (html / page.path).read_text(encoding="utf-8").partition("</head>")[0]
    for address in _STYLE_SHEET.findall(head):
        needs.style_sheets[(html / joined(page.path, address)).as_uri()] = None
    math = _MATHJAX.search(head)
    if math:
        script = (html / joined(page.path, math[2])).as_uri()
        needs.math = f'{math[1]}<script defer src="{script}"></script>'


def _take_assets(content: BeautifulSoup, needs: Needs) -> None:
    """Take the explorers' styles and scripts, which the document has once, out of the page."""
    for style in content.find_all("style"):
        needs.styles[style.decode_contents()] = None
        style.decompose()
    for script in content.find_all("script"):
        is_state = script.parent is not None and script.parent.get("data-afm") is not None
        if not is_state:
            needs.scripts[str(script)] = None
            script.decompose()


def _open(content: BeautifulSoup) -> None:
    """Open what is folded, and say which option of a question is the answer."""
    for folded in content.select("details.hide"):
        if folded.summary:
            folded.summary.decompose()
        folded.unwrap()
    for folded in content.find_all("details"):
        folded["open"] = ""
    for question in content.select(".prediction"):
        answer = question.select_one(".prediction-answer")
        if answer is None:
            continue
        number = str(question.get("data-answer", "0"))
        label = content.new_tag("p", attrs={"class": "answer-label"})
        label.string = "Answer" if number == "0" else f"Answer: option {number}"
        answer.insert(0, label)


def _shorten_setup(content: BeautifulSoup, book: Book, page: BuiltPage) -> None:
    """Print the setup cell, which all notebooks begin with, in the first of them alone."""
    cell = content.select_one(SETUP_CELL)
    text, key = book.setup_cell
    if cell is None or page.key == key or _code(content) != text:
        return
    [first] = [other for other in book.pages.values() if other.key == key]
    address = f"{'../' * page.path.count('/')}{first.path}"
    cell.clear()
    cell.append(
        BeautifulSoup(
            "<p class='setup'>The first cell, which finds or fetches the course, is that of "
            f'<a href="{address}">{html_text.escape(first.title)}</a>.</p>',
            "html.parser",
        )
    )


def _code(content: BeautifulSoup) -> str:
    """The text of a page's setup cell; "" where it has none."""
    code = content.select_one(f"{SETUP_CELL} pre")
    return code.get_text() if code else ""


def _name_explorers(content: BeautifulSoup, page: BuiltPage) -> None:
    """Say under each explorer where it can be used."""
    for explorer in content.select("[data-afm]"):
        note = content.new_tag("p", attrs={"class": "live-elsewhere"})
        note.string = LIVE.format(title=page.title)
        explorer.insert_after(note)


def _keep_short_code_together(content: BeautifulSoup) -> None:
    """Mark the code that the style sheet keeps on one page."""
    for code in content.find_all("pre"):
        if code.get_text().count("\n") <= SHORT_CODE:
            code["class"] = " ".join([*classes(code), "short"])


def _number_index(content: BeautifulSoup) -> None:
    """Let an entry of the index name pages: the theme has one link in the word, others as [1]."""
    for entry in content.select(".genindextable li"):
        links = entry.find_all("a", recursive=False)
        for link in links:
            link["class"] = "page-number"
        if links:
            word = content.new_tag("span")
            word.string = f"{links[0].get_text()}, "
            links[0].insert_before(word)


def _lower_headings(content: BeautifulSoup) -> None:
    """A notebook's title stands below its chapter's, so that the outline shows it there."""
    for level in range(5, 0, -1):
        for heading in content.find_all(f"h{level}"):
            heading.name = f"h{level + 1}"
            heading["class"] = " ".join([*classes(heading), f"of-section-{level}"])


def _rename_ids(content: BeautifulSoup, page: BuiltPage) -> None:
    """Make ids unique in the whole book."""
    for tag in content.find_all(id=True):
        tag["id"] = f"{page.key}--{tag['id']}"
    for name in _NAMING:
        for tag in content.select(f"[{name}]"):
            named = str(tag[name]).split()
            tag[name] = " ".join(f"{page.key}--{id}" for id in named)


# ---- one document --------------------------------------------------------------------------------


def _lead_links(content: BeautifulSoup, inside: set[str]) -> None:
    """Let links to pages of the same document lead to their ids."""
    for link in content.select(f'a[href^="{ELSEWHERE}"]'):
        target = str(link["href"]).removeprefix(ELSEWHERE)
        if target.partition("--")[0] in inside:
            link["href"] = f"#{target}"


def _targets(book: Book, body: str) -> list[str]:
    """The ids in a document that some link of the book leads to."""
    return [id for id in re.findall(r' id="([^"]*)"', body) if id in book.linked]


def _number(key: str, numbers: Mapping[str, int]) -> str:
    """The page on which something stands, as a link."""
    shown = numbers.get(key, UNKNOWN)
    return f'<a {PAGE_NUMBER} href="{ELSEWHERE}{key}">{shown}</a>'


def _running_head(place: int, chapter: str, page: str) -> str:
    """What stands above the text of one of a document's pages."""
    left, right = (_css_string(title) for title in (chapter, page))
    right = '""' if chapter == page else right
    return (
        f"@page sheet-{place} {{ @top-left {{ content: {left}; }} "
        f"@top-right {{ content: {right}; }} }}"
    )


def _css_string(text: str) -> str:
    """``text`` in quotes, as CSS writes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _document(
    body: str, needs: Needs, first: int, page_rules: list[str], targets: list[str]
) -> str:
    """A document of HTML whose first printed page is number ``first``.

    Chromium makes a place to jump to only of what a link of the same document names: so there is
    an invisible one for each of ``targets``.
    """
    sheets = [f'<link rel="stylesheet" href="{address}">' for address in needs.style_sheets]
    numbering = f"html {{ counter-reset: page {first - 1}; }}"
    own = "\n".join([STYLE.read_text(encoding="utf-8"), *page_rules, numbering])
    styles = [f"<style>{style}</style>" for style in (*needs.styles, own)]
    links = "".join(f'<a href="#{id}">.</a>' for id in targets)
    return "\n".join(
        [
            '<!DOCTYPE html><html lang="en" data-theme="light" data-mode="light"><head>',
            '<meta charset="utf-8"><title>Overparameterized</title>',
            *sheets,
            *styles,
            needs.math,
            f"</head><body>{body}",
            f'<nav class="targets" aria-hidden="true">{links}</nav>',
            *needs.scripts,
            "</body></html>",
        ]
    )
