"""A part of many runs, so that several machines can share them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from utils.validate import require

T = TypeVar("T")


def share(items: Sequence[T], text: str) -> Sequence[T]:
    """The items of the shard ``text``, such as "2/3" for every third item from the second on.

    Raises ``ValueError`` for what is no shard.

    >>> share("abcdefg", "2/3")
    'be'
    """
    first, _, last = text.partition("/")
    ok = first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)
    require(ok, "shard", "such as 2/3", text)
    return items[int(first) - 1 :: int(last)]
