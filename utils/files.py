"""Write a file whole or not at all, and keep two processes from writing the same one."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
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
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f"{_short(path.name)}.", suffix=".part"
        )
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


# ---- one process at a time -----------------------------------------------------------------------

# What a file system answers that knows no locks, such as some network drives.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
PAUSE = 0.1  # seconds between two looks whether a lock has become free


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[Callable[[], None]]:
    """Hold the file ``path``, which need not exist, for this process alone while the block runs.

    The operating system keeps the lock, on a small file beside ``path``, and lets it go however the
    process ends: a killed one leaves nothing that has to be removed by hand. What it had half
    written is removed here. A lock holds against those who ask in the same way, not against other
    programs.

    wait: wait until another process has let go, and say so once, instead of raising.

    Gives a function to be called before each writing: it raises ``OSError`` once ``path`` is no
    longer held, as after its folder was moved. Raises ``BlockingIOError``, which names the process
    that holds ``path``, and ``OSError`` where the folder cannot be written.

    >>> path = Path(tempfile.mkdtemp()) / "run.safetensors"
    >>> with locked(path), locked(path):  # doctest: +ELLIPSIS
    ...     pass
    Traceback (most recent call last):
        ...
    BlockingIOError: run.safetensors is in use by process ...: wait for it, or take another name
    """
    path = Path(os.path.realpath(path))  # one place, whatever it is called and wherever we go
    beside = path.with_name(_short(path.name) + ".lock")
    told = False
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = _try_to_lock(beside)
            if handle is not None:
                break
            holder = _holder(beside)
        except OSError as error:
            raise OSError(_not_written(path, error)) from None

        if not wait:
            raise BlockingIOError(
                f"{path.name} is in use by {holder}: wait for it, or take another name"
            )
        if not told:
            print(f"{path.name} is in use by {holder}: waiting for it", file=sys.stderr)
            told = True
        time.sleep(PAUSE)

    def require_held() -> None:
        if not _is_open_as(handle, beside):
            raise OSError(f"could not write {path.name}: its folder was moved, or its lock removed")

    owner = os.getpid()
    try:
        _remove_parts(path)
        yield require_held
    finally:
        # Removed while it is still held, so that nobody can have locked it in between; and not by
        # the copy of this process that a fork has made.
        if os.getpid() == owner and _is_open_as(handle, beside):
            with contextlib.suppress(OSError):
                beside.unlink()
        os.close(handle)


def _try_to_lock(beside: Path) -> int | None:
    """Open and lock the file ``beside``: its descriptor, or None while another process has it."""
    try:
        handle = os.open(beside, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:  # a killed process of another user has left it: reading is enough
        handle = os.open(beside, os.O_RDONLY)
    try:
        _lock(handle)
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError:
        os.close(handle)
        raise

    # The holder before us may have removed the file after we opened it: then it is not ``beside``
    # that we have locked, and another process may lock that one.
    if not _is_open_as(handle, beside):
        os.close(handle)
        return None
    with contextlib.suppress(OSError):  # a full disk: then we hold it without a name
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()}".encode())
    return handle


def _lock(handle: int) -> None:
    """Lock an open file, where there are locks. Raises ``BlockingIOError`` if it is locked."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


def _is_open_as(handle: int, path: Path) -> bool:
    """Whether the open file ``handle`` is the one that lies at ``path`` now."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except OSError:
        return False


def _remove_parts(path: Path) -> None:
    """Remove what killed processes left of `replacing`: nobody else writes now."""
    part = re.compile(re.escape(_short(path.name)) + r"\.[a-z0-9_]{8}\.part")  # as mkstemp names it
    for file in path.parent.iterdir():
        if part.fullmatch(file.name):
            with contextlib.suppress(OSError):
                file.unlink()


def _holder(beside: Path) -> str:
    """The process that holds a lock, as its file tells."""
    try:
        told = beside.read_text(encoding="utf-8")
    except FileNotFoundError:  # it has just let go
        told = ""
    return told or "another process"


def _short(name: str) -> str:
    """``name``, or a stand-in that leaves room for an ending in the 255 bytes that a name may have.

    >>> _short("run.safetensors")
    'run.safetensors'
    >>> len(_short("long" * 60))
    64
    """
    name_bytes = os.fsencode(name)
    return name if len(name_bytes) <= 200 else hashlib.sha256(name_bytes).hexdigest()


_UMASK_LOCK = threading.Lock()  # two threads at once could leave the mask at 0


def _umask() -> int:
    """The process's file mode mask, which can only be read by setting it."""
    with _UMASK_LOCK:
        mask = os.umask(0)
        os.umask(mask)
    return mask
