"""utils.plots draws on the axis that was named."""

import matplotlib as mpl
import pytest

from utils import plots

mpl.use("Agg")


@pytest.mark.parametrize("axis", ["x", "y"])
def test_plain_ticks_label_one_axis(axis):
    _, ax = plots.figure()
    plots.plain_ticks(ax, [0.1, 2, 1000], axis)
    labels = ax.get_xticklabels() if axis == "x" else ax.get_yticklabels()
    assert [label.get_text() for label in labels] == ["0.1", "2", "1000"]
    with pytest.raises(ValueError, match="^axis must be one of 'x', 'y', got 'z'$"):
        plots.plain_ticks(ax, [1], "z")
