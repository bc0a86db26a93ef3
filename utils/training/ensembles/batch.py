"""The arithmetic of a batch of two-layer networks: forward, gradient, AdamW, all in place.

Networks of different widths share a product by padding the narrow ones with units whose weights are all
zero. Such a unit puts out zero and gets a zero gradient (ReLU's slope at 0 is taken as 0), so it stays
zero for ever and no mask is needed.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn.functional import cross_entropy, one_hot

from utils.validate import integer, number

MAX_WIDTH = 1_000_000
BETAS, EPS = (0.9, 0.999), 1e-8  # Adam's usual constants, torch.optim's defaults

Parameters = dict[str, torch.Tensor]


def n_parameters(width: int, n_features: int, n_classes: int) -> int:
    """Weights and biases of one network: (d + 1)·H + (H + 1)·k."""
    return (n_features + 1) * width + (width + 1) * n_classes


def initial_parameters(
    width: int,
    seed: int,
    n_features: int,
    n_classes: int,
    *,
    w1_std: float = 2**0.5,
    w2_scale: float = 1.0,
) -> Parameters:
    """The float64 parameters a network starts from; they depend on nothing but the arguments.

    W1 ~ N(0, w1_std²), W2 ~ N(0, w2_scale²/H), biases zero. With inputs of mean squared norm 1 the default
    ``w1_std`` = √2 is He initialisation (He et al. 2015, arXiv:1502.01852): hidden units then have mean
    square 1. Returns ``W1`` (H, d), ``b1`` (H,), ``W2`` (k, H), ``b2`` (k,).
    """
    width, seed = integer("width", width, 1, MAX_WIDTH), integer("seed", seed, 0)
    rng = np.random.default_rng([seed, width])
    W1 = rng.standard_normal((width, n_features)) * number("w1_std", w1_std, 0.0)
    W2 = (
        rng.standard_normal((n_classes, width))
        * number("w2_scale", w2_scale, 0.0)
        / math.sqrt(width)
    )
    start = {"W1": W1, "b1": np.zeros(width), "W2": W2, "b2": np.zeros(n_classes)}
    return {name: torch.from_numpy(value) for name, value in start.items()}


class Examples:
    """The data of all seeds on the device, laid out as the products want it."""

    def __init__(self, X, y, k, dtype, device):
        ones = np.ones((*X.shape[:-1], 1))
        self.X = torch.as_tensor(
            np.concatenate([X, ones], -1), dtype=dtype, device=device
        )  # (S, n, d+1)
        self.XT = self.X.transpose(1, 2).contiguous()  # (S, d+1, n)
        self.y = torch.as_tensor(y, device=device)  # (S, n)
        self.targets = (
            one_hot(self.y, k).transpose(1, 2).to(dtype)[:, None].contiguous()
        )  # (S, 1, k, n)
        self.n = X.shape[1]


class Networks:
    """C networks for each of S seeds, padded to H hidden units, as views into one flat vector.

    Flat, so that Adam updates everything with a handful of operations. The first layer's bias is the
    last column of its weights, matched by a column of ones in the inputs.
    """

    def __init__(self, columns, seeds, d, k, w1_std, w2_scale, dtype, device):
        self.columns, self.seeds, self.d, self.k = columns, seeds, d, k
        self.S, self.C, self.H = len(seeds), len(columns), max(width for _, width in columns)
        S, C, H = self.S, self.C, self.H
        self.shapes = [(S, C * H, d + 1), (S * C, k, H), (S * C, k, 1)]
        self.flat = torch.zeros(sum(map(math.prod, self.shapes)), dtype=dtype, device=device)
        self.W1, self.W2, self.b2 = self.views(self.flat)
        for net, width, seed in self._each():
            start = initial_parameters(width, seed, d, k, w1_std=w1_std, w2_scale=w2_scale)
            net["W1"].copy_(start["W1"])
            net["W2"].copy_(start["W2"])

    def views(self, flat):
        sizes = [math.prod(shape) for shape in self.shapes]
        return [
            part.view(shape) for part, shape in zip(flat.split(sizes), self.shapes, strict=True)
        ]

    def _each(self):
        """Each network's own, unpadded part of the parameters, with its width and seed."""
        W1 = self.W1.view(self.S, self.C, self.H, self.d + 1)
        W2, b2 = self.W2.view(self.S, self.C, self.k, self.H), self.b2.view(self.S, self.C, self.k)
        for s, seed in enumerate(self.seeds):
            for c, (_, width) in enumerate(self.columns):
                own = W1[s, c, :width]
                net = {
                    "W1": own[:, :-1],
                    "b1": own[:, -1],
                    "W2": W2[s, c, :, :width],
                    "b2": b2[s, c],
                }
                yield net, width, seed

    def unpacked(self):
        keys = [(decay, width, seed) for seed in self.seeds for decay, width in self.columns]
        for key, (net, _, _) in zip(keys, self._each(), strict=True):
            yield key, {name: value.detach().cpu().clone() for name, value in net.items()}

    def forward(self, examples, hidden=None, outputs=None):
        """Hidden units (S, C·H, n) and outputs (S·C, k, n), into the given buffers if there are any."""
        hidden = torch.bmm(self.W1, examples.XT, out=hidden).relu_()
        each = hidden.view(self.S * self.C, self.H, examples.n)
        return hidden, torch.baddbmm(self.b2, self.W2, each, out=outputs)

    def evaluate(self, examples, loss):
        """Error and loss of every network, each (S, C)."""
        outputs = self.forward(examples)[1].view(self.S, self.C, self.k, examples.n)
        y = examples.y[:, None].expand(self.S, self.C, examples.n)
        error = (outputs.argmax(2) != y).to(outputs.dtype).mean(-1)
        if loss == "cross_entropy":
            flat = (self.S * self.C, examples.n)
            value = cross_entropy(
                outputs.view(-1, self.k, examples.n), y.reshape(flat), reduction="none"
            )
            value = value.view(self.S, self.C, examples.n).mean(-1)
        else:
            value = (outputs - examples.targets).square_().sum(2).mean(-1)
        return error.cpu().numpy(), value.cpu().numpy()


