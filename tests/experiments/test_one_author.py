"""Fine-tuning on one author: the command at toy size, stopped and continued, and LoRA itself."""

from __future__ import annotations

import json

import pytest
import torch

from experiments.myths import one_author
from experiments.myths.one_author import FULL, MIXED, LoRA, Settings, add_lora, keys, main, measure
from utils import records
from utils.models.config import GPTConfig
from utils.models.gpt import GPT

TOY = Settings(
    authors=("Ann", "Bob"),
    seeds=(0,),
    rank=2,
    other_ranks=(1,),
    other_rates=(2.0,),
    steps=2,
    shares=(0.5, 1.0),
    batch_size=1,
    windows=2,
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A few books. Ann and Bob are in the half that was not read: the largest comes first."""
    path = tmp_path_factory.mktemp("corpus") / "books.jsonl"
    sentence = (
        "The old house stood at the end of the lane, and nobody remembered who had built it. "
    )
    lengths = {"Reader": 190, "Ann": 60, "Bob": 50, "Cal": 40}
    rows = []
    for author, length in lengths.items():
        for i in (1, 2):
            text = f"{author} wrote: {sentence}" * (length + i)
            row = {"split": "train", "author": author, "title": f"{author} {i}", "text": text}
            rows.append(row)
    rows.append(row | {"split": "validation", "author": "Dee", "title": "Dee 1"})
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


@pytest.fixture(autouse=True)
def small(monkeypatch, corpus):
    """A small model, so that a run takes no time."""
    _, tokenizer = one_author.load("course_gpt")
    monkeypatch.setattr(one_author, "THIN", 1)
    monkeypatch.setattr(one_author, "MIX", 1)

    def small_model(name):
        torch.manual_seed(0)
        shape = GPTConfig(vocab_size=4096, context_length=32, n_layer=1, n_head=1, d_model=8)
        return GPT(shape).eval(), tokenizer

    monkeypatch.setattr(one_author, "load", small_model)


def test_the_command_writes_a_record(tmp_path, capsys, corpus):
    out = tmp_path / "author.json"
    options = "--authors Ann Bob --seeds 0 --rank 2 --other-ranks 1 --other-rates 2 --steps 2"
    options += f" --batch-size 1 --windows 2 --corpus {corpus} --out {out}"
    main(options.split())
    record = records.load(out)
    assert f"wrote {out}" in capsys.readouterr().out
    assert record.provenance["complete"]
    assert record.provenance["homes"] == {"Ann": "Ann 2", "Bob": "Bob 2"}
    assert {run["data"] for run in record.data["runs"]} == {"Ann", "Bob", MIXED}
    assert set(record.data["start"][0]["start"]) == {"Ann", "Bob", "others", "trained"}
    assert str(tmp_path) not in out.read_text()


def test_a_stopped_one_continues_to_the_same_result(tmp_path, corpus):
    whole = records.load(measure(TOY, tmp_path / "whole.json", corpus=corpus)).data
    part = tmp_path / "part.json"
    measure(TOY, part, corpus=corpus, time_budget=0)
    assert not records.load(part).provenance["complete"]
    again = records.load(measure(TOY, part, corpus=corpus)).data
    for run in [*whole["runs"], *again["runs"]]:
        del run["cpu_seconds"]
    assert again == whole


def test_lora_begins_as_the_layer_was_and_is_its_formula():
    layer = torch.nn.Linear(5, 3)
    x = torch.randn(2, 5)
    wrapped = LoRA(layer, rank=2)
    assert torch.equal(wrapped(x), layer(x))
    with torch.no_grad():
        wrapped.B.normal_()
        merged = torch.nn.Linear(5, 3)
        merged.weight.copy_(layer.weight + one_author.SCALE * wrapped.B @ wrapped.A)
        merged.bias.copy_(layer.bias)
    torch.testing.assert_close(wrapped(x), merged(x))


def test_lora_trains_nothing_but_its_own_matrices():
    model, _ = one_author.load("course_gpt")
    add_lora(model, rank=2)
    trained = {name.rsplit(".", 1)[1] for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {"A", "B"}


@pytest.mark.parametrize("rank", [FULL, 2])
def test_a_share_of_the_change_is_a_share_of_every_matrix(rank):
    model, _ = one_author.load("course_gpt")
    if rank != FULL:
        add_lora(model, rank)
    trained = [p for p in model.parameters() if p.requires_grad]
    start = [p.detach().clone() for p in trained]
    with torch.no_grad():
        for p in trained:
            p.add_(torch.randn_like(p))
    end = [p.detach().clone() for p in trained]

    def matrix(share):
        one_author.set_share(model, start, end, share)
        layer = model.blocks[0].attn.qkv
        if rank == FULL:
            return layer.weight.detach().clone()
        return layer.base.weight + one_author.SCALE * layer.B.detach() @ layer.A.detach()

    half_way = (matrix(0.0) + matrix(1.0)) / 2
    torch.testing.assert_close(matrix(0.5), half_way)


def test_no_run_is_planned_twice():
    planned = [tuple(key.values()) for key in keys(Settings())]
    assert len(set(planned)) == len(planned)
    assert FULL in {key["rank"] for key in keys(Settings())}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rank": 0}, "rank must be a whole number of at least 1, got 0"),
        ({"other_ranks": (8,)}, r"other_ranks must be numbers that all differ, got \(8, 8\)"),
        ({"shares": (0.0,)}, r"shares must be a number in \(0, 1\], got 0.0"),
        ({"lora_rate": 0.0}, r"lora_rate must be a number in \(0, inf\), got 0.0"),
    ],
)
def test_a_bad_setting_is_one_clear_line(changed, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Settings(**changed)


def test_an_author_of_one_book_is_refused(tmp_path, corpus):
    settings = Settings(authors=("Eve",))
    with pytest.raises(ValueError, match="authors must be with two books"):
        measure(settings, tmp_path / "x.json", corpus=corpus)


def test_the_corpus_must_be_given(tmp_path):
    with pytest.raises(ValueError, match="corpus must be a file of books"):
        measure(TOY, tmp_path / "x.json", corpus=None)
