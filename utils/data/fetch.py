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
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from utils.runtime import cache_dir
from utils.validate import number, require

BLOCK = 2**20  # bytes that are read at once


def download(url: str, sha256: str, name: str | None = None, timeout: float = 30.0) -> Path:
    """Fetch ``url`` once into ``cache_dir()`` and return its path, bytes proven by ``sha256``.

    A file that is already there is hashed again; if it is corrupt, one line says so and it is
    fetched anew. The bytes arrive in ``<name>.part``, are resumed with an HTTP Range request after
    an interruption, and take their name only once the hash is right, so a reader never sees half
    a file. ``COURSE_DATA`` moves the folder. ``name`` is by default the last part of the address.
    ``timeout`` is in seconds, for each network wait.

    Raises ``ConnectionError`` when the server cannot be reached or the connection drops (what
    arrived is kept for the next call), ``ValueError`` when the bytes are not those of ``sha256``
    (nothing is kept), ``OSError`` naming ``COURSE_DATA`` when the folder cannot be used or is full.
    """
    is_web = isinstance(url, str) and urlsplit(url).scheme in ("http", "https")
    require(is_web, "url", "an http(s) address", url)
    is_hash = isinstance(sha256, str) and re.fullmatch("[0-9a-fA-F]{64}", sha256) is not None
    require(is_hash, "sha256", "64 hexadecimal digits", sha256)
    if name is None:
        name = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
    require(_is_plain(name), "name", "a plain file name", name)
    timeout = number("timeout", timeout, 0.0, open_low=True)

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


def _is_plain(name: Any) -> bool:
    """Whether ``name`` names a file in the folder itself, not above or below it."""
    if not isinstance(name, str) or name in ("", ".", ".."):
        return False
    return "/" not in name and "\\" not in name


def _cached(url: str, sha256: str, path: Path, timeout: float) -> Path:
    """Return ``path`` with the bytes of ``sha256``, fetched unless they are there already."""
    if path.exists():
        if file_sha256(path) == sha256:
            return path
        reason = f"its SHA-256 is not {sha256[:12]}…"
        print(f"{path} is corrupt ({reason}): downloading it again", file=sys.stderr)

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    resumed = part.exists() and part.stat().st_size > 0
    _fetch(url, part, path, timeout)
    got = file_sha256(part)

    # What was kept may be of another file: start once more from nothing.
    if got != sha256 and resumed:
        part.unlink()
        _fetch(url, part, path, timeout)
        got = file_sha256(part)

    if got != sha256:
        part.unlink()
        raise ValueError(f"sha256 of {url} must be {sha256}, got {got}: nothing was kept")
    os.replace(part, path)
    return path


def _fetch(url: str, part: Path, target: Path, timeout: float) -> None:
    """Bring ``part`` to the full length, continuing where it ends if the server can.

    A failing network raises ``ConnectionError``, a failing disk any other ``OSError``.
    """
    have = part.stat().st_size if part.exists() else 0
    answer = _ask(url, have, target, timeout)
    if answer is None:
        return

    with answer:
        # 206: the server sends the rest. 200: it sends everything again.
        continues = have > 0 and answer.status == 206
        begin = have if continues else 0
        length = answer.headers.get("Content-Length") or ""
        total = begin + int(length) if length.isdecimal() else None
        with part.open("ab" if continues else "wb") as file:
            for block in _blocks(answer, url, target):
                file.write(block)
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
        if error.code == 416:  # the range begins at the end: the hash decides whether it is whole
            return None
        reason = f"HTTP {error.code} {error.reason}"
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
    raise ConnectionError(_unreachable(url, target, reason))


def _blocks(answer: http.client.HTTPResponse, url: str, target: Path) -> Iterator[bytes]:
    """The bytes of an answer, block by block.

    Only an error of reading becomes a ``ConnectionError``, not one of what the caller does.
    """
    while True:
        try:
            block = answer.read(BLOCK)
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionError(_unreachable(url, target, error)) from None
        if not block:
            return
        yield block


def _unreachable(url: str, target: Path, reason: Any) -> str:
    return (
        f"cannot download {url} ({reason}): go online, or set COURSE_DATA to a folder that holds "
        f"{target.name} (now {target.parent})"
    )
