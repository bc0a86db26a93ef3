"""utils.plots.vector: what a drawing holds, and that it is the same each time."""

from __future__ import annotations

import json

import matplotlib as mpl
import numpy as np
import pytest

from utils import plots
from utils.plots.vector import MARK, MOST_POINTS

mpl.use("Agg")


@pytest.fixture
def panel():
    fig, ax = plots.figure()
    yield ax
    mpl.pyplot.close(fig)


def only_series(ax) -> dict:
    [told] = plots.numbers(ax.figure)
    [series] = told["series"]
    return series


def test_one_figure_gives_one_text(panel):
    panel.plot([1, 2], [3, 4])
    once = plots.as_svg(panel.figure)
    assert once.startswith("<svg")
    assert once.endswith("</svg>\n")
    assert plots.as_svg(panel.figure) == once


def test_the_numbers_can_be_read_back(panel):
    panel.plot([1, 2], [3, 4], label="a --> b")
    svg = plots.as_svg(panel.figure)
    told = svg[svg.index(MARK) + len(MARK) : svg.rindex(" -->")]
    assert json.loads(told) == plots.numbers(panel.figure)


def test_levels_bands_and_pictures_are_no_series(panel):
    plots.mark_level(panel, 1)
    plots.mark_threshold(panel, 2)
    panel.imshow(np.eye(3))
    assert plots.numbers(panel.figure) == []


def test_a_long_curve_is_thinned_and_rounded(panel):
    panel.plot(np.arange(1000), np.full(1000, 1 / 3))
    series = only_series(panel)
    assert len(series["x"]) == MOST_POINTS
    assert set(series["y"]) == {0.3333}


def test_what_is_not_finite_is_null(panel):
    panel.plot([1, 2, 3], [1, np.nan, np.inf])
    assert only_series(panel)["y"] == [1.0, None, None]


def test_points_and_bars_are_series_by_their_names(panel):
    panel.scatter([1, 2], [3, 4], label="points")
    panel.barh([0, 1], [5, 6], label="bars")
    plots.name_rows(panel, ["first", "second"])
    [told] = plots.numbers(panel.figure)
    assert told["series"] == [
        {"name": "points", "x": [1.0, 2.0], "y": [3.0, 4.0]},
        {"name": "bars", "x": ["first", "second"], "y": [5.0, 6.0]},
    ]


def test_powers_of_ten_at_the_ticks_are_no_names(panel):
    panel.plot([1, 10, 100], [1, 2, 3])
    panel.set_xscale("log")
    panel.figure.canvas.draw()
    assert only_series(panel)["x"] == [1.0, 10.0, 100.0]
