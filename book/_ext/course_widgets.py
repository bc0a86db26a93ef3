"""Mount the course's widgets on static pages: live without a kernel, a server or another host.

````
```{anywidget} ../utils/widgets/parameter_budget/widget.mjs
:label: Parameter-budget explorer
{"preset": "gpt2"}
```
````

is mystmd's directive: the argument names an AFM module, the body is its initial state as JSON, and
``:css:`` names a style sheet. The widget's name is that of the module's folder. Ours asks for
``:label:`` too, which a screen reader announces, and knows

- ``:name:``, the id on the page and in addresses, by default the widget's name;
- ``:record:``, a file under ``records/`` whose data join the state;
- ``:live:``, a model under ``records/``, whose weights are written beside the pages as scripts;
  the state then holds their address and sizes as ``live``.

The state may hold ``steps``, a list of ``{"text": "…", "settings": {…}}``: numbered links in the
explorer itself, each to its settings; what a step leaves out is as the explorer starts.

A widget in a notebook's stored output is the same ``<div data-afm="NAME">``
(``utils.widgets.shared.static``), so the last step works on the finished page: it looks for such
elements and inlines, once each, the modules, styles and records that they name and the host script.
Inlining is what makes ``file://`` work.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import SphinxError
from sphinx.util.docutils import SphinxDirective
from sphinx.util.osutil import relative_uri

sys.path.insert(0, str(Path(__file__).parents[2]))  # the course's own library
from utils.book.words import tr
from utils.widgets.sampling_explorer.live_weights import write_scripts
from utils.widgets.shared.bundle import bundle, sources
from utils.widgets.shared.static import IN_A_NOTEBOOK, ON_A_PAGE, mount_html

HOST = Path(__file__).with_name("afm_host.js")
WIDGETS = Path("utils/widgets")  # where a widget that a notebook's output names lives
MOUNTED = re.compile(r'data-afm="([\w-]+)"')  # a widget's name in a page
RECORDED = re.compile(r'data-afm-record="([^"]+)"')  # the record that it reads


class WidgetError(SphinxError):
    """A page asks for a widget that cannot be mounted. Always ends the build."""

    category = "Widget"


# ---- the directive


class anywidget(nodes.General, nodes.Element, addnodes.translatable):  # noqa: N801  (docutils names nodes so)
    """Placeholder for one mounted widget. gettext translates its label and its steps' texts."""

    def preserve_original_messages(self) -> None:
        """Nothing is to be kept: each text stands in one place."""

    def extract_original_messages(self) -> list[str]:
        """What a reader of the page sees or hears of the directive."""
        return [self["label"], *(step["text"] for step in self._steps())]

    def apply_translated_message(self, original_message: str, translated_message: str) -> None:
        """Put a translation in the place of its text."""
        if self["label"] == original_message:
            self["label"] = translated_message
        for step in self._steps():
            if step["text"] == original_message:
                step["text"] = translated_message

    def _steps(self) -> list[dict[str, Any]]:
        return self["state"].get("steps", [])


class AnyWidget(SphinxDirective):
    """``{anywidget} MODULE.mjs``: see the module's docstring."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {  # noqa: RUF012  (docutils reads a plain class attribute)
        "css": directives.unchanged,
        "label": directives.unchanged_required,
        "live": directives.unchanged_required,
        "name": directives.unchanged,
        "record": directives.unchanged,
    }

    def run(self) -> list[nodes.Node]:
        """Check what the page asks for, and leave a placeholder for it."""
        files = {"esm": self._file(self.arguments[0])}
        if self.options.get("css"):
            files["css"] = self._file(self.options["css"])
        module = Path(files["esm"])
        name = module.parent.name
        note_widget(self.env, module)

        record = self.options.get("record", "")
        if record:
            self.env.note_dependency(Path("records", record).as_posix())
        live = self.options.get("live", "")
        if live:
            weights = Path("records", live, "model.safetensors")
            if not Path(self.env.srcdir, weights).is_file():
                raise self._error(f"{weights.parent.as_posix()} holds no {weights.name}")
            self.env.note_dependency(weights.as_posix())

        state = self._state()
        label = self.options.get("label")
        if not label:
            raise self._error("':label:' is missing (what a screen reader calls the widget)")
        node = anywidget(state=state, label=label, record=record, live=live, **files)
        node["module"] = name
        self.add_name(node)
        return [node]

    def _file(self, named: str) -> str:
        """The path of a file that the page names. The page is built again when it changes."""
        relative, absolute = self.env.relfn2path(named)
        self.env.note_dependency(relative)
        if not Path(absolute).is_file():
            raise self._error(f"no such file: {relative}")
        return absolute

    def _state(self) -> dict[str, Any]:
        """The directive's body."""
        try:
            state = json.loads("\n".join(self.content) or "{}")
        except json.JSONDecodeError as error:
            raise self._error(f"the body is not JSON ({error})") from None
        if not isinstance(state, dict):
            raise self._error("the body must be a JSON object")
        for number, step in enumerate(state.get("steps", []), start=1):
            if not is_step(step):
                raise self._error(f'step {number} must be {{"text": "…", "settings": {{…}}}}')
        return state

    def _error(self, message: str) -> WidgetError:
        page = self.env.doc2path(self.env.docname)
        return WidgetError(f"{page}:{self.lineno}: anywidget {self.arguments[0]}: {message}")


