"""The old name of ``experiments.implicit_regularization.cnn_dynamics``."""

from utils.moved import tell

tell("utils.cnn_dynamics", "experiments.implicit_regularization.cnn_dynamics")
