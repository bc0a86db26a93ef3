"""Paste what a notebook measured into a page: its figures, and single numbers from the records.

````
```{notebook-figure} ../notebooks/double_descent/01_closed_form.ipynb::risk-curve
:name: fig-risk-curve
The caption states the finding; it may hold markup, and `{numref}` may refer to the figure.
```
````

takes the drawing (``image/svg+xml``) that is the output of the cell whose id (or
``metadata.name``) is ``risk-curve``, and the alternative text that the same cell states in
``metadata.mystnb.image.alt``. The page thus shows the figure that the notebook's tests have seen,
and the two cannot drift apart. With ``:unnumbered:`` it has no number, and takes none from the
figures of the chapters.

``{record}`double_descent/cnn_width.json::path.to.value:.2f` `` writes one value of a file under
``records/``: keys and list positions joined by dots, then an optional Python format.

Anything missing stops the build with one line that says what was looked for, and where. What is
*not* here: running notebooks (the tests do) and glued numbers (``{glue:text}`` does).
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.directives.patches import Figure
from sphinx.errors import SphinxError
from sphinx.util.docutils import SphinxRole

sys.path.insert(0, str(Path(__file__).parents[2]))  # the course's own library
from utils.files import write_whole

DRAWING = "image/svg+xml"


class NotebookContentError(SphinxError):
    """A page asks for an output or a number that is not there. Always ends the build."""

    category = "Notebook content"


# ---- figures


def find_cell(notebook: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the one cell whose ``id`` or ``metadata.name`` is ``name``.

    Raises ``NotebookContentError`` when there is none, or more than one.
    """
    cells = notebook.get("cells", [])
    found = []
    for cell in cells:
        if name in (cell.get("id"), cell.get("metadata", {}).get("name")):
            found.append(cell)
    if len(found) != 1:
        with_figure = [str(cell.get("id")) for cell in cells if _images(cell)]
        known = ", ".join(with_figure) or "none"
        count = f"{len(found)} cells" if found else "no cell"
        raise NotebookContentError(f"{count} called {name!r} (cells with a figure: {known})")
    return found[0]


def _images(cell: dict[str, Any]) -> list[dict[str, Any]]:
    """The outputs of ``cell`` that are drawings."""
    return [output for output in cell.get("outputs", []) if DRAWING in output.get("data", {})]


def figure_of(cell: dict[str, Any]) -> tuple[str, str]:
    """Return the cell's only drawing, as SVG, and its alternative text.

    Raises ``NotebookContentError`` if the cell holds no drawing, or several, or no usable text.
    """
    images = _images(cell)
    if len(images) != 1:
        raise NotebookContentError(f"the cell has {len(images)} {DRAWING} outputs, one is needed")
    [image] = images

    alt = cell.get("metadata", {}).get("mystnb", {}).get("image", {}).get("alt", "")
    if not _is_description(alt):
        raise NotebookContentError(
            f"the cell's metadata.mystnb.image.alt is not a description: {alt!r}"
        )
    data = image["data"][DRAWING]
    return "".join(data) if isinstance(data, list) else data, alt.strip()


def _is_description(alt: Any) -> bool:
    """Whether ``alt`` is a text of more than one word.

    A path or a file name is what Sphinx falls back to; it tells a listener nothing.
    """
    return isinstance(alt, str) and len(alt.split()) > 1


class unnumbered_figure(nodes.figure):  # noqa: N801  (docutils names nodes so)
    """A figure that Sphinx does not count: it numbers ``nodes.figure`` itself, no kind of it."""


