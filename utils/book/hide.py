"""Build the book without any solution: ``make book SOLUTIONS=hide``.

``python -m utils.book.hide [OPTIONS]`` copies what the book is made from into
``_build/without_solutions/source``, takes every solution of an exercise out of the copy, and builds
that. Whatever Sphinx makes of it, pages, search index and copied sources alike, it has never seen a
solution. The pages lie in ``_build/without_solutions/html``. The options go to ``jupyter-book``.

The solutions still stand in the repository, which may be public: this hides them from readers of
these pages, and from nobody else.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from utils.files import write_text
from utils.runtime import repo_root

FOLDER = Path("_build") / "without_solutions"
# What the book is made from.
PARTS = ("_config.yml", "_toc.yml", "genindex.md", "book", "notebooks", "utils", "records")
PARTS += ("requirements.txt", "requirements-book.txt", "requirements-notebooks.txt", "LICENSE")
PARTS += ("CITATION.cff",)

# A directive of MyST, from its fence to the line with the same fence, and the empty lines after it.
SOLUTION = re.compile(
    r"^(?P<indent>[ \t]*)(?P<fence>:{3,}|`{3,}|~{3,})\{solution(?:-start|-end)?\}.*?"
    r"^(?P=indent)(?P=fence)[ \t]*$\n*",
    re.MULTILINE | re.DOTALL,
)


def without_solutions(text: str) -> str:
    """A text in MyST without the solutions in it.

    Raises ``ValueError`` if one begins and does not end.

    >>> print(without_solutions("Ask.\\n\\n:::{solution} ex\\nSecret.\\n:::\\n\\nGo on."))
    Ask.
    <BLANKLINE>
    Go on.
    """
    made = SOLUTION.sub("", text)
    if "{solution" in made:
        line = next(line for line in made.splitlines() if "{solution" in line)
        raise ValueError(f"a solution must end with the fence that it began with, got {line!r}")
    return made


def notebook_without_solutions(text: str) -> str:
    """A notebook, as its JSON, without the solutions in its texts."""
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if cell["cell_type"] != "markdown":
            continue
        source = cell["source"]
        joined = source if isinstance(source, str) else "".join(source)
        cell["source"] = without_solutions(joined).splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def copy_without_solutions(root: Path, to: Path) -> list[Path]:
    """Copy what the book is made from to a new folder, and give the files that held solutions.

    Raises ``ValueError`` in one line, with the file's name, for a solution that does not end.
    """
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    skipped = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "*.lock")
    for name in PARTS:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=skipped)
        elif source.is_file():
            shutil.copy2(source, to / name)
    changed = []
    for path in sorted([*to.rglob("*.ipynb"), *(to / "book").rglob("*.md")]):
        text = path.read_text(encoding="utf-8")
        if "{solution" not in text:
            continue
        strip = notebook_without_solutions if path.suffix == ".ipynb" else without_solutions
        try:
            write_text(path, strip(text))
        except ValueError as error:
            raise ValueError(f"{path.relative_to(to)}: {error}") from None
        changed.append(path.relative_to(to))
    return changed


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    options = sys.argv[1:] if arguments is None else arguments
    root = repo_root()
    source = root / FOLDER / "source"
    html = root / FOLDER / "html"
    try:
        changed = copy_without_solutions(root, source)
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    # The copy's own builder, so that its pages and no others are read.
    command = [sys.executable, "-m", "utils.book.build", "--all", *options]
    done = subprocess.run(command, cwd=source)
    if done.returncode != 0:
        sys.exit(done.returncode)
    shutil.rmtree(html, ignore_errors=True)
    shutil.move(source / "_build" / "html", html)
    print(f"Solutions of {len(changed)} files are left out. Open {FOLDER / 'html' / 'index.html'}.")


if __name__ == "__main__":
    main()
