"""The bibliography: each entry is whole, says how it was looked up, and stands behind some text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pybtex.database import BibliographyData, parse_file, parse_string

from tests.small_book import build

ROOT = Path(__file__).parents[2]
BIBLIOGRAPHY = ROOT / "book" / "references.bib"
Fields = dict[str, str]  # of one entry, the authors in one string
LOOKED_UP = re.compile(r"20\d\d-[01]\d-[0-3]\d, (in part: )?\w.*|not found, \w.*")
IDENTIFIERS = ("eprint", "doi", "url", "isbn")
IN_A_TEXT = re.compile(r"arXiv:\d{4}\.\d{4,5}|doi:10\.\d+/\S+|\\url\{https://")
ARXIV = re.compile(r"(?i)arxiv(?:\.org/(?:abs|pdf)/|: ?)(\d{4}\.\d{4,5})")
CITED = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")
LINK = re.compile(r"\[[^\]]*\]\([^)]*\)|<https?://[^>]*>")


def entries(read: BibliographyData) -> dict[str, Fields]:
    """The fields of each entry, by its key."""
    found = {}
    for key, entry in read.entries.items():
        people = vars(entry)["persons"].get("author", [])
        found[key] = dict(vars(entry)["fields"]) | {"author": " and ".join(map(str, people))}
    return found


def texts() -> dict[str, str]:
    """The words of every page, notebook and claim, by path."""
    found = {f"book/{page.name}": page.read_text("utf-8") for page in ROOT.glob("book/*.md")}
    found["book/claims.json"] = (ROOT / "book" / "claims.json").read_text("utf-8")
    for path in sorted(ROOT.glob("notebooks/**/*.ipynb")):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        found[str(path.relative_to(ROOT))] = "\n".join("".join(cell["source"]) for cell in cells)
    return found


ENTRIES = entries(parse_file(str(BIBLIOGRAPHY)))
TEXTS = texts()
ALL_TEXT = "\n".join(TEXTS.values()).lower()
CITED_KEYS = {
    key.strip(): path
    for path, text in TEXTS.items()
    for keys in CITED.findall(text)
    for key in keys.split(",")
} | dict.fromkeys(re.findall(r'"@(\w+)"', TEXTS["book/claims.json"]), "book/claims.json")


def identifiers(entry: Fields) -> list[str]:
    """What leads from an entry to the work: a field for that, or a number in one of its texts."""
    fields = [entry[name] for name in IDENTIFIERS if name in entry]
    places = [entry.get(name, "") for name in ("note", "journal", "howpublished")]
    return fields + IN_A_TEXT.findall(" ".join(places))


def faults(key: str, entry: Fields) -> list[str]:
    """What a reader of an entry would miss."""
    found = [f"{key}: no {name}" for name in ("title", "author", "year") if not entry.get(name)]
    if not identifiers(entry):
        found.append(f"{key}: nothing leads to the work")
    said = entry.get("lookedup", "")
    if not LOOKED_UP.fullmatch(said):
        found.append(f"{key}: lookedup says {said!r}")
    if said.startswith("not found") != entry.get("note", "").startswith("Not looked up: "):
        found.append(f"{key}: the note for readers and lookedup disagree")
    return found


def is_cited(key: str, entry: Fields) -> bool:
    """Whether a text cites an entry: by its key, by what leads to the work, or by its title."""
    names = [name.removeprefix("arXiv:").removeprefix("doi:") for name in identifiers(entry)]
    names = [name for name in names if not name.startswith("\\url")]
    names += re.findall(r"\\url\{([^}]*)\}", entry.get("howpublished", ""))
    names.append(re.sub(r"[{}]", "", entry["title"]))
    return key in CITED_KEYS or any(name.lower() in ALL_TEXT for name in names)


@pytest.mark.parametrize("key", ENTRIES)
def test_an_entry_is_whole_and_says_how_it_was_looked_up(key: str) -> None:
    assert faults(key, ENTRIES[key]) == []


GOOD = "author = {A, B}, title = {C}, year = {2020}, note = {arXiv:2001.00001}"


@pytest.mark.parametrize(
    "fields",
    [
        GOOD,
        f"{GOOD}, lookedup = {{yes}}",
        f"{GOOD}, lookedup = {{2026-11-27}}",
        f"{GOOD}, lookedup = {{not found, two searches}}",
        GOOD.replace("arXiv:2001.00001", "a book") + ", lookedup = {2026-11-27, the book}",
        GOOD.replace("author = {A, B}, ", "") + ", lookedup = {2026-11-27, the page}",
        GOOD.replace("2001.00001", "") + ", lookedup = {2026-11-27, the page}",
    ],
)
def test_a_faulty_entry_is_found(fields: str) -> None:
    assert faults("x", entries(parse_string(f"@misc{{x, {fields}}}", "bibtex"))["x"])


def test_a_key_that_a_text_cites_exists() -> None:
    assert {key: path for key, path in CITED_KEYS.items() if key not in ENTRIES} == {}


def test_every_entry_is_cited() -> None:
    uncited = {key for key, entry in ENTRIES.items() if not is_cited(key, entry)}
    assert uncited == set()


@pytest.mark.parametrize("path", TEXTS)
def test_an_arxiv_number_in_a_text_is_a_link_and_has_an_entry(path: str) -> None:
    known = BIBLIOGRAPHY.read_text("utf-8")
    numbers = set(ARXIV.findall(TEXTS[path]))
    assert {number for number in numbers if f"arXiv:{number}" not in known} == set()
    outside = LINK.sub("", TEXTS[path]) if path.endswith((".md", ".ipynb")) else ""
    assert ARXIV.findall(outside) == [], "a number that is not a link"
    for shown, target in re.findall(r"\[arXiv:(\d{4}\.\d{4,5})\]\(([^)]*)\)", TEXTS[path]):
        assert shown in target


def test_no_two_entries_are_the_same_work() -> None:
    numbers = [name for entry in ENTRIES.values() for name in identifiers(entry)]
    numbers = [name for name in numbers if not name.startswith("\\url")]
    assert sorted(set(numbers)) == sorted(numbers)


def test_readers_see_what_was_not_looked_up_and_never_the_field_for_it(tmp_path: Path) -> None:
    unfound = "@misc{x, author = {One, Ann}, title = {Lost}, year = {2020}, url = {https://a.org}, "
    unfound += "note = {Not looked up: no page says it}, lookedup = {not found, two searches}}\n"
    found = "@misc{y, author = {Two, Bob}, title = {Met}, year = {2021}, "
    found += "note = {arXiv:2001.00001}, lookedup = {2026-11-27, its own page}}\n"
    (tmp_path / "all.bib").write_text(unfound + found, encoding="utf-8")
    html = build(
        tmp_path,
        {"index.md": "# References\n\n```{bibliography}\n:all:\n:style: plain\n```\n"},
        extensions=["myst_parser", "sphinxcontrib.bibtex"],
        bibtex_bibfiles=["all.bib"],
    )
    page = (html / "index.html").read_text("utf-8")
    assert "Not looked up: no page says it" in page
    assert "two searches" not in page
    assert "its own page" not in page
