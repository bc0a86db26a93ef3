"""One widget, one module: put the parts that a ``.mjs`` imports into it.

anywidget and the book's pages import a widget from a Blob, where a relative import cannot work. So a large
widget is written as several files with ordinary imports, which node and editors understand, and joined here
whenever it is used. Nothing joined is ever stored. The rules, which make joining a matter of a few lines:

- an import stands on a line of its own, in this form: ``import { a, b } from "../shared/x.mjs";``
- a part exports by ``export`` before a declaration, never a default;
- names at the top level differ between the files of one widget, as the parts share the module's scope.
"""

from __future__ import annotations

import re
from pathlib import Path

IMPORT = re.compile(r'^import \{[^}]*\} from "(\.\.?/[\w./-]+\.mjs)";\n', re.MULTILINE)
NAME = re.compile(r"^(?:export )?(?:async )?(?:const|let|class|function\*?) (\w+)", re.MULTILINE)


def parts(path: Path) -> list[Path]:
    """The files that ``path`` is made of, each after those that it imports; ``path`` itself is the last."""
    found: list[Path] = []

    def visit(file: Path) -> None:
        for name in IMPORT.findall(file.read_text(encoding="utf-8")):
            if (part := (file.parent / name).resolve()) not in found:
                visit(part)
        found.append(file)

    visit(path.resolve())
    return found


def bundle(path: Path) -> str:
    """The text of a module without imports, with the exports of ``path`` alone.

    Raises ``ValueError`` when two of its files declare the same name, and ``FileNotFoundError`` for a part
    that is not there.
    """
    *imported, main = parts(path)
    if not imported:
        return path.read_text(encoding="utf-8")
    owner: dict[str, str] = {}
    texts = []
    for file in (*imported, main):
        text = IMPORT.sub("", file.read_text(encoding="utf-8"))
        for name in NAME.findall(text):
            if name in owner:
                raise ValueError(f"{file.name} and {owner[name]} both declare {name}")
            owner[name] = file.name
        text = text if file == main else re.sub(r"^export ", "", text, flags=re.MULTILINE)
        texts.append(f"// ==== {file.name}\n{text}")
    return "\n".join(texts)
