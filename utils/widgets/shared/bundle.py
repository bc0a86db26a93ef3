"""One widget, one module: put the parts that a ``.mjs`` imports, and Python's tables, into it.

anywidget and the book's pages import a widget from a Blob, where a relative import cannot work. So
a widget is written as several files with ordinary imports, which node and editors understand, and
they are joined here whenever the widget is used. Nothing joined is ever stored. The rules, which
make joining a matter of a few lines:

- an import begins a line of its own, in the form ``import { a, b } from "../shared/x.mjs";``
- a part exports by ``export`` before a declaration, never a default;
- names at the top level differ between the files of one widget, as the parts share the module's
  scope.

What Python knows is not typed again in JavaScript. A part imports it from a table,
``import { GPUS } from "course:models/budget";``, which becomes ``const GPUS = {…};`` here: the
entry ``GPUS`` of what ``page_data()`` in ``utils/models/budget.py`` returns, as JSON. Building the
book has neither torch nor NumPy, so a file with a ``page_data`` must not import them. Tests give
node the same tables (``tests/node.py``). The translations of an explorer's words are such a table,
in the language of the run (`utils.book.words`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from utils.validate import choice, require

UTILS = Path(__file__).parents[2]

# What the rules above look like. Each matches from the beginning of a line.
PART_IMPORT = re.compile(r'^import \{[^}]*\} from "(\.\.?/[\w./-]+\.mjs)";\n', re.MULTILINE)
TABLE_IMPORT = re.compile(r'^import \{([^}]*)\} from "course:([\w/]+)";\n', re.MULTILINE)
DECLARATION = re.compile(
    r"^(?:export )?(?:async )?(?:const|let|class|function\*?) (\w+)", re.MULTILINE
)
EXPORT = re.compile(r"^export ", re.MULTILINE)
UTILS_IMPORT = re.compile(r"^(?:from|import) utils\.([\w.]+)", re.MULTILINE)


def parts(path: Path) -> list[Path]:
    """The ``.mjs`` files that ``path`` is made of, each after those that it imports.

    ``path`` itself is the last. Raises ``FileNotFoundError`` for a part that is not there.
    """
    found: list[Path] = []

    def visit(file: Path) -> None:
        for name in PART_IMPORT.findall(_read(file)):
            part = (file.parent / name).resolve()
            if part not in found:
                visit(part)
        found.append(file)  # behind its own imports, so that they are declared before it runs

    visit(path.resolve())
    return found


def tables(path: Path) -> dict[str, list[str]]:
    """The tables that ``path`` and its parts import, such as ``models/budget``, and which names."""
    found: dict[str, list[str]] = {}
    for file in parts(path):
        for listed, table in TABLE_IMPORT.findall(_read(file)):
            names = found.setdefault(table, [])
            for name in re.findall(r"\w+", listed):
                if name not in names:
                    names.append(name)
    return found


def page_data(table: str) -> dict[str, Any]:
    """What ``page_data()`` in ``utils/TABLE.py`` returns: names and their values.

    Raises ``ValueError`` where there is no such file or no such function in it.
    """
    known = (UTILS / f"{table}.py").is_file()
    require(known, "the table after course:", "a file of utils/ without its .py", table)
    module = import_module("utils." + table.replace("/", "."))
    states_data = hasattr(module, "page_data")
    require(states_data, "the table after course:", "a file with a page_data()", table)
    return module.page_data()


def constants(table: str, names: Iterable[str]) -> str:
    """JavaScript that declares ``names`` with their values in ``table``, a line for each.

    Raises ``ValueError`` for a name that the table does not have, or a value that is not JSON.

    >>> constants("models/budget", ["PRECISIONS"])
    'const PRECISIONS = {"fp32": 32, "bf16": 16, "int8": 8, "int4": 4};\\n'
    """
    data = page_data(table)
    lines = []
    for name in names:
        choice(f"a name imported from course:{table}", name, tuple(data))
        value = json.dumps(data[name], ensure_ascii=False, allow_nan=False)
        lines.append(f"const {name} = {value};\n")
    return "".join(lines)


def bundle(path: Path) -> str:
    """The text of a module without imports, with the exports of ``path`` alone.

    Raises ``ValueError`` when two of its files declare the same name or a table lacks one, and
    ``FileNotFoundError`` for a part that is not there.
    """
    # First the tables, then the parts, each behind what it uses, then the module itself.
    sections: list[tuple[str, str]] = []
    for table, names in tables(path).items():
        sections.append((f"course:{table}", constants(table, names)))
    *imported, main = parts(path)
    for part in imported:
        sections.append((part.name, EXPORT.sub("", _without_imports(part))))
    sections.append((main.name, _without_imports(main)))

    # All share one scope now, in which a second declaration would be a syntax error in the page.
    owner: dict[str, str] = {}
    for section, text in sections:
        for name in DECLARATION.findall(text):
            if name in owner:
                raise ValueError(f"{section} and {owner[name]} both declare {name}")
            owner[name] = section

    if len(sections) == 1:  # nothing was imported
        return sections[0][1]
    return "\n".join(f"// ==== {section}\n{text}" for section, text in sections)


def sources(path: Path) -> list[Path]:
    """Every file that `bundle` reads or runs for ``path``: when one changes, so may the module.

    These are the parts, the Python files of the tables, and what those import from ``utils``.
    """
    python: list[Path] = []

    def visit(file: Path) -> None:
        if file in python or not file.is_file():
            return
        python.append(file)
        # A table may hold what another file states, as the budget does the presets.
        for module in UTILS_IMPORT.findall(_read(file)):
            visit(UTILS / f"{module.replace('.', '/')}.py")

    for table in tables(path):
        visit(UTILS / f"{table}.py")
    return parts(path) + python


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _without_imports(file: Path) -> str:
    return TABLE_IMPORT.sub("", PART_IMPORT.sub("", _read(file)))
