"""What the slider of the title page's bars reaches, for Python and for the page.

Building the book reads this file, so it needs neither torch nor anywidget.
"""

from __future__ import annotations

from typing import Any

TEMPERATURES = tuple(n / 20 for n in range(2, 41))  # 0.1, 0.15, … 2
RANGES: dict[str, tuple[float, float]] = {"temperature": (TEMPERATURES[0], TEMPERATURES[-1])}


def page_data() -> dict[str, Any]:
    """What the bars' JavaScript needs, as plain data that JSON can hold."""
    return {"TEMPERATURES": list(TEMPERATURES)}
