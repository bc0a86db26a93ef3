"""Write the repository's address everywhere it stands: ``make set-repository URL=https://…``.

It stands in ``_config.yml`` (launch buttons), in the setup cell of every notebook (what Colab
clones) and in ``CITATION.cff``. An empty address takes it out again.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from utils.files import write_text
from utils.runtime import repo_root
from utils.validate import require

ROOT = repo_root()
# Host and owner begin with a letter or digit and the name holds one, so ".." is none of the three.
ADDRESS = re.compile(r"https://\w[\w.-]*(:\d+)?/\w[\w.-]*/[.-]*\w[\w.-]*", re.ASCII)
CONFIG_LINE = re.compile(r'^  url: ".*"$', re.MULTILINE)
SETUP_LINE = re.compile(r'^COURSE_REPO = os\.environ\.get\("COURSE_REPO", ".*"\)$', re.MULTILINE)
CITATION_LINE = re.compile(r"^repository-code: .*\n", re.MULTILINE)


def set_repository(url: str, root: Path = ROOT) -> list[Path]:
    """Write the address ``url`` wherever it stands below ``root``; return the files that changed.

    Raises ``ValueError`` if ``url`` is neither empty nor ``https://host/owner/name``, or if a file
    is not what it should be; then no file is changed.
    """
    url = _checked_address(url)
    config = root / "_config.yml"
    setup_cell = root / "notebooks" / "setup_cell.py"
    citation = root / "CITATION.cff"

    # First every new text, so that a file which cannot be read stops all of them.
    setup_line = f'COURSE_REPO = os.environ.get("COURSE_REPO", "{url}")'
    new_text = {
        config: _with_line(config, CONFIG_LINE, f'  url: "{url}"'),
        setup_cell: _with_line(setup_cell, SETUP_LINE, setup_line),
    }
    for notebook in sorted((root / "notebooks").rglob("*.ipynb")):
        new_text[notebook] = _with_setup_cell(notebook, new_text[setup_cell].rstrip())
    new_text[citation] = _cited_at(citation, url)

    changed = [path for path, text in new_text.items() if text != path.read_text(encoding="utf-8")]
    for path in changed:
        write_text(path, new_text[path])
    return changed


def _checked_address(url: str) -> str:
    """The address without a final slash or ``.git``."""
    allowed = "https://host/owner/name, or empty"
    require(isinstance(url, str), "URL", allowed, url)
    url = url.rstrip("/").removesuffix(".git")
    require(url == "" or ADDRESS.fullmatch(url) is not None, "URL", allowed, url)
    return url


def _with_line(path: Path, pattern: re.Pattern[str], line: str) -> str:
    """The text of a file with ``line`` in place of the one line that matches ``pattern``."""
    text = path.read_text(encoding="utf-8")
    found = pattern.findall(text)
    if len(found) != 1:
        raise ValueError(f"{path.name} must hold the address on one line, found {found}")
    return pattern.sub(line, text)


def _with_setup_cell(path: Path, source: str) -> str:
    """The text of a notebook whose setup cell is ``source``."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if "course-setup" in cell["metadata"].get("tags", []):
                cell["source"] = source.splitlines(keepends=True)
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path.name} must be a Jupyter notebook") from None
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _cited_at(path: Path, url: str) -> str:
    """The text of ``CITATION.cff`` with the address as its last line, or without one."""
    text = CITATION_LINE.sub("", path.read_text(encoding="utf-8"))
    if url:
        text += f'repository-code: "{url}"\n'
    return text


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    purpose = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m utils.book.repository", description=purpose)
    parser.add_argument(
        "url", nargs="?", default="", help="https://host/owner/name; empty takes it out"
    )
    options = parser.parse_args(arguments)
    try:
        changed = set_repository(options.url)
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    for path in changed:
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
