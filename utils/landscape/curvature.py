"""Curvature of the training loss: tanh networks in a batch, and the top of their Hessians.

The networks differ in seed (and, if the caller likes, in data and step size) but share one shape,
so that a batch of them costs little more than one. Every parameter carries a leading axis of
models, and a *loss* here is a function of the list of parameters that returns one number per model,
shape (models,). Models do not interact, so the gradient of the sum of their losses holds each one's
own gradient, and a product with the Hessian of the sum holds each one's own Hessian-vector product.

*Sharpness* is the largest eigenvalue of the Hessian (Cohen et al. 2021, arXiv:2103.00065). What is
not here: training (a loop of four lines, which belongs in the lesson) and other layers than dense
ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from utils.runtime import generator
from utils.validate import integer, number, require

Parameters = list[Tensor]  # of each weight and bias, all with a leading axis of models
Loss = Callable[[Parameters], Tensor]  # to one number per model, (models,)


# ---- networks ------------------------------------------------------------------------------------


def tanh_networks(
    sizes: Sequence[int], seeds: Sequence[int], *, gain: float = 0.5, first_gain: float = 4.0
) -> Parameters:
    """Weights and biases of dense tanh networks, one network per seed.

    Returns [W (models, in, out), b (models, 1, out), …], two tensors per layer. ``sizes`` lists
    inputs, hidden layers and outputs. Weights are normal with standard deviation gain / sqrt(in),
    biases zero. The first layer has ``first_gain``: images of unit norm in 64 pixels have entries
    of size 1/8, and 8 · 0.5 = 4 brings the units' inputs to a standard deviation of about 0.5. Each
    network depends on its seed alone.

    Raises ``ValueError`` in one line for sizes, seeds or gains that are out of range.

    >>> [tuple(p.shape) for p in tanh_networks((64, 20, 10), seeds=(0, 1, 2))]
    [(3, 64, 20), (3, 1, 20), (3, 20, 10), (3, 1, 10)]
    """
    require(isinstance(sizes, Sequence), "sizes", "a sequence of whole numbers", sizes)
    sizes = [integer("sizes", size, 1) for size in sizes]
    require(len(sizes) >= 2, "sizes", "at least inputs and outputs", sizes)
    require(isinstance(seeds, Sequence), "seeds", "a sequence of whole numbers", seeds)
    seeds = [integer("seeds", seed, 0) for seed in seeds]
    require(len(seeds) >= 1, "seeds", "at least one seed", seeds)
    gain = number("gain", gain, 0.0)
    first_gain = number("first_gain", first_gain, 0.0)

    # A stream for each network, so that it does not matter which others stand beside it.
    streams = [generator(seed, "torch") for seed in seeds]
    parameters: Parameters = []
    for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
        layer_gain = first_gain if layer == 0 else gain
        scale = layer_gain / n_in**0.5
        weights = [scale * torch.randn(n_in, n_out, generator=stream) for stream in streams]
        parameters.append(torch.stack(weights))  # (models, in, out)
        parameters.append(torch.zeros(len(seeds), 1, n_out))  # (models, 1, out)
    return [p.requires_grad_() for p in parameters]


def outputs(parameters: Parameters, X: Tensor) -> Tensor:
    """Outputs (models, n, out) for inputs X (models, n, in): tanh after each layer but the last.

    >>> networks = tanh_networks((64, 20, 10), seeds=(0, 1, 2))
    >>> outputs(networks, torch.zeros(3, 5, 64)).shape
    torch.Size([3, 5, 10])
    """
    *hidden, last_weights, last_bias = parameters
    for weights, bias in zip(hidden[::2], hidden[1::2], strict=True):
        X = torch.tanh(torch.baddbmm(bias, X, weights))  # (models, n, units)
    return torch.baddbmm(last_bias, X, last_weights)  # (models, n, out)


def half_squared_error(parameters: Parameters, X: Tensor, targets: Tensor) -> Tensor:
    """½ Σ_k (output_k − target_k)², averaged over examples: (models,); targets (models, n, out)."""
    residual = outputs(parameters, X) - targets  # (models, n, out)
    return 0.5 * (residual**2).sum(2).mean(1)  # (models,)


# ---- vectors shaped like the parameters ----------------------------------------------------------


def inner(a: Parameters, b: Parameters) -> Tensor:
    """Inner product of two lists shaped like the parameters, for each model: (models,).

    >>> inner([torch.ones(2, 3), torch.ones(2, 1, 4)], [torch.ones(2, 3), torch.ones(2, 1, 4)])
    tensor([7., 7.])
    """
    terms = [(x * y).flatten(1).sum(1) for x, y in zip(a, b, strict=True)]  # (models,) each
    return _sum(terms)


def scaled(vector: Parameters, factor: Tensor) -> Parameters:
    """Each model's part of ``vector`` times its entry of ``factor`` (models,)."""
    parts = []
    for x in vector:
        other_axes = [1] * (x.dim() - 1)
        parts.append(x * factor.view(-1, *other_axes))  # factor as (models, 1, 1, …)
    return parts


