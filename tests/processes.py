"""Whether a process that a test has left behind still runs."""

from __future__ import annotations

import os
import time


def require_ended(process: int) -> None:
    """Raise ``AssertionError`` unless the process ends, or has ended, within ten seconds."""
    for _ in range(100):  # the system may need a moment to bury it
        if not is_running(process):
            return
        time.sleep(0.1)
    raise AssertionError(f"process {process} still runs")


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)  # no signal: only asks whether one could be sent
    except ProcessLookupError:
        return False
    return True
