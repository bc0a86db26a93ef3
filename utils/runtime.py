"""The device and the scale of a run, and every random generator.

NumPy and torch are imported where they are used: building the book installs neither, and it reads
`repo_root`.
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
    with ``COURSE_DEVICE=mps``. ``COURSE_DEVICE=cpu`` keeps a run off the GPU.
    Raises ``ValueError`` where there is no such device.
    """
    import torch

    asked = os.environ.get("COURSE_DEVICE")
    if asked:
        choice("COURSE_DEVICE", asked, ("cpu", "cuda", "mps"))
        return named_device("COURSE_DEVICE", asked)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def named_device(name: str, asked: torch.device | str) -> torch.device:
    """Return the device that a user ``asked`` for, as in "cpu" or "cuda:1".

    name: what the argument is called in the error. Raises ``ValueError`` for a device that this
    machine does not have.
    """
    import torch

    # How many devices of each kind there are.
    n_cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    n_mps = int(torch.backends.mps.is_available())
    n_devices = {"cpu": 1, "cuda": n_cuda, "mps": n_mps}
    here = ", ".join(kind for kind, n in n_devices.items() if n > 0)
    allowed = f"a device of this machine ({here})"

    try:
        found = torch.device(asked)
    except (RuntimeError, TypeError):  # no device at all, such as "foo" or 1.5
        found = torch.device("meta")  # torch's own placeholder, which is never on the list
    index = found.index or 0  # "cuda" without a number is the first one
    require(index < n_devices.get(found.type, 0), name, allowed, str(asked))
    return found


def scale() -> str:
    """The scale of this run: ``COURSE_SCALE``, else ``colab`` with CUDA and ``cpu`` without.

    ``full`` is never chosen for you: it is sized for a data-centre GPU.
    """
    asked = os.environ.get("COURSE_SCALE")
    if asked:
        return choice("COURSE_SCALE", asked, SCALES)
    import torch  # only now: a scale that is named needs no torch

    return "colab" if torch.cuda.is_available() else "cpu"


def at_scale(*, cpu: T, colab: T | None = None, full: T | None = None) -> T:
    """Pick a setting by the scale of this run.

    A scale that is left out takes the next smaller one's value, so ``at_scale(cpu=5)`` is 5
    everywhere and ``at_scale(cpu=5, full=100)`` is 5 on Colab too.
    """
    if colab is None:
        colab = cpu
    if full is None:
        full = colab
    return {"cpu": cpu, "colab": colab, "full": full}[scale()]


def seed_offset() -> int:
    """By how much every seed of this run is moved: ``COURSE_SEED_OFFSET``, else 0.

    Raises ``ValueError`` for what is no whole number from 0 to 2⁶².
    """
    text = os.environ.get("COURSE_SEED_OFFSET") or "0"
    is_whole = text.isascii() and text.isdecimal() and len(text) < 20
    require(is_whole, "COURSE_SEED_OFFSET", "a whole number of at least 0", text)
    return integer("COURSE_SEED_OFFSET", int(text), 0, 2**62)


# Two declarations for the type checker, which kind returns which generator, and then the function.
@overload
def generator(seed: int | Sequence[int], kind: Literal["numpy"] = ...) -> np.random.Generator: ...
@overload
def generator(
    seed: int, kind: Literal["torch", "global"], device: torch.device | str = ...
) -> torch.Generator: ...
def generator(
    seed: int | Sequence[int], kind: str = "numpy", device: torch.device | str = "cpu"
) -> np.random.Generator | torch.Generator:
    """Return a random generator that starts from ``seed``.

    This is the one place where the course makes one, whatever it is for:

    - "numpy" is ``np.random.default_rng(seed)``; the seed may be a sequence, as in [seed, epoch];
    - "torch" is ``torch.Generator(device).manual_seed(seed)``;
    - "global" is ``torch.manual_seed(seed)``: it seeds the generator from which ``torch.nn`` draws
      initial weights and dropout, and returns it.

    ``COURSE_SEED_OFFSET`` is added to every seed, or to the first number of a sequence, so that a
    whole notebook can be run again with other chance: `utils.book.seeds` does so.

    Raises ``ValueError`` for a seed that is not a whole number of at least 0, or an unknown kind.

    >>> int(generator(0).integers(10))
    8
    >>> int(generator([0, 1]).integers(10))  # another stream, still a function of the seed alone
    5
    """
    choice("kind", kind, KINDS)
    offset = seed_offset()
    if kind == "numpy":
        import numpy as np

        if isinstance(seed, Sequence) and not isinstance(seed, str):
            parts = [integer("seed", part, 0) for part in seed]
            first = [part + offset for part in parts[:1]]
            return np.random.default_rng(first + parts[1:])
        return np.random.default_rng(integer("seed", seed, 0) + offset)

    import torch

    largest = 2**63 - 1 - offset  # the largest seed that torch.manual_seed takes
    seed = integer("seed", seed, 0, largest) + offset
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

    quiet = bool(os.environ.get("COURSE_QUIET"))
    yield from tqdm(items, desc=label, leave=False, disable=quiet)
