"""Sharpness against the Hessian written out; models of a batch do not touch one another."""

from __future__ import annotations

import pytest
import torch

from utils.landscape.curvature import half_squared_error, inner, outputs, sharpness, tanh_networks
from utils.runtime import generator

SIZES = (3, 4, 2)


@pytest.fixture
def problem():
    """Two small networks in float64 on data of their own, and the loss."""
    stream = generator(1, "torch")
    X = torch.randn(2, 7, 3, generator=stream, dtype=torch.float64)
    targets = torch.randn(2, 7, 2, generator=stream, dtype=torch.float64)
    networks = [
        p.detach().double().requires_grad_() for p in tanh_networks(SIZES, (0, 1), first_gain=1.0)
    ]
    return networks, lambda parameters: half_squared_error(parameters, X, targets), X


def full_hessian(loss, parameters, model):
    shapes = [p[model].shape for p in parameters]
    flat = torch.cat([p[model].detach().flatten() for p in parameters])

    def of_flat(values):
        parts = values.split([shape.numel() for shape in shapes])
        mine = [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
        both = [
            torch.stack([m if i == model else p[i].detach() for i in range(2)])
            for p, m in zip(parameters, mine, strict=True)
        ]
        return loss(both)[model]

    return torch.autograd.functional.hessian(of_flat, flat)


def test_largest_eigenvalues_agree_with_the_hessian_written_out(problem):
    networks, loss, _ = problem
    first, vector = sharpness(loss, networks, iterations=800)
    second, _ = sharpness(loss, networks, iterations=800, orthogonal_to=[vector])
    for model in range(2):
        exact = torch.linalg.eigvalsh(full_hessian(loss, networks, model))
        by_size = exact[exact.abs().argsort(descending=True)]
        assert first[model].item() == pytest.approx(by_size[0].item(), rel=1e-5)
        assert second[model].item() == pytest.approx(by_size[1].item(), rel=1e-5)


def test_vector_is_a_unit_eigenvector(problem):
    networks, loss, _ = problem
    value, vector = sharpness(loss, networks, iterations=800)
    torch.testing.assert_close(inner(vector, vector), torch.ones(2, dtype=torch.float64))
    flat = torch.cat([v[0].flatten() for v in vector])
    torch.testing.assert_close(
        full_hessian(loss, networks, 0) @ flat, value[0] * flat, rtol=1e-4, atol=1e-4
    )


def test_continuing_needs_few_iterations(problem):
    networks, loss, _ = problem
    value, vector = sharpness(loss, networks, iterations=800)
    again, _ = sharpness(loss, networks, vector, iterations=1)
    torch.testing.assert_close(again, value)


def test_forward_pass_agrees_with_torch_nn(problem):
    networks, _, X = problem
    net = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)
    ).double()
    with torch.no_grad():
        for layer, (W, b) in zip((net[0], net[2]), (networks[:2], networks[2:]), strict=True):
            layer.weight.copy_(W[1].T)
            layer.bias.copy_(b[1, 0])
    torch.testing.assert_close(outputs(networks, X)[1], net(X[1]))


def test_a_network_depends_on_its_seed_alone():
    alone, together = tanh_networks(SIZES, [5]), tanh_networks(SIZES, [2, 5])
    assert all(torch.equal(a[0], b[1]) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (((3,), [0]), "sizes"),
        (((3, 0), [0]), "sizes"),
        (((3, 2), []), "seeds"),
        (((3, 2), [-1]), "seeds"),
    ],
)
def test_bad_input_is_named(arguments, names):
    with pytest.raises(ValueError, match=names):
        tanh_networks(*arguments)


def test_no_iterations_is_refused(problem):
    networks, loss, _ = problem
    with pytest.raises(ValueError, match="iterations"):
        sharpness(loss, networks, iterations=0)


def test_vectors_of_another_shape_are_refused(problem):
    networks, loss, _ = problem
    with pytest.raises(ValueError, match=r"^start must be tensors of shapes "):
        sharpness(loss, networks, networks[:2])
    with pytest.raises(ValueError, match=r"^orthogonal_to must be a sequence of vectors, each"):
        sharpness(loss, networks, orthogonal_to=3)
    with pytest.raises(ValueError, match=r"^orthogonal_to must be tensors of shapes "):
        sharpness(loss, networks, orthogonal_to=[[torch.ones(2)]])


def test_continuing_at_a_negative_eigenvalue_keeps_the_vector_s_side():
    """On a saddle every product with the Hessian flips the vector."""

    def saddle(parameters):
        w = parameters[0]  # (1, 2)
        return 0.5 * (w[:, 0] ** 2 - 3 * w[:, 1] ** 2)

    w = torch.tensor([[1.0, 1.0]], requires_grad=True)
    value, (before,) = sharpness(saddle, [w], iterations=30)
    assert value.item() == pytest.approx(-3)
    for _ in range(2):
        value, (after,) = sharpness(saddle, [w], [before], iterations=1)
        assert value.item() == pytest.approx(-3)
        torch.testing.assert_close(after, before)
