"""The book in another language: its words, its sentences, and what becomes of a translated page."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
import yaml
from babel.messages.catalog import Catalog
from bs4 import BeautifulSoup

from tests import small_book
from tests.small_book import ROOT
from utils.book import languages as book
from utils.book.words import HOLE, language, languages, locale_dir, tr, words
from utils.sampling.settings import page_data as sampling
from utils.widgets.compute_explorer.settings import page_data as laws
from utils.widgets.shared.bundle import bundle

OTHERS = languages()[1:]
PAGES = sorted(locale_dir().glob("*/LC_MESSAGES/**/*.po"))

# ---- the words of the explorers and of the extensions --------------------------------------------

LITERAL = r'"(?:[^"\\]|\\.)*"'
JOINED = rf"{LITERAL}(?:\s*\+\s*{LITERAL})*"
CALL = re.compile(rf"\btr\(\s*({JOINED})")
EXPLORERS = sorted((ROOT / "utils" / "widgets").rglob("*.mjs"))
SCRIPTS = sorted((ROOT / "book").glob("_*/*.js"))
EXTENSIONS = sorted((ROOT / "book" / "_ext").glob("*.py"))
LIBRARY = sorted((ROOT / "utils" / "widgets").rglob("*.py"))
# What a screen reader calls each explorer in a notebook.
LABELS = {
    found
    for file in LIBRARY
    for found in re.findall(r'^    label = "(.+)"$', file.read_text(encoding="utf-8"), re.MULTILINE)
}
# Names, which are the same in every language.
NAMES = {"GPT-2 XL", "GPT-3", "Llama 2 7B", "Llama 3 8B", "Llama 3 70B", "Llama 3.2 1B"}
NAMES |= {"Besiroglu et al. 2024", "Kaplan et al. 2020"}
NAMES |= {"Daniel Defoe, Moll Flanders (1722)", "Kenneth Grahame, The Wind in the Willows (1908)"}
# Texts that are no reader's: errors of a programmer, keys, and texts for the English models.
NOT_SHOWN = {
    '"Delete"',
    '"Backspace"',
    '"The king took the crown, and the queen took the"',
    '"It was a dark night, and"',
    '"AdamW "',
    '"Adam"',
    '"there are no recorded prompts"',
}
NOT_SHOWN_BEGIN = ('"The quick brown fox', '"The logits must be', '"model_type must be')
NOT_SHOWN_BEGIN += ("`model_type must be", "`${name}: dtype", "`the weights", "`the context holds")


def without_comments(script: str) -> str:
    script = re.sub(r"/\*.*?\*/", "", script, flags=re.DOTALL)
    script = re.sub(r"(^|\s)//.*$", "", script, flags=re.MULTILINE)
    return re.sub(r"^import .*?;\n", "", script, flags=re.MULTILINE | re.DOTALL)


def said_by_script(file: Path) -> Iterator[str]:
    """The English texts that a script hands to `tr`."""
    for joined in CALL.findall(file.read_text(encoding="utf-8")):
        yield "".join(json.loads(piece) for piece in re.findall(LITERAL, joined))


def said_by_extension(file: Path) -> Iterator[str]:
    """The same for Python, where the text may also be a constant of the file."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    constants = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            constants[getattr(node.targets[0], "id", "")] = node.value.value
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tr":
            argument = node.args[0]
            if isinstance(argument, ast.Constant):
                yield argument.value
            elif isinstance(argument, ast.Name) and argument.id in constants:
                yield constants[argument.id]


def said() -> set[str]:
    """Every text that code hands to `tr` as it stands."""
    found = set()
    for file in [*EXPLORERS, *SCRIPTS]:
        found.update(said_by_script(file))
    for file in [*EXTENSIONS, *LIBRARY]:
        found.update(said_by_extension(file))
    return found


