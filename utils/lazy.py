"""Names at a room's door, imported when they are first used (PEP 562).

A room's ``__init__`` lists which file defines which name. Building the book reads the sampling settings and
the parameter budget without torch: importing a room must therefore import none of its files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def exports(
    room: str, names: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], list[str]]:
    """A module's ``__getattr__`` and ``__all__`` for ``names``: each file of the room and what it gives.

    >>> __getattr__, __all__ = exports("utils.models", {"budget": ["Shape"], "gpt": ["GPT"]})
    >>> __all__
    ['GPT', 'Shape']
    >>> __getattr__("Shape").__module__
    'utils.models.budget'
    """
    file_of = {name: file for file, defined in names.items() for name in defined}

    def __getattr__(name: str) -> Any:
        if name not in file_of:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return getattr(import_module(f"{room}.{file_of[name]}"), name)

    return __getattr__, sorted(file_of)
