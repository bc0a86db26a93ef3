"""utils.plots draws on the axis that was named, and labels nothing else."""

import matplotlib as mpl
import numpy as np
import pytest

from utils import plots

mpl.use("Agg")


def labels_of(axis, minor: bool = False) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels(minor=minor)]


@pytest.mark.parametrize("axis", ["x", "y"])
def test_plain_ticks_label_one_axis(axis):
    _, ax = plots.figure()
    plots.plain_ticks(ax, [0.1, 2, 1000], axis)
    assert labels_of(ax.xaxis if axis == "x" else ax.yaxis) == ["0.1", "2", "1000"]
    with pytest.raises(ValueError, match="^axis must be one of 'x', 'y', got 'z'$"):
        plots.plain_ticks(ax, [1], "z")


def test_plain_ticks_keep_the_minor_ones_when_asked():
    _, (cleared, kept) = plots.figure(2)
    for ax, minor in ((cleared, False), (kept, True)):
        ax.set(xscale="log", xlim=(1, 100))
        plots.plain_ticks(ax, np.array([1, 10, 100]), minor=minor, fontsize=9)
    assert len(cleared.get_xticks(minor=True)) == 0
    assert len(kept.get_xticks(minor=True)) > 0
    assert {label.get_fontsize() for label in kept.get_xticklabels()} == {9}


def test_name_rows_counts_from_zero():
    _, ax = plots.figure()
    plots.name_rows(ax, ["first", "second"])
    assert list(ax.get_yticks()) == [0, 1]
    assert labels_of(ax.yaxis) == ["first", "second"]


def test_mark_level_draws_across_the_panel():
    _, ax = plots.figure()
    plots.mark_level(ax, 0.9)
    plots.mark_level(ax, 3, "x", ls=":", lw=1.5, label="here")
    across, down = ax.lines
    assert list(across.get_ydata()) == [0.9, 0.9]
    assert (across.get_linestyle(), across.get_color()) == ("--", plots.COLORS["grey"])
    assert list(down.get_xdata()) == [3, 3]
    assert (down.get_linestyle(), down.get_linewidth(), down.get_label()) == (":", 1.5, "here")
    with pytest.raises(ValueError, match="^axis must be one of 'x', 'y', got 'z'$"):
        plots.mark_level(ax, 1, "z")


def test_band_draws_the_mean_and_the_range():
    _, ax = plots.figure()
    line = plots.band(ax, [1, 2], [[0, 1], [2, 5]], "error", color="green", style="s-")
    assert list(line.get_ydata()) == [1, 3]
    assert line.get_color() == plots.COLORS["green"]
    low, high = ax.collections[0].get_datalim(ax.transData).intervaly
    assert (low, high) == (0, 5)
    with pytest.raises(ValueError, match=r"^runs must be of shape \(seeds, 2\), got an array"):
        plots.band(ax, [1, 2], np.ones(2), "error")


def test_figures_have_one_comfortable_size():
    one, _ = plots.figure()
    two_by_two, axes = plots.figure(2, 2)
    assert tuple(one.get_size_inches()) == (6.4, 4.0)
    assert tuple(two_by_two.get_size_inches()) == (10.4, 8.0)
    assert axes.shape == (2, 2)
