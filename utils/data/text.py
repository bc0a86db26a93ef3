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

# Folders of the standard library that are no library: its tests, what users installed, and tables.
SKIPPED = {
    "test",
    "tests",
    "idle_test",
    "site-packages",
    "dist-packages",
    "pydoc_data",
    "__pycache__",
}

Documents = list[tuple[str, str]]


@dataclass(frozen=True)
class TextCorpus:
    """Documents as (name, text) in a fixed order, and the Python version that they came with."""

    documents: Documents
    python_version: str

    def split(self, validation_fraction: float = 0.1, seed: int = 0) -> tuple[Documents, Documents]:
        """(training, validation) documents; whole documents, so no page is on both sides.

        A document's side follows from its own name, not from its neighbours: one that two Python
        versions share falls on the same side in both, and a module's docstrings and source stay
        together. The fraction, in (0, 1), is therefore met only on average.

        >>> pages = [("topics/for", "…"), ("docstrings/ast.py", "…"), ("sources/ast.py", "…")]
        >>> train, validation = TextCorpus(pages, "3.13.0").split(0.5)
        >>> [name for name, _ in validation]
        ['docstrings/ast.py', 'sources/ast.py']
        """
        share = number(
            "validation_fraction", validation_fraction, 0.0, 1.0, open_low=True, open_high=True
        )
        seed = integer("seed", seed, 0)
        train = []
        validation = []
        for document in self.documents:
            name, _ = document
            if _place(name, seed) < share * 2**64:
                validation.append(document)
            else:
                train.append(document)
        return train, validation


def _place(name: str, seed: int) -> int:
    """A number in [0, 2⁶⁴) that looks random but follows from the name, less its part, and seed."""
    _, page = name.split("/", 1)
    digest = hashlib.sha256(f"{seed}:{page}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def python_docs(parts: tuple[str, ...] = ("topics", "docstrings")) -> TextCorpus:
    """English and code from the running Python itself: nothing to download, nothing to license.

    ``topics``: the language reference's help pages (``pydoc_data.topics``; some Linux packages
    leave it out, and then it is skipped). ``docstrings``: one document per standard library module,
    its docstrings in order. ``sources``: the standard library's own code, tests excluded; it
    contains the docstrings, so use one or the other.

    The corpus belongs to a Python version, as its field says, and versions differ: 3.12 and 3.13
    removed modules (distutils, lib2to3, the PEP 594 "dead batteries"), and every release edits
    pages, so topics hold 0.46 to 0.51 MB. Docstrings are read from the source and their
    indentation is removed, because 3.13's compiler does that and earlier ones do not.
    Raises ``FileNotFoundError`` when this Python ships none of the parts asked for.
    """
    are_parts = not isinstance(parts, str) and len(parts) > 0
    require(are_parts, "parts", f"a tuple out of {TEXT_PARTS}", parts)
    for part in parts:
        choice("parts", part, TEXT_PARTS)

    documents: Documents = []
    if "topics" in parts:
        documents += [(f"topics/{name}", text) for name, text in _topics()]
    reads_modules = "docstrings" in parts or "sources" in parts
    modules = _stdlib_sources() if reads_modules else []
    if "docstrings" in parts:
        for name, source in modules:
            text = _docstrings(source)
            if text:
                documents.append((f"docstrings/{name}", text))
    if "sources" in parts:
        for name, source in modules:
            if source.strip():
                documents.append((f"sources/{name}", source))
    if not documents:
        raise FileNotFoundError(f"this Python ({sys.executable}) ships none of {', '.join(parts)}")
    return TextCorpus(documents, platform.python_version())


def _topics() -> Documents:
    """(topic, text) of the help pages, none where this Python ships none."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        return []
    return sorted(topics.items())


def _stdlib_sources() -> Documents:
    """(relative path, text) of the standard library's modules, without tests and tables."""
    root = Path(sysconfig.get_path("stdlib"))
    modules = []
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root)
        # _sysconfigdata_* spells out the machine that Python was compiled on.
        is_machine = name.parts[0].startswith(("config-", "_sysconfigdata", "lib-"))
        if is_machine or SKIPPED.intersection(name.parts):
            continue
        with tokenize.open(path) as file:  # opens in the encoding that the file declares
            modules.append((name.as_posix(), file.read()))
    return modules


def _docstrings(source: str) -> str:
    """All docstrings of a module in the order of its lines, with an empty line between two."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about escapes in the library's own strings
        tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, documented)]
    nodes.sort(key=lambda node: getattr(node, "lineno", 0))  # a module has no line of its own

    texts = []
    for node in nodes:
        raw = ast.get_docstring(node, clean=False)
        text = inspect.cleandoc(raw) if raw else ""
        if text:
            texts.append(text)
    return "\n\n".join(texts)
