"""The settings of an experiment: a frozen dataclass, the options it becomes, and what is refused.

A command need not repeat the names, types or defaults of its settings::

    command = parser("experiments.walks.distance", __doc__)
    add_settings(command, Settings)
    options = vars(command.parse_args())
    with one_line_errors(command):
        settings = take_settings(options, Settings)  # raises for one out of its range
        ...
"""

from __future__ import annotations

import argparse
import contextlib
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from utils.validate import require

REFUSALS = (ValueError, OSError, MemoryError, FloatingPointError)  # what a user can put right


def parser(command: str, about: str | None) -> argparse.ArgumentParser:
    """A parser for ``python -m command``, described by the first line of ``about``."""
    first_line = (about or "").partition("\n")[0]
    return argparse.ArgumentParser(prog=f"python -m {command}", description=first_line)


def add_settings(command: argparse.ArgumentParser, settings: type) -> None:
    """Add an option for each field of the dataclass ``settings``, such as ``--label-noise``.

    A field is an ``int``, ``float``, ``str`` or ``bool``, one of these ``| None``, or a ``tuple``
    of any length such as ``tuple[int, ...]``, and has a default.
    """
    types_of = typing.get_type_hints(settings)
    for setting in fields(settings):
        kind, several = _kind(types_of[setting.name])
        text = f"default: {_shown(setting.default)}"
        how: dict[str, Any] = {"type": kind, "nargs": "+" if several else None}
        if kind is bool:
            how = {"action": argparse.BooleanOptionalAction}  # --centred and --no-centred
        command.add_argument(option(setting.name), default=setting.default, help=text, **how)


def take_settings(options: dict[str, Any], settings: type) -> Any:
    """Take the fields of the dataclass ``settings`` out of the parsed ``options``, and build it."""
    chosen = {}
    for setting in fields(settings):
        value = options.pop(setting.name)
        chosen[setting.name] = tuple(value) if isinstance(value, list) else value
    return settings(**chosen)


@contextlib.contextmanager
def one_line_errors(command: argparse.ArgumentParser) -> Iterator[None]:
    """End the command with one line where a user can put the error right, without a traceback."""
    try:
        yield
    except REFUSALS as error:
        command.error(str(error) or type(error).__name__)


def distinct(name: str, values: Any) -> tuple:
    """``values`` as a tuple, or raise: numbers that all differ, since each makes a run.

    >>> distinct("seeds", [0, 1])
    (0, 1)
    """
    listed = isinstance(values, Sequence) and not isinstance(values, str)
    require(listed and len(values) > 0, name, "at least one number", values)
    repeated = [value for i, value in enumerate(values) if value in values[:i]]
    require(not repeated, name, "numbers that all differ", values)
    return tuple(values)


def option(name: str) -> str:
    """The option for a setting: ``label_noise`` is ``--label-noise``."""
    return f"--{name.replace('_', '-')}"


def _kind(hint: Any) -> tuple[type, bool]:
    """The type of one value of a field, and whether the field holds several of them."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        hint = next(part for part in typing.get_args(hint) if part is not types.NoneType)
    if typing.get_origin(hint) is tuple:
        return typing.get_args(hint)[0], True
    return hint, False


def _shown(default: Any) -> str:
    """A default as one would type it."""
    if isinstance(default, tuple):
        return " ".join(str(value) for value in default)
    return "none" if default is None else str(default)
