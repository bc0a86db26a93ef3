"""Write tensors to a safetensors file, whole or not at all. No pickle is written or read."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from utils.files import write_whole


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file that appears whole or not at all.

    metadata: texts for the file's header. Raises ``OSError`` in one line when it cannot be written;
    a file that stood there before stays.
    """
    # safetensors takes only tensors that lie in one piece; parameters come with their gradient.
    plain = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    write_whole(path, save(plain, metadata))
