"""Training: the loop, its settings, checkpoints, and many small networks at once."""

from utils.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "loop": ["batch", "evaluate", "train"],
        "config": ["TrainConfig", "TrainState"],
        "checkpoints": ["load_checkpoint", "save_checkpoint"],
        "ensembles": ["Sweep", "initial_parameters", "n_parameters", "train_sweep"],
    },
)
