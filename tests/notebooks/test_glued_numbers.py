"""The numbers that the pages paste, fresh against stored.

nbval does not compare cells whose output differs between machines, so while it runs each ``glue``
call also appends its value to the file that ``COURSE_GLUE_LOG`` names; ``make nbval`` sets it.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from utils.book.notebooks import all_notebooks
from utils.runtime import repo_root


def stored() -> dict[str, dict]:
    found = {}
    for path in all_notebooks():
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                scrap = output.get("metadata", {}).get("scrapbook")
                if scrap:
                    shown = output["data"][scrap["mime_prefix"] + "text/plain"]
                    found[scrap["name"]] = {**scrap, "shown": float("".join(shown))}
    return found


@pytest.fixture(scope="module")
def fresh() -> dict[str, dict]:
    log = os.environ.get("COURSE_GLUE_LOG")
    if not log:
        pytest.skip(
            "COURSE_GLUE_LOG is unset: run `make nbval`, which executes the notebooks and sets it"
        )
    lines = Path(log).read_text(encoding="utf-8").splitlines()
    return {entry["name"]: entry for entry in map(json.loads, lines)}


@pytest.mark.parametrize("name", sorted(stored()))
def test_stored_number_agrees_with_a_fresh_run(name, fresh):
    entry = stored()[name]
    assert name in fresh, f"{name} is stored but was not measured when the notebooks ran again"
    new = fresh[name]
    assert entry["shown"] == entry["value"], f"{name}: the number shown is not the number stored"
    # A number without a tolerance is a closed form: only rounding may differ.
    tolerance = {"rel_tol": max(new["rtol"], 1e-9), "abs_tol": new["atol"]}
    assert math.isclose(entry["value"], new["value"], **tolerance), (
        f"{name}: stored {entry['value']}, a fresh run measured {new['value']}"
        f" (allowed: {tolerance})"
    )


def test_every_glued_number_is_pasted():
    """A number that no page shows needs no tolerance and no test; a notebook prints it instead."""
    book = repo_root() / "book"
    sources = [*book.glob("*.md"), book / "claims.json"]  # which the tables of verdicts paste from
    pages = "".join(page.read_text(encoding="utf-8") for page in sources)
    assert [name for name in stored() if f"::{name}:" not in pages] == []
