"""Write the repository's address everywhere it stands: ``make set-repository URL=https://…``.

An empty address takes it out again. No torch is needed.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from utils.files import write_text
from utils.runtime import repo_root
from utils.validate import require

ROOT = repo_root()
# Host and owner begin with a letter or digit, the name holds one: "..", which leads elsewhere, is none.
ADDRESS = re.compile(r"https://\w[\w.-]*(:\d+)?/\w[\w.-]*/[.-]*\w[\w.-]*", re.ASCII)
CONFIG_LINE = re.compile(r'^  url: ".*"$', re.MULTILINE)
SETUP_LINE = re.compile(r'^COURSE_REPO = os\.environ\.get\("COURSE_REPO", ".*"\)$', re.MULTILINE)


def set_repository(url: str, root: Path = ROOT) -> list[Path]:
    """Set the address in ``_config.yml`` and in every notebook's setup cell; return the files changed.

    Raises ``ValueError`` if ``url`` is neither empty nor ``https://host/owner/name``, or if a file is not
    what it should be; then none is changed.
    """
    require(isinstance(url, str), "URL", "https://host/owner/name, or empty", url)
    url = url.rstrip("/").removesuffix(".git")
    require(
        not url or ADDRESS.fullmatch(url) is not None,
        "URL",
        "https://host/owner/name, or empty",
        url,
    )
    setup_line = f'COURSE_REPO = os.environ.get("COURSE_REPO", "{url}")'
    changes: list[tuple[Path, str, str]] = []  # each file, its text, and the text it is to have
    for path, pattern, line in (
        (root / "_config.yml", CONFIG_LINE, f'  url: "{url}"'),
        (root / "notebooks" / "setup_cell.py", SETUP_LINE, setup_line),
    ):
        text = path.read_text(encoding="utf-8")
        if len(pattern.findall(text)) != 1:
            raise ValueError(
                f"{path.name} must hold the address on one line, found {pattern.findall(text)}"
            )
        changes.append((path, text, pattern.sub(line, text)))
    setup = changes[-1][2].rstrip()
    for path in sorted((root / "notebooks").rglob("*.ipynb")):
        text = path.read_text(encoding="utf-8")
        try:
            notebook = json.loads(text)
            for cell in notebook["cells"]:
                if "course-setup" in cell["metadata"].get("tags", []):
                    cell["source"] = setup.splitlines(keepends=True)
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path.name} must be a Jupyter notebook") from None
        changes.append((path, text, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"))
    changes = [change for change in changes if change[1] != change[2]]
    for path, _, new in changes:
        write_text(path, new)
    return [path for path, _, _ in changes]


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m utils.book.repository", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "url", nargs="?", default="", help="https://host/owner/name; empty takes it out"
    )
    options = parser.parse_args(arguments)
    try:
        changed = set_repository(options.url)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    for path in changed:
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
