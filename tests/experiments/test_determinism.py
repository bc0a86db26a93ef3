"""The table of what a batch changes: its rows, its control, and the record of several devices."""

from __future__ import annotations

import pytest
import torch

from experiments.sampling import determinism
from experiments.sampling.determinism import (
    Reading,
    Settings,
    compare,
    departure,
    entries_of,
    main,
    measure,
    name_of,
    read,
    store,
)
from utils import records
from utils.models.course import load
from utils.sampling.generation import generate
from utils.sampling.passages import held_out_ids
from utils.sampling.pipelines import Pipeline

TOY = ["--formats", "float32", "--batches", "1", "2", "--threads", "1", "--prompts", "2"]
TOY += ["--prompt-tokens", "8", "--tokens", "4"]


@pytest.fixture(autouse=True)
def threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def reading(logits: list[float], text: list[int], dtype: torch.dtype = torch.float32) -> Reading:
    z = torch.tensor(logits, dtype=dtype)
    return Reading(z, z.clone(), text, leads=[0.5, 0.25, 0.125])


def test_the_greedy_text_is_that_of_the_library():
    model, tokenizer = load()
    ids = held_out_ids(tokenizer)[:3, :13]
    texts = [one.text for one in read(model, ids, 10)]
    prompts = ids[:, :12].tolist()
    expected = generate(model, prompts, Pipeline("vllm", temperature=0), max_tokens=10)
    assert texts == [list(one.ids) for one in expected]


def test_the_two_moments_are_those_of_a_plain_reading():
    model, tokenizer = load()
    ids = held_out_ids(tokenizer)[:1, :9]
    (one,) = read(model, ids, 1)
    with torch.no_grad():
        plain = model(ids)[0]  # (9, V), without a cache
    torch.testing.assert_close(one.prompt_logits, plain[-2], rtol=0, atol=1e-3)
    torch.testing.assert_close(one.step_logits, plain[-1], rtol=0, atol=1e-3)
    best, second = one.prompt_logits.topk(2).values
    assert one.leads == [pytest.approx(float(best - second))]


def test_equal_readings_differ_in_nothing():
    same = [reading([1.0, 2.0], [1, 1, 0])]
    row = compare(same, same)
    assert row["prompt_logits_differ"] == row["step_logits_differ"] == [0]
    assert row["largest_difference"] == 0
    assert row["departs_at"] == [None]
    assert row["leads_there"] == []


def test_one_bit_is_counted_and_a_departure_has_its_lead():
    last_bit = torch.finfo(torch.float32).eps
    row = compare([reading([1 + last_bit, 2.0], [1, 0, 0])], [reading([1.0, 2.0], [1, 1, 0])])
    assert row["prompt_logits_differ"] == [1]
    assert row["largest_difference"] == last_bit
    assert row["departs_at"] == [1]
    assert row["leads_there"] == [0.25]
    assert departure([3], [3]) is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_numbers_of_16_bits_are_compared_as_they_are(dtype):
    step = 2 * torch.finfo(dtype).eps  # between neighbours, from 2 on
    row = compare([reading([2 + step, 3], [], dtype)], [reading([2, 3], [], dtype)])
    assert row["prompt_logits_differ"] == [1]
    assert row["largest_difference"] == step


def test_the_command_writes_a_row_for_each_batch(tmp_path, capsys):
    out = tmp_path / "table.json"
    main([*TOY, "--out", str(out)])
    (entry,) = records.load(out).data["devices"]
    assert [row["batch"] for row in entry["rows"]] == [1, 2]
    assert entry["device"] == name_of(torch.device("cpu"))
    assert entry["versions"]["torch"] == torch.__version__
    assert entry["settings"]["prompts"] == 2
    control = entry["rows"][0]
    assert control["prompt_logits_differ"] == control["step_logits_differ"] == [0, 0]
    assert control["departs_at"] == [None, None]
    assert f"wrote table.json: {entry['device']}" in capsys.readouterr().out


def test_a_device_replaces_its_own_entry_and_leaves_the_others(tmp_path):
    out = tmp_path / "table.json"
    for device, seconds in (("b", 1), ("a", 2), ("b", 3)):
        store([{"device": device, "seconds": seconds}], out, 0.0)
    entries = records.load(out).data["devices"]
    assert entries == [{"device": "a", "seconds": 2}, {"device": "b", "seconds": 3}]


def test_merging_adds_what_another_machine_measured(tmp_path):
    here, there = tmp_path / "here.json", tmp_path / "there.json"
    store([{"device": "a"}], here, 0.0)
    store([{"device": "b"}], there, 0.0)
    main(["--merge", str(there), "--out", str(here)])
    assert [entry["device"] for entry in records.load(here).data["devices"]] == ["a", "b"]


def test_a_record_of_another_model_is_not_mixed_in(tmp_path, capsys):
    out = tmp_path / "table.json"
    records.save(out, {"devices": []}, started=0.0, model_sha256="another")
    with pytest.raises(ValueError, match="record must be of this command and of the model in"):
        store([{"device": "a"}], out, 0.0)
    with pytest.raises(SystemExit):
        main(["--merge", str(out), "--out", str(tmp_path / "new.json")])
    assert "record must be of this command" in capsys.readouterr().err


def test_limited_instructions_are_another_device(monkeypatch):
    plain = name_of(torch.device("cpu"))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert name_of(torch.device("cpu")) == plain.replace(")", ", AVX2 at most)")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"formats": ("float8",)}, "formats must be one of"),
        ({"batches": (3,)}, "batches must be divisors of prompts = 16, got 3"),
        ({"threads": (0,)}, "threads must be a whole number of at least 1"),
        ({"prompts": 41}, "prompts must be a whole number in"),
        ({"tokens": 250}, "tokens must be a whole number in"),
        ({"threads": (1, 1)}, "threads must be numbers that all differ"),
    ],
)
def test_settings_out_of_range_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        Settings(**options)


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device must be a device of this machine"):
        measure(Settings(), "cuda")


def test_threads_are_as_before_afterwards(monkeypatch):
    torch.set_num_threads(1)
    settings = Settings(("float32",), (1,), (2,), prompts=1, prompt_tokens=4, tokens=1)

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(determinism, "told", fail)
    with pytest.raises(RuntimeError):
        measure(settings)
    assert torch.get_num_threads() == 1


def test_the_stored_record_is_of_this_model_and_its_controls_are_zero():
    for entry in entries_of(records.path_of(determinism.RECORD)):
        controls = [row for row in entry["rows"] if (row["threads"], row["batch"]) == (1, 1)]
        assert len(controls) == len(entry["settings"]["formats"])
        for row in controls:
            assert not any(row["prompt_logits_differ"] + row["step_logits_differ"])
            assert set(row["departs_at"]) == {None}