class AdamW:
    """Gradient and update of all networks, in place, in buffers made once."""

    def __init__(self, nets, examples):
        self.nets, self.examples, self.t = nets, examples, 0
        self.gradient, self.mean, self.square, self.scratch = (
            torch.zeros_like(nets.flat) for _ in range(4)
        )
        self.g_W1, self.g_W2, self.g_b2 = nets.views(self.gradient)
        like = {"dtype": nets.flat.dtype, "device": nets.flat.device}
        self.hidden, self.g_hidden = (
            torch.zeros(nets.S, nets.C * nets.H, examples.n, **like) for _ in "ab"
        )
        self.outputs, self.g_outputs = (
            torch.zeros(nets.S * nets.C, nets.k, examples.n, **like) for _ in "ab"
        )
        decays = torch.tensor([decay for decay, _ in nets.columns], **like)
        self.decay = decays.repeat(nets.S).view(-1, 1, 1) if decays.any() else None  # (S·C, 1, 1)

    def backward(self, loss):
        """Write the gradient of every network's own loss into ``gradient``.

        By hand rather than by autograd: the four products are the whole cost, and they can then write
        into buffers that are reused. The slope of the loss in the outputs is (softmax − one-hot)/n for
        cross-entropy and 2·(outputs − one-hot)/n for squared error.
        """
        nets, n = self.nets, self.examples.n
        nets.forward(self.examples, self.hidden, self.outputs)
        hidden, g_hidden = (
            x.view(nets.S * nets.C, nets.H, n) for x in (self.hidden, self.g_hidden)
        )
        if loss == "cross_entropy":
            torch.softmax(self.outputs, 1, out=self.g_outputs)
        else:
            self.g_outputs.copy_(self.outputs)
        slope = self.g_outputs.view(nets.S, nets.C, nets.k, n).sub_(self.examples.targets)
        slope.mul_((1 if loss == "cross_entropy" else 2) / n)
        torch.bmm(self.g_outputs, hidden.transpose(1, 2), out=self.g_W2)
        torch.sum(self.g_outputs, 2, keepdim=True, out=self.g_b2)
        torch.bmm(nets.W2.transpose(1, 2), self.g_outputs, out=g_hidden)
        torch.ops.aten.threshold_backward.grad_input(  # zero where the hidden unit is off, in one pass
            self.g_hidden, self.hidden, 0, grad_input=self.g_hidden
        )
        torch.bmm(self.g_hidden, self.examples.X, out=self.g_W1)

    def step(self, lr, loss):
        """One step of AdamW, with the arithmetic in the order of ``torch.optim.AdamW``."""
        self.backward(loss)
        self.t += 1
        nets, (beta1, beta2) = self.nets, BETAS
        if self.decay is not None:
            keep = 1 - lr * self.decay
            for part in (nets.W1.view(nets.S * nets.C, nets.H, -1), nets.W2, nets.b2):
                part.mul_(keep)
        self.mean.lerp_(self.gradient, 1 - beta1)
        self.square.mul_(beta2).addcmul_(self.gradient, self.gradient, value=1 - beta2)
        torch.sqrt(self.square, out=self.scratch)
        self.scratch.div_(math.sqrt(1 - beta2**self.t)).add_(EPS)
        nets.flat.addcdiv_(self.mean, self.scratch, value=-lr / (1 - beta1**self.t))
