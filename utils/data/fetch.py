"""Files from the network: cached, atomic, resumable, and proven by their SHA-256.

Written here rather than taken from ``pooch``: pooch 1.9 was tried, and it begins an interrupted
download again at the first byte, so that an archive of 170 MB may never arrive over a bad
connection. Our one line per failure, with what to do about it, would have had to be written around
it all the same.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import secrets
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from utils.files import locked
from utils.runtime import cache_dir
from utils.validate import number, require

BLOCK = 2**16  # bytes that are read at most at once
LONGEST_TIMEOUT = 86_400.0  # a day, in seconds; the system's own limit differs between machines
# Bytes per second below which an answer counts as stalled. Over 30 s that is one packet of the
# network, so an honest connection is never cut, however slow; a server that drips is.
LEAST_RATE = 50
LONGEST_REASON = 200  # characters of an error, which may quote a whole answer


def download(url: str, sha256: str, name: str | None = None, timeout: float = 30.0) -> Path:
    """Fetch ``url`` once into ``cache_dir()`` and return its path, bytes proven by ``sha256``.

    A file that is already there is hashed again; if it is corrupt, one line says so and it is
    fetched anew. The bytes arrive in ``<name>.part``, are resumed with an HTTP Range request after
    an interruption, and take their name only once the hash is right, so a reader never sees half
    a file. Of several processes that want one file, one fetches it and the others wait for it.
    ``COURSE_DATA`` moves the folder, which need not be writable if it holds the file.

    name: the file's name, by default the last part of the address.
    timeout: seconds, at most a day, for each wait of the network. A connection also counts as
    stalled when fewer than 50 bytes per second arrive for that long.

    Raises ``ConnectionError`` when the server cannot be reached or the connection drops (what
    arrived is kept for the next call), ``ValueError`` when the bytes are not those of ``sha256``
    (nothing of them is kept), ``OSError`` naming ``COURSE_DATA`` when the folder cannot be used or
    is full.
    """
    require(_is_address(url), "url", "an http(s) address", url)
    is_hash = isinstance(sha256, str) and re.fullmatch("[0-9a-fA-F]{64}", sha256) is not None
    require(is_hash, "sha256", "64 hexadecimal digits", sha256)
    if name is None:
        name = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
    require(_is_plain(name), "name", "a plain file name", name)
    timeout = number("timeout", timeout, 0.0, LONGEST_TIMEOUT, open_low=True)

    path = cache_dir() / name
    try:
        return _cached(url, sha256.lower(), path, timeout)
    except ConnectionError:
        raise
    except OSError as error:  # not of the network, so of the folder
        raise OSError(
            f"cannot keep {name} in {path.parent} ({error.strerror or error}): "
            f"set COURSE_DATA to a folder that can be written and has room"
        ) from None


def file_sha256(path: str | os.PathLike) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_address(url: Any) -> bool:
    """Whether ``url`` is an address of the web, spelled so that it can be sent as it stands."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number below 65,536
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _is_plain(name: Any) -> bool:
    """Whether ``name`` names a file in the folder itself, not above or below it."""
    if not isinstance(name, str) or not name.isprintable() or name in ("", ".", ".."):
        return False
    return "/" not in name and "\\" not in name


def _cached(url: str, sha256: str, path: Path, timeout: float) -> Path:
    """Return ``path`` with the bytes of ``sha256``, fetched unless they are there already."""
    # A file that is there and right needs no lock: the folder may be one that cannot be written.
    if path.exists():
        if file_sha256(path) == sha256:
            return path
        reason = f"its SHA-256 is not {sha256[:12]}…"
        print(f"{path} is corrupt ({reason}): downloading it again", file=sys.stderr)

    with locked(path, wait=True):
        # Another process may have fetched it while this one waited.
        if not (path.exists() and file_sha256(path) == sha256):
            _bring(url, sha256, path, timeout)
    return path


def _bring(url: str, sha256: str, path: Path, timeout: float) -> None:
    """Fetch ``url`` to ``path``, by way of the part that an interruption leaves."""
    part = path.with_name(path.name + ".part")
    have = _size(part)
    answer = _ask(url, have, path, timeout)

    # 206: the server sends the rest. None: there is no rest. Any other answer is the whole file.
    if answer is None or (have > 0 and answer.status == 206):
        if answer is not None:
            _receive(answer, url, part, have, path, timeout)
        if file_sha256(part) == sha256:
            os.replace(part, path)
            return
        # What was kept may be of another file: start once more from nothing.
        part.unlink()
        answer = _ask(url, 0, path, timeout)

    assert answer is not None  # as it is only where we have something
    _bring_whole(answer, url, sha256, part, path, timeout)


