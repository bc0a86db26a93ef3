"""Time until a page of the built book is painted first, over a slow connection.

    python -m benchmarks.first_paint                       # _build/html, after `make book`
    python -m benchmarks.first_paint --book A --book B     # two builds in turns

Headless Chromium is held to 1.6 Mbit/s down, 0.75 Mbit/s up and 150 ms per round trip, with an
empty cache, and the server compresses with gzip, as a static host does. It prints for each page the
median of the first contentful paint, the bytes that had come by then, and all bytes of the page.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gzip
import http.server
import os
import statistics
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser import FLAGS, find_browser, listen

PAGES = ("index", "parameters", "double_descent", "implicit_regularization", "sampling")
NETWORK = {
    "offline": False,
    "latency": 150,  # milliseconds
    "downloadThroughput": 1.6e6 / 8,  # bytes per second
    "uploadThroughput": 0.75e6 / 8,
}
PAINTED = """() => new Promise((resolve) => {
  const find = () => performance.getEntriesByName("first-contentful-paint")[0];
  const look = () => find() ? resolve(find().startTime) : setTimeout(look, 50);
  look();
})"""
COMPRESSED = {".html", ".css", ".js", ".mjs", ".json", ".svg"}


@contextlib.contextmanager
def serve_compressed(folder: Path) -> Iterator[str]:
    """Serve ``folder`` on a free local port, its texts compressed; yields its address."""

    @functools.cache
    def compressed(path: Path) -> bytes:
        return gzip.compress(path.read_bytes(), 6)

    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            path = Path(self.translate_path(self.path))
            if not path.is_file():
                self.send_response(204)
                self.end_headers()
                return
            is_text = path.suffix in COMPRESSED
            body = compressed(path) if is_text else path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", self.guess_type(str(path)))
            self.send_header("Content-Length", str(len(body)))
            if is_text:
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(body)

    with listen(functools.partial(Handler, directory=str(folder))) as address:
        yield address


def first_paint(browser: Browser, url: str) -> tuple[float, float]:
    """Seconds until the first contentful paint of ``url``, and the kB of the whole page."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    client = context.new_cdp_session(page)
    client.send("Network.enable")
    client.send("Network.emulateNetworkConditions", NETWORK)
    received = []
    client.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.goto(url, wait_until="load", timeout=120_000)
    painted = page.evaluate(PAINTED)
    context.close()
    return painted / 1000, sum(received) / 1000


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_paint", description=__doc__)
    parser.add_argument("--book", type=Path, action="append", help="a built book's folder of HTML")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    books = chosen.book or [Path("_build/html")]
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    times: dict[tuple[str, Path], list[float]] = {}
    sizes: dict[tuple[str, Path], float] = {}
    with contextlib.ExitStack() as stack:
        driver = stack.enter_context(sync_playwright())
        browser = driver.chromium.launch(executable_path=find_browser(), args=list(FLAGS))
        addresses = {book: stack.enter_context(serve_compressed(book)) for book in books}
        for _ in range(chosen.rounds):
            for name in PAGES:
                for book, address in addresses.items():
                    seconds, kilobytes = first_paint(browser, f"{address}/book/{name}.html")
                    times.setdefault((name, book), []).append(seconds)
                    sizes[name, book] = kilobytes
        browser.close()
    for (name, book), seconds in times.items():
        median = statistics.median(seconds)
        print(f"{name:26s}{book!s:24s}{median:6.2f} s  {sizes[name, book]:8.0f} kB")


if __name__ == "__main__":
    main()
