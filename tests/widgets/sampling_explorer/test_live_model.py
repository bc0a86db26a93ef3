"""The model that a page runs, against torch and `tokenizers`: weights, forward pass, ids."""

from __future__ import annotations

import base64
import json
import random
import struct
import unicodedata

import numpy as np
import pytest
import torch

from tests.node import node
from utils.models.course import load
from utils.models.gpt import GPT, GPTConfig
from utils.models.interop import from_state_dict, save_pretrained
from utils.runtime import repo_root
from utils.sampling.passages import held_out_ids
from utils.sampling.stops import StopScanner
from utils.widgets.sampling_explorer.live_weights import (
    LIMIT,
    PARTS,
    quantize,
    read_header,
    scripts,
    tokenizer_data,
    write_scripts,
)

pytestmark = pytest.mark.usefixtures("one_thread")
MODEL = repo_root() / "records" / "course_gpt"
ODD = (
    # white space of every kind, alone and beside letters
    "",
    " ",
    "  ",
    "   a",
    "a   ",
    "\n",
    "\n\n a",
    "\t\tx",
    "\u00a0\u2003a",
    "\u0085b",
    "\ufeffc",
    "\u180ed",
    # contractions, digits, emoji of several code points
    "'s 're 've 'm 'll 'd 't 'S",
    "don't I'll we've",
    "’s",
    "x1y2 ３ ½ Ⅷ ²",
    "😀",
    "👨‍👩‍👧‍👦 é é",
    "🇩🇪🏳️‍🌈",
    # other scripts, control characters, special tokens
    "中文字符",
    "العربية",
    "नमस्ते",
    "\u0000\u0001",
    "<|endoftext|>",
    "a<|endoftext|> b<|endoftext|>",
    # what only looks special, separators, compatibility characters
    "<|endoftext",
    "toString __proto__ constructor",
    "\r\n\r\n",
    "a\u2028b\u2029c",
    "１２３",
    "ﬁ ß İ",
)


@pytest.fixture(scope="module")
def course():
    return load()


@pytest.fixture(scope="module")
def weights() -> bytes:
    config = json.loads((MODEL / "config.json").read_text())
    return quantize((MODEL / "model.safetensors").read_bytes(), config)


def dequantized(model: GPT, weights: bytes) -> GPT:
    """The model that the page computes: the int8 rows times their scales, as float32."""
    header, start = read_header(weights)
    kinds = {"I8": np.int8, "F32": np.float32}

    def read(name: str) -> torch.Tensor:
        entry = header[name]
        begin, end = entry["data_offsets"]
        values = np.frombuffer(weights[start + begin : start + end], kinds[entry["dtype"]])
        return torch.from_numpy(values.reshape(entry["shape"]).astype(np.float32))

    names = [name for name in header if not name.endswith(".scale")]
    scaled = {
        n: read(n) * read(f"{n}.scale")[:, None] if f"{n}.scale" in header else read(n)
        for n in names
    }
    return from_state_dict(model.config, scaled).eval()


