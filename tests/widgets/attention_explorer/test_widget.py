"""The attention explorer without a browser: JavaScript = torch, what its steps say, the class."""

from __future__ import annotations

import base64
import json
import re

import numpy as np
import pytest
import torch

from experiments.parameters.attention_data import PROMPTS, attention_data
from experiments.parameters.copying_model import (
    chances_with_hidden,
    hiding,
    mean_right,
    passage,
    recurring_passage,
    right_without,
    right_words,
)
from tests.node import node
from utils import records
from utils.models.course import load
from utils.models.gpt import GPT, GPTConfig
from utils.models.interop import load_pretrained
from utils.runtime import repo_root
from utils.widgets.attention_explorer.settings import CASES, RECORD, SENTENCES, USUAL, page_data
from utils.widgets.attention_explorer.shares import STEPS, attention_shares, pack_shares
from utils.widgets.attention_explorer.widget import AttentionExplorer

pytestmark = pytest.mark.usefixtures("one_thread")
FOLDER = repo_root() / "records" / "copy_gpt"
WORDS = json.loads((FOLDER / "words.json").read_text())
LAST = 12  # index of the last word of a list
FOLLOWER = 5  # index of the word after its first occurrence


@pytest.fixture(scope="module")
def record() -> dict:
    return records.load(RECORD).data


@pytest.fixture(scope="module")
def course():
    return load()


@pytest.fixture(scope="module")
def copying() -> GPT:
    return load_pretrained(FOLDER).eval()


@torch.no_grad()
def chances(model: GPT, ids: list[int]) -> torch.Tensor:
    """Probability (V,) of each next token."""
    return model(torch.tensor([ids]))[0, -1].softmax(-1)


def without(ids: list[int], removed: int) -> list[int]:
    """``ids`` without the place ``removed``, counted from 1; 0 removes none."""
    return [token for place, token in enumerate(ids, start=1) if place != removed]


def changes(model: GPT, ids: list[int]) -> list[float]:
    """What removing each token does to the probability of the word that leads."""
    p = chances(model, ids)
    lead = int(p.argmax())
    return [float(chances(model, without(ids, i + 1))[lead] - p[lead]) for i in range(len(ids))]


def reading(model: GPT, ids: list[int], texts: list[str]) -> dict:
    """Torch's shares, and the probability of each token by its text."""
    p = chances(model, ids).tolist()
    return {
        "shares": attention_shares(model, ids).tolist(),
        "next": dict(zip(texts, p, strict=True)),
    }


# ---- JavaScript ----------------------------------------------------------------------------------


def test_javascript_equals_python(record, course, copying, tmp_path) -> None:
    model, tokenizer = course
    lists = record["copy"]["sentences"]
    copied = []
    for number, case, removed in ((3, "twice", 0), (3, "shuffled", 6), (0, "others", 13)):
        ids = lists[number][case]
        expected = reading(copying, without(ids, removed), WORDS)
        copied.append({"ids": ids, "removed": removed, "expected": expected})

    texts = [tokenizer.decode([token]) for token in range(model.config.vocab_size)]
    recorded = []
    for key, prompt in PROMPTS.items():
        ids = tokenizer.encode(prompt).ids
        for removed in (0, 1, 7):
            expected = reading(model, without(ids, removed), texts)
            recorded.append({"key": key, "removed": removed, "expected": expected})

    names = tokenizer.encode(PROMPTS["names"]).ids
    usual = lists[USUAL["words"] - 1]["twice"]
    effects = [
        {"asked": {}, "expected": changes(copying, usual)},
        {"asked": {"model": "course"}, "expected": changes(model, names)},
    ]
    fixture = {
        "record": record,
        "copying": copied,
        "recorded": recorded,
        "effects": effects,
        "said": sentences(usual),
    }
    node("attention_explorer/attention_explorer.test.mjs", fixture, tmp_path)


