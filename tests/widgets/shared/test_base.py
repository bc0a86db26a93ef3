"""What every widget's Python class does."""

from __future__ import annotations

import ipywidgets

from utils.widgets.parameter_budget.widget import ParameterBudget


def test_ipywidgets_7_keeps_its_own_output(monkeypatch) -> None:
    monkeypatch.setattr(ipywidgets, "__version__", "7.7.1")
    data, _ = ParameterBudget()._repr_mimebundle_()
    assert "text/html" not in data
