"""The double-descent explorer in a notebook; on the book's pages ``widget.mjs`` runs alone."""

from __future__ import annotations

import traitlets as t

from utils.widgets.double_descent.settings import RANGES
from utils.widgets.shared.base import CourseWidget, setting


class DoubleDescent(CourseWidget):
    """Guess the curve of the test error, then drag the number of features and see it traced.

    ``DoubleDescent(features=301, traced=301)`` starts from a setting; ``None`` means the explorer's
    own. ``features`` counts Fourier features, ``ridge`` is the penalty, ``noise`` the standard
    deviation of the noise, ``data`` the number of the data set that is drawn, and ``traced`` the
    number of features up to which the error is shown (0: only its beginning). The fits are those of
    `utils.landscape.fourier_fit.fit`.
    Raises ``ValueError`` for what is not a number that the sliders reach.
    """

    module = "double_descent"
    label = "Double-descent explorer"
    limits = RANGES

    features = setting(t.Int)
    ridge = setting(t.Float)
    noise = setting(t.Float)
    data = setting(t.Int)
    traced = setting(t.Int)