class NotebookFigure(Figure):
    """``{notebook-figure} NOTEBOOK::CELL``: a stored figure with its alt text and a caption."""

    required_arguments = 1
    has_content = True
    option_spec = {
        key: Figure.option_spec[key]
        for key in ("name", "width", "align", "class", "figclass", "figwidth")
    } | {"unnumbered": directives.flag}

    def run(self) -> list[nodes.Node]:
        """Write the figure to a file, and go on as an ordinary figure of that file."""
        env = self.state.document.settings.env
        target = self.arguments[0]
        try:
            svg, alt = self._stored_figure(target)
        except NotebookContentError as error:
            where = f"{env.doc2path(env.docname)}:{self.lineno}"
            raise NotebookContentError(f"{where}: notebook-figure {target}: {error}") from None

        file = self._file(target)
        _write_if_changed(file, svg.encode())
        page_folder = Path(env.doc2path(env.docname)).parent
        self.arguments[0] = Path(os.path.relpath(file, page_folder)).as_posix()
        self.options["alt"] = alt
        unnumbered = "unnumbered" in self.options
        self.options.pop("unnumbered", None)
        drawn = super().run()
        if unnumbered and isinstance(drawn[0], nodes.figure):
            figure = drawn[0]
            drawn[0] = unnumbered_figure("", *figure.children, **figure.attributes)
        return drawn

    def _stored_figure(self, target: str) -> tuple[str, str]:
        """What `figure_of` says of the cell that ``target`` names."""
        env = self.state.document.settings.env
        notebook, _, cell = target.partition("::")
        if not cell:
            raise NotebookContentError("write NOTEBOOK.ipynb::CELL")
        if not self.content:
            raise NotebookContentError("the caption is missing")
        relative, absolute = env.relfn2path(notebook)
        env.note_dependency(relative)
        return figure_of(find_cell(_read_json(Path(absolute)), cell))

    def _file(self, target: str) -> Path:
        """Where the figure is written: beside the doctrees, as myst-nb does.

        Sphinx copies an image only from a file.
        """
        env = self.state.document.settings.env
        notebook, _, cell = target.partition("::")
        relative, _ = env.relfn2path(notebook)
        chapter_and_notebook = Path(relative).with_suffix("").parts[-2:]
        name = "-".join([*chapter_and_notebook, re.sub(r"[^\w.-]", "_", cell)])
        folder = Path(env.app.doctreedir).parent / "notebook_figures"
        return folder / f"{name}.svg"


def _read_json(path: Path) -> Any:
    """The content of a JSON file. Raises ``NotebookContentError`` where it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise NotebookContentError("no such file") from None
    except json.JSONDecodeError as error:
        raise NotebookContentError(f"not JSON ({error})") from None


def _write_if_changed(file: Path, content: bytes) -> None:
    """Leave a file as it is where it holds ``content`` already: Sphinx goes by its date."""
    unchanged = file.exists() and file.read_bytes() == content
    if not unchanged:
        write_whole(file, content)


# ---- numbers


def record_value(root: Path, text: str) -> str:
    """Return the value that ``FILE::path.to.value[:format]`` names under ``root``, as text.

    Without a format a whole number or a string is written as it stands; a fraction must say
    how many digits it wants. Raises ``NotebookContentError`` when anything is missing.
    """
    file, _, rest = text.partition("::")
    path, _, format_spec = rest.partition(":")
    if not file or not path:
        raise NotebookContentError("write FILE.json::path.to.value, then :FORMAT if wanted")
    value = _value_at(_read_json(root / file), path)
    if isinstance(value, bool | dict | list) or value is None:
        raise NotebookContentError(f"{path} is a {type(value).__name__}, not a number or a text")
    if isinstance(value, float) and not format_spec:
        raise NotebookContentError(f"{path} is {value!r}: state how to write it, as in ':.2f'")
    try:
        return format(value, format_spec)
    except ValueError as error:
        raise NotebookContentError(f"{format_spec!r} cannot format {value!r} ({error})") from None


def _value_at(value: Any, path: str) -> Any:
    """Follow ``path``, keys and list positions joined by dots, into ``value``."""
    walked: list[str] = []
    for key in path.split("."):
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, TypeError, ValueError):
            at = ".".join(walked) or "the top"
            there = ", ".join(map(str, value)) if isinstance(value, dict) else type(value).__name__
            raise NotebookContentError(f"no {key!r} at {at} (there: {there[:200]})") from None
        walked.append(key)
    return value


class RecordRole(SphinxRole):
    """``{record}`FILE.json::path.to.value:.2f` ``: one number of a stored run."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Write the value; the page is built again when the record changes."""
        root = Path(self.env.srcdir) / "records"
        file = self.text.partition("::")[0]
        self.env.note_dependency(f"records/{file}")
        try:
            return [nodes.Text(record_value(root, self.text))], []
        except NotebookContentError as error:
            where = f"{self.env.doc2path(self.env.docname)}:{self.lineno}"
            raise NotebookContentError(f"{where}: record {self.text}: {error}") from None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive and the role."""
    app.add_directive("notebook-figure", NotebookFigure)
    app.add_role("record", RecordRole())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
