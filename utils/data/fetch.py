"""Files from the network: cached, atomic, resumable, and proven by their SHA-256."""

from __future__ import annotations

import hashlib
import http.client
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from utils.runtime import cache_dir
from utils.validate import number, require


def download(url: str, sha256: str, name: str | None = None, timeout: float = 30.0) -> Path:
    """Fetch ``url`` once into ``cache_dir()`` and return its path, bytes proven by ``sha256``.

    A file that is already there is hashed again; if it is corrupt, one line says so and it is
    fetched anew. The bytes arrive in ``<name>.part``, are resumed with an HTTP Range request after
    an interruption, and take their name only once the hash is right, so a reader never sees half
    a file. ``COURSE_DATA`` moves the folder. ``timeout`` is in seconds, for each network wait.

    Raises ``ConnectionError`` when the server cannot be reached or the connection drops (what
    arrived is kept for the next call), ``ValueError`` when the bytes are not those of ``sha256``
    (nothing is kept), ``OSError`` naming ``COURSE_DATA`` when the folder cannot be used or is full.
    """
    parts = urlsplit(url) if isinstance(url, str) else None
    require(
        parts is not None and parts.scheme in ("http", "https"), "url", "an http(s) address", url
    )
    sha256 = sha256.lower() if isinstance(sha256, str) else sha256
    hexadecimal = (
        isinstance(sha256, str) and len(sha256) == 64 and set(sha256) <= set("0123456789abcdef")
    )
    require(hexadecimal, "sha256", "64 hexadecimal digits", sha256)
    name = unquote(parts.path.rsplit("/", 1)[-1]) if name is None else name
    plain = isinstance(name, str) and name not in ("", ".", "..") and not set(name) & set("/\\")
    require(plain, "name", "a plain file name", name)
    timeout = number("timeout", timeout, 0.0, open_low=True)
    path = cache_dir() / name
    try:
        return _cached(url, sha256, path, timeout)
    except ConnectionError:
        raise
    except OSError as error:
        raise OSError(
            f"cannot keep {name} in {path.parent} ({error.strerror or error}): "
            f"set COURSE_DATA to a folder that can be written and has room"
        ) from None


def _cached(url: str, sha256: str, path: Path, timeout: float) -> Path:
    if path.exists():
        if file_sha256(path) == sha256:
            return path
        print(
            f"{path} is corrupt (its SHA-256 is not {sha256[:12]}…): downloading it again",
            file=sys.stderr,
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    resumed = part.exists() and part.stat().st_size > 0
    _fetch(url, part, path, timeout)
    if file_sha256(part) != sha256 and resumed:
        part.unlink()  # what was kept may be of another file: start once more from nothing
        _fetch(url, part, path, timeout)
    got = file_sha256(part)
    if got != sha256:
        part.unlink()
        raise ValueError(f"sha256 of {url} must be {sha256}, got {got}: nothing was kept")
    os.replace(part, path)
    return path


def file_sha256(path: str | os.PathLike) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(url: str, part: Path, target: Path, timeout: float) -> None:
    """Bring ``part`` to the full length, continuing where it ends if the server can.

    A failing network raises ``ConnectionError``, a failing disk any other ``OSError``.
    """
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing beyond what we have: the hash decides whether it is whole
            return
        raise ConnectionError(
            _unreachable(url, target, f"HTTP {error.code} {error.reason}")
        ) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise ConnectionError(_unreachable(url, target, reason)) from None
    with answer:
        resumed = have and answer.status == 206
        have = have if resumed else 0  # 200: the server sends everything again
        length = answer.headers.get("Content-Length") or ""
        total = have + int(length) if length.isdecimal() else None
        with part.open("ab" if resumed else "wb") as file:
            for block in _blocks(answer, url, target):
                file.write(block)
            have = file.tell()
    if total is not None and have < total:
        ended = f"the connection ended after {have} of {total} bytes; call again to resume"
        raise ConnectionError(_unreachable(url, target, ended))


def _blocks(answer: http.client.HTTPResponse, url: str, target: Path) -> Iterator[bytes]:
    try:
        while block := answer.read(1 << 20):
            yield block
    except (
        OSError,
        http.client.HTTPException,
    ) as error:  # of reading: what the caller does is not in here
        raise ConnectionError(_unreachable(url, target, error)) from None


def _unreachable(url: str, target: Path, reason: Any) -> str:
    return (
        f"cannot download {url} ({reason}): go online, or set COURSE_DATA to a folder that holds "
        f"{target.name} (now {target.parent})"
    )
