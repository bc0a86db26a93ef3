"""The running Python's own documentation, docstrings and sources, as a text corpus."""

from __future__ import annotations

import ast
import hashlib
import inspect
import platform
import sys
import sysconfig
import tokenize
import warnings
from dataclasses import dataclass
from pathlib import Path

from utils.validate import choice, integer, number, require

TEXT_PARTS = ("topics", "docstrings", "sources")


@dataclass(frozen=True)
class TextCorpus:
    """Documents as (name, text) in a fixed order, and the Python version that they came with."""

    documents: list[tuple[str, str]]
    python_version: str

    def split(self, validation_fraction: float = 0.1, seed: int = 0) -> tuple[list, list]:
        """(training, validation) documents; whole documents, so no page is on both sides.

        A document's side follows from its own name, not from its neighbours: one that two Python
        versions share falls on the same side in both, and a module's docstrings and source stay
        together. The fraction is therefore met only on average.
        """
        share = number(
            "validation_fraction", validation_fraction, 0.0, 1.0, open_low=True, open_high=True
        )
        seed = integer("seed", seed, 0)

        def held_out(name: str) -> bool:
            digest = hashlib.sha256(f"{seed}:{name.split('/', 1)[1]}".encode()).digest()
            return int.from_bytes(digest[:8], "big") < share * 2**64

        validation = [document for document in self.documents if held_out(document[0])]
        return [document for document in self.documents if not held_out(document[0])], validation


def python_docs(parts: tuple[str, ...] = ("topics", "docstrings")) -> TextCorpus:
    """English and code from the running Python itself: nothing to download, nothing to license.

    ``topics``: the language reference's help pages (``pydoc_data.topics``; some Linux packages
    leave it out, and then it is skipped). ``docstrings``: one document a standard library module,
    its docstrings in order. ``sources``: the standard library's own code, tests excluded; it
    contains the docstrings, so use one or the other.

    The corpus belongs to a Python version, as its field says, and versions differ: 3.12 and 3.13
    removed modules (distutils, lib2to3, the PEP 594 "dead batteries"), and every release edits
    pages, so topics hold 0.46 to 0.51 MB. Docstrings are read from the source and their
    indentation is removed, because 3.13's compiler does that and earlier ones do not.
    Raises ``FileNotFoundError`` when this Python ships none of the parts asked for.
    """
    require(
        not isinstance(parts, str) and len(parts) > 0,
        "parts",
        f"a tuple out of {TEXT_PARTS}",
        parts,
    )
    for part in parts:
        choice("parts", part, TEXT_PARTS)
    documents: list[tuple[str, str]] = []
    if "topics" in parts:
        try:
            from pydoc_data.topics import topics
        except ImportError:
            topics = {}
        documents += [(f"topics/{name}", text) for name, text in sorted(topics.items())]
    modules = _stdlib_sources() if {"docstrings", "sources"} & set(parts) else []
    if "docstrings" in parts:
        pages = [(f"docstrings/{name}", _docstrings(text)) for name, text in modules]
        documents += [page for page in pages if page[1]]
    if "sources" in parts:
        documents += [(f"sources/{name}", text) for name, text in modules if text.strip()]
    if not documents:
        raise FileNotFoundError(f"this Python ({sys.executable}) ships none of {', '.join(parts)}")
    return TextCorpus(documents, platform.python_version())


def _stdlib_sources() -> list[tuple[str, str]]:
    """(relative path, text) of the standard library's modules, without tests and generated tables."""
    root = Path(sysconfig.get_path("stdlib"))
    skipped = {
        "test",
        "tests",
        "idle_test",
        "site-packages",
        "dist-packages",
        "pydoc_data",
        "__pycache__",
    }
    modules = []
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root)
        # _sysconfigdata_* spells out the machine that Python was compiled on.
        if skipped & set(name.parts) or name.parts[0].startswith(
            ("config-", "_sysconfigdata", "lib-")
        ):
            continue
        with tokenize.open(path) as file:
            modules.append((name.as_posix(), file.read()))
    return modules


def _docstrings(source: str) -> str:
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about escapes in the library's own strings
        tree = ast.parse(source)
    found = [node for node in ast.walk(tree) if isinstance(node, nodes)]
    found.sort(key=lambda node: getattr(node, "lineno", 0))
    texts = (ast.get_docstring(node, clean=False) for node in found)
    return "\n\n".join(text for text in (inspect.cleandoc(raw) for raw in texts if raw) if text)
