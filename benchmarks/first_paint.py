"""Time until a page of the built book is painted first, over a slow connection.

    python -m benchmarks.first_paint                     # _build/html, after `make book`
    python -m benchmarks.first_paint --before 0304778    # and in turns the book of that state
    python -m benchmarks.first_paint --book A --book B   # two builds in turns

Headless Chromium is held to 1.6 Mbit/s down, 0.75 Mbit/s up and 150 ms per round trip, with an
empty cache, and the server compresses with gzip, as a static host does. It prints for each page the
median of the first contentful paint, that of the moment at which its explorer can be used, and the
bytes of the page until its load event. Before each page stand the course's own targets. A busy
machine misses them: its load stands in the first line.
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

from benchmarks.books import add_options, chosen_books
from tests.browser import listen
from utils.book.browser import FLAGS, find_browser

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
# When the first explorer stands in the page, in milliseconds since the navigation began.
NOTE_EXPLORER = """new MutationObserver((_, observer) => {
  if (!document.querySelector("[data-afm] .cw")) return;
  window.explorerReady = performance.now();
  observer.disconnect();
}).observe(document, { subtree: true, childList: true });"""
EXPLORER = """() => !document.querySelector("[data-afm]") ? 0 : new Promise((resolve) => {
  const look = () => window.explorerReady ? resolve(window.explorerReady) : setTimeout(look, 20);
  look();
})"""
PAINT_TARGETS = dict.fromkeys(PAGES, 2.0) | {"index": 1.5}  # seconds
EXPLORER_TARGET = 4.0
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
            with contextlib.suppress(ConnectionError):  # the page is closed and waits no longer
                self.wfile.write(body)

    with listen(functools.partial(Handler, directory=str(folder))) as address:
        yield address


def open_page(browser: Browser, url: str) -> tuple[float, float, float]:
    """Seconds until ``url`` is painted and until its explorer is ready (0: it has none), and kB."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.add_init_script(NOTE_EXPLORER)
    client = context.new_cdp_session(page)
    client.send("Network.enable")
    client.send("Network.emulateNetworkConditions", NETWORK)
    received = []
    client.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.goto(url, wait_until="load", timeout=120_000)
    kilobytes = sum(received) / 1000
    painted, ready = page.evaluate(PAINTED), page.evaluate(EXPLORER)
    context.close()
    return painted / 1000, ready / 1000, kilobytes


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.first_paint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    measured: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    with contextlib.ExitStack() as stack:
        books = stack.enter_context(chosen_books(options))
        print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
        driver = stack.enter_context(sync_playwright())
        browser = driver.chromium.launch(executable_path=find_browser(), args=list(FLAGS))
        served = {name: stack.enter_context(serve_compressed(path)) for name, path in books.items()}
        for _ in range(options.rounds):
            for page in PAGES:
                for name, address in served.items():
                    found = open_page(browser, f"{address}/book/{page}.html")
                    measured.setdefault((page, name), []).append(found)
        browser.close()

    print(f"{'page':26s}{'book':12s}{'painted':>10s}{'explorer':>10s}{'size':>10s}")
    for page in PAGES:
        print(f"{page:26s}{'target':12s}{PAINT_TARGETS[page]:8.1f} s{EXPLORER_TARGET:8.1f} s")
        for name in served:
            painted, ready, kilobytes = map(
                statistics.median, zip(*measured[page, name], strict=True)
            )
            explorer = f"{ready:8.2f} s" if ready else f"{'none':>10s}"
            print(f"{'':26s}{name:12.12s}{painted:8.2f} s{explorer}{kilobytes:7.0f} kB")


if __name__ == "__main__":
    main()
