"""The course's figure style: one palette, one size of text, bands for seeds.

Figures are saved on an opaque white ground, so that they read the same on a light and on a dark
page. Colours are Okabe and Ito's (2008) colour-blind-safe set, always paired with a second cue
(marker, line style or a label) where two curves cross. Alt text and captions are cell metadata,
not arguments: a notebook states them where the page builder looks for them.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.validate import choice, require

COLORS = {
    "blue": "#0072B2",
    "orange": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "yellow": "#E69F00",
    "black": "#000000",
    "grey": "#767676",
}
CYCLE = [COLORS[c] for c in ("blue", "orange", "green", "purple", "yellow", "sky", "black")]


def use_course_style() -> None:
    """Set matplotlib's defaults for every figure that follows."""
    plt.rcParams.update(
        {
            "figure.figsize": (6.4, 4.0),
            "figure.dpi": 120,
            "savefig.facecolor": "white",
            "figure.facecolor": "white",
            "figure.constrained_layout.use": True,
            # Large on purpose: at phone width a figure is drawn at half its size.
            "font.size": 12.5,
            "axes.titlesize": 13,
            "legend.fontsize": 11,
            "legend.frameon": False,
            "axes.prop_cycle": plt.cycler(color=CYCLE),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#e4e4e4",
            "grid.linewidth": 0.8,
            "lines.linewidth": 2.0,
            "lines.markersize": 5,
        }
    )


def figure(columns: int = 1, rows: int = 1, **options) -> tuple[Figure, Axes | np.ndarray]:
    """A figure of ``rows`` × ``columns`` panels, each a comfortable size to read."""
    size = (6.4 if columns == 1 else 5.2 * columns, 4.0 * rows)
    return plt.subplots(rows, columns, **{"figsize": size, **options})


def band(
    ax: Axes,
    x: np.ndarray,
    runs: np.ndarray,
    label: str,
    *,
    color: str | None = None,
    style: str = "o-",
):
    """Draw the mean over seeds as a line and the range from least to greatest as a band.

    x: shape (points,). runs: shape (seeds, points). Returns the line.
    """
    runs = np.asarray(runs, dtype=float)
    require(runs.ndim == 2 and runs.shape[1] == len(x), "runs", f"of shape (seeds, {len(x)})", runs)
    (line,) = ax.plot(x, runs.mean(0), style, label=label, color=COLORS.get(color, color))
    ax.fill_between(x, runs.min(0), runs.max(0), color=line.get_color(), alpha=0.18, linewidth=0)
    return line


def plain_ticks(ax: Axes, values: list[float], axis: str = "x") -> None:
    """Label a logarithmic axis at ``values``, written as plain numbers (0.1, 2, 1000) and nowhere else."""
    choice("axis", axis, ("x", "y"))
    which = ax.xaxis if axis == "x" else ax.yaxis
    which.set_ticks(values, [f"{value:g}" for value in values])
    which.set_ticks([], minor=True)


def mark_threshold(ax: Axes, x: float, label: str = "interpolation threshold") -> None:
    """A dotted vertical line where the model first fits its training set exactly."""
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
    ax.set_xlim(left, right)
