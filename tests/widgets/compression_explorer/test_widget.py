"""The compression explorer without a browser: JavaScript = Python, the steps, and the class."""

from __future__ import annotations

import json
import math
import re
from itertools import product

import numpy as np
import pytest
import traitlets as t

from experiments.myths.token_costs import deflate_bytes, learning_bits
from tests.node import node
from utils import records
from utils.runtime import generator, repo_root
from utils.widgets.compression_explorer.settings import (
    BITS,
    GRANULARITIES,
    RECORD,
    SPARSITIES,
    TEXTS,
)
from utils.widgets.compression_explorer.widget import CompressionExplorer


@pytest.fixture(scope="module")
def record() -> dict:
    return records.load(RECORD).data


def quality(point: dict) -> float:
    return float(np.mean(point["bits_per_byte"]))


def frontier(points: list[dict]) -> list[int]:
    """Bytes of the points that no other beats: rising, each better than all smaller ones."""
    found = []
    best = math.inf
    for point in sorted(points, key=lambda point: (point["n_bytes"], quality(point))):
        if quality(point) < best:
            best = quality(point)
            found.append(point["n_bytes"])
    return found


def test_javascript_finds_what_python_finds(record, tmp_path) -> None:
    rng = generator(0)
    learning = []
    for size, vocab in ((1, 5), (60, 3), (250, 40)):
        ids = rng.integers(vocab, size=size).tolist()
        tenths = rng.integers(10, 120, size=vocab).tolist()
        bits = learning_bits(ids, [-tenth / 10 for tenth in tenths])
        learning.append({"ids": ids, "tenths": tenths, "bits": bits})
    softmax = []
    for scale in (0.1, 1.0, 100.0):
        logits = scale * rng.normal(size=20)
        log_p = logits - logits.max()
        log_p -= np.log(np.exp(log_p).sum())
        softmax.append({"logits": logits.tolist(), "id": 3, "bits": -log_p[3] / math.log(2)})
    differences = []
    for n in (2, 8):
        pair = rng.normal(size=(2, n))
        apart = pair[0] - pair[1]
        se = apart.std(ddof=1) / math.sqrt(n)
        row = {"list": pair[0].tolist(), "others": pair[1].tolist(), "mean": apart.mean(), "se": se}
        differences.append(row)
    deflated = [
        {"text": text["text"], "bytes": deflate_bytes(text["text"])} for text in record["texts"]
    ]
    fixture = {
        "record": record,
        "learning": learning,
        "softmax": softmax,
        "differences": differences,
        "deflated": deflated,
        "frontier": frontier(record["points"]),
    }
    node("compression_explorer/compression_explorer.test.mjs", fixture, tmp_path)


# ---- the record


def test_every_setting_of_the_map_is_recorded(record) -> None:
    recorded = {(p["bits"], p["sparsity"], p["granularity"]) for p in record["points"]}
    small = [bits for bits in BITS if bits != 16]
    wanted = set(product(small, SPARSITIES, GRANULARITIES)) | {(16, s, "none") for s in SPARSITIES}
    assert recorded == wanted
    assert all(len(point["bits_per_byte"]) == 8 for point in record["points"])


def test_the_recorded_texts_are_whole(record) -> None:
    assert {text["key"] for text in record["texts"]} == set(TEXTS)
    for text in record["texts"]:
        assert "".join(text["tokens"]) == text["text"]
        assert len(text["model"]) == len(text["ids"])


def test_every_step_of_the_page_is_a_setting_of_the_explorer() -> None:
    page = repo_root() / "book" / "myths.md"
    mount = r"```\{anywidget\} \.\./utils/widgets/compression_explorer/widget\.mjs\n(.*?)```"
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    mounted = re.search(mount, text, re.DOTALL)
    if mounted is None:
        pytest.skip("the page is not written yet")
    steps = json.loads(mounted[1][mounted[1].index("{") :])["steps"]
    for step in steps:
        CompressionExplorer(**step["settings"])


# ---- the class


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bits": 1}, "bits must be a whole number in [2, 16], got 1"),
        ({"sparsity": 1.0}, "sparsity must be a number in [0, 0.9], got 1.0"),
        ({"token": 256}, "token must be a whole number in [1, 255], got 256"),
        ({"size": 1}, "setting must be one of bits, granularity, sparsity, text, token, view"),
    ],
)
def test_the_class_refuses_in_one_line(settings, message) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        CompressionExplorer(**settings)
    assert "\n" not in str(error.value)


def test_the_class_refuses_another_word() -> None:
    for name in ("view", "granularity", "text"):
        with pytest.raises(t.TraitError):
            CompressionExplorer(**{name: "moore"})


def test_the_class_has_the_settings_of_the_page_and_the_record(record) -> None:
    widget = CompressionExplorer(view="text", text="twice", token=5)
    assert widget.page_state() == {"view": "text", "text": "twice", "token": 5}
    assert widget.points == record["points"]
