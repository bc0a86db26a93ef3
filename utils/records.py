"""Full-scale results, stored with where they came from.

A record is a JSON file under ``records/``: ``{"provenance": {...}, "data": {...}}``, arrays as
lists, small enough to read in a diff, never a pickle. Weights, where a record has any, lie beside
it as safetensors.

A notebook that has something to store calls ``save`` when it runs at that scale, and
`utils.book.notebooks` runs one without Jupyter. NumPy and torch are imported where they are used:
the book's build has neither.
"""

from __future__ import annotations

import datetime
import json
import math
import platform
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from utils.files import write_text
from utils.runtime import device, repo_root, scale
from utils.validate import encodable, integer, number, require

MAX_BYTES = 300_000
TOO_LONG = 10**4300  # Python reads no whole number of more than 4300 digits back


@dataclass(frozen=True)
class Record:
    """One stored run: what was measured, and how it came about."""

    data: dict[str, Any]
    provenance: dict[str, Any]

    def line(self) -> str:
        """The provenance in one sentence, for a caption or a printed line.

        >>> how = {"device": "CPU", "date": "2026-01-31", "wall_seconds": 90.0, "seeds": [0, 1]}
        >>> Record(data={}, provenance=how | {"versions": {"torch": "2.9.0"}}).line()
        'CPU, 2026-01-31, 1.5 minutes, seeds [0, 1], torch 2.9.0'
        """
        how = self.provenance
        minutes = how["wall_seconds"] / 60
        parts = [how["device"], how["date"], f"{minutes:.1f} minutes"]
        if how.get("flops"):
            parts.append(f"{how['flops']:.2g} FLOPs")
        if how.get("seeds"):
            parts.append(f"seeds {how['seeds']}")
        parts.append(f"torch {how['versions']['torch']}")
        return ", ".join(parts)


def path_of(name: str | Path) -> Path:
    """The file of the record called ``chapter/name``. A ``Path``, anywhere, stays as it is.

    Raises ``ValueError`` for a name that leads out of ``records/``.
    """
    if isinstance(name, Path):
        return name
    # No absolute path and no step upwards: the file stays under records/.
    parts = Path(name).parts if isinstance(name, str) else ()
    inside = bool(parts) and parts[0] != "/" and ".." not in parts
    require(inside, "name", "chapter/name", name)
    return repo_root() / "records" / f"{name}.json"


def write_json(path: Path, content: Any) -> None:
    """Write JSON so that a crash or a full disk leaves the old file as it was.

    Arrays become lists, and keys text. Raises ``ValueError``, naming the place, for what JSON
    cannot hold, such as NaN, and for keys that would become the same text.
    """
    write_text(path, _as_json(content, "content"))


