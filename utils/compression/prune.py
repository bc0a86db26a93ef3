"""Weights set to zero: which ones, and the model without them.

A *mask* is a matrix of the shape of a layer's weights that is True where a weight stays. Zeros take
as long to multiply as other numbers; `structured` removes whole units instead, which makes the
matrices smaller. Outside these lessons, ``torch.nn.utils.prune`` does what this file does.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from utils.compression.layers import linear_layers
from utils.runtime import generator
from utils.validate import choice, number, require

Model = TypeVar("Model", bound=nn.Module)

SCOPES = ("global", "layer")
Masks = dict[str, Tensor]  # bool, in the shape of each layer's weight, by the layer's name


def magnitude_masks(model: nn.Module, share: float, scope: str = "global") -> Masks:
    """Masks that drop the ``share`` of weights with the smallest absolute value.

    share: in [0, 1). scope: "global" compares all linear layers with one another, so that layers
    lose different shares; "layer" takes the share from each. Biases stay.
    Raises ``ValueError`` for anything else.

    >>> layer = nn.Linear(4, 1)
    >>> _ = layer.weight.data.copy_(torch.tensor([[0.3, -2.0, 0.1, 1.0]]))
    >>> magnitude_masks(nn.Sequential(layer), share=0.5)["0"]
    tensor([[False,  True, False,  True]])
    """
    layers = linear_layers(model)
    scores = {name: layer.weight.detach().abs() for name, layer in layers.items()}
    return _drop_lowest(scores, share, scope)


def random_masks(model: nn.Module, share: float, scope: str = "global", *, seed: int = 0) -> Masks:
    """Masks that drop a random ``share`` of the weights, as many as `magnitude_masks`."""
    rng = generator(seed, "torch")
    scores = {}
    for name, layer in linear_layers(model).items():
        scores[name] = torch.rand(layer.weight.shape, generator=rng)  # (out, in)
    return _drop_lowest(scores, share, scope)


def _drop_lowest(scores: dict[str, Tensor], share: float, scope: str) -> Masks:
    """False for the ``share`` of entries with the lowest scores, of all layers or of each."""
    share = number("share", share, 0.0, 1.0, open_high=True)
    choice("scope", scope, SCOPES)
    if scope == "layer":
        parts = [_drop_lowest({name: score}, share, "global") for name, score in scores.items()]
        return {name: mask for part in parts for name, mask in part.items()}

    # Rank all entries together; the lowest go. Equal scores go in the order in which they stand.
    together = torch.cat([score.flatten() for score in scores.values()])  # (n,)
    n_dropped = round(share * len(together))
    order = together.argsort(stable=True)  # (n,)
    keep = torch.ones_like(together, dtype=torch.bool)
    keep[order[:n_dropped]] = False

    # Back into the shapes of the layers.
    sizes = [score.numel() for score in scores.values()]
    parts = keep.split(sizes)
    masks = {}
    for (name, score), part in zip(scores.items(), parts, strict=True):
        masks[name] = part.view(score.shape)
    return masks


@torch.no_grad()
def apply_masks(model: nn.Module, masks: Masks) -> None:
    """Set to zero, in place, what the masks drop. To fine-tune, call it after every step.

    Raises ``ValueError`` for masks that do not belong to ``model``.
    """
    layers = linear_layers(model)
    for name, mask in masks.items():
        require(name in layers, "masks", "named after the model's linear layers", name)
        weight = layers[name].weight
        fits = mask.shape == weight.shape and mask.dtype == torch.bool
        require(fits, f"masks[{name!r}]", f"bools of shape {tuple(weight.shape)}", mask)
        weight.mul_(mask.to(weight.device))


def masked(model: Model, masks: Masks) -> Model:
    """A copy of ``model`` without the weights that the masks drop."""
    pruned = copy.deepcopy(model)
    apply_masks(pruned, masks)
    return pruned


def sparsity(model: nn.Module) -> float:
    """The share of zeros among the weights of the linear layers.

    >>> mlp = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> sparsity(masked(mlp, random_masks(mlp, share=0.9)))
    0.9
    """
    zeros = 0
    total = 0
    for layer in linear_layers(model).values():
        zeros += int((layer.weight == 0).sum())
        total += layer.weight.numel()
    return zeros / total
