"""Paste what a notebook measured into a page: its figures, and single numbers from the records.

````
```{notebook-figure} ../notebooks/double_descent/01_closed_form.ipynb::risk-curve
:name: fig-risk-curve
The caption states the finding; it may hold markup, and `{numref}` may refer to the figure.
```
````

takes the ``image/png`` output of the cell whose id (or ``metadata.name``) is ``risk-curve`` and
the alternative text that the same cell states in ``metadata.mystnb.image.alt``. The page thus
shows the figure that the notebook's tests have seen, and the two cannot drift apart.

``{record}`double_descent/cnn_width.json::path.to.value:.2f` `` writes one value of a file under
``records/``: keys and list positions joined by dots, then an optional Python format.

Anything missing stops the build with one line that says what was looked for, and where. What is
*not* here: running notebooks (the tests do) and glued numbers (``{glue:text}`` does).
"""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.directives.patches import Figure
from sphinx.errors import SphinxError
from sphinx.util.docutils import SphinxRole


class NotebookContentError(SphinxError):
    """A page asks for an output or a number that is not there. Always ends the build."""

    category = "Notebook content"


def find_cell(notebook: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the one cell whose ``id`` or ``metadata.name`` is ``name``.

    Raises ``NotebookContentError`` when there is none, or more than one.
    """
    cells = notebook.get("cells", [])
    found = [
        cell for cell in cells if name in (cell.get("id"), cell.get("metadata", {}).get("name"))
    ]
    if len(found) != 1:
        known = ", ".join(str(c.get("id")) for c in cells if _pngs(c)) or "none"
        count = "no cell" if not found else f"{len(found)} cells"
        raise NotebookContentError(f"{count} called {name!r} (cells with a figure: {known})")
    return found[0]


def _pngs(cell: dict[str, Any]) -> list[dict[str, Any]]:
    return [out for out in cell.get("outputs", []) if "image/png" in out.get("data", {})]


def figure_of(cell: dict[str, Any]) -> tuple[bytes, str, dict[str, Any]]:
    """Return the cell's only PNG, its alternative text and the output's own image metadata.

    Raises ``NotebookContentError`` if the cell holds no PNG, or several, or no usable text.
    """
    images = _pngs(cell)
    if len(images) != 1:
        raise NotebookContentError(f"the cell has {len(images)} image/png outputs, one is needed")
    alt = cell.get("metadata", {}).get("mystnb", {}).get("image", {}).get("alt", "")
    # A path or a file name is what Sphinx falls back to; it tells a listener nothing.
    if not isinstance(alt, str) or not alt.strip() or re.fullmatch(r"\S+", alt.strip()):
        raise NotebookContentError(
            f"the cell's metadata.mystnb.image.alt is not a description: {alt!r}"
        )
    data = images[0]["data"]["image/png"]
    text = "".join(data) if isinstance(data, list) else data
    return base64.b64decode(text), alt.strip(), images[0].get("metadata", {}).get("image/png", {})


class NotebookFigure(Figure):
    """``{notebook-figure} NOTEBOOK::CELL``: a stored figure with its alt text and a caption."""

    required_arguments = 1
    has_content = True
    option_spec = {  # noqa: RUF012  (docutils reads a plain class attribute)
        key: Figure.option_spec[key]
        for key in ("name", "width", "align", "class", "figclass", "figwidth")
    }

    def run(self) -> list[nodes.Node]:
        env = self.state.document.settings.env
        notebook, _, cell = self.arguments[0].partition("::")
        try:
            if not cell:
                raise NotebookContentError("write NOTEBOOK.ipynb::CELL")
            if not self.content:
                raise NotebookContentError("the caption is missing")
            rel, absolute = env.relfn2path(notebook)
            env.note_dependency(rel)
            png, alt, meta = figure_of(find_cell(_read_json(Path(absolute)), cell))
        except NotebookContentError as error:
            where = f"{env.doc2path(env.docname)}:{self.lineno}"
            raise NotebookContentError(
                f"{where}: notebook-figure {self.arguments[0]}: {error}"
            ) from None
        # Beside the doctrees, as myst-nb does: Sphinx copies an image only from a file.
        folder = Path(env.app.doctreedir).parent / "notebook_figures"
        name = "-".join((*Path(rel).with_suffix("").parts[-2:], re.sub(r"[^\w.-]", "_", cell)))
        file = folder / f"{name}.png"
        _write_if_changed(file, png)
        self.arguments[0] = Path(
            os.path.relpath(file, Path(env.doc2path(env.docname)).parent)
        ).as_posix()
        self.options["alt"] = alt
        if "width" in meta:  # a retina figure states the width that it was drawn for
            self.options.setdefault(
                "width", directives.length_or_percentage_or_unitless(str(meta["width"]))
            )
        return super().run()


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise NotebookContentError("no such file") from None
    except json.JSONDecodeError as error:
        raise NotebookContentError(f"not JSON ({error})") from None


def _write_if_changed(file: Path, content: bytes) -> None:
    if file.exists() and file.read_bytes() == content:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(file)


def record_value(root: Path, text: str) -> str:
    """Return the value that ``FILE::path.to.value[:format]`` names under ``root``, as text.

    Without a format a whole number or a string is written as it stands; a fraction must say
    how many digits it wants. Raises ``NotebookContentError`` when anything is missing.
    """
    file, _, rest = text.partition("::")
    path, _, spec = rest.partition(":")
    if not file or not path:
        raise NotebookContentError("write FILE.json::path.to.value, then :FORMAT if wanted")
    value = _read_json(root / file)
    walked: list[str] = []
    for key in path.split("."):
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, TypeError, ValueError):
            at = ".".join(walked) or "the top"
            keys = (
                ", ".join(map(str, value)) if isinstance(value, dict) else f"{type(value).__name__}"
            )
            raise NotebookContentError(f"no {key!r} at {at} (there: {keys[:200]})") from None
        walked.append(key)
    if isinstance(value, bool | dict | list) or value is None:
        raise NotebookContentError(f"{path} is a {type(value).__name__}, not a number or a text")
    if isinstance(value, float) and not spec:
        raise NotebookContentError(f"{path} is {value!r}: state how to write it, as in ':.2f'")
    try:
        return format(value, spec)
    except ValueError as error:
        raise NotebookContentError(f"{spec!r} cannot format {value!r} ({error})") from None


class RecordRole(SphinxRole):
    """``{record}`FILE.json::path.to.value:.2f` ``: one number of a stored run."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        root = Path(self.env.srcdir) / "records"
        self.env.note_dependency("records/" + self.text.partition("::")[0])
        try:
            return [nodes.Text(record_value(root, self.text))], []
        except NotebookContentError as error:
            where = f"{self.env.doc2path(self.env.docname)}:{self.lineno}"
            raise NotebookContentError(f"{where}: record {self.text}: {error}") from None


def setup(app) -> dict[str, Any]:
    app.add_directive("notebook-figure", NotebookFigure)
    app.add_role("record", RecordRole())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