def sentences(ids: list[int]) -> list[dict]:
    """Parts of what is said, with the words of the list that is shown first."""
    last, follower, after = (f"“{WORDS[ids[i]]}”" for i in (LAST, FOLLOWER, FOLLOWER + 1))
    found = f"% to {follower} (6), the word after its first occurrence."
    return [
        {"asked": {}, "expected": [f"Layer 2 of 2, from {last} (13): head ", found]},
        {
            "asked": {"layer": 1, "place": 6},
            "expected": [f"from {follower} (6): head 4 gives ", "(5), the word just before it."],
        },
        {
            "asked": {"removed": 6},
            "expected": [f"Without {follower} (6), {follower} goes from ", f", and {after} leads"],
        },
        {
            "asked": {"compare": True},
            "expected": [
                f"of the last word’s attention to {follower} (6); removing that word moves",
                f"{last} (5) gets less than 5\u00a0% from each head of this layer; removing it",
            ],
        },
        {
            "asked": {"model": "course", "compare": True},
            "expected": [
                "“him” leads with",
                "100\u00a0% of the last word’s attention to “and” (7)",
            ],
        },
    ]


# ---- the shares ----------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("n_kv_head", [4, 2])
def test_the_shares_are_those_that_the_model_uses(n_kv_head) -> None:
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=30, n_layer=2, n_head=4, n_kv_head=n_kv_head, d_model=32)
    model = GPT(config).eval()
    for p in model.parameters():
        p.add_(0.2 * torch.randn_like(p))  # fresh blocks add nothing
    ids = torch.randint(30, (9,)).tolist()

    x = model.tok(torch.tensor([ids]))
    rope = (model.cos[:9], model.sin[:9])
    for block, shares in zip(model.blocks, attention_shares(model, ids), strict=True):
        attention, normed = block.attn, block.norm1(x)
        values = attention.qkv(normed)[0, :, -n_kv_head * 8 :].view(9, n_kv_head, 8)
        values = values.repeat_interleave(4 // n_kv_head, dim=1)  # (T, H, D)
        mixed = torch.einsum("hij,jhd->ihd", shares, values).reshape(1, 9, 32)
        own = attention(normed, rope, None)
        torch.testing.assert_close(attention.out(mixed), own, atol=1e-5, rtol=1e-5)
        x = block(x, rope, None)


def test_shares_come_back_from_their_text() -> None:
    shares = torch.tensor([[[[1.0, 0.0], [0.25, 0.75]]]])
    steps = np.frombuffer(base64.b64decode(pack_shares(shares)), np.uint8)
    assert np.abs(steps / STEPS - [1, 0.25, 0.75]).max() < 0.002


def test_a_model_without_rotary_positions_is_refused() -> None:
    model = GPT(GPTConfig("gpt2", vocab_size=9, n_layer=1, n_head=2, d_model=8))
    with pytest.raises(ValueError, match="style must be llama, got 'gpt2'"):
        attention_shares(model, [1])


# ---- what is recorded, and what the steps say of it ----------------------------------------------


def test_the_record_is_of_the_present_models(record, course, copying) -> None:
    fresh = json.loads(json.dumps(attention_data(*course, copying)))
    assert record["copy"]["sentences"] == fresh["copy"]["sentences"]
    again = "run python -m experiments.parameters.attention_data again"
    for model in ("course", "copy"):
        assert record[model]["gain"] == pytest.approx(fresh[model]["gain"], abs=2e-3), again
    for stored, now in zip(record["course"]["prompts"], fresh["course"]["prompts"], strict=True):
        assert stored["tokens"] == now["tokens"]
        kept = dict(zip(stored["candidates"], stored["readings"][0]["p"], strict=True))
        for text, p in zip(now["candidates"], now["readings"][0]["p"], strict=True):
            # On another machine a candidate at the edge may differ, and has next to no probability.
            assert kept.get(text, 0) == pytest.approx(p, abs=0.01), again


def test_the_first_four_steps_hold_for_the_list_that_is_shown(record, copying) -> None:
    ids = record["copy"]["sentences"][USUAL["words"] - 1]["twice"]
    assert ids[LAST] == ids[FOLLOWER - 1]
    first, second = attention_shares(copying, ids)  # (H, T, T) each
    assert second[:, LAST].argmax(-1).tolist() == [FOLLOWER] * 4
    assert int(chances(copying, ids).argmax()) == ids[FOLLOWER]
    before = first[3].diagonal(-1)[1:]  # from the third word on, each on the word before it
    assert before.min() > 0.85
    assert first[:3, FOLLOWER, FOLLOWER - 1].max() < before.min()  # the other heads look elsewhere

    removed = chances(copying, without(ids, FOLLOWER + 1))
    assert int(removed.argmax()) == ids[FOLLOWER + 1]
    assert removed[ids[FOLLOWER]] < 0.01
    assert abs(changes(copying, ids)[1]) < 0.01  # another word
    assert second[:, LAST, 1].max() < 0.05


@pytest.mark.parametrize("length", [5, 8, 20])
def test_copying_needs_the_head_that_looks_at_the_word_before(copying, length) -> None:
    assert right_words(copying, "twice", 40, length) > 0.93
    *others, needed = right_without(copying, 40, length)
    assert needed < 0.1
    assert min(others) > 0.85


def test_it_copies_different_words_and_no_others(copying) -> None:
    """What the page and the card say of other lists than those of eight different words."""
    assert right_words(copying, "twice", 40, 3) < 0.9
    assert mean_right(copying, [recurring_passage(row, 8) for row in range(40)]) < 0.8
    for length in (5, 8, 20):
        assert right_words(copying, "shuffled", 40, length) < 0.01
        by_chance = right_words(copying, "any order", 40, length)  # some keep their follower
        assert 0.5 / length < by_chance < 2 / length


def test_the_card_has_what_the_stored_model_does(copying) -> None:
    card = json.loads((FOLDER / "card.json").read_text())
    rows = card["settings"]["rows"]
    assert card["models"][0]["right"]["twice"] == pytest.approx(
        right_words(copying, "twice", rows), abs=1e-3
    )
    stored = card["limits"]["lengths"]["5"]["without_head"]
    assert stored == pytest.approx(right_without(copying, rows, 5), abs=1e-3)


def test_the_other_lists_follow_the_same_rule(record, copying) -> None:
    assert len(record["copy"]["sentences"]) == SENTENCES
    clear = 0
    for cases in record["copy"]["sentences"]:
        twice, shuffled = cases["twice"], cases["shuffled"]
        right = twice[FOLLOWER]
        p = chances(copying, twice)
        assert int(p.argmax()) == right
        clear += bool(p[right] > 0.9)
        # The order removed: the model says what followed the last word in the new order.
        follower = shuffled[shuffled.index(shuffled[LAST]) + 1]
        assert follower != right
        assert int(chances(copying, shuffled).argmax()) == follower
        assert chances(copying, cases["others"])[right] < 0.1
    assert clear >= 10


def test_a_word_that_is_not_looked_at_can_matter_most(record, copying) -> None:
    unseen = []
    for cases in record["copy"]["sentences"]:
        ids = cases["twice"]
        share = attention_shares(copying, ids)[1, :, LAST, FOLLOWER - 1].max()
        found = changes(copying, ids)
        unseen.append((float(share), found[FOLLOWER - 1]))
    shown = unseen[USUAL["words"] - 1]
    assert shown[0] < 0.05
    assert shown[1] < -0.9
    assert sum(share < 0.1 and change < -0.4 for share, change in unseen) >= 10


@torch.no_grad()
def test_hiding_nothing_changes_nothing(copying) -> None:
    ids = passage(0, "twice")[: LAST + 1]
    own = chances(copying, ids)
    torch.testing.assert_close(chances_with_hidden(copying, ids, 4, ()), own, atol=1e-5, rtol=1e-4)
    # Hidden from the start, a last word that only it could look at is not hidden from itself.
    assert torch.allclose(chances_with_hidden(copying, ids, LAST, (0, 1)), own, atol=1e-5)


def test_layer_1_carries_what_layer_2_seems_to_ignore(copying) -> None:
    """Hidden in layer 2 alone the known word changes nothing, in layer 1 alone everything."""
    found = hiding(copying, 40)
    known, follower = found["known"], found["follower"]
    assert known["share"] < 0.02
    assert known["hidden"]["none"] > 0.95
    assert abs(known["hidden"]["second"] - known["hidden"]["none"]) < 0.01
    assert known["hidden"]["first"] < 0.1
    # The word after it is the other way round: layer 2 needs it, and layer 1 hardly does.
    assert follower["share"] > 0.8
    assert follower["hidden"]["second"] < 0.1
    assert follower["hidden"]["first"] > 0.9

    assert 0.6 < found["named_by_product"] < 0.99  # mostly, by both layers' shares multiplied


def test_of_three_words_looked_at_alone_one_matters(course) -> None:
    model, tokenizer = course
    ids = tokenizer.encode(PROMPTS["names"]).ids
    texts = [tokenizer.decode([token]) for token in ids]
    lead = int(chances(model, ids).argmax())
    assert tokenizer.decode([lead]) == " him"  # and not the name that stood after "at"
    shares = attention_shares(model, ids)[4, :, -1]  # (H, T) of the last word in layer 5
    places = shares.argmax(-1).tolist()
    assert [texts[places[head]] for head in (0, 1, 3)] == [" looked", " and", " John"]
    assert shares.amax(-1)[[0, 1, 3]].min() > 0.97
    found = changes(model, ids)
    assert found[places[0]] < -0.25
    assert abs(found[places[1]]) < 0.06
    assert abs(found[places[3]]) < 0.06


def test_the_course_model_hardly_gains_where_the_other_copies(record) -> None:
    assert record["course"]["gain"]["nats"] < 0.1
    assert record["copy"]["gain"]["nats"] > 3.5


# ---- the page and the class ----------------------------------------------------------------------


def steps() -> list[dict]:
    """The steps on the book's page."""
    page = (repo_root() / "book" / "parameters.md").read_text(encoding="utf-8")
    body = page.partition("attention_explorer/widget.mjs")[2].partition("```")[0]
    return json.loads(body[body.index('{"steps"') :])["steps"]


def test_the_steps_name_no_number_that_could_go_stale() -> None:
    for step in steps():
        numbers = re.findall(r"\d+(?:\.\d+)?", step["text"])
        assert set(numbers) <= {"1", "2", "4"}, step  # of layers and of a head
        assert set(step["settings"]) <= {"model", "text", "layer", "place", "removed", "compare"}


def test_the_page_gets_the_small_model(record) -> None:
    model = page_data()["COPYING_MODEL"]
    assert base64.b64decode(model["weights"]) == (FOLDER / "model.safetensors").read_bytes()
    assert model["words"] == WORDS
    assert len(set(WORDS)) == 64
    assert len(model["weights"]) < 120_000
    keys = [prompt["key"] for prompt in record["course"]["prompts"]]
    assert set(keys).isdisjoint(CASES)


def test_its_output_on_a_page_holds_the_settings_and_names_the_record() -> None:
    html = AttentionExplorer(model="course", layer=3, compare=True).static_html()
    assert '{"compare": true, "layer": 3, "model": "course"}' in html
    assert 'data-afm-record="parameters/attention.json"' in html


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer": 9}, "layer must be a whole number in [1, 6], got 9"),
        ({"removed": -1}, "removed must be a whole number in [0, 16], got -1"),
        (
            {"text": "none"},
            "text must be one of 'twice', 'shuffled', 'others', 'names', 'door', got 'none'",
        ),
        ({"head": 1}, "setting must be one of compare, layer, model, place, removed, text, words"),
    ],
)
def test_the_class_refuses_in_one_line(settings, message) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        AttentionExplorer(**settings)
