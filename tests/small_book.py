"""Build a small book with the course's own extensions, in a process of its own.

Sphinx keeps docutils' registries between builds in one process, so two builds would warn about each
other. Importing it takes longer than a small build, so one process does that and then splits off a
new one for each build (``python -m tests.small_book``).
"""

from __future__ import annotations

import functools
import json
import os
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
    out.mkdir(exist_ok=True)
    options = ["-q", "--no-color", "-d", str(out / "doctrees")]
    status, said = sphinx([*options, str(source), str(out / "html")], out / "said.txt")
    if status or said:
        raise BuildError(said)
    return out / "html"


def sphinx(arguments: list[str], log: Path) -> tuple[int, str]:
    """Run ``sphinx-build`` in a new process: its exit status, and what it wrote on stderr."""
    builder = _builder()
    builder.stdin.write(json.dumps([arguments, str(log)]) + "\n")
    builder.stdin.flush()
    status = builder.stdout.readline()
    return int(status), log.read_text(encoding="utf-8")


def sphinx_in_german(arguments: list[str], log: Path) -> tuple[int, str]:
    """Run ``sphinx-build`` with the extensions' words in German."""
    command = [sys.executable, "-m", "sphinx", *arguments]
    environment = os.environ | {"COURSE_LANGUAGE": "de"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    return done.returncode, done.stderr


@functools.cache
def _builder() -> subprocess.Popen[str]:
    """The process that splits off one for each build. It ends when its input does, with ours."""
    command = [sys.executable, "-m", "tests.small_book"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)


def _build_what_is_asked() -> None:
    """Read one build a line, and write its exit status."""
    import myst_nb.sphinx_ext  # noqa: F401
    import sphinx_book_theme  # noqa: F401
    from sphinx.cmd.build import main

    for line in sys.stdin:
        arguments, log = json.loads(line)
        process = os.fork()
        if process == 0:
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), sys.stderr.fileno())
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(main(arguments))
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


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


if __name__ == "__main__":
    _build_what_is_asked()
