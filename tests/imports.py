"""Which file of the course imports which: the graph that `tests/test_rooms.py` looks at."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from utils.runtime import repo_root

ROOT = repo_root()


def files(*folders: str) -> list[Path]:
    """Every Python file below the top-level ``folders``, relative to the course's root."""
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path.relative_to(ROOT) for path in found)


def commands(*folders: str) -> list[Path]:
    """Those of the ``files`` that ``python -m`` runs."""
    begins = '\nif __name__ == "__main__":'
    return [path for path in files(*folders) if begins in (ROOT / path).read_text("utf-8")]


def imports(path: Path) -> list[Path]:
    """The files of the course that ``path`` imports, at its top or inside a function.

    Imports under ``if TYPE_CHECKING:`` are left out: they never happen.
    """
    found: set[Path] = set()
    for node in executed(parsed(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.add(file_of(alias.name))
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path}: an import names the whole path"
            assert node.level == 0, f"{path}: an import names the whole path"
            for alias in node.names:
                # Each name is a file of the folder, or else stands in the file before it.
                inside = file_of(f"{node.module}.{alias.name}")
                found.add(inside if inside.name else file_of(node.module))
    return sorted(imported for imported in found if imported.name and imported != path)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below ``node`` outside of ``if TYPE_CHECKING:``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from executed(child)


def dotted(path: Path) -> str:
    """``utils/models/gpt.py`` is ``utils.models.gpt``, ``utils/models/__init__.py`` its room."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def file_of(module: str) -> Path:
    """The file of a dotted name, or an empty path where the course has none."""
    place = Path(*module.split("."))
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if (ROOT / path).is_file():
            return path
    return Path()


def cycle(graph: dict[Path, list[Path]]) -> list[Path]:
    """Files that import one another in a circle, the first one again at the end; or nothing.

    A depth-first search: what it meets again while still looking below it closes a circle.
    """
    finished: set[Path] = set()

    def search(path: Path, above: list[Path]) -> list[Path]:
        if path in above:
            return [*above[above.index(path) :], path]
        if path in finished:
            return []
        for imported in graph.get(path, []):
            circle = search(imported, [*above, path])
            if circle:
                return circle
        finished.add(path)
        return []

    for path in graph:
        circle = search(path, [])
        if circle:
            return circle
    return []
