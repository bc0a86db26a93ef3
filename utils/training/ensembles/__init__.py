"""Many small networks trained at once: a sweep over widths, seeds and weight decays."""

from utils.training.ensembles.batch import initial_parameters, n_parameters
from utils.training.ensembles.sweep import LOSSES, SCHEDULES, Sweep, buckets, train_sweep

__all__ = [
    "LOSSES",
    "SCHEDULES",
    "Sweep",
    "buckets",
    "initial_parameters",
    "n_parameters",
    "train_sweep",
]