def _bring_whole(
    answer: http.client.HTTPResponse,
    url: str,
    sha256: str,
    part: Path,
    path: Path,
    timeout: float,
) -> None:
    """Receive all of ``url`` and move it to ``path``; what was kept stays until there is better."""
    fresh = part
    if _size(part) > 0:
        # Named as `utils.files.replacing` names its files: `locked` removes what a kill leaves.
        fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        _receive(answer, url, fresh, 0, path, timeout)
        got = file_sha256(fresh)
        if got != sha256:
            fresh.unlink()
            raise ValueError(f"sha256 of {url} must be {sha256}, got {got}: nothing of it was kept")
        os.replace(fresh, path)
        part.unlink(missing_ok=True)
    finally:
        # It is still there only if it was cut short: the next call resumes the longer of the two.
        if fresh != part and _size(fresh) > _size(part):
            os.replace(fresh, part)
        elif fresh != part:
            fresh.unlink(missing_ok=True)


def _size(file: Path) -> int:
    """Bytes in a file, 0 if there is none."""
    return file.stat().st_size if file.exists() else 0


def _receive(
    answer: http.client.HTTPResponse, url: str, part: Path, have: int, target: Path, timeout: float
) -> None:
    """Write an answer to ``part``, behind the ``have`` bytes that are there.

    A failing network raises ``ConnectionError``, a failing disk any other ``OSError``.
    """
    with answer:
        total = None if answer.length is None else have + answer.length
        with part.open("ab" if have else "wb") as file:
            for block in _blocks(answer, url, target, timeout):
                file.write(block)
                file.flush()  # what has arrived is kept, however this process ends
            have = file.tell()

    # A connection that ends too early looks like the end of the file.
    if total is not None and have < total:
        ended = f"the connection ended after {have} of {total} bytes; call again to resume"
        raise ConnectionError(_unreachable(url, target, ended))


def _ask(url: str, have: int, target: Path, timeout: float) -> http.client.HTTPResponse | None:
    """Ask for ``url`` from byte ``have`` on; None if there is nothing beyond what we have."""
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(url, headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        # The range begins at the end: the hash decides whether what we have is whole.
        if error.code == 416 and have > 0:
            return None
        reason = f"HTTP {error.code} {error.reason}"
    # A ValueError comes from a redirect to an address that is none.
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
    raise ConnectionError(_unreachable(url, target, reason))


def _blocks(
    answer: http.client.HTTPResponse, url: str, target: Path, timeout: float
) -> Iterator[bytes]:
    """The bytes of an answer, as they arrive, until it ends.

    Raises ``ConnectionError`` for an error of reading, not for one of what the caller does, and
    where fewer than ``LEAST_RATE`` bytes per second arrive in ``timeout`` seconds.
    """
    left = answer.length  # bytes still to come; None where the server does not say
    began = time.monotonic()
    arrived = 0  # bytes since then
    while left is None or left > 0:
        # The network's own timeout starts again at every byte: it does not see one that drips.
        if time.monotonic() - began >= timeout:
            if arrived < LEAST_RATE * timeout:
                stalled = f"only {arrived} bytes in {timeout:g} seconds; call again to resume"
                raise ConnectionError(_unreachable(url, target, stalled))
            began = time.monotonic()
            arrived = 0

        try:
            block = answer.read1(BLOCK)  # unlike read, it does not wait until the block is full
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionError(_unreachable(url, target, error)) from None
        if not block:
            return
        yield block
        arrived += len(block)
        left = None if left is None else left - len(block)


def _unreachable(url: str, target: Path, reason: Any) -> str:
    """What to say of a download that failed, in one line whatever the server has sent."""
    line = " ".join(str(reason).split())
    shown = "".join(letter if letter.isprintable() else "?" for letter in line)
    return (
        f"cannot download {url} ({shown[:LONGEST_REASON]}): go online, or set COURSE_DATA to a "
        f"folder that holds {target.name} (now {target.parent})"
    )
