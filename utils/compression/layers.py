"""Which layers of a model are compressed."""

from __future__ import annotations

from torch import nn

from utils.validate import require


def linear_layers(model: nn.Module) -> dict[str, nn.Linear]:
    """The linear layers of ``model`` by name, in the order in which it lists them.

    A head whose matrix is also the table of the token embedding is left out: it is an embedding
    first, and whoever compresses it has to say so.
    Raises ``ValueError`` for a model without a linear layer.

    >>> mlp = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    >>> list(linear_layers(mlp))
    ['0', '2']
    """
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and id(module.weight) not in tables:
            found[name] = module
    require(len(found) > 0, "model", "a model with linear layers", type(model).__name__)
    return found


def parent_of(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The module that holds the layer called ``name``, and what it calls it.

    >>> mlp = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    >>> parent, child = parent_of(nn.Sequential(mlp), "0.1")
    >>> parent is mlp, child
    (True, '1')
    """
    above, _, child = name.rpartition(".")
    return model.get_submodule(above), child