def save(
    name: str | Path,
    data: dict[str, Any],
    *,
    started: float,
    seeds: list[int] | None = None,
    flops: float | None = None,
    **notes: Any,
) -> Path:
    """Store ``data`` as a record, with its provenance, and return the file's path.

    name: ``chapter/name`` for a file under ``records/``, or a ``Path`` anywhere else.
    started: ``time.time()`` at the run's start, in seconds.
    seeds: whole numbers of at least 0.
    flops: floating-point operations of the whole run, at least 0, where they are known.
    notes: anything else a reader must know, such as the hash of an archive or what was cut from a
    published setting.

    Raises ``ValueError`` if the record is larger than 300 kB, or naming the place, as in
    ``data.runs[3].loss``, if it holds NaN or anything else that would not come back, and for
    seeds and FLOPs out of range.
    """
    import numpy as np
    import torch

    require(isinstance(data, dict), "data", "a dictionary", data)
    if flops is not None:
        number("flops", flops, 0)
    listed = seeds is None or isinstance(seeds, list | tuple)
    require(listed, "seeds", "a list of whole numbers", seeds)
    for seed in seeds or ():
        integer("seeds", seed, 0)

    provenance = {
        # where, when, how long and how large
        "device": _device_name(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "wall_seconds": round(time.time() - started, 1),
        "scale": scale(),
        # what the outcome depends on, and what it cost
        "seeds": seeds,
        "flops": flops,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }
    taken = ", ".join(provenance)
    for note in notes:
        require(note not in provenance, "notes", f"names other than {taken}", note)
    text = _as_json({"provenance": provenance | notes, "data": data})
    size = len(text.encode())  # in bytes, as it will lie on the disk
    # A larger one would be a file that nobody reads in a diff.
    require(size <= MAX_BYTES, "data", f"at most {MAX_BYTES} bytes as JSON", size)
    path = path_of(name)
    write_text(path, text)
    return path


def load(name: str | Path) -> Record:
    """Read a record.

    Raises ``FileNotFoundError`` where it has not been made yet and ``ValueError`` where the file is
    damaged, each in one line.
    """
    path = path_of(name)
    if not path.is_file():
        raise FileNotFoundError(
            f"record {name} has not been made yet: there is no {path.name} in records/"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        record = Record(data=content["data"], provenance=content["provenance"])
    # A ValueError is a file that is no JSON or no UTF-8; the others are JSON of another shape.
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"{type(error).__name__} {error}"
        raise ValueError(f"record {name} is not a readable record: {reason}") from None
    if not (isinstance(record.data, dict) and isinstance(record.provenance, dict)):
        raise ValueError(
            f"record {name} is not a readable record: data and provenance must be objects"
        )
    return record


def find(name: str) -> Record | None:
    """The record, or ``None`` where it has not been made yet."""
    return load(name) if path_of(name).is_file() else None


def require_writable(path: Path) -> None:
    """Refuse a place, scale or device with which `save` would fail: before a long run, not after.

    Raises ``OSError`` or ``ValueError`` in one line.
    """
    scale()
    device()
    try:
        require(not path.is_dir(), "out", "a file, not a folder", str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass  # a file could be made there: that was the question
    except OSError as error:
        raise OSError(
            f"out must be a file that can be written, got {path}: {error.strerror}"
        ) from None


def _as_json(content: Any, name: str = "") -> str:
    """``content`` as JSON. An error names the place in it, after ``name`` if there is one."""
    try:
        return json.dumps(_plain(content, name), indent=1, allow_nan=False) + "\n"
    except RecursionError:  # such as a list that contains itself
        allowed = "at most some hundred lists and dictionaries deep"
        raise ValueError(f"{name or 'data'} must be {allowed}, got more") from None


def _plain(value: Any, place: str) -> Any:
    """``value`` with every array as a list and every key as text, no digit lost.

    ``place`` is where it stands, as in ``data.runs[3].loss``: an error names it.
    """
    value = _without_arrays(value, place)
    if isinstance(value, dict):
        return _plain_dict(value, place)
    if isinstance(value, list | tuple):
        entries = []
        for i, entry in enumerate(value):
            entries.append(_plain(entry, f"{place}[{i}]"))
        return entries

    known = value is None or isinstance(value, str | int | float)
    require(known, place, "a number, a string, a list or a dictionary", value)
    if isinstance(value, float):
        require(math.isfinite(value), place, "a finite number", value)
    _require_readable(value, place)
    return value


def _require_readable(value: Any, place: str) -> None:
    """Refuse a text and a whole number that JSON holds but that would not be read back as it is."""
    if isinstance(value, str):
        encodable(place, value)  # two halves of a character would come back as a whole one
    if isinstance(value, int):
        require(abs(value) < TOO_LONG, place, "a whole number of at most 4300 digits", "more")


def _plain_dict(content: dict[Any, Any], place: str) -> dict[str, Any]:
    plain = {}
    for raw in content:
        key = _without_arrays(raw, f"key of {place}")
        known = key is None or isinstance(key, str | int | float)
        require(known, f"key of {place}", "a string or a number", key)
        if isinstance(key, float):
            require(math.isfinite(key), f"key of {place}", "a string or a finite number", key)
        _require_readable(key, f"key of {place}")

        # The text that JSON writes, so that 1 and "1", or True and "true", do not meet unseen.
        text = key if isinstance(key, str) else json.dumps(key)
        require(text not in plain, place, "a dictionary whose keys differ as text", key)
        shown = text if text.isprintable() else repr(text)
        plain[text] = _plain(content[raw], f"{place}.{shown}" if place else shown)
    return plain


def _without_arrays(value: Any, place: str) -> Any:
    """An array or a scalar of NumPy or torch as plain Python; anything else as it is."""
    # NumPy's dates and times would become bare numbers of nanoseconds.
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    require(kind not in ("M", "m"), place, "free of dates and times (store them as text)", value)
    is_array = hasattr(value, "tolist") and not isinstance(value, type)
    return value.tolist() if is_array else value


def _device_name() -> str:
    import torch

    if device().type == "cuda":
        return torch.cuda.get_device_name()
    return f"CPU ({platform.machine()}, {torch.get_num_threads()} threads)"


if __name__ == "__main__":
    raise SystemExit("`python -m utils.records run` is now `python -m utils.book.notebooks run`")
