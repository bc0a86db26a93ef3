"""Time the sampling explorer in headless Chromium: a slider's move, and the model's writing.

    python -m benchmarks.sampling_explorer                    # _build/html, after `make book`
    python -m benchmarks.sampling_explorer --before 0304778   # and first the book of that state
    python -m benchmarks.sampling_explorer --book A --book B  # two builds, one after the other

It opens the chapter on sampling over http and from disk, and prints for each

* a slider's move: its handler plus layout, and from the event until after the next paint, beside
  the same for a handler that does nothing, which waits for a frame just as long;
* loading the model after the click, and tokens per second while it writes.

The targets printed beside are the course's own. The machine's load stands in the first line,
because a busy machine misses them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

from playwright.sync_api import CDPSession, Page, sync_playwright

from benchmarks.books import add_options, chosen_books
from tests.browser import Watch, serve
from utils.book.browser import FLAGS, find_browser

# The settings that cost most: every step of the pipeline is on.
COSTLY = "top_k=2000&frequency_penalty=0.5&presence_penalty=0.5&draws=100"
# Moves `input` back and forth; gives [handler and layout, until after paint] in milliseconds.
MOVES = """async ({ id, moves }) => {
  const input = id ? document.querySelector(`input[id$="${id}"]`) : document.createElement("input");
  const root = document.querySelector(".cw"), times = [], channel = new MessageChannel();
  const painted = () => new Promise((resolve) => {
    channel.port1.onmessage = resolve;
    // the message is handled after the paint
    requestAnimationFrame(() => channel.port2.postMessage(0));
  });
  for (let i = 0; i < moves; i++) {
    await new Promise((resolve) => setTimeout(resolve, 7 * Math.random()));
    if (id) input.value = Math.round((Number(input.max) * ((i * 37) % 100)) / 100);
    const start = performance.now();
    input.dispatchEvent(new Event("input", { bubbles: true }));
    await null; // the handler draws in a microtask, which comes first
    root.getBoundingClientRect();
    const done = performance.now();
    await painted();
    times.push([done - start, performance.now() - start]);
  }
  return times;
}"""
SLIDERS = ("temperature", "top_p", "min_p", "repetition_penalty")


def p95(values: list[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(values, n=20)[-1]


def cpu(client: CDPSession) -> dict[str, float]:
    """Seconds of processor time of the page's main thread, which a busy machine changes little."""
    found = {m["name"]: m["value"] for m in client.send("Performance.getMetrics")["metrics"]}
    return {part: found[f"{part}Duration"] for part in ("Script", "RecalcStyle", "Layout")}


def moves(page: Page, n: int) -> None:
    """Print the two p95 of moving sliders, and the second for a handler that does nothing."""
    page.evaluate(f"location.hash = '#sampling-explorer?{COSTLY}'")
    page.wait_for_timeout(500)
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable", {"timeDomain": "threadTicks"})
    before = cpu(client)
    times = [t for id in SLIDERS for t in page.evaluate(MOVES, {"id": id, "moves": n})]
    spent = {part: (t - before[part]) / len(times) for part, t in cpu(client).items()}
    idle = page.evaluate(MOVES, {"id": "", "moves": n})
    for name, values, target in (
        ("handler + layout", [t[0] for t in times], "target 8"),
        ("input to painted", [t[1] for t in times], "target 34"),
        ("doing nothing", [t[1] for t in idle], ""),
    ):
        median = statistics.median(values)
        print(f"  {name:18} p50 {median:6.2f} ms   p95 {p95(values):6.2f} ms   {target}")
    parts = ", ".join(f"{part.lower()} {1000 * t:.2f}" for part, t in spent.items())
    print(f"  processor time     mean {1000 * sum(spent.values()):4.2f} ms a move ({parts})")


def writing(page: Page, tokens: int, runs: int) -> None:
    """Load the model, let it write, print seconds to load and the median of tokens per second."""
    started = time.perf_counter()
    page.get_by_role("button", name="Load the model").click()
    page.get_by_role("button", name="Write").wait_for()
    print(f"  loading the model  {time.perf_counter() - started:6.2f} s")
    page.get_by_label("Prompt", exact=True).fill("It")
    page.get_by_label("Tokens", exact=True).fill(str(tokens))
    rates = []
    for seed in range(runs):
        page.evaluate(f"location.hash = '#sampling-explorer?top_p=0.95&seed={seed}'")
        page.wait_for_timeout(100)
        milliseconds = page.evaluate(
            """() => new Promise((resolve) => {
              const start = performance.now(), status = document.querySelector(".cw-status");
              new MutationObserver((_, observer) => {
                if (!status.textContent.startsWith("Ended")) return;
                observer.disconnect();
                resolve(performance.now() - start);
              }).observe(status, { childList: true });
              const buttons = [...document.querySelectorAll(".cw-live button")];
              buttons.find((button) => button.textContent === "Write").click();
            })"""
        )
        written = page.locator(".cw-text span").count() - 1  # the first is the prompt
        rates.append(1000 * written / milliseconds)
    spread = f"{min(rates):.0f} to {max(rates):.0f}"
    median = statistics.median(rates)
    print(f"  writing            median {median:.0f} tokens/s ({spread})   target 60")


def main() -> None:
    """Open, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sampling_explorer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser)
    parser.add_argument("--moves", type=int, default=60, help="moves of each slider")
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with chosen_books(options) as books, sync_playwright() as driver:
        print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
        browser = driver.chromium.launch(executable_path=find_browser(), args=list(FLAGS))
        for name, html in books.items():
            page_size = (html / "book" / "sampling.html").stat().st_size
            script_size = sum(file.stat().st_size for file in (html / "live").rglob("*.js"))
            print(f"{name}: page {page_size / 1e3:.0f} kB, model {script_size / 1e6:.2f} MB")
            with serve(html) as web:
                for scheme, address in (("http", web), ("file", html.resolve().as_uri())):
                    print(f" {scheme}")
                    page = browser.new_page(viewport={"width": 1280, "height": 900})
                    watch = Watch(page)
                    page.goto(f"{address}/book/sampling.html")
                    page.wait_for_selector(".cw")
                    moves(page, options.moves)
                    writing(page, options.tokens, options.runs)
                    watch.check()
                    page.close()
        browser.close()


if __name__ == "__main__":
    main()
