"""Find a browser, serve a folder, and open pages that may not reach any other host."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


def find_browser() -> str | None:
    """The Chromium to drive: ``COURSE_BROWSER``, else one on the path, else Chrome on macOS.

    None where there is none of these.
    """
    asked = os.environ.get("COURSE_BROWSER")
    if asked:
        return shutil.which(asked)
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    return MAC if Path(MAC).exists() else None


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve ``folder`` on a free local port; yields its address, without a slash at the end."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.path == "/favicon.ico":
                # A browser asks for it unbidden; its absence is no error.
                self.send_response(204)
                self.end_headers()
            else:
                super().do_GET()

    with listen(functools.partial(Quiet, directory=str(folder))) as address:
        yield address


@contextlib.contextmanager
def listen(handler: Callable[..., http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """Answer with ``handler`` on a free local port, in a thread; yields the address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Watch:
    """What a page did that a course page must not do: ask another host, or raise an error."""

    def __init__(self, page) -> None:
        self.foreign: list[str] = []
        self.errors: list[str] = []
        page.on("request", self._request)
        page.on("response", self._response)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._console)

    def _console(self, message) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _request(self, request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname != "127.0.0.1":
            self.foreign.append(request.url)

    def _response(self, response) -> None:
        if response.status >= 400:
            self.errors.append(f"{response.status} {response.url}")

    def check(self) -> None:
        """Raise ``AssertionError`` naming the requests to other hosts and the page's errors."""
        assert not self.foreign, f"requests to other hosts: {self.foreign}"
        assert not self.errors, f"errors on the page: {self.errors}"
