"""Mount the course's widgets on static pages: live without a kernel, a server or another host.

````
```{anywidget} ../utils/widgets/parameter_budget/widget.mjs
:label: Parameter-budget explorer
{"preset": "gpt2"}
```
````

is mystmd's directive: the argument names an AFM module, the body is its initial state as JSON, and
``:css:`` names a style sheet. Ours asks for ``:label:`` too, which a screen reader announces, and knows
``:name:`` (the id on the page and in addresses, by default the widget's name, which is its folder's), ``:record:`` (a file
under ``records/`` whose data join the state) and ``:live:`` (a model under ``records/``, whose weights are
written beside the pages as a script; the state then holds its address and size as ``live``).

A widget in a notebook's stored output (``utils.widgets.shared.base``) is the same ``<div data-afm="NAME">``,
so the last step works on the finished page: it looks for such elements and inlines, once each, the
modules, styles and records that they name and the host script. Inlining is what makes ``file://`` work.
"""

from __future__ import annotations

import html
import json
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.errors import SphinxError
from sphinx.util.docutils import SphinxDirective
from sphinx.util.osutil import relative_uri

sys.path.insert(0, str(Path(__file__).parents[2]))  # the course's own library
from utils.widgets.sampling_explorer.live_weights import write_script
from utils.widgets.shared.bundle import bundle, parts

HOST = Path(__file__).with_name("afm_host.js")
WIDGETS = Path("utils/widgets")  # where a widget named by a notebook's output lives


class WidgetError(SphinxError):
    """A page asks for a widget that cannot be mounted. Always ends the build."""

    category = "Widget"


def mount_html(
    name: str, state: dict[str, Any], label: str, *, id: str = "", record: str = ""
) -> str:
    """The element that the host script looks for; ``utils.widgets.shared.base`` writes the same."""
    body = json.dumps(state).replace("<", "\\u003c")
    marks = f' id="{html.escape(id or name.replace("_", "-"))}" data-afm="{html.escape(name)}"'
    if record:
        marks += f' data-afm-record="{html.escape(record)}"'
    return (
        f'<div class="course-widget"{marks} role="group" aria-label="{html.escape(label)}">'
        f'<script type="application/json">{body}</script>'
        f"<p>{html.escape(label)}: interactive in the course's web pages and in a running notebook.</p></div>"
    )


class anywidget(nodes.General, nodes.Element):  # noqa: N801  (docutils names nodes so)
    """Placeholder for one mounted widget."""


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
        where = (
            f"{self.env.doc2path(self.env.docname)}:{self.lineno}: anywidget {self.arguments[0]}"
        )
        files = {}
        for key, argument in (("esm", self.arguments[0]), ("css", self.options.get("css"))):
            if argument:
                rel, absolute = self.env.relfn2path(argument)
                self.env.note_dependency(rel)
                files[key] = absolute
                if not Path(absolute).is_file():
                    raise WidgetError(f"{where}: no such file: {rel}")
        for part in parts(Path(files["esm"])):
            self.env.note_dependency(str(part))
        live = self.options.get("live", "")
        if live:
            if not (Path(self.env.srcdir, "records", live) / "model.safetensors").is_file():
                raise WidgetError(f"{where}: records/{live} holds no model.safetensors")
            self.env.note_dependency(Path("records", live, "model.safetensors").as_posix())
        record = self.options.get("record", "")
        name = Path(files["esm"]).parent.name
        styles = (WIDGETS / "shared" / "widgets.css", WIDGETS / name / "widget.css")
        for used in (*styles, *([Path("records", record)] if record else [])):
            self.env.note_dependency(used.as_posix())
        try:
            state = json.loads("\n".join(self.content) or "{}")
        except json.JSONDecodeError as error:
            raise WidgetError(f"{where}: the body is not JSON ({error})") from None
        if not isinstance(state, dict):
            raise WidgetError(f"{where}: the body must be a JSON object")
        if not (label := self.options.get("label")):
            raise WidgetError(
                f"{where}: ':label:' is missing (what a screen reader calls the widget)"
            )
        node = anywidget(state=state, label=label, record=record, live=live, **files)
        node["module"] = name
        self.add_name(node)
        return [node]


