"""What the tests share: their marks and order, and a browser where there is one."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from utils.runtime import generator

# ---- marks and order -----------------------------------------------------------------------------


def pytest_report_header() -> str | None:
    """Name the order of a shuffled run, so that one that fails can be run again."""
    seed = os.environ.get("COURSE_SHUFFLE")
    return f"order: COURSE_SHUFFLE={seed}" if seed else None


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what drives a browser; under ``COURSE_SHUFFLE=seed``, shuffle the tests.

    Files are shuffled, and the tests within a file: nothing may depend on what ran before it. Every
    worker of pytest-xdist collects for itself and comes to the same order.
    """
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")

    seed = os.environ.get("COURSE_SHUFFLE")
    if not seed:
        return
    tests_of: dict[Path, list[pytest.Item]] = {}
    for item in items:
        tests_of.setdefault(item.path, []).append(item)
    chance = generator(int(seed))
    items.clear()
    for tests in shuffled(list(tests_of.values()), chance):
        items += shuffled(tests, chance)


def shuffled(things: list, chance: np.random.Generator) -> list:
    return [things[place] for place in chance.permutation(len(things))]


# ---- a browser, and pages to visit ---------------------------------------------------------------


@pytest.fixture(scope="session")
def chromium():
    """A running headless Chromium (playwright ``Browser``).

    Where there is none, the test is skipped, but fails under CI.
    """
    from utils.book.browser import FLAGS, find_browser

    path = find_browser()
    if path is None:
        asked = os.environ.get("COURSE_BROWSER")
        reason = f"no browser: install Chromium, or name one in COURSE_BROWSER (now {asked!r})"
        if asked or os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def web(site):
    """The test module's own ``site`` (a folder of HTML) over http."""
    from tests.browser import serve

    with serve(site) as url:
        yield url


@pytest.fixture(params=["http", "file"])
def address(request, site, web) -> str:
    """The address of ``site``, once over http and once from disk."""
    return web if request.param == "http" else site.as_uri()


@pytest.fixture(scope="session")
def windows(chromium):
    """The windows of the browser that ``visit`` opens pages in."""
    from tests.browser import Windows

    return Windows(chromium)


@pytest.fixture
def visit(windows):
    """Open an address; afterwards the page must have asked no other host and raised no error."""
    opened = []

    def go(
        url: str,
        *,
        width: int = 1280,
        dark: bool = False,
        wait: str = "[data-afm-ready]",
        **options,
    ):
        theme = "dark" if dark else "light"
        options |= {"viewport": {"width": width, "height": 900}, "color_scheme": theme}
        page, watch = windows.take(**options)
        opened.append((page, watch, options))
        page.goto(url)
        page.wait_for_selector(wait)
        return page

    yield go
    try:
        for _, watch, _ in opened:
            watch.check()
    finally:
        for page, watch, options in opened:
            windows.give_back(page, watch, **options)


# ---- data, threads and disks ---------------------------------------------------------------------


@pytest.fixture(scope="session")
def archive(tmp_path_factory) -> Path:
    """A toy CIFAR-10 in the binary layout: ten images a file, each class a shade of its own."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("cifar") / "toy.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
            labels = rng.permutation(10).astype(np.uint8)
            pixels = np.clip(labels[:, None] * 25 + rng.integers(0, 10, (10, 3072)), 0, 255).astype(
                np.uint8
            )
            raw = np.concatenate([labels[:, None], pixels], 1).tobytes()
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            member.size = len(raw)
            tar.addfile(member, io.BytesIO(raw))
    return path


@pytest.fixture(scope="module")
def one_thread():
    """Torch on one thread: small tensors are slower on two, and sums come out in one order."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def full_disk(monkeypatch):
    """Let every file that `utils.files` writes fail with "No space left on device".

    Skips the test where there is no ``/dev/full`` (macOS).
    """
    from utils import files

    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")

    def mkstemp(*, dir, prefix, suffix):
        part = Path(dir) / f"{prefix}full{suffix}"
        part.symlink_to(full)
        return os.open(part, os.O_WRONLY), str(part)

    monkeypatch.setattr(files.tempfile, "mkstemp", mkstemp)
