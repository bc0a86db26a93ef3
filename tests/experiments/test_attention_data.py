"""The command that records the course model's attention, on a small model and as a whole."""

from __future__ import annotations

import base64
import math

import numpy as np
import pytest
import torch

from experiments.parameters import attention_data as ad
from experiments.parameters import copying_model as cm
from utils import records
from utils.models.gpt import GPT, GPTConfig
from utils.widgets.attention_explorer.settings import CASES, SENTENCES

pytestmark = pytest.mark.usefixtures("one_thread")


class Letters:
    """A tokenizer whose tokens are the letters a to z."""

    ids: list[int]

    def encode(self, text: str) -> Letters:
        self.ids = [ord(letter) - ord("a") for letter in text]
        return self

    def decode(self, ids: list[int]) -> str:
        return "".join(chr(ord("a") + token) for token in ids)


@pytest.fixture
def model() -> GPT:
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=26, context_length=40, n_layer=2, n_head=2, d_model=16))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return model.eval()


def test_every_removal_has_its_reading(model) -> None:
    found = ad.readings(model, Letters(), "word", "abcde")
    assert found["tokens"] == list("abcde")
    assert len(found["readings"]) == 6
    for removed, reading in enumerate(found["readings"]):
        T = 5 if removed == 0 else 4
        steps = np.frombuffer(base64.b64decode(reading["shares"]), np.uint8)
        assert len(steps) == 2 * 2 * T * (T + 1) // 2
        assert steps[0] == 255  # the first place has only itself to look at
        ids = [i for i in range(5) if i != removed - 1]
        p = model(torch.tensor([ids]))[0, -1].softmax(-1).detach()
        expected = [float(p[ord(text) - ord("a")]) for text in found["candidates"]]
        assert reading["p"] == pytest.approx(expected, abs=1e-5)
        likeliest = {chr(ord("a") + i) for i in p.topk(ad.LIKELIEST).indices.tolist()}
        assert likeliest <= set(found["candidates"])


def test_the_gain_is_zero_for_a_model_that_sees_one_word_only() -> None:
    torch.manual_seed(0)
    blind = GPT(GPTConfig(vocab_size=26, context_length=40, n_layer=1, n_head=2, d_model=16))
    passages = torch.stack([torch.randperm(26)[:8] for _ in range(5)])
    found = ad.gain(blind, passages)  # fresh blocks add nothing, so no other word is seen
    assert found == {"nats": 0.0, "se": 0.0, "passages": 5}


def test_the_gain_by_hand(model) -> None:
    passages = torch.stack([torch.randperm(26)[:6] for _ in range(3)])
    gained = []
    for row in passages.tolist():
        log_p = model(torch.tensor([row + row]))[0].log_softmax(-1).detach()
        cost = [-float(log_p[i, token]) for i, token in enumerate((row + row)[1:])]
        gained.append(np.mean(cost[:5]) - np.mean(cost[6:]))
    found = ad.gain(model, passages)
    assert found["nats"] == pytest.approx(np.mean(gained), abs=1e-3)
    assert found["se"] == pytest.approx(np.std(gained, ddof=1) / math.sqrt(3), abs=1e-3)


def test_the_lists_fit_the_explorer() -> None:
    lists = ad.sentences()
    assert len(lists) == SENTENCES
    for cases in lists:
        assert tuple(cases) == CASES
        assert {len(ids) for ids in cases.values()} == {cm.SEGMENT + ad.SAID}
        assert cases["twice"][-1] == cases["twice"][ad.SAID - 1]


def test_the_command_writes_the_record(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(ad, "RECORD", tmp_path / "attention.json")
    ad.main([])
    assert "copy: said again, 4." in capsys.readouterr().out
    record = records.load(tmp_path / "attention.json")
    stored = records.load("parameters/attention")
    assert record.provenance["model_sha256"] == stored.provenance["model_sha256"]
    assert record.data["copy"]["sentences"] == stored.data["copy"]["sentences"]
