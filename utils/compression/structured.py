"""Hidden units removed, so that the matrices become smaller.

A hidden unit is one row of the matrix that leads into it and one column of the matrix that leads
out of it; both go together, and what is left is an ordinary, narrower model. In the transformer
these are the units between the MLP's two matrices. With SwiGLU a unit has a gate and a value, two
rows of the first matrix, which go together as well.

Two kinds of model are understood: an ``nn.Sequential`` of linear layers with an elementwise
activation between them, and `GPT`.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn

from utils.compression.layers import linear_layers
from utils.models.gpt import GPT, MLP
from utils.validate import integer, require

Model = TypeVar("Model", bound=nn.Module)
Keep = list[Tensor]  # for each hidden layer, the numbers of the units that stay, ascending


def unit_scores(model: nn.Module) -> list[Tensor]:
    """A score for each unit of each hidden layer: (width,) per layer.

    The product of two norms, of the weights that lead into the unit (gate and value together) and
    of those that lead out of it. A unit of which either is zero adds nothing and scores zero.

    >>> mlp = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    >>> [tuple(scores.shape) for scores in unit_scores(mlp)]
    [(32,)]
    """
    scores = []
    for into, out_of, n_parts in _pairs(model):
        rows = into.weight.detach().unflatten(0, (n_parts, -1))  # (parts, width, in)
        into_norm = rows.square().sum((0, 2)).sqrt()  # (width,)
        out_norm = out_of.weight.detach().square().sum(0).sqrt()  # (width,)
        scores.append(into_norm * out_norm)
    return scores


def units_to_keep(scores: list[Tensor], width: int) -> Keep:
    """The ``width`` units of each layer with the highest scores.

    >>> units_to_keep([torch.tensor([0.2, 0.9, 0.5])], width=2)
    [tensor([1, 2])]
    """
    narrowest = min(len(score) for score in scores)
    width = integer("width", width, 1, narrowest)
    keep = []
    for score in scores:
        order = score.argsort(descending=True, stable=True)
        keep.append(order[:width].sort().values)
    return keep


def remove_units(model: Model, keep: Keep) -> Model:
    """A smaller copy of ``model`` with only the units in ``keep``.

    For a `GPT` every layer must keep the same number, which becomes the configuration's ``d_ff``.
    Raises ``ValueError`` for units that do not exist.

    >>> mlp = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    >>> small = remove_units(mlp, units_to_keep(unit_scores(mlp), width=8))
    >>> small[0].weight.shape, small[2].weight.shape
    (torch.Size([8, 64]), torch.Size([10, 8]))
    """
    small = copy.deepcopy(model)
    for (into, out_of, n_parts), units in _checked(small, keep):
        rows = _rows(units, into, n_parts)  # (parts · kept,)
        _select(into, rows=rows)
        _select(out_of, columns=units)
    if isinstance(small, GPT):
        widths = {len(units) for units in keep}
        require(len(widths) == 1, "keep", "as many units in every layer of a GPT", sorted(widths))
        small.config = replace(small.config, d_ff=widths.pop())
    return small


@torch.no_grad()
def mask_units(model: Model, keep: Keep) -> Model:
    """A copy of the same size in which all weights of the other units are zero.

    It computes what `remove_units`'s smaller model computes, and takes as long as before.
    """
    masked = copy.deepcopy(model)
    for (into, out_of, n_parts), units in _checked(masked, keep):
        width = out_of.weight.shape[1]
        stays = torch.zeros(width)
        stays[units] = 1.0
        rows = stays.repeat(n_parts).to(into.weight.device)  # (parts · width,)
        into.weight.mul_(rows[:, None])
        if into.bias is not None:
            into.bias.mul_(rows)
        out_of.weight.mul_(stays.to(out_of.weight.device))
    return masked


# ---- the two kinds of model ----------------------------------------------------------------------

Pair = tuple[nn.Linear, nn.Linear, int]  # into the units, out of them, rows that each unit has


def _pairs(model: nn.Module) -> list[Pair]:
    """For each hidden layer, the two linear layers around it, and 2 rows for a gated unit, or 1."""
    if isinstance(model, GPT):
        mlps = [module for module in model.modules() if isinstance(module, MLP)]
        return [(mlp.up, mlp.down, 2 if mlp.gated else 1) for mlp in mlps]
    layers = list(linear_layers(model).values())
    known = isinstance(model, nn.Sequential) and len(layers) > 1
    what = "a GPT, or nn.Sequential with a hidden layer"
    require(known, "model", what, type(model).__name__)
    return [(into, out_of, 1) for into, out_of in pairwise(layers)]


def _checked(model: nn.Module, keep: Keep) -> list[tuple[Pair, Tensor]]:
    """Each pair of layers with its units, or one line about units that do not fit."""
    pairs = _pairs(model)
    require(len(keep) == len(pairs), "keep", f"a list of {len(pairs)} tensors", len(keep))
    for (_, out_of, _), units in zip(pairs, keep, strict=True):
        width = out_of.weight.shape[1]
        are_units = units.dim() == 1 and len(units) > 0 and units.dtype == torch.int64
        allowed = f"different whole numbers in [0, {width - 1}], ascending"
        fits = are_units and int(units[0]) >= 0 and int(units[-1]) < width
        fits = fits and bool((units.diff() > 0).all())
        require(fits, "keep", allowed, units)
    return list(zip(pairs, keep, strict=True))


def _rows(units: Tensor, into: nn.Linear, n_parts: int) -> Tensor:
    """The rows of ``into`` that belong to ``units``: its parts lie one below the other."""
    width = into.weight.shape[0] // n_parts
    return torch.cat([units + part * width for part in range(n_parts)])


def _select(layer: nn.Linear, rows: Tensor | None = None, columns: Tensor | None = None) -> None:
    """Cut ``layer`` down, in place, to some of its outputs or of its inputs."""
    weight = layer.weight.detach()
    if rows is not None:
        weight = weight[rows.to(weight.device)]
        if layer.bias is not None:
            layer.bias = nn.Parameter(layer.bias.detach()[rows.to(weight.device)])
    if columns is not None:
        weight = weight[:, columns.to(weight.device)]
    layer.weight = nn.Parameter(weight.clone())
    layer.out_features, layer.in_features = weight.shape
