"""The old name of ``experiments.double_descent.cnn_sweep``."""

from utils.moved import tell

tell("utils.cnn_sweep", "experiments.double_descent.cnn_sweep")
