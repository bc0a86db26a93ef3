"""Write the repository's address everywhere it stands: ``make set-repository URL=https://…``.

An empty address takes it out again. No torch is needed.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from utils.validate import require

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = re.compile(r"https://[\w.-]+/[\w.-]+/[\w.-]+")
CONFIG_LINE = re.compile(r'^  url: ".*"$', re.MULTILINE)
SETUP_LINE = re.compile(r'^COURSE_REPO = os\.environ\.get\("COURSE_REPO", ".*"\)$', re.MULTILINE)


def set_repository(url: str, root: Path = ROOT) -> list[Path]:
    """Set the address in ``_config.yml`` and in every notebook's setup cell; return the files changed.

    Raises ``ValueError`` if ``url`` is neither empty nor ``https://host/owner/name``.
    """
    url = url.rstrip("/").removesuffix(".git")
    require(not url or ADDRESS.fullmatch(url) is not None, "URL", "https://host/owner/name, or empty", url)
    setup_line = f'COURSE_REPO = os.environ.get("COURSE_REPO", "{url}")'
    changed = []
    for path, pattern, line in (
        (root / "_config.yml", CONFIG_LINE, f'  url: "{url}"'),
        (root / "notebooks" / "setup_cell.py", SETUP_LINE, setup_line),
    ):
        text = path.read_text(encoding="utf-8")
        if len(pattern.findall(text)) != 1:
            raise ValueError(f"{path.name} must hold the address on one line, found {pattern.findall(text)}")
        changed += _write(path, text, pattern.sub(line, text))
    setup = (root / "notebooks" / "setup_cell.py").read_text(encoding="utf-8").rstrip()
    for path in sorted((root / "notebooks").rglob("*.ipynb")):
        text = path.read_text(encoding="utf-8")
        notebook = json.loads(text)
        for cell in notebook["cells"]:
            if "course-setup" in cell["metadata"].get("tags", []):
                cell["source"] = setup.splitlines(keepends=True)
        changed += _write(path, text, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    return changed


def _write(path: Path, old: str, new: str) -> list[Path]:
    if old == new:
        return []
    path.write_text(new, encoding="utf-8")
    return [path]


if __name__ == "__main__":
    for file in set_repository(sys.argv[1] if len(sys.argv) > 1 else ""):
        print(file.relative_to(ROOT))
