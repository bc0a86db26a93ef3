"""The arithmetic of a batch of two-layer networks: forward, gradient and AdamW, all in place.

Networks of different widths share a product by padding the narrow ones with units whose weights are
all zero. Such a unit puts out zero and gets a zero gradient (ReLU's slope at 0 is taken as 0), so
it stays zero for ever and no mask is needed.

Shapes: S seeds, C networks per seed, H hidden units of the widest, n examples, d features and
k classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from utils.runtime import generator
from utils.validate import integer, number

MAX_WIDTH = 1_000_000

# Adam's usual constants, which are torch.optim's defaults.
BETA1 = 0.9
BETA2 = 0.999
EPS = 1e-8

Parameters = dict[str, Tensor]


def n_parameters(width: int, n_features: int, n_classes: int) -> int:
    """Weights and biases of one network: (d + 1)·H + (H + 1)·k.

    >>> n_parameters(14, n_features=64, n_classes=10)
    1060
    """
    hidden_layer = (n_features + 1) * width
    output_layer = (width + 1) * n_classes
    return hidden_layer + output_layer


def initial_parameters(
    width: int,
    seed: int,
    n_features: int,
    n_classes: int,
    *,
    w1_std: float = 2**0.5,
    w2_scale: float = 1.0,
) -> Parameters:
    """The float64 parameters that a network starts from; they depend on nothing but the arguments.

    W1 ~ N(0, w1_std²), W2 ~ N(0, w2_scale²/H), biases zero. With inputs of mean squared norm 1 the
    default ``w1_std`` = √2 is He initialisation (He et al. 2015, arXiv:1502.01852): hidden units
    then have mean square 1. Returns ``W1`` (H, d), ``b1`` (H,), ``W2`` (k, H), ``b2`` (k,).

    >>> start = initial_parameters(width=3, seed=0, n_features=2, n_classes=4)
    >>> {name: tuple(value.shape) for name, value in start.items()}
    {'W1': (3, 2), 'b1': (3,), 'W2': (4, 3), 'b2': (4,)}
    """
    width = integer("width", width, 1, MAX_WIDTH)
    seed = integer("seed", seed, 0)
    w1_std = number("w1_std", w1_std, 0.0)
    w2_scale = number("w2_scale", w2_scale, 0.0)

    rng = generator([seed, width])
    W1 = rng.standard_normal((width, n_features)) * w1_std  # (H, d)
    W2 = rng.standard_normal((n_classes, width)) * w2_scale / math.sqrt(width)  # (k, H)
    start = {"W1": W1, "b1": np.zeros(width), "W2": W2, "b2": np.zeros(n_classes)}
    return {name: torch.from_numpy(value) for name, value in start.items()}


class Examples:
    """One part of the data, for all seeds, on the device and laid out as the products want it."""

    def __init__(
        self, X: np.ndarray, y: np.ndarray, k: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        """X: inputs (S, n, d). y: labels (S, n) from 0 to k − 1."""
        # A column of ones turns the first layer's bias into one more column of its weights.
        ones = np.ones((*X.shape[:-1], 1))
        with_ones = np.concatenate([X, ones], axis=-1)
        self.X = torch.as_tensor(with_ones, dtype=dtype, device=device)  # (S, n, d + 1)
        self.XT = self.X.transpose(1, 2).contiguous()  # (S, d + 1, n)
        self.y = torch.as_tensor(y, device=device)  # (S, n)

        targets = one_hot(self.y, k).transpose(1, 2).to(dtype)  # (S, k, n)
        self.targets = targets[:, None].contiguous()  # (S, 1, k, n), alike for all C networks
        self.n = X.shape[1]


class Column(NamedTuple):
    """What the networks of one place c = 0 … C − 1 have in common over the seeds."""

    weight_decay: float
    width: int


class Networks:
    """C networks for each of S seeds, padded to H hidden units, as views into one flat vector.

    The vector is what lets Adam update everything with a handful of operations. The first layer's
    bias is the last column of its weights, matched by a column of ones in the inputs.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        seeds: Sequence[int],
        d: int,
        k: int,
        w1_std: float,
        w2_scale: float,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.columns = columns
        self.seeds = seeds
        self.S = len(seeds)
        self.C = len(columns)
        self.H = max(column.width for column in columns)
        self.d = d
        self.k = k

        # The C networks of a seed share its inputs, so their first layers are one tall matrix.
        self.shapes = [
            (self.S, self.C * self.H, d + 1),  # W1 and b1
            (self.S * self.C, k, self.H),  # W2
            (self.S * self.C, k, 1),  # b2
        ]
        total = sum(math.prod(shape) for shape in self.shapes)
        self.flat = torch.zeros(total, dtype=dtype, device=device)
        self.W1, self.W2, self.b2 = self.views(self.flat)

        for column, seed, own in self.each():
            start = initial_parameters(column.width, seed, d, k, w1_std=w1_std, w2_scale=w2_scale)
            own["W1"].copy_(start["W1"])  # the biases are zero already
            own["W2"].copy_(start["W2"])

    def views(self, flat: Tensor) -> list[Tensor]:
        """The parts of a flat vector, each in its shape: W1 with b1, W2, b2."""
        sizes = [math.prod(shape) for shape in self.shapes]
        parts = flat.split(sizes)
        return [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def each(self) -> Iterator[tuple[Column, int, Parameters]]:
        """Every network's column, its seed and its own, unpadded part of the parameters."""
        W1 = self.W1.view(self.S, self.C, self.H, self.d + 1)
        W2 = self.W2.view(self.S, self.C, self.k, self.H)
        b2 = self.b2.view(self.S, self.C, self.k)
        for s, seed in enumerate(self.seeds):
            for c, column in enumerate(self.columns):
                first_layer = W1[s, c, : column.width]  # (width, d + 1)
                own = {
                    "W1": first_layer[:, :-1],  # (width, d)
                    "b1": first_layer[:, -1],  # (width,)
                    "W2": W2[s, c, :, : column.width],  # (k, width)
                    "b2": b2[s, c],  # (k,)
                }
                yield column, seed, own

    def forward(
        self, examples: Examples, hidden: Tensor | None = None, outputs: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Hidden units (S, C·H, n) and outputs (S·C, k, n), written into the given buffers."""
        hidden = torch.bmm(self.W1, examples.XT, out=hidden)  # (S, C·H, n)
        hidden.relu_()
        per_network = hidden.view(self.S * self.C, self.H, examples.n)  # (S·C, H, n)
        outputs = torch.baddbmm(self.b2, self.W2, per_network, out=outputs)  # (S·C, k, n)
        return hidden, outputs

    def evaluate(self, examples: Examples, loss: str) -> tuple[np.ndarray, np.ndarray]:
        """Error and loss of every network, each (S, C)."""
        n = examples.n
        _, outputs = self.forward(examples)  # (S·C, k, n)
        per_column = outputs.view(self.S, self.C, self.k, n)  # (S, C, k, n)
        y = examples.y[:, None].expand(self.S, self.C, n)  # (S, C, n)

        wrong = per_column.argmax(2) != y  # (S, C, n)
        error = wrong.to(outputs.dtype).mean(-1)  # (S, C)

        if loss == "cross_entropy":
            y_per_network = y.reshape(self.S * self.C, n)  # (S·C, n)
            per_example = cross_entropy(outputs, y_per_network, reduction="none")  # (S·C, n)
            per_example = per_example.view(self.S, self.C, n)  # (S, C, n)
        else:
            difference = per_column - examples.targets  # (S, C, k, n)
            per_example = difference.square_().sum(2)  # (S, C, n)
        return error.cpu().numpy(), per_example.mean(-1).cpu().numpy()


class AdamW:
    """Gradient and update of all networks, in place, in buffers that are made once."""

    def __init__(self, nets: Networks, examples: Examples) -> None:
        self.nets = nets
        self.examples = examples
        self.t = 0  # steps done

        # Adam's state, and room for one intermediate result, each as long as the parameters.
        self.mean = torch.zeros_like(nets.flat)
        self.square = torch.zeros_like(nets.flat)
        self.scratch = torch.zeros_like(nets.flat)
        self.gradient = torch.zeros_like(nets.flat)
        self.g_W1, self.g_W2, self.g_b2 = nets.views(self.gradient)

        # The forward pass and, under names with g_, the slopes of the loss in its results.
        hidden_shape = (nets.S, nets.C * nets.H, examples.n)
        outputs_shape = (nets.S * nets.C, nets.k, examples.n)
        self.hidden = nets.flat.new_zeros(hidden_shape)
        self.g_hidden = nets.flat.new_zeros(hidden_shape)
        self.outputs = nets.flat.new_zeros(outputs_shape)
        self.g_outputs = nets.flat.new_zeros(outputs_shape)

        self.decay = None
        decays = nets.flat.new_tensor([column.weight_decay for column in nets.columns])  # (C,)
        if decays.any():
            self.decay = decays.repeat(nets.S).view(-1, 1, 1)  # (S·C, 1, 1)

    def backward(self, loss: str) -> None:
        """Write the gradient of every network's own loss into ``gradient``.

        By hand rather than by autograd: the four products are the whole cost, and they can then
        write into buffers that are reused. The slope of the loss in the outputs is
        (softmax − one-hot)/n for cross-entropy and 2·(outputs − one-hot)/n for squared error.
        """
        nets = self.nets
        n = self.examples.n
        nets.forward(self.examples, self.hidden, self.outputs)

        # The slope in the outputs, (S·C, k, n).
        if loss == "cross_entropy":
            torch.softmax(self.outputs, 1, out=self.g_outputs)
            factor = 1
        else:
            self.g_outputs.copy_(self.outputs)
            factor = 2
        slope = self.g_outputs.view(nets.S, nets.C, nets.k, n)  # a view: writes into g_outputs
        slope.sub_(self.examples.targets)
        slope.mul_(factor / n)

        # The second layer, from the slope in its outputs and what it was given.
        hidden = self.hidden.view(nets.S * nets.C, nets.H, n)
        torch.bmm(self.g_outputs, hidden.transpose(1, 2), out=self.g_W2)  # (S·C, k, H)
        torch.sum(self.g_outputs, 2, keepdim=True, out=self.g_b2)  # (S·C, k, 1)

        # Back through it and through ReLU, whose slope is 0 where the hidden unit is off. This is
        # the operation that autograd calls, here in one pass over one buffer.
        g_hidden = self.g_hidden.view(nets.S * nets.C, nets.H, n)
        torch.bmm(nets.W2.transpose(1, 2), self.g_outputs, out=g_hidden)  # (S·C, H, n)
        relu_backward = torch.ops.aten.threshold_backward.grad_input
        relu_backward(self.g_hidden, self.hidden, 0, grad_input=self.g_hidden)  # (S, C·H, n)

        # The first layer, all networks of a seed at once.
        torch.bmm(self.g_hidden, self.examples.X, out=self.g_W1)  # (S, C·H, d + 1)

    def step(self, lr: float, loss: str) -> None:
        """One step of AdamW, with the arithmetic in the order of ``torch.optim.AdamW``."""
        self.backward(loss)
        self.t += 1
        nets = self.nets

        # Weight decay acts on weights and biases alike, each network's with its own strength.
        if self.decay is not None:
            keep = 1 - lr * self.decay  # (S·C, 1, 1)
            W1 = nets.W1.view(nets.S * nets.C, nets.H, -1)  # (S·C, H, d + 1)
            W1.mul_(keep)
            nets.W2.mul_(keep)
            nets.b2.mul_(keep)

        # Running means of the gradient and of its square.
        self.mean.lerp_(self.gradient, 1 - BETA1)
        self.square.mul_(BETA2)
        self.square.addcmul_(self.gradient, self.gradient, value=1 - BETA2)

        # Both started from zero and are too small at first, which Adam corrects for.
        mean_correction = 1 - BETA1**self.t
        square_correction = 1 - BETA2**self.t
        torch.sqrt(self.square, out=self.scratch)
        self.scratch.div_(math.sqrt(square_correction))
        self.scratch.add_(EPS)
        nets.flat.addcdiv_(self.mean, self.scratch, value=-lr / mean_correction)
