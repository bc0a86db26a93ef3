"""Curvature of the training loss: tanh networks in a batch, and the largest eigenvalues of their Hessians.

The networks differ in seed (and, if the caller likes, in data and step size) but share one shape, so that
a batch of them costs little more than one. Every parameter carries a leading axis of models, and a *loss*
here is a function of the list of parameters that returns one number a model, shape (models,). Models do
not interact, so the gradient of the sum of their losses holds each one's own gradient, and a product with
the Hessian of the sum holds each one's own Hessian-vector product.

*Sharpness* is the largest eigenvalue of the Hessian (Cohen et al. 2021, arXiv:2103.00065). What is not here:
training (a loop of four lines, which belongs in the lesson) and other layers than dense ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch

from utils.validate import integer, number, require

Parameters = list[torch.Tensor]
Loss = Callable[[Parameters], torch.Tensor]


def tanh_networks(
    sizes: Sequence[int], seeds: Sequence[int], *, gain: float = 0.5, first_gain: float = 4.0
) -> Parameters:
    """Weights and biases of dense tanh networks, one a seed: [W (models, in, out), b (models, 1, out), …].

    ``sizes`` lists inputs, hidden layers and outputs. Weights are normal with standard deviation
    gain / sqrt(in), biases zero. The first layer has ``first_gain``: images of unit norm in 64 pixels have
    entries of size 1/8, and 8 · 0.5 = 4 brings the units' inputs to a standard deviation of about 0.5.
    Each network depends on its seed alone. Raises ``ValueError`` in one line.
    """
    require(isinstance(sizes, Sequence), "sizes", "a sequence of whole numbers", sizes)
    sizes = [integer("sizes", size, 1) for size in sizes]
    require(len(sizes) >= 2, "sizes", "at least inputs and outputs", sizes)
    require(isinstance(seeds, Sequence), "seeds", "a sequence of whole numbers", seeds)
    seeds = [integer("seeds", seed, 0) for seed in seeds]
    require(len(seeds) >= 1, "seeds", "at least one seed", seeds)
    gain, first_gain = number("gain", gain, 0.0), number("first_gain", first_gain, 0.0)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    parameters: Parameters = []
    for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
        scale = (gain if layer else first_gain) / n_in**0.5
        weights = torch.stack([scale * torch.randn(n_in, n_out, generator=g) for g in generators])
        parameters += [weights, torch.zeros(len(seeds), 1, n_out)]
    return [p.requires_grad_() for p in parameters]


def outputs(parameters: Parameters, X: torch.Tensor) -> torch.Tensor:
    """Outputs (models, n, out) for inputs X (models, n, in): tanh after each layer but the last."""
    *hidden, last_weights, last_bias = parameters
    for weights, bias in zip(hidden[::2], hidden[1::2], strict=True):
        X = torch.tanh(torch.baddbmm(bias, X, weights))
    return torch.baddbmm(last_bias, X, last_weights)


def half_squared_error(
    parameters: Parameters, X: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """½ Σ_k (output_k − target_k)², averaged over examples: (models,). Targets are (models, n, out)."""
    return 0.5 * ((outputs(parameters, X) - targets) ** 2).sum(2).mean(1)


def inner(a: Parameters, b: Parameters) -> torch.Tensor:
    """Inner product of two lists shaped like the parameters, for each model: (models,)."""
    return sum((x * y).flatten(1).sum(1) for x, y in zip(a, b, strict=True))


def scaled(vector: Parameters, factor: torch.Tensor) -> Parameters:
    """Each model's part of ``vector`` times its entry of ``factor`` (models,)."""
    return [x * factor.view(-1, *[1] * (x.dim() - 1)) for x in vector]


def sharpness(
    loss: Loss,
    parameters: Parameters,
    start: Parameters | None = None,
    *,
    iterations: int = 50,
    orthogonal_to: Sequence[Parameters] = (),
) -> tuple[torch.Tensor, Parameters]:
    """Eigenvalue of the Hessian of largest size, by power iteration, and its unit vector, for each model.

    ``start`` continues from an earlier vector, which makes a dozen iterations enough while training
    proceeds; without it the start is random, from a fixed seed. ``orthogonal_to`` holds eigenvectors
    found before, which are projected out, so that the next one comes up. The value is the Rayleigh quotient
    vᵀHv, which for the largest eigenvalue errs on the low side. Power iteration finds the eigenvalue of
    largest *size*: near a minimum that is the largest, far from one it may be negative.
    Raises ``ValueError`` for vectors that are not shaped like the parameters.
    """
    iterations = integer("iterations", iterations, 1)
    if start is None:
        generator = torch.Generator().manual_seed(0)
        start = [torch.randn(p.shape, generator=generator).to(p) for p in parameters]
    _check_shapes("start", start, parameters)
    listed = isinstance(orthogonal_to, Sequence)
    require(
        listed,
        "orthogonal_to",
        "a sequence of vectors, each shaped like the parameters",
        orthogonal_to,
    )
    for other in orthogonal_to:
        _check_shapes("orthogonal_to", other, parameters)
    gradient = torch.autograd.grad(loss(parameters).sum(), parameters, create_graph=True)
    vector, value = _unit(start, orthogonal_to), None
    for _ in range(iterations):
        along = sum((g * v).sum() for g, v in zip(gradient, vector, strict=True))
        product = [h.detach() for h in torch.autograd.grad(along, parameters, retain_graph=True)]
        value, previous = inner(product, vector), vector
        vector = _unit(product, orthogonal_to)
    return value, scaled(vector, torch.sign(inner(vector, previous)))


def _check_shapes(name: str, vector: Parameters, parameters: Parameters) -> None:
    shapes = [tuple(p.shape) for p in parameters]
    ok = isinstance(vector, Sequence) and [tuple(getattr(v, "shape", ())) for v in vector] == shapes
    require(ok, name, f"tensors of shapes {shapes}", vector)


def _unit(vector: Parameters, orthogonal_to: Sequence[Parameters]) -> Parameters:
    for other in orthogonal_to:
        share = scaled(other, inner(vector, other))
        vector = [x - y for x, y in zip(vector, share, strict=True)]
    return scaled(vector, 1 / inner(vector, vector).sqrt().clamp_min(1e-30))
