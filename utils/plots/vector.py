"""Figures as vector drawings (SVG) that carry the numbers they show.

A drawing is sharp at any size, and the book can give it the colours of its dark theme. The numbers
stand in a comment at its end, as JSON, and become the table behind "show the numbers".
"""

from __future__ import annotations

import io
import json
import re
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

MARK = "<!-- numbers: "  # what the comment begins with; the book looks for it
MOST_POINTS = 40  # of a series in the table; a longer one is thinned evenly
DIGITS = 4  # significant ones

_IS_NUMBER = re.compile(r"(\\times|[-−+.,\d${}^× ])+")  # as matplotlib writes one at a tick
_LONG_FRACTION = re.compile(r"-?\d+\.\d{4,}")  # a coordinate to more digits than a screen has


def show_vectors() -> None:
    """Make the running notebook show figures as SVG; outside a notebook nothing changes."""
    try:
        from IPython.core.getipython import get_ipython
        from matplotlib_inline import backend_inline
    except ImportError:
        return
    shell = get_ipython()
    display: Any = None if shell is None else shell.display_formatter
    if display is None:
        return
    backend_inline.set_matplotlib_formats("svg")
    display.formatters["image/svg+xml"].for_type(Figure, as_svg)


def as_svg(fig: Figure) -> str:
    """The figure as SVG, the same text for the same figure, with its ``numbers`` in a comment."""
    drawn = io.StringIO()
    # Letters as shapes: a reader's fonts would be wider or narrower than ours. The salt makes the
    # names of the parts the same in each run.
    with plt.rc_context({"svg.fonttype": "path", "svg.hashsalt": "overparameterized"}):
        fig.savefig(drawn, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = drawn.getvalue()
    text = text[text.index("<svg") :]  # without the XML declaration, so that it can stand in a page
    text = _LONG_FRACTION.sub(lambda found: f"{float(found[0]):.3f}", text)

    told = json.dumps(numbers(fig), ensure_ascii=False).replace("--", "\\u002d\\u002d")
    return text.replace("</svg>", f"{MARK}{told} -->\n</svg>")


def numbers(fig: Figure) -> list[dict[str, Any]]:
    """What each panel of a figure shows: its ``title``, ``x`` and ``y`` labels and its ``series``.

    A series has a ``name`` and the lists ``x`` and ``y``, to four digits, of at most 40 points.
    Levels, bands and pictures are left out, and so is a panel without a series.
    """
    panels = []
    for ax in fig.axes:
        series = _lines(ax) + _points(ax) + _bars(ax)
        if series:
            names = {"title": ax.get_title(), "x": ax.get_xlabel(), "y": ax.get_ylabel()}
            panels.append({**names, "series": series})
    return panels


def _lines(ax: Axes) -> list[dict[str, Any]]:
    """The curves of a panel. A level across it is no curve: one of its axes is not the data's."""
    found = []
    for line in ax.get_lines():
        if isinstance(line, Line2D) and line.get_transform() == ax.transData:
            x = np.atleast_1d(line.get_xdata())
            y = np.atleast_1d(line.get_ydata())
            found.append(_series(ax, line.get_label(), x, y))
    return found


def _points(ax: Axes) -> list[dict[str, Any]]:
    """The scattered points of a panel."""
    found = []
    for points in ax.collections:
        if isinstance(points, PathCollection):
            places = np.ma.filled(points.get_offsets(), np.nan)  # (points, 2)
            found.append(_series(ax, points.get_label(), places[:, 0], places[:, 1]))
    return found


def _bars(ax: Axes) -> list[dict[str, Any]]:
    """The bars of a panel; x is where each stands, or what is written there."""
    found = []
    for bars in ax.containers:
        if isinstance(bars, BarContainer):
            upright = bars.orientation == "vertical"
            x = [b.get_x() + b.get_width() / 2 for b in bars.patches]
            y = [b.get_y() + b.get_height() / 2 for b in bars.patches]
            places = x if upright else y
            lengths = [b.get_height() if upright else b.get_width() for b in bars.patches]
            found.append(_series(ax, bars.get_label(), places, lengths, "x" if upright else "y"))
    return found


def _series(ax: Axes, label: Any, x: Any, y: Any, named: str = "x") -> dict[str, Any]:
    """One series, thinned and rounded. named: the axis whose labels may name the places ``x``."""
    names = _tick_names(ax, named)
    every = max(1, -(-len(x) // MOST_POINTS))  # rounded up
    at = [names.get(_rounded(place), _rounded(place)) for place in x[::every]]
    name = str(label)
    return {
        "name": "" if name.startswith("_") else name,
        "x": at,
        "y": [_rounded(value) for value in y[::every]],
    }


def _tick_names(ax: Axes, axis: str) -> dict[Any, str]:
    """What is written at which place, where that is no number: the names of bars and rows."""
    which = ax.xaxis if axis == "x" else ax.yaxis
    texts = [label.get_text() for label in which.get_ticklabels()]
    names = {}
    for place, text in zip(which.get_ticklocs(), texts, strict=False):
        if text and not _IS_NUMBER.fullmatch(text.replace(r"\mathdefault", "")):
            names[_rounded(place)] = text
    return names


def _rounded(value: Any) -> Any:
    """A number to ``DIGITS`` significant digits; None for one that is not finite."""
    if isinstance(value, str):
        return value
    number = float(value)
    return float(f"{number:.{DIGITS}g}") if np.isfinite(number) else None
