"""What the tests share: the course and its extension on the path, and a browser where there is one."""

from __future__ import annotations

import io
import os
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
for folder in (ROOT, ROOT / "book" / "_ext"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@pytest.fixture(scope="session")
def chromium():
    """A running headless Chromium (playwright ``Browser``). Without one: skipped, but failed under CI."""
    from tests.browser import FLAGS, find_browser

    path = find_browser()
    if path is None:
        asked = os.environ.get("COURSE_BROWSER")
        reason = f"no browser: install Chromium, or name one in COURSE_BROWSER (now {asked!r})"
        (pytest.fail if asked or os.environ.get("CI") else pytest.skip)(reason)
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


@pytest.fixture
def visit(chromium):
    """Open an address; afterwards the page must have asked no other host and raised no error."""
    from tests.browser import Watch

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
        page = chromium.new_page(
            viewport={"width": width, "height": 900}, color_scheme=theme, **options
        )
        opened.append((page, Watch(page)))
        page.goto(url)
        page.wait_for_selector(wait)
        return page

    yield go
    for page, watch in opened:
        watch.check()
        page.close()


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
    """While it is in use, every file that `utils.files` writes fails with "No space left on device"."""
    from utils import files

    def mkstemp(*, dir, prefix, suffix):
        part = Path(dir) / f"{prefix}full{suffix}"
        part.symlink_to("/dev/full")
        return os.open(part, os.O_WRONLY), str(part)

    monkeypatch.setattr(files.tempfile, "mkstemp", mkstemp)
