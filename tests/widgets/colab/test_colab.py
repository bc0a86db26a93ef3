"""Every explorer and the plain sliders answer under Colab's ipywidgets 7.7.1, in a browser.

``python -m utils.book.rehearsal widgets`` runs these tests; without what it needs they are skipped.
``COLAB_FOLDER`` names an environment that ``… rehearsal environment`` has made. There a kernel runs
the course's Python, and from there come the npm packages that draw its widgets: the manager of
ipywidgets 7. ``COLAB_MANAGER`` may name a built ``manager.js`` of the public repository
googlecolab/colab-cdn-widget-manager, which is what Colab loads for widgets of other packages.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Watch, serve
from tests.widgets.colab.live_kernel import LiveKernel
from tests.widgets.shared.test_every_explorer import EXPLORERS

FOLDER = os.environ.get("COLAB_FOLDER")
MANAGER = os.environ.get("COLAB_MANAGER")
pytestmark = pytest.mark.skipif(
    not FOLDER, reason="COLAB_FOLDER names no environment of `python -m utils.book.rehearsal`"
)
needs_manager = pytest.mark.skipif(
    not MANAGER, reason="COLAB_MANAGER names no manager.js of Colab's own"
)
PAGES = {
    "ipywidgets": """
<script src="node_modules/requirejs/require.js"></script>
<script src="node_modules/@jupyter-widgets/html-manager/dist/embed-amd.js"></script>
<script type="module">
  import { startHtmlManager } from "./front_end.js";
  requirejs.config({ paths: { anywidget: "node_modules/anywidget/dist/index" } });
  requirejs(["@jupyter-widgets/html-manager"], startHtmlManager);
</script>""",
    "colab": """
<script type="module">
  import * as manager from "./manager.js";
  import { startColabManager } from "./front_end.js";
  startColabManager(manager);
</script>""",
}
PANEL = """
from utils.widgets import Panel
panel = Panel(lambda temperature, top_k: f"T = {temperature}, k = {top_k}", "temperature", "top_k")
panel
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[LiveKernel]:
    kernel = LiveKernel(Path(FOLDER or "") / "bin" / "python", {"CUDA_VISIBLE_DEVICES": ""})
    yield kernel
    kernel.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Iterator[str]:
    """The address of a folder with both pages, and all that they load."""
    folder = tmp_path_factory.mktemp("colab")
    shutil.copy(Path(__file__).with_name("front_end.js"), folder)
    (folder / "node_modules").symlink_to(Path(FOLDER or "").resolve() / "npm" / "node_modules")
    if MANAGER:
        shutil.copy(MANAGER, folder / "manager.js")
    for name, scripts in PAGES.items():
        head = '<!doctype html><meta charset="utf-8"><title>Widgets</title><main></main>'
        (folder / f"{name}.html").write_text(head + scripts)
    with serve(folder) as address:
        yield address


@pytest.fixture(params=["ipywidgets", pytest.param("colab", marks=needs_manager)])
def shown(request, kernel, chromium, pages):
    """Run code whose last line is a widget, and draw that in the page of a manager: its element."""
    page = chromium.new_page(viewport={"width": 1000, "height": 1000})
    watch = Watch(page)
    page.expose_function("toKernel", kernel.receive)
    if request.param == "colab":  # where it fetches the packages of others, and its icons
        page.route("https://cdn.jsdelivr.net/**", lambda route: route.fulfill(**local(route)))
    page.goto(f"{pages}/{request.param}.html")
    page.wait_for_function("() => globalThis.show !== undefined")

    def show(code: str):
        kernel.page = None
        _, model = kernel.run(code)
        page.evaluate("(models) => Object.assign(globalThis.models, models)", kernel.models)
        kernel.page = page
        page.evaluate("(model) => show(model)", model)
        return page.locator(f"#model-{model}")

    yield show
    kernel.page = None
    page.close()
    assert watch.errors == []


def local(route) -> dict:
    """The answer to what Colab's manager asks its CDN for, from the npm packages at hand."""
    package = route.request.url.removeprefix("https://cdn.jsdelivr.net/npm/")
    if not package.startswith("anywidget@"):
        return {"status": 200, "content_type": "text/css", "body": ""}
    file = Path(FOLDER or "") / "npm" / "node_modules" / "anywidget" / "dist" / "index.js"
    return {"path": file, "headers": {"access-control-allow-origin": "*"}}


def picture(element) -> str:
    """What an explorer shows: its elements, what its canvases hold, and where its controls are."""
    return element.evaluate(
        """(box) => [
          box.innerHTML,
          ...[...box.querySelectorAll("canvas")].map((canvas) => canvas.toDataURL()),
          ...[...box.querySelectorAll("input, select")].map((control) => control.value),
        ].join()"""
    )


@pytest.mark.parametrize("name", EXPLORERS)
def test_an_explorer_answers_in_both_directions(shown, kernel, name):
    title = name.title().replace("_", "")
    box = shown(f"from utils.widgets import {title}\nwidget = {title}()\nwidget")
    slider = box.locator("input[type=range]:visible").first
    slider.wait_for()
    first = picture(box)
    kernel.run("before = widget.page_state()")

    # A reader moves a slider: the page changes at once, and Python hears of it.
    slider.focus()
    slider.press("ArrowLeft")
    slider.press("ArrowLeft")
    kernel.until(lambda: picture(box) != first, "the page to change")
    kernel.until(lambda: kernel.run("print(widget.page_state() != before)")[0] == "True", "Python")

    # Python changes a setting: the page follows.
    second = picture(box)
    for setting, value in EXPLORERS[name]["steps"][1].items():
        kernel.run(f"widget.{setting} = {value!r}")
    kernel.until(lambda: picture(box) != second, "the page to follow Python")


def test_a_plain_slider_moves_a_value_and_reset_puts_it_back(shown, kernel):
    box = shown(PANEL)
    handle = box.locator(".ui-slider-handle, .noUi-handle").first
    handle.wait_for()
    assert "T = 1.0, k = 0" in box.inner_text()
    handle.focus()
    handle.press("ArrowLeft")
    kernel.until(lambda: "T = 1.0," not in box.inner_text(), "the text to change")
    temperature = float(kernel.run("print(panel.values()['temperature'])")[0])
    assert temperature != 1
    assert f"T = {temperature}, k = 0" in box.inner_text()
    box.get_by_role("button", name="reset").click()
    kernel.until(lambda: "T = 1.0, k = 0" in box.inner_text(), "the text to come back")


def test_an_explorer_is_dark_where_colab_is(shown):
    # Both managers bring JupyterLab's light colours; tests/widgets/shared/test_hosts.py has more.
    box = shown("from utils.widgets import TemperatureBars\nTemperatureBars()")
    explorer = box.locator(".cw")
    explorer.wait_for()
    ground = "(box) => getComputedStyle(box).backgroundColor"
    assert explorer.evaluate(ground) == "rgb(255, 255, 255)"
    box.page.evaluate("document.documentElement.setAttribute('theme', 'dark')")
    assert explorer.evaluate(ground) == "rgb(27, 30, 34)"
