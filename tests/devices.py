"""A second device on a machine that has only one: torch's ``meta``, whose tensors hold no data.

Inside ``one_device()`` an operation whose tensors lie on two devices raises, as it would between
CUDA and the CPU, so code that forgets to move a tensor fails here too. Numbers that are read from a
``meta`` tensor are 1, and copies of one to the CPU are filled with ones: only devices are tested.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
# What moves data between devices, and is meant to.
MOVING = (aten._to_copy.default, aten.copy_.default)


class TwoDevicesError(AssertionError):
    """An operation was given tensors of two devices."""


class one_device(TorchDispatchMode):  # noqa: N801 (used like a function)
    """A context in which every operation must find its tensors on one device.

    A CPU tensor of one number is allowed beside others, as CUDA allows it in arithmetic.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        devices = {tensor.device.type for tensor in tensors if tensor.device.type != "cpu"}
        devices |= {"cpu" for tensor in tensors if tensor.device.type == "cpu" and tensor.dim() > 0}
        if len(devices) > 1 and func not in MOVING:
            raise TwoDevicesError(f"{func} was given tensors on {' and '.join(sorted(devices))}")

        reads_meta = bool(tensors) and tensors[0].device.type == "meta"
        if func is aten._local_scalar_dense.default and reads_meta:
            return torch.ones((), dtype=tensors[0].dtype).item()
        if func is aten._to_copy.default and reads_meta:
            target = torch.device(kwargs.get("device") or "meta")
            if target.type == "cpu":
                dtype = kwargs.get("dtype") or tensors[0].dtype
                return torch.ones(tensors[0].shape, dtype=dtype)
        return func(*args, **kwargs)
