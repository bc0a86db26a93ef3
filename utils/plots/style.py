"""The course's figure style: one palette, one size of text, bands for seeds, plain tick labels.

Figures stand on a white ground, which the book's dark theme replaces (`book/_ext/figures.py`).
Colours are Okabe and Ito's (2008) colour-blind-safe set, four of them darkened until each has a
contrast of 3 or more on white, and always paired with a second cue (marker, line style or a label)
where two curves cross. Alt text and captions are cell metadata,
not arguments: a notebook states them where the page builder looks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from utils.plots.vector import show_vectors
from utils.validate import choice, require

COLORS = {
    "blue": "#0072B2",
    "orange": "#D55E00",
    "green": "#00875F",
    "purple": "#B8548B",
    "sky": "#2E8BC0",
    "yellow": "#A87000",
    "black": "#000000",
    "grey": "#767676",
}
# The order in which matplotlib hands colours to the curves of a figure: "C0" is blue, "C1" orange.
CYCLE = [COLORS[c] for c in ("blue", "orange", "green", "purple", "yellow", "sky", "black")]

PANEL_WIDTH = 6.4  # inches, of a figure with one panel
SHARED_PANEL_WIDTH = 5.2  # inches, of each panel where several stand side by side
PANEL_HEIGHT = 4.0


# ---- the style and the canvas ---------------------------------------------------------------


def use_course_style() -> None:
    """Set matplotlib's defaults for every figure that follows, and show figures as drawings."""
    show_vectors()
    plt.rcParams.update(
        {
            "figure.figsize": (PANEL_WIDTH, PANEL_HEIGHT),
            "figure.dpi": 120,
            "savefig.facecolor": "white",
            "figure.facecolor": "white",
            "figure.constrained_layout.use": True,
            # Large on purpose: at phone width a figure is drawn at half its size.
            "font.size": 12.5,
            "axes.titlesize": 13,
            "legend.fontsize": 11,
            "legend.frameon": False,
            "axes.prop_cycle": cycler(color=CYCLE),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#e4e4e4",
            "grid.linewidth": 0.8,
            "lines.linewidth": 2.0,
            "lines.markersize": 5,
        }
    )


def figure(columns: int = 1, rows: int = 1, **options: Any) -> tuple[Figure, Any]:
    """A figure of ``rows`` × ``columns`` panels, each a comfortable size to read.

    options: anything that ``plt.subplots`` takes. Returns the figure and its axes: one ``Axes``, or
    an array of them where there are several panels.
    """
    width = PANEL_WIDTH if columns == 1 else SHARED_PANEL_WIDTH * columns
    size = (width, PANEL_HEIGHT * rows)
    return plt.subplots(rows, columns, **{"figsize": size, **options})


# ---- what a figure shows --------------------------------------------------------------------


def band(
    ax: Axes,
    x: Sequence[float] | np.ndarray,
    runs: Any,
    label: str,
    *,
    color: str | None = None,
    style: str = "o-",
) -> Line2D:
    """Draw the mean over seeds as a line and the range from least to greatest as a band.

    x: shape (points,). runs: shape (seeds, points). color: a name in ``COLORS``, or any colour that
    matplotlib knows; by default the next of the cycle. Returns the line.
    """
    runs = np.asarray(runs, dtype=float)
    require(runs.ndim == 2 and runs.shape[1] == len(x), "runs", f"of shape (seeds, {len(x)})", runs)
    if color is not None:
        color = COLORS.get(color, color)
    (line,) = ax.plot(x, runs.mean(0), style, label=label, color=color)
    lowest, highest = runs.min(0), runs.max(0)  # (points,)
    ax.fill_between(x, lowest, highest, color=line.get_color(), alpha=0.18, linewidth=0)
    return line


def mark_level(ax: Axes, value: float, axis: str = "y", **line: Any) -> None:
    """Draw a dashed grey line across the panel: a level to compare with, such as guessing.

    axis: the axis that ``value`` is read on. line: what is to look different (``color``, ``ls``,
    ``lw``), or a ``label``.
    """
    choice("axis", axis, ("x", "y"))
    look = {"color": COLORS["grey"], "ls": "--", "lw": 1.2, **line}
    if axis == "y":
        ax.axhline(value, **look)
    else:
        ax.axvline(value, **look)


def mark_threshold(ax: Axes, x: float, label: str = "interpolation threshold") -> None:
    """Draw a dotted vertical line where the model first fits its training set exactly."""
    ax.axvline(x, color=COLORS["grey"], linestyle=":", linewidth=1.5)
    ax.annotate(
        label,
        (x, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        fontsize=10.5,
        color="#555555",
    )


def mark_phases(ax: Axes, valley: float, peak: float) -> None:
    """Shade and name the three phases of a measured double descent curve.

    valley: x of the first minimum. peak: x of the maximum after it. The rise between the two still
    belongs to the classical U-shaped curve; the second descent begins at the peak.
    """
    require(valley < peak, "valley", f"left of the peak at {peak:g}", valley)
    left, right = ax.get_xlim()
    spans = [
        (left, valley, "initial\ndescent", "blue"),
        (valley, peak, "rise to the\nthreshold", "orange"),
        (peak, right, "second\ndescent", "green"),
    ]
    log = ax.get_xscale() == "log"
    for low, high, name, color in spans:
        ax.axvspan(low, high, color=COLORS[color], alpha=0.07, linewidth=0)
        middle = np.sqrt(low * high) if log else (low + high) / 2
        ax.annotate(
            name,
            (middle, 0.98),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="top",
            fontsize=10.5,
            color="#333333",
        )
    ax.set_xlim(left, right)  # the shading would widen the axis


# ---- what stands at the ticks ---------------------------------------------------------------


def plain_ticks(
    ax: Axes,
    values: Sequence[float] | np.ndarray,
    axis: str = "x",
    *,
    minor: bool = False,
    **text: Any,
) -> None:
    """Label a logarithmic axis at ``values``, written as plain numbers (0.1, 2, 1000).

    minor: whether the small ticks between the labels stay. text: the labels' look (``fontsize``).
    """
    which = _axis(ax, axis)
    which.set_ticks(values, [f"{value:g}" for value in values], **text)
    if not minor:
        which.set_ticks([], minor=True)


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Name the rows 0, 1, 2, … of a chart that has one row per name on its vertical axis."""
    ax.set_yticks(range(len(names)), names)


def _axis(ax: Axes, name: str) -> Axis:
    """The horizontal or the vertical axis of a panel, by its letter."""
    choice("axis", name, ("x", "y"))
    return ax.xaxis if name == "x" else ax.yaxis
