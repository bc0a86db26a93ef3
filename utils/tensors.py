"""Tensors in a safetensors file: written whole or not at all, proven undamaged when read.

A safetensors file is a header in JSON (a type, a shape and a place for each tensor, and texts under
``__metadata__``) and then the bytes of the tensors. One of these texts, ``sha256``, is the hash of
the whole file, as it is with 64 zeros in the place of that hash. No pickle is written or read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from utils.files import replacing

METADATA = "__metadata__"  # the entry of the header that holds texts
HASH = "sha256"  # the text that is the hash of all else
NO_HASH = "0" * 64  # what stands in its place while it is computed
BLOCK = 2**20  # bytes that are read or written at once

# How safetensors calls the types of tensors.
NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


class Layout(NamedTuple):
    """Shape and type of a tensor in a file."""

    shape: tuple[int, ...]
    dtype: str  # as safetensors names it, such as "F32"


class Header(NamedTuple):
    """What a safetensors file says of itself.

    metadata: its texts, the hash left out. layouts: of each tensor, by its name. starts: the place
    in the file of each tensor's first byte. sha256: the hash that stands in it, None if there is
    none, as in a file that another program has written.
    """

    metadata: dict[str, str]
    layouts: dict[str, Layout]
    starts: dict[str, int]
    sha256: str | None


# ---- writing -------------------------------------------------------------------------------------


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file with its hash, which appears whole or not at all.

    The tensors are written one after the other where they lie, so that a model that fills the
    memory can still be stored. metadata: texts for the header.

    Raises ``OSError`` in one line when the file cannot be written; one that stood there before
    stays.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "run.safetensors"
    >>> write_tensors(path, {"w": torch.zeros(2, 3)}, {"step": "7"})
    >>> header = read_header(path)
    >>> header.metadata, header.layouts
    ({'step': '7'}, {'w': Layout(shape=(2, 3), dtype='F32')})
    """
    # The widest numbers first, so that each tensor begins at a multiple of its numbers' size.
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))

    header: dict[str, Any] = {METADATA: dict(metadata)}
    end = 0
    for name in order:
        tensor = tensors[name]
        start, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],  # counted from the end of the header
        }

    with replacing(path) as file:
        # The hash is known only at the end: until then zeros stand in its place.
        start = _header_bytes(header, NO_HASH)
        digest = hashlib.sha256(start)
        file.write(start)
        for name in order:
            for piece in _pieces_of(tensors[name]):
                digest.update(piece)
                file.write(piece)
        file.seek(0)
        file.write(_header_bytes(header, digest.hexdigest()))


def _header_bytes(header: dict[str, Any], sha256: str) -> bytes:
    """The header with its hash, after its length in eight bytes."""
    complete = header | {METADATA: header[METADATA] | {HASH: sha256}}
    text = json.dumps(complete, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text


def _pieces_of(tensor: Tensor) -> Iterator[memoryview]:
    """The bytes of a tensor, in pieces of some rows.

    Only a piece is copied, if the tensor lies on another device or not in one block of memory.
    """
    rows = tensor.detach() if tensor.dim() > 0 else tensor.detach().reshape(1)  # (n, ...)
    bytes_per_row = rows[:1].numel() * rows.element_size()
    rows_per_piece = max(1, BLOCK // max(1, bytes_per_row))
    for piece in rows.split(rows_per_piece):
        flat = piece.cpu().contiguous().reshape(-1)  # (numbers,)
        yield flat.view(torch.uint8).numpy().data


# ---- reading -------------------------------------------------------------------------------------


def read_header(path: Path, kind: str = "safetensors file", *, hashed: bool = True) -> Header:
    """Read the header of a safetensors file, and prove by its hash that no byte has changed.

    kind: what an error calls the file, such as "checkpoint". hashed: refuse a file without a hash.
    Otherwise one that another program has written is taken as it is.

    Raises ``ValueError`` in one line for a file that is damaged, no safetensors file or without a
    hash, and ``FileNotFoundError`` where there is none.
    """
    try:
        with safe_open(path, "pt"):
            pass  # safetensors has found the header sound, and each tensor within the file
        with path.open("rb") as file:
            return _proven(file, hashed=hashed)
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path.name} is not a readable {kind}: {reason}") from None


def _proven(file: IO[bytes], *, hashed: bool) -> Header:
    """The header of an open file, once its hash is found right."""
    length = file.read(8)
    text = file.read(int.from_bytes(length, "little"))
    header = json.loads(text)
    metadata = dict(header.pop(METADATA, {}))
    sha256 = metadata.pop(HASH, None)
    if sha256 is None and hashed:
        raise ValueError("it was written by another program, without a sha256 of its content")

    begin = file.tell()
    if sha256 is not None:
        digest = hashlib.sha256(length + text.replace(sha256.encode(), NO_HASH.encode(), 1))
        while block := file.read(BLOCK):
            digest.update(block)
        if digest.hexdigest() != sha256:
            raise ValueError("it is damaged, as its content does not have the sha256 that it holds")

    layouts = {}
    starts = {}
    for tensor, entry in header.items():
        layouts[tensor] = Layout(tuple(entry["shape"]), entry["dtype"])
        starts[tensor] = begin + entry["data_offsets"][0]
    return Header(metadata, layouts, starts, sha256)