def looked_up() -> set[str]:
    """The texts that come from a table: names of settings, laws, models, texts and verdicts."""
    from claims import VERDICTS, WAYS

    from utils.models.presets import PRESETS
    from utils.widgets.shared.static import ON_A_PAGE

    record = ROOT / "records" / "myths" / "compression_explorer.json"
    texts = json.loads(record.read_text(encoding="utf-8"))["data"]["texts"]
    found = {ON_A_PAGE, "Search this book...", "grid", *VERDICTS, *WAYS, *LABELS}
    found |= {preset["label"] for preset in PRESETS.values()}
    found |= {*sampling()["NAMES"].values(), *sampling()["NOTES"].values()}
    found |= {*laws()["LAW_NAMES"].values(), *(text["name"] for text in texts)}
    return found


def test_code_is_found_to_say_something():
    assert len(said()) > 350
    assert {"Temperature", "Show the numbers", "{n} tokens", "Predict."} <= said()


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_every_word_and_no_other(language):
    # One may begin with a page, without a table; a table that is there is whole.
    known = set(words(language))
    missing = (said() | looked_up()) - known - NAMES
    assert not known or not missing, f"locale/{language}/words.json lacks {sorted(missing)}"
    unknown = known - said() - looked_up()
    assert not unknown, f"locale/{language}/words.json has what nothing says: {sorted(unknown)}"


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_holes_of_its_text(language):
    # In a name inside a sentence English takes the small letter, other languages may not.
    for text, told in words(language).items():
        holes = {hole.lower() for hole in HOLE.findall(text)}
        assert {hole.lower() for hole in HOLE.findall(told)} == holes, text
        assert told.strip(), text


