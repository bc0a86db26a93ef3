"""Where and how large: the device, the seed, the scale of a run, and the course's root folder."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from utils.validate import choice, integer, require

T = TypeVar("T")
SCALES = ("cpu", "colab", "full")


def repo_root() -> Path:
    """The folder that holds ``_toc.yml``: the root of the course's checkout."""
    return Path(__file__).resolve().parents[1]


def cache_dir() -> Path:
    """Where downloads are kept: ``COURSE_DATA``, or ``.cache`` in the checkout."""
    return Path(os.environ.get("COURSE_DATA") or repo_root() / ".cache")


def device() -> torch.device:
    """The device to train on: CUDA where there is one, otherwise the CPU.

    Apple's MPS has no float64, which several notebooks need, so it is used only when asked for
    with ``COURSE_DEVICE=mps``. ``COURSE_DEVICE=cpu`` keeps a run off the GPU. Raises ``ValueError`` where
    there is no such device.
    """
    asked = os.environ.get("COURSE_DEVICE")
    if asked:
        return named_device("COURSE_DEVICE", choice("COURSE_DEVICE", asked, ("cpu", "cuda", "mps")))
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def named_device(name: str, asked: torch.device | str) -> torch.device:
    """The device ``asked`` of the argument ``name``. Raises ``ValueError`` for one that is not here."""
    try:
        found = torch.device(asked)
    except (RuntimeError, TypeError):
        found = None
    counts = {"cpu": 1, "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0}
    counts["mps"] = int(torch.backends.mps.is_available())
    here = [kind for kind, count in counts.items() if count]
    good = found is not None and (found.index or 0) < counts.get(found.type, 0)
    require(good, name, f"a device of this machine ({', '.join(here)})", str(asked))
    return found


def scale() -> str:
    """The scale of this run: ``COURSE_SCALE``, else ``colab`` with CUDA and ``cpu`` without.

    ``full`` is never chosen for you: it is sized for a data-centre GPU.
    """
    asked = os.environ.get("COURSE_SCALE")
    if asked:
        return choice("COURSE_SCALE", asked, SCALES)
    return "colab" if torch.cuda.is_available() else "cpu"


def at_scale(*, cpu: T, colab: T | None = None, full: T | None = None) -> T:
    """Pick a setting by the scale of this run.

    A scale that is left out takes the next smaller one's value, so ``at_scale(cpu=5)`` is 5 everywhere.
    """
    colab = cpu if colab is None else colab
    return {"cpu": cpu, "colab": colab, "full": colab if full is None else full}[scale()]


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's global generators, for code that offers no generator of its own."""
    seed = integer("seed", seed, 0, 2**32 - 1)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def single_thread() -> None:
    """Use one CPU thread, in torch and in the linear algebra behind NumPy.

    A small model's matrices are too small to share out: on a busy two-core machine a second thread
    made such sweeps up to ten times slower.
    """
    torch.set_num_threads(1)
    threadpool_limits(1)


def progress(items: Iterable[T], label: str) -> Iterator[T]:
    """Iterate with a progress bar, silent when ``COURSE_QUIET`` is set.

    The tests set it, so that committed outputs hold no timings.
    """
    from tqdm.auto import tqdm

    yield from tqdm(items, desc=label, leave=False, disable=bool(os.environ.get("COURSE_QUIET")))