def is_step(step: Any) -> bool:
    """Whether this has what a step of an explorer needs: a text and its settings."""
    if not isinstance(step, dict) or set(step) != {"text", "settings"}:
        return False
    return isinstance(step["text"], str) and isinstance(step["settings"], dict)


def visit_html(translator: Any, node: anywidget) -> None:
    """Write the element that the host script looks for."""
    state = dict(node["state"])
    builder = translator.builder
    live = node["live"]
    if live:  # the scripts are written once, and again when the model has changed
        script = f"live/{live}"
        sizes = write_scripts(Path(builder.srcdir, "records", live), Path(builder.outdir, script))
        here = builder.get_target_uri(builder.current_docname)
        state["live"] = {"src": relative_uri(here, script), "sizes": sizes}
    id = node["ids"][0] if node["ids"] else ""
    element = mount_html(
        node["module"], state, node["label"], id=id, record=node["record"], wide=True
    )
    translator.body.append(element)
    raise nodes.SkipNode


def visit_text(translator: Any, node: anywidget) -> None:
    """Plain text cannot run a widget, so it says what stands there."""
    translator.add_text(f"[{node['label']}]")
    raise nodes.SkipNode


def skip(translator: Any, node: anywidget) -> None:
    """Print leaves a widget out."""
    raise nodes.SkipNode


# ---- when a page is built again


def note_widget(env: BuildEnvironment, module: Path) -> None:
    """Build the present page again when this widget changes: a part, a table, a style."""
    shared_style = WIDGETS / "shared" / "widgets.css"
    own_style = WIDGETS / module.parent.name / "widget.css"
    for file in (*sources(module), shared_style, own_style):
        env.note_dependency(file.as_posix())


def note_stored_widgets(app: Sphinx, doctree: nodes.document) -> None:
    """The same for a widget in a notebook's stored output."""
    stored = "".join(raw.astext() for raw in doctree.findall(nodes.raw))
    for name in set(MOUNTED.findall(stored)):
        module = Path(app.srcdir) / WIDGETS / name / "widget.mjs"
        if module.is_file():  # else the last step says so
            note_widget(app.env, module)
    for record in set(RECORDED.findall(stored)):
        app.env.note_dependency(Path("records", record).as_posix())


# ---- what a finished page needs


def assets(body: str, source: Path, given: dict[str, dict[str, Path]]) -> str:
    """The markup that the widgets mounted in ``body`` need, or "" when there is none.

    ``source`` is the book's root; ``given`` maps a widget's name to the files that a directive
    named, "esm" and perhaps "css".
    """
    names = sorted(set(MOUNTED.findall(body)))
    if not names:
        return ""
    shared_style = source / WIDGETS / "shared" / "widgets.css"
    styles = [_inlined(shared_style, "style")]
    scripts = []
    for name in names:
        files = given.get(name, {})
        folder = source / WIDGETS / name
        css = files.get("css", folder / "widget.css")
        if "css" in files or css.is_file():  # a widget need not have a style of its own
            styles.append(_inlined(css, "style"))
        module = _inlined(files.get("esm", folder / "widget.mjs"), "script")
        scripts.append(f'<script type="text/plain" data-afm-module="{name}">{module}</script>')

    for record in sorted(set(RECORDED.findall(body))):
        data = _record(source / "records", record)
        scripts.append(
            f'<script type="application/json" data-afm-record-file="{record}">{data}</script>'
        )
    style = "\n".join(styles)
    host = _inlined(HOST, "script")
    return "\n".join([f"<style>{style}</style>", *scripts, f"<script>{host}</script>"])


def _inlined(path: Path, tag: str) -> str:
    """The file's text, checked not to end the ``<tag>`` that it is put into.

    A module comes with its parts and Python's tables.
    """
    if not path.is_file():
        raise WidgetError(f"no such file: {path}")
    text = bundle(path) if path.suffix == ".mjs" else path.read_text(encoding="utf-8")
    if f"</{tag}" in text.lower():
        raise WidgetError(f"{path} holds '</{tag}', which would end the element it is inlined into")
    return text


def _record(folder: Path, name: str) -> str:
    """The data of a record below ``folder``, as compact JSON."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise WidgetError(f"record {name!r} is not under records/")
    content = json.loads(_inlined(path, "script"))
    written_by_us = "provenance" in content  # by utils.records
    return json.dumps(content["data"] if written_by_us else content, separators=(",", ":"))


def add_assets(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Add to a page what its widgets need."""
    if doctree is None or "body" not in context:
        return
    given: dict[str, dict[str, Path]] = {}
    for node in doctree.findall(anywidget):
        given[node["module"]] = {key: Path(node[key]) for key in ("esm", "css") if key in node}
    for text in (IN_A_NOTEBOOK, tr(IN_A_NOTEBOOK)):  # a stored output may be in English
        context["body"] = context["body"].replace(text, tr(ON_A_PAGE))
    context["body"] += assets(context["body"], Path(app.srcdir), given)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive and the other steps."""
    app.add_node(
        anywidget,
        html=(visit_html, None),
        text=(visit_text, None),
        latex=(skip, None),
        man=(skip, None),
    )
    app.add_directive("anywidget", AnyWidget)
    app.connect("doctree-read", note_stored_widgets)
    app.connect("html-page-context", add_assets)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