def strings(tokenizer, rng: random.Random) -> list[str]:
    """Held-out prose cut anywhere, spiced with emoji, odd spaces and characters of every plane."""
    prose = tokenizer.decode(held_out_ids(tokenizer)[::5].flatten().tolist())
    # Only characters old enough that Python, the library and the browser agree on what they are.
    known = [chr(c) for c in range(0x20000) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
    spaces = "\t\n\v\f\r \u00a0\u1680\u2000\u2009\u2028\u202f\u205f\u3000\u0085\ufeff\u200b\x1c"
    found = list(ODD)
    while len(found) < 1300:
        at, parts = rng.randrange(len(prose) - 80), []
        for _ in range(rng.randint(1, 4)):
            parts += [
                prose[at : at + rng.randint(0, 60)],
                "".join(rng.choices(known, k=rng.choice([0, 0, 1, 3, 8]))),
                "".join(rng.choices(spaces, k=rng.choice([0, 1, 2, 4]))),
                rng.choice(["", "😀", "🎉🎉", "é", "'ll", "1234", "…”"]),
            ]
        rng.shuffle(parts)
        found.append("".join(parts))
    return found


def scans(tokenizer, texts: list[str], rng: random.Random) -> list[dict]:
    """What Python's scanner releases token by token.

    Some stop strings are taken from the text, others are not in it.
    """
    found = []
    for text in texts:
        ids = tokenizer.encode(text).ids
        stop = [
            "\n\n",
            text[len(text) // 2 :][: rng.randint(1, 6)],
            "zzz",
            text[-3:] + "!",
            text[:2] * 3,
        ]
        stop = [s for s in rng.sample(stop, rng.randint(0, 4)) if s]
        scanner, pieces = StopScanner(tokenizer, [], stop), []
        for i in ids:
            pieces.append(scanner.push(i))
            if scanner.found is not None:
                break
        pieces.append(scanner.finish())
        found.append(
            {
                "ids": ids,
                "stop": stop,
                "pieces": pieces,
                "found": scanner.found,
                "text": scanner.text,
            }
        )
    return found


@torch.no_grad()
def test_javascript_equals_python(course, weights, tmp_path) -> None:
    model, tokenizer = course
    rng = random.Random(0)
    torch.manual_seed(0)
    small = GPT(
        GPTConfig(
            vocab_size=60, context_length=24, n_layer=3, n_head=6, n_kv_head=2, d_model=36, d_ff=50
        )
    )
    untied = GPT(
        GPTConfig(
            vocab_size=50, context_length=9, n_layer=1, n_head=2, d_model=20, tie_embeddings=False
        )
    )
    exact = []
    for name, gpt, length, dtype in (
        ("grouped heads, float32", small, 24, torch.float32),
        ("untied head, float32", untied, 9, torch.float32),
        ("the course model, float16", model, 24, torch.float16),
    ):
        if gpt is not model:
            for p in gpt.parameters():
                p.add_(
                    torch.randn_like(p) * 0.1
                )  # fresh blocks are the identity: nothing to compare
        folder = tmp_path / name[:4]
        save_pretrained(gpt, folder, dtype)
        ids = (
            held_out_ids(tokenizer)[3, :length]
            if gpt is model
            else torch.randint(gpt.config.vocab_size, (length,))
        )
        gpt(ids[None])[0].numpy().tofile(folder / "logits.f32")
        config = json.loads((folder / "config.json").read_text())
        paths = {"weights": str(folder / "model.safetensors"), "logits": str(folder / "logits.f32")}
        exact.append({"name": name, "ids": ids.tolist(), "config": config, **paths})

    (tmp_path / "int8.safetensors").write_bytes(weights)
    ids = held_out_ids(tokenizer)[9, :40]
    dequantized(model, weights)(ids[None])[0].numpy().tofile(tmp_path / "int8.f32")
    paths = {"weights": str(tmp_path / "int8.safetensors"), "logits": str(tmp_path / "int8.f32")}
    exact.append({"name": "the course model, int8", "ids": ids.tolist(), "config": config, **paths})
    texts = strings(tokenizer, rng)
    fixture = {
        "tokenizer": tokenizer_data(MODEL / "tokenizer.json"),
        "strings": [
            {"text": s, "ids": (ids := tokenizer.encode(s).ids), "decoded": tokenizer.decode(ids)}
            for s in texts
        ],
        "scans": scans(tokenizer, [s for s in texts[len(ODD) :: 8] if "\ufffd" not in s], rng),
        "exact": exact,
        "long": tokenizer.decode(held_out_ids(tokenizer)[7, :250].tolist()),
    }
    assert len(fixture["strings"]) >= 1000
    node("sampling_explorer/live_model.test.mjs", fixture, tmp_path)


@torch.no_grad()
def test_int8_is_nearly_the_same_model(course, weights, record_property) -> None:
    model, tokenizer = course
    assert len(weights) <= LIMIT
    page = dequantized(model, weights)
    for own, stored in zip(page.parameters(), model.parameters(), strict=True):
        if own.dim() == 2:  # no weight moves by more than half a step of its row
            step = stored.abs().amax(1, keepdim=True) / 127
            assert ((own - stored).abs() <= 0.501 * step).all()
    same, kl, passages = 0.0, 0.0, held_out_ids(tokenizer)[::2, :256]
    for ids in passages:
        p, q = (m(ids[None])[0].log_softmax(-1) for m in (model, page))
        same += (p.argmax(-1) == q.argmax(-1)).float().mean().item() / len(passages)
        kl += (p.exp() * (p - q)).sum(-1).mean().item() / len(passages)
    record_property("same_argmax", same)
    record_property("mean_kl_nats", kl)
    assert same >= 0.98
    assert kl < 5e-4


def test_a_wrong_model_is_refused_in_one_line(tmp_path) -> None:
    head = json.dumps({"w": {"dtype": "I64", "shape": [1, 1], "data_offsets": [0, 8]}}).encode()
    with pytest.raises(ValueError, match="w: dtype must be one of F16, F32, got I64"):
        quantize(struct.pack("<Q", len(head)) + head + bytes(8), {})
    stored = json.loads((MODEL / "tokenizer.json").read_text())
    stored["model"]["type"] = "Unigram"
    (tmp_path / "tokenizer.json").write_text(json.dumps(stored))
    with pytest.raises(ValueError, match="only a byte-level BPE"):
        tokenizer_data(tmp_path / "tokenizer.json")


def test_the_scripts_are_written_once(tmp_path, monkeypatch) -> None:
    calls = []
    monkeypatch.setattr(
        "utils.widgets.sampling_explorer.live_weights.scripts",
        lambda folder: calls.append(folder) or ["x"] * PARTS,
    )
    for _ in range(2):
        assert write_scripts(MODEL, tmp_path / "live" / "course_gpt") == [1] * PARTS
    assert calls == [MODEL]
    names = {f"course_gpt-{number}.js" for number in range(1, PARTS + 1)}
    assert {p.name for p in (tmp_path / "live").iterdir()} == names


def test_the_scripts_hold_everything(monkeypatch) -> None:
    monkeypatch.setattr(
        "utils.widgets.sampling_explorer.live_weights.quantize", lambda blob, config: b"weights"
    )
    pieces = []
    for text in scripts(MODEL):
        assert text.startswith("document.currentScript.modelPart = ")
        pieces.append(json.loads(text.partition(" = ")[2].rstrip(";\n")))
    assert max(map(len, pieces)) - min(map(len, pieces)) < PARTS  # so that progress is even
    data = json.loads("".join(pieces))
    assert base64.b64decode(data["weights"]) == b"weights"
    assert len(data["tokenizer"]["tokens"]) == 4096
    assert data["tokenizer"]["special"] == {"<|endoftext|>": 0}
    monkeypatch.setattr("utils.widgets.sampling_explorer.live_weights.LIMIT", 3)
    with pytest.raises(ValueError, match="must be at most 3 bytes, got 7"):
        scripts(MODEL)
