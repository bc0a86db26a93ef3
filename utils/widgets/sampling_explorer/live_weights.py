"""The course's model as classic scripts that a page inserts on a click.

They hold int8 safetensors in base64. A classic ``<script src>`` is what a page opened by
``file://`` may still load, so one way serves all. There are several, because a page cannot see how
far a script has come, only that it is there. The book's build writes them from
``records/course_gpt``; they are never committed. Each matrix becomes int8 with one float32 scale
per row, each vector float32. Only the standard library is used, as building the book installs no
NumPy.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from array import array
from pathlib import Path
from typing import Any

from utils.files import write_text

LIMIT = 7_000_000  # bytes of weights that a reader is asked to load
PARTS = 16  # scripts: a second or two each on a slow line
LETTERS = {"F16": "e", "F32": "f"}  # struct's name for each dtype that can be read
LARGEST = 127  # of int8
HEADER_STEP = 8  # safetensors: a header's length is a multiple of it


def read_header(blob: bytes) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file without its metadata, and where the tensors begin."""
    (size,) = struct.unpack_from("<Q", blob)
    header = json.loads(blob[8 : 8 + size])
    header.pop("__metadata__", None)
    return header, 8 + size


class Tensors:
    """Tensors on their way into a safetensors file."""

    def __init__(self, metadata: dict[str, str]) -> None:
        self.header: dict[str, Any] = {"__metadata__": metadata}
        self.body = bytearray()

    def add(self, name: str, dtype: str, shape: list[int], data: bytes) -> None:
        """Put ``data`` behind the tensors before it."""
        begin = len(self.body)
        self.body.extend(data)
        offsets = [begin, len(self.body)]
        self.header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}

    def to_bytes(self) -> bytes:
        """The file: the header's length, the header, the tensors."""
        head = json.dumps(self.header, separators=(",", ":")).encode()
        head += b" " * (-len(head) % HEADER_STEP)  # JSON allows spaces at its end
        return struct.pack("<Q", len(head)) + head + bytes(self.body)


def quantize(blob: bytes, config: dict[str, Any]) -> bytes:
    """A safetensors file (float16 or float32) with its matrices as rows of int8.

    q = round(w / s) with s = max |w| of the row / 127; the scales of matrix ``W`` are the tensor
    ``W.scale``. ``config`` travels in the metadata. Raises ``ValueError`` for another dtype.
    """
    header, start = read_header(blob)
    tensors = Tensors({"config": json.dumps(config)})
    for name, entry in header.items():
        dtype, shape = entry["dtype"], entry["shape"]
        if dtype not in LETTERS:
            raise ValueError(f"{name}: dtype must be one of {', '.join(LETTERS)}, got {dtype}")
        row_format = f"<{shape[-1]}{LETTERS[dtype]}"
        begin = start + entry["data_offsets"][0]
        if len(shape) == 1:  # a norm's gains: few, and all of them matter
            vector = struct.unpack_from(row_format, blob, begin)
            tensors.add(name, "F32", shape, floats(vector))
            continue

        integers = array("b")  # row after row
        scales = []
        for row in range(shape[0]):
            w = struct.unpack_from(row_format, blob, begin + row * struct.calcsize(row_format))
            largest = max(max(w), -min(w))
            scale = largest / LARGEST if largest > 0 else 1.0
            scales.append(scale)
            integers.extend([round(x / scale) for x in w])
        tensors.add(name, "I8", shape, integers.tobytes())
        tensors.add(f"{name}.scale", "F32", [shape[0]], floats(scales))
    return tensors.to_bytes()


def floats(values: tuple[float, ...] | list[float]) -> bytes:
    """``values`` as little-endian float32."""
    return struct.pack(f"<{len(values)}f", *values)


def tokenizer_data(path: Path) -> dict[str, Any]:
    """What ``bpe.mjs`` needs of a byte-level ``tokenizer.json``.

    Raises ``ValueError`` for a tokenizer of another kind.
    """
    stored = json.loads(path.read_text(encoding="utf-8"))
    model = stored["model"]
    splitter = stored["pre_tokenizer"]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
    readable = (
        model["type"] == "BPE"
        and not model["byte_fallback"]
        and stored["normalizer"] is None
        and splitter == {**splitter, **byte_level}
    )
    if not readable:
        raise ValueError(
            f"{path.name}: only a byte-level BPE without prefix space or normaliser can be read"
        )
    # Newer files hold a merge as a pair, older ones as a text.
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    return {
        "tokens": sorted(model["vocab"], key=model["vocab"].__getitem__),
        "merges": merges,
        "special": {token["content"]: token["id"] for token in stored["added_tokens"]},
    }


def scripts(folder: Path) -> list[str]:
    """The classic scripts for the model stored in ``folder``, each with a piece of one JSON text.

    A script hangs its piece on its own element. Raises ``FileNotFoundError`` where a file is
    missing, and ``ValueError`` if the weights pass ``LIMIT``.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    weights = quantize((folder / "model.safetensors").read_bytes(), config)
    if len(weights) > LIMIT:
        raise ValueError(
            f"{folder.name}: the int8 weights must be at most {LIMIT} bytes, got {len(weights)}"
        )
    data = {
        "weights": base64.b64encode(weights).decode(),
        "tokenizer": tokenizer_data(folder / "tokenizer.json"),
    }
    text = json.dumps(data, separators=(",", ":"))
    length = math.ceil(len(text) / PARTS)
    pieces = [text[i * length : (i + 1) * length] for i in range(PARTS)]
    return [f"document.currentScript.modelPart = {json.dumps(piece)};\n" for piece in pieces]


def write_scripts(folder: Path, target: Path) -> list[int]:
    """Write the scripts to ``target`` with a number and ".js" behind it; return the bytes of each.

    Nothing is written where all are newer than the model.
    """
    sources = [*folder.iterdir(), Path(__file__)]
    newest = max(path.stat().st_mtime for path in sources)
    files = [target.with_name(f"{target.name}-{number}.js") for number in range(1, PARTS + 1)]
    current = all(file.is_file() and file.stat().st_mtime >= newest for file in files)
    if not current:
        for file, text in zip(files, scripts(folder), strict=True):
            write_text(file, text)
    return [file.stat().st_size for file in files]
