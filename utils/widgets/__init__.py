"""The course's explorers, a folder each, and the plain sliders of the notebooks.

An explorer is a ``widget.mjs`` (with its parts beside it) and a ``widget.py``. The ``.mjs`` is an
anywidget front-end module (AFM): it runs unchanged in JupyterLab, VS Code and Colab, where the
Python class drives it, and on the book's static pages, where ``book/_ext`` mounts it without a
kernel.
"""

from utils.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "attention_explorer": ["AttentionExplorer"],
        "compression_explorer": ["CompressionExplorer"],
        "compute_explorer": ["ComputeExplorer"],
        "double_descent": ["DoubleDescent"],
        "one_shot_game": ["OneShotGame"],
        "parameter_budget": ["ParameterBudget"],
        "sampling_explorer": ["SamplingExplorer"],
        "solution_path": ["SolutionPath"],
        "temperature_bars": ["TemperatureBars"],
        "sliders": ["Panel", "bars", "coloured", "top_tokens"],
    },
)
