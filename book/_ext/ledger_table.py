"""``{ledger-table}``: every forecast of the ledger with its interval and its outcome.

Made anew with every build from the files in ``records/forecasts``; a run that answers no forecast,
because one of the two was changed, ends the build.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parents[2]))  # the course's own library
from utils.runtime import repo_root

HEAD = "| run | forecast | interval | outcome | miss, % | holds | N, M | D, M | steps |"
RULE = "|---|---:|---|---:|---:|---|---:|---:|---:|"


class LedgerError(SphinxError):
    """A forecast and its run do not belong together. Always ends the build."""

    category = "Forecast ledger"


def rows(folder: Path) -> list[dict[str, Any]]:
    """The ledger of ``folder``, a row per forecast, by training tokens and then by name.

    Each row has the name, the configuration, the forecast with its interval and level, and the
    outcome, None for a run that has not been made. Raises ``LedgerError`` for a run that answers no
    forecast.
    """
    runs = {}
    for path in (folder / "runs").glob("*.json"):
        content = _read(path)
        runs[content["provenance"]["forecast_sha256"]] = content["data"]
    found = []
    for path in folder.glob("*.json"):
        forecast = _read(path)["data"]
        run = runs.pop(hashlib.sha256(path.read_bytes()).hexdigest(), None)
        row = {name: forecast[name] for name in ("loss", "low", "high", "level")}
        row |= {"name": path.stem, "tokens": forecast["run"]["tokens"], "outcome": None}
        if run is not None:
            row |= {"n_params": run["result"]["n_params"], "outcome": run["result"]["val_loss"]}
            row["steps"] = run["result"]["val_curve"][-1]["step"]
        found.append(row)
    if runs:
        raise LedgerError(f"{len(runs)} runs in {folder.name} answer no forecast: was one changed?")
    return sorted(found, key=lambda row: (row["tokens"], row["name"]))


def table(found: list[dict[str, Any]]) -> str:
    """The rows as Markdown, and under them how many intervals hold."""
    lines = [HEAD, RULE]
    made = [row for row in found if row["outcome"] is not None]
    for row in found:
        forecast = f"{row['loss']:.3f} | {row['low']:.3f}–{row['high']:.3f}"
        tokens = f"{row['tokens'] / 1e6:.1f}"
        if row["outcome"] is None:
            lines.append(f"| {row['name']} | {forecast} | not made yet | | | | {tokens} | |")
            continue
        miss = f"{100 * (row['loss'] / row['outcome'] - 1):+.2f}".replace("-", "−")
        holds = "yes" if _holds(row) else "**no**"
        lines.append(
            f"| {row['name']} | {forecast} | {row['outcome']:.3f} | {miss} | {holds} "
            f"| {row['n_params'] / 1e6:.2f} | {tokens} | {row['steps']} |"
        )
    n_held = sum(_holds(row) for row in made)
    levels = sorted({row["level"] for row in found})
    told = " and ".join(f"{level:.0%}".replace("%", " %") for level in levels)
    lines += ["", f"Of {len(made)} intervals of {told}, {n_held} hold the outcome."]
    return "\n".join(lines)


def _holds(row: dict[str, Any]) -> bool:
    return row["low"] <= row["outcome"] <= row["high"]


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


class LedgerTable(SphinxDirective):
    """The table, made anew with every build."""

    def run(self) -> list[nodes.Node]:
        """Parse the Markdown of `table` in place."""
        folder = repo_root() / "records" / "forecasts"
        for path in folder.rglob("*.json"):
            self.env.note_dependency(str(path))
        text = StringList(table(rows(folder)).splitlines(), source="ledger-table")
        holder = nodes.container(classes=["ledger-table"])
        self.state.nested_parse(text, self.content_offset, holder)
        return [holder]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("ledger-table", LedgerTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