def visit_html(translator, node: anywidget) -> None:
    state, builder = dict(node["state"]), translator.builder
    if live := node["live"]:  # written once, and again when the model has changed
        script = f"live/{live}.js"
        size = write_script(Path(builder.srcdir, "records", live), Path(builder.outdir, script))
        here = builder.get_target_uri(builder.current_docname)
        state["live"] = {"src": relative_uri(here, script), "bytes": size}
    mount = mount_html(
        node["module"], state, node["label"], id=(node["ids"] or [""])[0], record=node["record"]
    )
    translator.body.append(mount)
    raise nodes.SkipNode


def visit_text(translator, node: anywidget) -> None:
    """Print and plain text cannot run it, so they say what stands there."""
    translator.add_text(f"[{node['label']}]")
    raise nodes.SkipNode


def skip(translator, node: anywidget) -> None:
    raise nodes.SkipNode


def _inline(path: Path, tag: str) -> str:
    """The file's text (a module's with its parts), checked not to end the ``<tag>`` that it is put into."""
    if not path.is_file():
        raise WidgetError(f"no such file: {path}")
    text = bundle(path) if path.suffix == ".mjs" else path.read_text(encoding="utf-8")
    if f"</{tag}" in text.lower():
        raise WidgetError(f"{path} holds '</{tag}', which would end the element it is inlined into")
    return text


def assets(body: str, source: Path, given: dict[str, dict[str, Path]]) -> str:
    """The markup that the widgets mounted in ``body`` need, or "" when there is none.

    ``source`` is the book's root; ``given`` maps a module's name to the files that a directive named.
    """
    names = sorted(set(re.findall(r'data-afm="([\w-]+)"', body)))
    if not names:
        return ""
    root = source / WIDGETS
    styles, modules = [_inline(root / "shared" / "widgets.css", "style")], []
    for name in names:
        files = given.get(name, {})
        css = files.get("css") or root / name / "widget.css"
        if "css" in files or css.is_file():
            styles.append(_inline(css, "style"))
        module = _inline(files.get("esm") or root / name / "widget.mjs", "script")
        modules.append(f'<script type="text/plain" data-afm-module="{name}">{module}</script>')
    for record in sorted(set(re.findall(r'data-afm-record="([^"]+)"', body))):
        path = (source / "records" / record).resolve()
        if not path.is_relative_to((source / "records").resolve()):
            raise WidgetError(f"record {record!r} is not under records/")
        data = json.loads(_inline(path, "script"))
        data = data["data"] if "provenance" in data else data  # what utils.records wrote
        text = json.dumps(data, separators=(",", ":"))
        modules.append(
            f'<script type="application/json" data-afm-record-file="{record}">{text}</script>'
        )
    host = _inline(HOST, "script")
    return "\n".join(
        [f"<style>{chr(10).join(styles)}</style>", *modules, f"<script>{host}</script>"]
    )


def add_assets(app, pagename: str, templatename: str, context: dict[str, Any], doctree) -> None:
    if doctree is None or "body" not in context:
        return
    given = {
        node["module"]: {key: Path(node[key]) for key in ("esm", "css") if key in node}
        for node in doctree.findall(anywidget)
    }
    context["body"] += assets(context["body"], Path(app.srcdir), given)


def setup(app) -> dict[str, Any]:
    app.add_node(
        anywidget,
        html=(visit_html, None),
        text=(visit_text, None),
        latex=(skip, None),
        man=(skip, None),
    )
    app.add_directive("anywidget", AnyWidget)
    app.connect("html-page-context", add_assets)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
