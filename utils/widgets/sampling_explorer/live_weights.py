"""The course's model as one classic script that a page inserts on a click: int8 safetensors in base64.

A classic ``<script src>`` is what a page opened by ``file://`` may still load, so one way serves all.
The book's build writes the script from ``records/course_gpt``; it is never committed. Each matrix becomes
int8 with one float32 scale a row, each vector float32. Only the standard library is used, as building the
book installs no numpy.
"""

from __future__ import annotations

import base64
import json
import struct
from array import array
from pathlib import Path
from typing import Any

from utils.files import write_text

LIMIT = 7_000_000  # bytes of weights that a reader is asked to load
FORMATS = {"F16": ("e", 2), "F32": ("f", 4)}


def read_header(blob: bytes) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file without its metadata, and where the tensors begin."""
    (size,) = struct.unpack_from("<Q", blob)
    header = json.loads(blob[8 : 8 + size])
    header.pop("__metadata__", None)
    return header, 8 + size


def quantize(blob: bytes, config: dict[str, Any]) -> bytes:
    """A safetensors file (float16 or float32) as int8 rows: q = round(w / s), s = max |w| of the row / 127.

    ``config`` travels in the metadata. Raises ``ValueError`` for another dtype.
    """
    header, start = read_header(blob)
    entries: dict[str, Any] = {"__metadata__": {"config": json.dumps(config)}}
    body = bytearray()

    def put(name: str, dtype: str, shape: list[int], data: bytes) -> None:
        entries[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [len(body), len(body) + len(data)],
        }
        body.extend(data)

    for name, entry in header.items():
        if entry["dtype"] not in FORMATS:
            raise ValueError(
                f"{name}: dtype must be one of {', '.join(FORMATS)}, got {entry['dtype']}"
            )
        letter, width = FORMATS[entry["dtype"]]
        shape, begin = entry["shape"], start + entry["data_offsets"][0]
        columns = shape[-1]
        if len(shape) == 1:
            put(
                name,
                "F32",
                shape,
                struct.pack(
                    f"<{columns}f", *struct.unpack_from(f"<{columns}{letter}", blob, begin)
                ),
            )
            continue
        integers, scales = array("b"), []
        for row in range(shape[0]):
            w = struct.unpack_from(f"<{columns}{letter}", blob, begin + row * columns * width)
            scale = max(max(w), -min(w)) / 127 or 1.0
            scales.append(scale)
            integers.extend([round(x / scale) for x in w])
        put(name, "I8", shape, integers.tobytes())
        put(f"{name}.scale", "F32", [shape[0]], struct.pack(f"<{shape[0]}f", *scales))
    head = json.dumps(entries, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + bytes(body)


def tokenizer_data(path: Path) -> dict[str, Any]:
    """What ``bpe.mjs`` needs of a byte-level ``tokenizer.json``. Raises ``ValueError`` for others."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    model, before = stored["model"], stored["pre_tokenizer"]
    plain = model["type"] == "BPE" and not model["byte_fallback"] and stored["normalizer"] is None
    if not (
        plain
        and before == {**before, "type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
    ):
        raise ValueError(
            f"{path.name}: only a byte-level BPE without prefix space or normaliser can be read"
        )
    return {
        "tokens": sorted(model["vocab"], key=model["vocab"].__getitem__),
        "merges": [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]],
        "special": {token["content"]: token["id"] for token in stored["added_tokens"]},
    }


def script(folder: Path) -> str:
    """The classic script for the model stored in ``folder``; it hangs its data on its own element.

    Raises ``FileNotFoundError`` where a file is missing, and ``ValueError`` if the weights pass ``LIMIT``.
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
    return f"document.currentScript.courseModel = {json.dumps(data, separators=(',', ':'))};\n"


def write_script(folder: Path, target: Path) -> int:
    """Write the script to ``target``, unless it is newer than the model; returns its size in bytes."""
    newest = max(path.stat().st_mtime for path in (*folder.iterdir(), Path(__file__)))
    if not target.is_file() or target.stat().st_mtime < newest:
        write_text(target, script(folder))
    return target.stat().st_size
