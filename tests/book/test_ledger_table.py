"""The table of forecasts on the page, made from the files at build time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from ledger_table import LedgerError, rows, table

from tests.small_book import build
from utils.runtime import repo_root

STORED = repo_root() / "records" / "forecasts"


def write(folder: Path, name: str, tokens: int, outcome: float | None) -> None:
    """A forecast of 3.0 in [2.9, 3.1], and its run if there is an outcome."""
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    data = {"run": {"tokens": tokens}, "loss": 3.0, "low": 2.9, "high": 3.1, "level": 0.9}
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"provenance": {}, "data": data}))
    if outcome is None:
        return
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    result = {"n_params": 250_000, "val_loss": outcome, "val_curve": [{"step": 7}]}
    run = {"provenance": {"forecast_sha256": sha256}, "data": {"result": result}}
    (folder / "runs" / f"{name}-run.json").write_text(json.dumps(run))


def test_hits_misses_and_what_was_not_made(tmp_path):
    write(tmp_path, "hit", 2_000_000, 3.05)
    write(tmp_path, "miss", 1_000_000, 3.2)
    write(tmp_path, "later", 3_000_000, None)
    lines = table(rows(tmp_path)).splitlines()
    assert lines[2:5] == [
        "| miss | 3.000 | 2.900–3.100 | 3.200 | −6.25 | **no** | 0.25 | 1.0 | 7 |",
        "| hit | 3.000 | 2.900–3.100 | 3.050 | −1.64 | yes | 0.25 | 2.0 | 7 |",
        "| later | 3.000 | 2.900–3.100 | not made yet | | | | 3.0 | |",
    ]
    assert lines[-1] == "Of 2 intervals of 90 %, 1 hold the outcome."


def test_a_changed_forecast_ends_the_build(tmp_path):
    write(tmp_path, "hit", 2_000_000, 3.05)
    path = tmp_path / "hit.json"
    path.write_text(path.read_text().replace("2.9", "2.8"))
    with pytest.raises(LedgerError, match="1 runs in .* answer no forecast"):
        rows(tmp_path)


def test_the_stored_ledger():
    found = rows(STORED)
    assert len(found) == 24
    assert table(found).splitlines()[-1] == "Of 24 intervals of 90 %, 19 hold the outcome."
    assert [row["name"] for row in found[:3]] == ["short-4", "below-5", "short-3"]


def test_the_page_shows_the_table(tmp_path):
    page = "# Page\n\n```{ledger-table}\n```\n"
    html = build(tmp_path, {"index.md": page}, extensions=["myst_nb", "ledger_table"])
    text = (html / "index.html").read_text(encoding="utf-8")
    assert text.count("<tr") == 25
    assert "beyond-1" in text