@pytest.mark.parametrize("file", EXPLORERS, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_what_an_explorer_says_goes_through_tr(file):
    # Also what no test of a browser comes to: errors, and what the live model says.
    script = CALL.sub("tr(", without_comments(file.read_text(encoding="utf-8")))
    for literal in re.findall(rf"{LITERAL}|`(?:[^`\\]|\\.)*`", script):
        shown = re.sub(r"\$\{[^}]*\}", "", literal)
        of_words = re.search(r"[A-Za-z]{2,} [a-z]{2,}|^.[A-Z][a-z]+", shown)
        known = literal in NOT_SHOWN or literal.startswith(NOT_SHOWN_BEGIN)
        is_code = "cw-" in literal or re.match(r"`M\$\{twoDigits", literal)
        assert not of_words or known or is_code, literal


def test_words_are_filled_and_chosen(monkeypatch):
    assert tr("draw {number} of {count}", number=3, count=12) == "draw 3 of 12"
    monkeypatch.setenv("COURSE_LANGUAGE", "de")
    assert tr("draw {number} of {count}", number=3, count=12) == "Ziehung 3 von 12"
    assert tr("{count} is {n}", n="{count}", count=1) == "1 is {count}"
    monkeypatch.setenv("COURSE_LANGUAGE", "xx")
    with pytest.raises(ValueError, match=r"^COURSE_LANGUAGE must be one of 'en', 'de'.*got 'xx'$"):
        language()


def test_an_explorer_is_joined_with_the_words_of_the_language(monkeypatch):
    widget = ROOT / "utils" / "widgets" / "temperature_bars" / "widget.mjs"
    assert "const TRANSLATIONS = {};" in bundle(widget)
    monkeypatch.setenv("COURSE_LANGUAGE", "de")
    assert '"Temperature": "Temperatur"' in bundle(widget)


def test_the_pages_own_scripts_get_their_words(monkeypatch):
    from course_book import give_scripts_their_words

    class App:
        bodies: ClassVar[list[str]] = []

        def add_js_file(self, file, body, priority):
            self.bodies.append(body)

    give_scripts_their_words(App())
    assert not App.bodies  # in English they have all they need
    monkeypatch.setenv("COURSE_LANGUAGE", "de")
    give_scripts_their_words(App())
    told = json.loads(App.bodies[0].partition(" = ")[2].removesuffix(";"))
    assert told["here"] == "hier"
    assert "Temperature" not in told  # an explorer has its own table


# ---- the sentences of the pages ------------------------------------------------------------------


@pytest.mark.parametrize("po", PAGES, ids=lambda po: f"{po.parts[-4]}-{po.stem}")
def test_a_translation_is_what_its_page_says(po, tmp_path):
    # In a process of its own: docutils keeps what one build has registered.
    page = po.relative_to(locale_dir()).parts[2:]
    name = Path(*page).with_suffix("").as_posix()
    toc = tmp_path / "toc.yml"
    toc.write_text(f"format: jb-book\nroot: {name}\n", encoding="utf-8")
    code = "import sys; from pathlib import Path; from utils.book.languages import extract; "
    code += "extract(Path(sys.argv[1]), Path(sys.argv[2]))"
    command = [sys.executable, "-c", code, str(tmp_path / "out"), str(toc)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    wanted = {message.id for message in book.read(tmp_path / "out" / f"{name}.pot") if message.id}

    # The menu's captions are the title page's.
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    if name == contents["root"]:
        wanted |= {part["caption"] for part in contents["parts"]}

    catalog = book.read(po)
    known = {message.id for message in catalog if message.id}
    advice = "run `make messages` and translate what it has marked"
    assert wanted <= known, f"{sorted(wanted - known)[:3]} is new on the page: {advice}"
    stale = known - wanted
    assert not stale, f"{sorted(stale)[:3]} is no longer on the page: {advice}"
    for message in catalog:
        assert not message.id or (message.string and not message.fuzzy), f"{message.id}: {advice}"


@pytest.mark.parametrize("po", PAGES, ids=lambda po: f"{po.parts[-4]}-{po.stem}")
def test_a_translation_keeps_roles_and_links(po):
    # Sphinx warns of a missing reference; of a pasted number, which is none, nobody would.
    for message in book.read(po):
        if message.id:
            assert marks(message.string) == marks(message.id), message.id


def marks(text: str) -> Counter[str]:
    """Roles with their content, and where links lead."""
    return Counter(re.findall(r"\{[\w:-]+\}`[^`]*`|\]\([^)]*\)|<a href=\"[^\"]*\"", text))


def catalog_of(**sentences: str) -> Catalog:
    catalog = Catalog("de", fuzzy=False)
    for text, told in sentences.items():
        catalog.add(text, told)
    return catalog


def test_an_update_marks_what_has_changed(tmp_path):
    po, pot = tmp_path / "page.po", tmp_path / "page.pot"
    old = {"The error falls and rises again.": "Der Fehler fällt und steigt wieder."}
    same = {"A sentence that stays.": "Ein Satz, der bleibt."}
    gone = {"Nothing like it is left.": "Davon ist nichts mehr übrig."}
    book.write(po, catalog_of(**old, **same, **gone))
    new = "The error falls and rises again, twice."
    book.write(pot, catalog_of(**{new: "", "A sentence that stays.": ""}))
    assert book.update(pot, po) == 1
    told = {message.id: (message.string, message.fuzzy) for message in book.read(po) if message.id}
    assert told == {
        new: ("Der Fehler fällt und steigt wieder.", True),
        "A sentence that stays.": ("Ein Satz, der bleibt.", False),
    }
    written = po.read_text(encoding="utf-8")
    assert book.update(pot, po) == 1
    assert po.read_text(encoding="utf-8") == written  # a second update changes nothing


def test_a_broken_file_is_one_line(tmp_path):
    broken = tmp_path / "page.po"
    broken.write_text("what is this?\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"page\.po must be a file of gettext: [^\n]+$"):
        book.read(broken)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["build", "xx"], "LANGUAGE must be one of 'de', got 'xx'"),
        (["start", "german", "book/index"], "LANGUAGE must be a code such as de or pt_BR, got"),
        (["start", "de", "book/index"], "PAGE must be one that is not begun yet, got 'book/index'"),
        (["start", "de", "book/nothing"], "PAGE must be a page or notebook without its ending, "),
        (["start", "de", "../book/index"], "PAGE must be a page or notebook without its ending, "),
    ],
)
def test_the_command_refuses_in_one_line(arguments, said):
    with pytest.raises(SystemExit) as end:
        book.main(arguments)
    assert said in str(end.value)
    assert "\n" not in str(end.value)


