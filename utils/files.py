"""Write a file whole or not at all: the one helper behind every file that the course writes."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A binary file to write to, which takes the name ``path`` once the block ends without error.

    Until then the bytes lie beside it under a name of their own, so two processes never share a
    part, and whoever reads ``path`` sees the old file or the new one. Folders that are missing are
    made. Raises ``OSError`` in one line when it cannot be written; a file that stood there before
    stays.

    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "loss.txt") as file:
    ...     _ = file.write(b"2.5")
    ...     (folder / "loss.txt").exists()
    False
    >>> (folder / "loss.txt").read_text()
    '2.5'
    """
    part: Path | None = None  # the file to remove if it does not become ``path``
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".part")
        part = Path(name)
        # Python's own file rather than a library's, so that a full disk is an OSError at any byte.
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # a power cut must not leave a renamed but empty file
        os.chmod(part, 0o666 & ~_umask())  # mkstemp makes the file private
        os.replace(part, path)
        part = None
    except OSError as error:
        raise OSError(_not_written(path, error)) from None
    finally:
        if part is not None:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def write_whole(path: Path, *parts: Any) -> None:
    """Write bytes (or other buffers), one after the other, to a file that appears whole or not.

    Raises ``OSError`` in one line when it cannot be written; a file that stood there before stays.
    """
    with replacing(path) as file:
        for data in parts:
            file.write(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` in UTF-8, whole or not at all. Raises as `write_whole`."""
    write_whole(path, text.encode("utf-8"))


def _not_written(path: Path, error: OSError) -> str:
    """What to say of a file that could not be written."""
    kept = " (the previous file is untouched)" if path.is_file() else ""
    for folder in path.parents:
        if folder.is_file():  # the system's own words would not name the one that is in the way
            return f"could not write {path.name}{kept}: {folder} is no folder"
    return f"could not write {path.name}{kept}: {error}"


_UMASK_LOCK = threading.Lock()  # two threads at once could leave the mask at 0


def _umask() -> int:
    """The process's file mode mask, which can only be read by setting it."""
    with _UMASK_LOCK:
        mask = os.umask(0)
        os.umask(mask)
    return mask
