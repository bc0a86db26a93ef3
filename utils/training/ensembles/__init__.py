"""Many small networks trained at once: a sweep over widths, seeds and weight decays."""

from utils.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "batch": ["initial_parameters", "n_parameters"],
        "sweep": ["LOSSES", "SCHEDULES", "Sweep", "buckets", "train_sweep"],
    },
)
