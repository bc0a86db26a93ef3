"""Write a file whole or not at all: the one helper behind every file that the course writes."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A binary file to write to, which takes the name ``path`` once the block has ended without an error.

    Until then the bytes lie beside it under a name of their own, so two processes never share a part.
    Raises ``OSError`` in one line when it cannot be written; a file that stood there before stays.
    """
    part: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Python's own file, so that a full disk is an OSError at any byte.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".part")
        part = Path(name)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # a power cut must not leave a renamed but empty file
        os.chmod(part, 0o666 & ~_umask())  # mkstemp makes the file private
        os.replace(part, path)
        part = None
    except OSError as error:
        kept = " (the previous file is untouched)" if path.is_file() else ""
        blocking = next((parent for parent in path.parents if parent.is_file()), None)
        reason = error if blocking is None else f"{blocking} is no folder"
        raise OSError(f"could not write {path.name}{kept}: {reason}") from None
    finally:
        if part is not None:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def write_whole(path: Path, *parts: Any) -> None:
    """Write bytes (or other buffers), one after the other, to a file that appears whole or not at all.

    Raises ``OSError`` in one line when it cannot be written; a file that stood there before stays.
    """
    with replacing(path) as file:
        for data in parts:
            file.write(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` in UTF-8, whole or not at all. Raises as `write_whole`."""
    write_whole(path, text.encode("utf-8"))


def _umask() -> int:
    """The process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
