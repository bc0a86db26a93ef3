"""Old names of modules and commands, each of which says where its content is now.

The library was flat before it had rooms: what ``utils.gpt`` held is in ``utils.models`` today, and
the long runs are commands in ``experiments/``. Python asks ``OldNames`` about a module that it has
found nowhere else. So these two tables answer ``from utils.gpt import GPT`` in a reader's own
notebook and ``python -m utils.cnn_sweep`` in a shell, and no stale file stands among the rooms.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder

MODULES = {
    "utils.baselines": "utils.models",
    "utils.budget": "utils.models",
    "utils.checkpoints": "utils.training",
    "utils.cnn_dynamics": "experiments.implicit_regularization.cnn_dynamics",
    "utils.cnn_sweep": "experiments.double_descent.cnn_sweep",
    "utils.corpus": "utils.data",
    "utils.course_card": "experiments.course_gpt.card",
    "utils.course_model": "utils.models",
    "utils.curvature": "utils.landscape",
    "utils.ensembles": "utils.training",
    "utils.features": "utils.landscape",
    "utils.generation": "utils.sampling",
    "utils.gpt": "utils.models",
    "utils.gpt_interop": "utils.models",
    "utils.linear": "utils.landscape",
    "utils.model_card": "experiments.course_gpt",
    "utils.notebooks": "utils.book",
    "utils.pipelines": "utils.sampling",
    "utils.playground": "utils.widgets, utils.sampling and utils.models",
    "utils.repository": "utils.book",
    "utils.solution_path": "utils.landscape.solution_path",
    "utils.train_config": "utils.training",
    "utils.widgets.sampling_data": "experiments.sampling",
}

COMMANDS = {
    "utils.cnn_dynamics": "experiments.implicit_regularization.cnn_dynamics",
    "utils.cnn_sweep": "experiments.double_descent.cnn_sweep",
    "utils.course_card": "experiments.course_gpt.card",
    "utils.course_model": "experiments.course_gpt.train",
    "utils.notebooks": "utils.book.notebooks refresh",
    "utils.repository": "utils.book.repository",
    "utils.widgets.sampling_data": "experiments.sampling.explorer_data",
}


class OldNames(MetaPathFinder):
    """The last finder on ``sys.meta_path``: it finds no module, but knows the old names."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Refuse an old name in one line, and leave every other name alone.

        Raises ``SystemExit`` for a command and ``ModuleNotFoundError`` for an import.
        """
        # While Python looks for the module of ``python -m``, the first argument is "-m".
        is_command = sys.argv[:1] == ["-m"]
        if is_command and fullname in COMMANDS:
            raise SystemExit(f"`python -m {fullname}` is now `python -m {COMMANDS[fullname]}`")
        if fullname in MODULES:
            raise ModuleNotFoundError(f"what {fullname} held is now in {MODULES[fullname]}")
