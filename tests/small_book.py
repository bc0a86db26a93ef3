"""Build a small book with the course's own extensions, in a process of its own.

Sphinx keeps docutils' registries between builds in one process, so two builds would warn about each
other.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTENSIONS = ROOT / "book" / "_ext"


class BuildError(Exception):
    """Sphinx stopped, or warned; the text is what it said."""


def build(source: Path, pages: dict[str, str], *, extensions: list[str], **settings) -> Path:
    """Write ``pages`` (path under ``source`` to text), build them, return the folder of HTML.

    ``settings`` are what a ``conf.py`` would set. Raises ``BuildError`` on any error or warning.
    """
    for name, text in pages.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text, encoding="utf-8")
    settings = {
        "extensions": extensions,
        "root_doc": "index",
        "exclude_patterns": ["_build"],
        "suppress_warnings": ["config.cache"],
        **settings,
    }
    lines = [f"import sys; sys.path.insert(0, {str(EXTENSIONS)!r})"]
    lines += [f"{key} = {value!r}" for key, value in settings.items()]
    (source / "conf.py").write_text("\n".join(lines))
    out = source / "_build"
    sphinx = [sys.executable, "-m", "sphinx", "-q", "--no-color", "-d", str(out / "doctrees")]
    command = [*sphinx, str(source), str(out / "html")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode or done.stderr:
        raise BuildError(done.stderr)
    return out / "html"


def widget_book(folder: Path, pages: dict[str, str]) -> Path:
    """Build ``pages`` with the book's theme, the widgets and the records.

    Returns the folder of HTML.
    """
    for part in ("utils/widgets", "records"):
        shutil.copytree(ROOT / part, folder / part)
    return build(
        folder,
        pages,
        extensions=["myst_nb", "course_widgets", "course_book"],
        nb_execution_mode="off",
        nb_ipywidgets_js={},
        nb_mime_priority_overrides=[["html", "application/vnd.jupyter.widget-view+json", None]],
        html_theme="sphinx_book_theme",
        html_context={"default_mode": "auto"},
        exclude_patterns=["_build", "records"],
    )


def notebook(*cells: dict) -> str:
    """A notebook of ``cells``, as text."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps(
        {"cells": list(cells), "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    )


def code_cell(id: str, *outputs: dict, metadata: dict | None = None) -> dict:
    """An executed code cell whose outputs hold ``outputs`` (MIME type to data)."""
    shown = [{"output_type": "display_data", "data": data, "metadata": {}} for data in outputs]
    cell = {
        "cell_type": "code",
        "id": id,
        "metadata": metadata or {},
        "source": "x",
        "execution_count": 1,
    }
    return {**cell, "outputs": shown}