def _sum(terms: list[Tensor]) -> Tensor:
    """The sum from left to right: a stacked sum may add in another order, and round otherwise."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _unit(vector: Parameters, orthogonal_to: Sequence[Parameters]) -> Parameters:
    """``vector`` without its parts along the vectors ``orthogonal_to``, of length 1 per model."""
    for other in orthogonal_to:
        along = scaled(other, inner(vector, other))
        vector = [x - y for x, y in zip(vector, along, strict=True)]
    length = inner(vector, vector).sqrt().clamp_min(1e-30)  # (models,)
    return scaled(vector, 1 / length)


# ---- sharpness -----------------------------------------------------------------------------------


def sharpness(
    loss: Loss,
    parameters: Parameters,
    start: Parameters | None = None,
    *,
    iterations: int = 50,
    orthogonal_to: Sequence[Parameters] = (),
) -> tuple[Tensor, Parameters]:
    """Eigenvalue of the Hessian of largest size and its unit vector, by power iteration, per model.

    Returns the eigenvalues (models,) and the vectors, shaped like the parameters. The value is the
    Rayleigh quotient vᵀHv, which for the largest eigenvalue errs on the low side. Power iteration
    finds the eigenvalue of largest *size*: near a minimum that is the largest, far from one it may
    be negative.

    start: an earlier vector to continue from, which makes a dozen iterations enough while training
        proceeds; without it the start is random, from a fixed seed.
    iterations: how many products of the Hessian with a vector to compute, each about as dear as
        two gradients.
    orthogonal_to: unit eigenvectors found before, which are projected out, so that the next one
        comes up.

    Raises ``ValueError`` for vectors that are not shaped like the parameters.

    A bowl of one model, ½ (3 w₁² + w₂²), is three times as curved along the first axis:

    >>> w = torch.tensor([[1.0, 1.0]], requires_grad=True)
    >>> value, (direction,) = sharpness(lambda p: 0.5 * (3 * p[0][:, 0]**2 + p[0][:, 1]**2), [w])
    >>> value
    tensor([3.])
    >>> direction.abs().round(decimals=3)
    tensor([[1., 0.]])
    """
    iterations = integer("iterations", iterations, 1)
    if start is None:
        stream = generator(0, "torch")
        start = [torch.randn(p.shape, generator=stream).to(p) for p in parameters]
    _check_shapes("start", start, parameters)
    listed = isinstance(orthogonal_to, Sequence)
    allowed = "a sequence of vectors, each shaped like the parameters"
    require(listed, "orthogonal_to", allowed, orthogonal_to)
    for other in orthogonal_to:
        _check_shapes("orthogonal_to", other, parameters)

    # The gradient with its graph, so that it can be differentiated once more, as often as needed.
    total = loss(parameters).sum()
    gradient = torch.autograd.grad(total, parameters, create_graph=True)

    def hessian_times(vector: Parameters) -> Parameters:
        """H v, which is the gradient of gᵀv (Pearlmutter 1994): no Hessian is ever written out."""
        along = _sum([(g * v).sum() for g, v in zip(gradient, vector, strict=True)])
        product = torch.autograd.grad(along, parameters, retain_graph=True)
        return [part.detach() for part in product]

    # Multiplying by H again and again turns any vector towards the eigenvalue of largest size.
    vector = _unit(start, orthogonal_to)
    product = hessian_times(vector)
    for _ in range(iterations - 1):
        vector = _unit(product, orthogonal_to)
        product = hessian_times(vector)
    value = inner(product, vector)  # (models,)

    # The product flips the vector of a negative eigenvalue: turn it back to the side it came from.
    last = _unit(product, orthogonal_to)
    return value, scaled(last, torch.sign(inner(last, vector)))


def _check_shapes(name: str, vector: Parameters, parameters: Parameters) -> None:
    shapes = [tuple(p.shape) for p in parameters]
    found = None
    if isinstance(vector, Sequence):
        found = [tuple(getattr(part, "shape", ())) for part in vector]
    require(found == shapes, name, f"tensors of shapes {shapes}", vector)
