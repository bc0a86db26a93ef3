"""``{rehearsal-table}``: every notebook in an environment like Colab's, as it was last rehearsed.

Made with every build from ``records/colab/rehearsal.json``, which the command
``python -m utils.book.rehearsal`` writes. What has not been rehearsed is a dash.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parents[2]))  # the course's own library
from conclusions_table import link_to, plain, short

from utils import records
from utils.book.conclusions import code_digest, name_of
from utils.book.notebooks import all_notebooks

RECORD = "colab/rehearsal"
SCALES = ("cpu", "colab")
HEAD = "| notebook | small scale, s | Colab's scale, s | conclusions | widgets |"
RULE = "|---|---:|---:|---:|---:|"


def told(run: dict[str, Any] | None, code: str) -> str:
    """One run of a notebook: its seconds, or what went wrong.

    code: the digest of the notebook's present code (`utils.book.conclusions.code_digest`).

    >>> [told(None, "a"), told({"seconds": 61.4, "error": None, "code": "a"}, "a")]
    ['–', '61']
    >>> told({"seconds": 61.4, "error": None, "code": "b"}, "a")
    '61, before its last change'
    >>> told({"error": "AssertionError: x", "code": "a"}, "a")
    'AssertionError: x'
    """
    if run is None:
        return "–"
    if run["error"]:
        return plain(run["error"])
    changed = "" if run["code"] == code else ", before its last change"
    return f"{run['seconds']:.0f}{changed}"


def summary(passed: dict[str, int], tried: dict[str, int], widgets: dict[str, str]) -> str:
    """How many notebooks passed of those tried at each scale, and how many tests of the widgets.

    >>> summary({"cpu": 3, "colab": 1}, {"cpu": 4, "colab": 1}, {"a": "passed", "b": "failed"})
    "3 of 4 notebooks passed at the small scale and 1 of 1 at Colab's; of 2 tests of widgets, 1."
    """
    told = f"{passed['cpu']} of {tried['cpu']} notebooks passed at the small scale"
    told += f" and {passed['colab']} of {tried['colab']} at Colab's"
    n_answered = sum(outcome == "passed" for outcome in widgets.values())
    return told + (f"; of {len(widgets)} tests of widgets, {n_answered}." if widgets else ".")


def table(data: dict[str, Any], notebooks: list[Path], page_folder: Path) -> str:
    """The rows as Markdown, one per notebook, below a sentence that counts what passed."""
    runs = data.get("notebooks", {})
    lines = [HEAD, RULE]
    passed = dict.fromkeys(SCALES, 0)
    tried = dict.fromkeys(SCALES, 0)
    for notebook in notebooks:
        found = runs.get(name_of(notebook), {})
        for scale in SCALES:
            tried[scale] += scale in found
            passed[scale] += scale in found and not found[scale]["error"]
        best = found.get("colab") or found.get("cpu") or {}
        cells = [
            link_to(notebook, page_folder, short(notebook)),
            *(told(found.get(scale), code_digest(notebook)) for scale in SCALES),
            str(best.get("conclusions", "–")),
            str(best.get("widgets", "–")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    counted = summary(passed, tried, data.get("widgets", {}))
    return "\n".join([counted, "", *lines])


class RehearsalTable(SphinxDirective):
    """The table, made anew with every build."""

    def run(self) -> list[nodes.Node]:
        """Parse the Markdown of `table` in place."""
        page = Path(self.env.doc2path(self.env.docname))
        path = records.path_of(RECORD)
        self.env.note_dependency(str(path))
        for notebook in all_notebooks():
            self.env.note_dependency(str(notebook))
        data = records.load(RECORD).data if path.exists() else {}
        text = table(data, all_notebooks(), page.parent)
        holder = nodes.container(classes=["rehearsal-table"])
        lines = StringList(text.splitlines(), source="rehearsal-table")
        self.state.nested_parse(lines, self.content_offset, holder)
        return [holder]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("rehearsal-table", RehearsalTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
