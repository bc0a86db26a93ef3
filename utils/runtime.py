"""Where, how large and from which seed: the device, the scale of a run, and every random generator.

NumPy and torch are imported where they are used: building the book installs neither, and reads `repo_root`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, overload

from utils.validate import choice, integer, require

if TYPE_CHECKING:
    import numpy as np
    import torch

T = TypeVar("T")
SCALES = ("cpu", "colab", "full")
KINDS = ("numpy", "torch", "global")


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
    import torch

    asked = os.environ.get("COURSE_DEVICE")
    if asked:
        return named_device("COURSE_DEVICE", choice("COURSE_DEVICE", asked, ("cpu", "cuda", "mps")))
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def named_device(name: str, asked: torch.device | str) -> torch.device:
    """The device ``asked`` of the argument ``name``. Raises ``ValueError`` for one that is not here."""
    import torch

    try:
        found = torch.device(asked)
    except (RuntimeError, TypeError):
        found = None
    counts = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }
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
    import torch

    return "colab" if torch.cuda.is_available() else "cpu"


def at_scale(*, cpu: T, colab: T | None = None, full: T | None = None) -> T:
    """Pick a setting by the scale of this run.

    A scale that is left out takes the next smaller one's value, so ``at_scale(cpu=5)`` is 5 everywhere.
    """
    colab = cpu if colab is None else colab
    full = colab if full is None else full
    return {"cpu": cpu, "colab": colab, "full": full}[scale()]


@overload
def generator(seed: int | Sequence[int], kind: Literal["numpy"] = ...) -> np.random.Generator: ...
@overload
def generator(
    seed: int, kind: Literal["torch", "global"], device: torch.device | str = ...
) -> torch.Generator: ...
def generator(
    seed: int | Sequence[int], kind: str = "numpy", device: torch.device | str = "cpu"
) -> np.random.Generator | torch.Generator:
    """A random generator that starts from ``seed``: the one place where the course makes one.

    kind: "numpy" is ``np.random.default_rng(seed)``, whose seed may be a sequence such as [seed, epoch];
    "torch" is a ``torch.Generator`` on ``device``; "global" seeds torch's own generator, which
    ``torch.nn`` draws initial weights and dropout from, and returns it.
    Raises ``ValueError`` for a seed that is not a whole number of at least 0, or an unknown kind.

    >>> generator(0).integers(10)
    8
    >>> generator([0, 1]).integers(10)  # another stream, still a function of the seed alone
    5
    """
    choice("kind", kind, KINDS)
    if kind == "numpy":
        import numpy as np

        listed = isinstance(seed, Sequence) and not isinstance(seed, str)
        parts = [integer("seed", part, 0) for part in (seed if listed else [seed])]
        return np.random.default_rng(parts if listed else parts[0])

    import torch

    seed = integer("seed", seed, 0, 2**63 - 1)  # what torch.manual_seed takes
    if kind == "global":
        return torch.manual_seed(seed)
    return torch.Generator(device).manual_seed(seed)


def single_thread() -> None:
    """Use one CPU thread, in torch and in the linear algebra behind NumPy.

    A small model's matrices are too small to share out: on a busy two-core machine a second thread
    made such sweeps up to ten times slower.
    """
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)


def progress(items: Iterable[T], label: str) -> Iterator[T]:
    """Iterate with a progress bar, silent when ``COURSE_QUIET`` is set.

    The tests set it, so that committed outputs hold no timings.
    """
    from tqdm.auto import tqdm

    yield from tqdm(items, desc=label, leave=False, disable=bool(os.environ.get("COURSE_QUIET")))
