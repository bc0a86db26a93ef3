"""Serve a folder, and open windows whose pages may not reach any other host."""

from __future__ import annotations

import contextlib
import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit


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

    def forget(self) -> None:
        """Begin anew, for the window's next user."""
        self.foreign.clear()
        self.errors.clear()

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


def next_frame(page) -> None:
    """Wait until a page has drawn what has happened to it so far."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


class Finger:
    """One finger on a page's screen, no faster than the page draws."""

    def __init__(self, page) -> None:
        self._page = page
        self._client = page.context.new_cdp_session(page)

    def _send(self, kind: str, *points: dict) -> None:
        self._client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})
        next_frame(self._page)

    def down(self, x: float, y: float) -> None:
        self._send("touchStart", {"x": x, "y": y})

    def move(self, x: float, y: float) -> None:
        self._send("touchMove", {"x": x, "y": y})

    def up(self) -> None:
        self._send("touchEnd")

    def draw(self, *places: tuple[float, float]) -> None:
        """Go down at the first place, through the others, and up."""
        self.down(*places[0])
        for place in places[1:]:
            self.move(*place)
        self.up()


class Windows:
    """A browser's windows, each used by one test after another.

    A new window takes as long as loading a page does. A used one is as good as new once nothing is
    stored and nothing intercepted, its size and media are as asked, and its page is blank.
    """

    def __init__(self, browser) -> None:
        self._browser = browser
        self._free: dict[str, list[tuple]] = {}

    def take(self, **options) -> tuple:
        """A window on ``about:blank`` and its ``Watch``; ``options`` are those of playwright."""
        free = self._free.setdefault(repr(sorted(options.items())), [])
        if not free:
            page = self._browser.new_page(**options)
            return page, Watch(page)
        page, watch = free.pop()
        page.set_viewport_size(options["viewport"])
        page.emulate_media(
            media="null",
            color_scheme=options["color_scheme"],
            forced_colors=options.get("forced_colors", "none"),
            reduced_motion=options.get("reduced_motion", "no-preference"),
        )
        watch.forget()
        return page, watch

    def give_back(self, page, watch: Watch, **options) -> None:
        """Empty a window that was taken with these options, and keep it for another test."""
        page.unroute_all()
        page.context.clear_cookies()
        page.evaluate("localStorage.clear(), sessionStorage.clear()")
        page.goto("about:blank")
        self._free[repr(sorted(options.items()))].append((page, watch))