# ---- a small book in German ----------------------------------------------------------------------

EXTENSIONS_OF_A_PAGE = [
    "myst_nb",
    "sphinxcontrib.bibtex",
    "notebook_content",
    "predictions",
    "glossary_links",
]
REFERENCES = "@article{key2020,\n author={Key, A.},\n title={T},\n journal={J},\n year={2020}\n}\n"
PAGE = """# The error

The error is {record}`numbers.json::error:.2f` {cite}`key2020`, by a {term}`model`.

Not translated.

**Predict.** Where is it largest?

1. Here.
2. There.

<details data-answer="2"><summary>Open</summary>

There.

</details>

```{glossary}
model
  A thing.
```

```{bibliography}
```
"""
SENTENCE = "The error is {record}`numbers.json::error:.2f` {cite}`key2020`, by a {term}`model`."
GERMAN = {
    "The error": "Der Fehler",
    SENTENCE: "Bei einem {term}`Modell <model>` ist er {record}`numbers.json::error:.2f`, sagt "
    "{cite}`key2020`.",
    "**Predict.** Where is it largest?": "**Sag voraus.** Wo ist er am größten?",
    "Here.": "Hier.",
}


def german(folder: Path, translations: dict[str, str]) -> BeautifulSoup:
    """Build the page with these translations, and read it."""
    po = folder / "translations" / "de" / "LC_MESSAGES" / "index.po"
    book.write(po, catalog_of(**translations))
    (folder / "records").mkdir()
    (folder / "records" / "numbers.json").write_text('{"error": 0.25}', encoding="utf-8")
    html = small_book.build(
        folder,
        {"index.md": PAGE, "references.bib": REFERENCES},
        extensions=EXTENSIONS_OF_A_PAGE,
        language="de",
        locale_dirs=["translations"],
        gettext_compact=False,
        bibtex_bibfiles=["references.bib"],
        exclude_patterns=["_build", "records"],
        nb_execution_mode="off",
    )
    return BeautifulSoup((html / "index.html").read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> BeautifulSoup:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_book, "sphinx", small_book.sphinx_in_german)
        return german(tmp_path_factory.mktemp("german"), GERMAN)


def test_a_translated_page_keeps_its_number_its_citation_and_its_term(page):
    assert page.html["lang"] == "de"
    heading = page.h1
    assert heading.get_text().startswith("Der Fehler")
    assert heading.parent["id"] == "the-error"  # a link to the section still leads there
    paragraph = page.find("p")
    assert paragraph.get_text().startswith("Bei einem Modell ist er 0.25, sagt [")
    links = [link["href"] for link in paragraph.find_all("a")]
    assert links[0] == "#term-model"
    assert len(links) == 2  # the term and the citation
    assert "Not translated." in page.get_text()


def test_a_translated_question_still_hides_its_answer(page):
    question = page.find(class_="prediction")
    assert question["data-answer"] == "2"
    assert [item.get_text(strip=True) for item in question.ol.find_all("li")] == ["Hier.", "There."]


def test_a_translation_that_loses_a_term_is_a_warning(tmp_path):
    lost = {SENTENCE: "Er ist {record}`numbers.json::error:.2f` {cite}`key2020`."}
    with pytest.raises(
        small_book.BuildError, match="inconsistent term references in translated message"
    ):
        german(tmp_path, lost)
