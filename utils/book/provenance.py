"""Where the stored results come from, and which notebooks and pages draw on them.

``sources()`` lists everything under ``records/`` that says where it comes from: a record, a folder
of runs, or the weights of a model with their card. ``drawn_on(notebook)`` reads in a notebook's
code which of them it uses, without running it, and ``pasted_by(page)`` in a page's text.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from utils.book.conclusions import code_trees
from utils.runtime import repo_root

RUNS = ("forecasts",)  # folders beside the chapters' whose files are runs of one kind
# What this book's own tests have measured.
OF_THE_BOOK = ("notebook_times", "seeds", "colab/rehearsal")
# Functions and explorers of the library that read a record by themselves.
READERS = {
    "held_out_ids": ("sampling/passages",),
    "listed_word_rate": ("sampling/words",),
    "published_sweep": ("scaling/published_isoflops",),
    "read_ledger": ("forecasts", "forecasts/runs"),
    "choose_model": ("course_gpt",),
    "SamplingExplorer": ("sampling/explorer",),
    "SolutionPath": ("implicit_regularization/sample_orders",),
}


@dataclass(frozen=True)
class Source:
    """One record, one folder of runs, or one model: a list holds what its files say, once each."""

    name: str
    n_files: int
    seconds: dict[str, float]  # of all its files together, by device; empty where they do not say
    torch: list[str]
    seeds: list[int]
    dates: list[str]
    how: list[str]


@cache
def sources() -> dict[str, Source]:
    """Everything under ``records/`` that says where it comes from, by name."""
    root = repo_root() / "records"
    files: dict[str, list[Path]] = {}
    for path in sorted(root.rglob("*.json")):
        name = _source_of(path.relative_to(root))
        if path.name == "card.json" or "provenance" in _head(path):
            files.setdefault(name, []).append(path)
    return {name: _source(name, paths) for name, paths in sorted(files.items())}


def _source_of(path: Path) -> str:
    """The record, the folder of runs or the model to which a file belongs.

    >>> [_source_of(Path(p)) for p in ("myths/authors.json", "scaling/game/a.json", "seeds.json")]
    ['myths/authors', 'scaling/game', 'seeds']
    """
    in_folder = path.name == "card.json" or path.parts[0] in RUNS or len(path.parts) > 2
    return (path.parent if in_folder else path.with_suffix("")).as_posix()


def _head(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}


def _source(name: str, paths: list[Path]) -> Source:
    told = [one for path in paths for one in _told(_head(path))]
    seconds: dict[str, float] = {}
    for one in told:
        if one["device"] is not None:
            seconds[one["device"]] = seconds.get(one["device"], 0) + one["seconds"]
    return Source(
        name,
        len(paths),
        seconds,
        torch=_once(one["torch"] for one in told),
        seeds=sorted({seed for one in told for seed in one["seeds"]}),
        dates=_once(one["date"] for one in told),
        how=_once(one["how"] for one in told),
    )


def _told(content: dict[str, Any]) -> list[dict[str, Any]]:
    """What one file says of itself; one that was merged from several devices says it of each.

    The card of a model says it in other words than a record.
    """
    if "provenance" not in content:
        return [_told_by_card(content)]
    how = content["provenance"]
    shared = {"seeds": how["seeds"] or [], "how": how.get("how")}
    own = {"device": how["device"], "date": how["date"], "seconds": how["wall_seconds"]}
    parts = content["data"].get("devices") or [own | {"versions": how["versions"]}]
    names = ("device", "date", "seconds")
    return [
        shared | {name: part[name] for name in names} | {"torch": part["versions"]["torch"]}
        for part in parts
    ]


def _told_by_card(content: dict[str, Any]) -> dict[str, Any]:
    """What the card of a model says of its training."""
    training = content.get("training", {})
    settings = training.get("settings", content.get("settings", {}))
    return {
        "device": training.get("hardware"),
        "torch": training.get("torch", content.get("torch")),
        "seeds": settings.get("seeds", [settings["seed"]] if "seed" in settings else []),
        "date": training.get("date"),
        "seconds": 60 * training.get("minutes", 0),
        "how": content.get("how"),
    }


def _once(texts: Iterable[str | None]) -> list[str]:
    return sorted({text for text in texts if text})


# ---- who uses them -------------------------------------------------------------------------------


def drawn_on(notebook: Path) -> list[str]:
    """The sources whose names stand in a notebook's code, or that a function it uses reads."""
    found: set[str] = set()
    for node in (node for tree in code_trees(notebook) for node in ast.walk(tree)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= _named(node.value)
        elif isinstance(node, ast.Name):
            found |= set(READERS.get(node.id, ()))
    return sorted(found & sources().keys())


def pasted_by(page: Path) -> list[str]:
    """The sources that a page's explorers and pasted numbers come from."""
    text = page.read_text(encoding="utf-8")
    names = re.findall(r"^:(?:record|live): (\S+)|\{record\}`([^`:]+)::", text, re.MULTILINE)
    found = {name for pair in names for written in pair if written for name in _named(written)}
    return sorted(found & sources().keys())


def _named(text: str) -> set[str]:
    """The source that a text in the code names: a record, a folder or a file of a model.

    >>> sorted(_named("records/course_gpt/card.json") | _named("seeds") | _named("scaling/game"))
    ['course_gpt', 'scaling/game']
    """
    name = text.removeprefix("records/").removesuffix(".json")
    folder = name.rpartition("/")[0]
    return {name, folder} & sources().keys() - set(OF_THE_BOOK)
