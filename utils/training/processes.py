"""This process: alone, or one of several under ``torchrun`` or ``accelerate launch``.

The rest of the training code calls these few methods and need not know which of the two it is.
"""

from __future__ import annotations

import contextlib
import os
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from utils.training.config import usable_device


class Processes:
    """The processes that train one model together, each on its own share of every batch.

    Attributes
    ----------
    device : where this process computes.
    rank : this process's number, from 0.
    world : how many processes there are.
    """

    def __init__(self, device: torch.device | str | None) -> None:
        """Join the group that the launcher started, if one did. Raises as `usable_device`."""
        self._group: Any = None
        self.rank = 0
        self.world = 1
        launched = int(os.environ.get("WORLD_SIZE", "1")) > 1
        if not launched:
            self.device = usable_device(device)
            return

        from accelerate import Accelerator  # only a launch on several devices needs it

        on_cpu = usable_device(device).type == "cpu"
        self._group = Accelerator(cpu=on_cpu)
        self.rank = self._group.process_index
        self.world = self._group.num_processes
        self.device = self._group.device

    def prepare(self, model: Any) -> Any:
        """Wrap a model so that ``backward`` averages its gradients over the processes."""
        if self._group is None:
            return model
        return self._group.prepare(model)

    def without_averaging(self, model: Any) -> AbstractContextManager:
        """A context in which ``backward`` adds to the gradients but does not average them."""
        if self._group is None:
            return contextlib.nullcontext()
        return self._group.no_sync(model)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of ``value`` over the processes."""
        if self._group is None:
            return value
        return self._group.reduce(value, "mean")

    def any(self, *flags: bool) -> list[bool]:
        """For each flag, whether any process raised it."""
        if self._group is None:
            return list(flags)
        raised = torch.tensor(flags, dtype=torch.float, device=self.device)  # (n_flags,)
        return (self._group.reduce(raised, "sum") > 0).tolist()
