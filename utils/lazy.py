"""Names at a room's door that are imported when they are first used (PEP 562).

A room's ``__init__`` lists which file defines which name. Building the book reads the sampling
settings and the parameter budget without torch, so importing a room must import none of its files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def exports(
    room: str, names: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` for the door of ``room``.

    names: for each file of the room, the names that it gives, as in ``{"gpt": ["GPT"]}``.
    The first of the three is what Python calls for a name that the door does not hold yet. It
    raises ``AttributeError`` for one that is not listed. The second is what a notebook's Tab key
    offers.

    >>> __getattr__, __dir__, __all__ = exports("utils", {"validate": ["number", "integer"]})
    >>> __all__
    ['integer', 'number']
    >>> __getattr__("number").__module__
    'utils.validate'
    """
    file_of: dict[str, str] = {}
    for file, defined in names.items():
        for name in defined:
            file_of[name] = file

    def get(name: str) -> Any:
        if name not in file_of:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        module = import_module(f"{room}.{file_of[name]}")
        return getattr(module, name)

    def offered() -> list[str]:
        return sorted(file_of)

    return get, offered, offered()
