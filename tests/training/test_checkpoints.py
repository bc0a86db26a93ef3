"""A checkpoint is refused in one line, before anything is copied, unless all of it fits."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from utils.runtime import generator
from utils.tensors import read_header, write_tensors
from utils.training.checkpoints import FORMAT, KEY, load_checkpoint, read_counters, save_checkpoint

COUNTERS = {"format": FORMAT, "fixed": {}, "state": {"step": 2}, "scaler": {}}


def some_model(seed: int = 0) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    generator(seed, "global")
    model = torch.nn.Linear(3, 2)
    return model, torch.optim.AdamW(model.parameters(), fused=True)


@pytest.fixture
def path(tmp_path):
    model, optimizer = some_model()
    for _ in range(2):
        model(torch.ones(1, 3)).sum().backward()
        optimizer.step()
    save_checkpoint(tmp_path / "run.safetensors", model, optimizer, COUNTERS)
    return tmp_path / "run.safetensors"


def rewrite(path, tensors=None, counters=None):
    """Write the file again, with its right hash, as if someone had changed it on purpose."""
    metadata = read_header(path).metadata
    held = load_file(path) | (tensors or {})
    held = {name: t for name, t in held.items() if t is not None}
    write_tensors(path, held, metadata if counters is None else {KEY: counters})


MOMENTS = [
    f"optimizer/{slot}/{name}"
    for slot in ("step", "exp_avg", "exp_avg_sq")
    for name in ("weight", "bias")
]


@pytest.mark.parametrize(
    ("tensors", "line"),
    [
        (
            {"optimizer/exp_avg/weight": torch.ones(1)},
            r"exp_avg/weight is \(2, 3\) here, the file holds \(1,\)",
        ),
        (
            {"optimizer/exp_avg_sq/bias": torch.ones(2).half()},
            "exp_avg_sq/bias is F32 here, the file holds F16",
        ),
        ({"optimizer/step/bias": torch.ones(2)}, r"step/bias is \(\) here, the file holds \(2,\)"),
        ({"optimizer/step/bias": torch.tensor(2)}, "step/bias is F32 here, the file holds I64"),
        ({"optimizer/exp_avg/weight": None}, "exp_avg/weight is .* here, the file lacks it"),
        (dict.fromkeys(MOMENTS), "step/weight is .* here, the file lacks it"),
        ({"model/weight": torch.ones(2, 3).double()}, "weight is F32 here, the file holds F64"),
        ({"model/weight": None}, "weight is .* here, the file lacks it"),
        ({"model/other": torch.ones(1)}, "also holds model/other"),
        (
            {"optimizer/max_exp_avg_sq/bias": torch.ones(2)},
            "also holds optimizer/max_exp_avg_sq/bias",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_refused_and_nothing_is_copied(path, tensors, line):
    rewrite(path, tensors)
    model, optimizer = some_model(1)
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(ValueError, match="run.safetensors is of another model: .*" + line) as error:
        load_checkpoint(path, model, optimizer)
    assert "\n" not in str(error.value)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert not optimizer.state


def test_moments_may_be_absent_before_the_first_step_and_when_nothing_needs_them(path):
    rewrite(path, dict.fromkeys(MOMENTS))
    model, optimizer = some_model(1)
    load_checkpoint(path, model)
    not_yet = {"state": {"step": 0}}
    all_skipped = {"scaler": {"scale": 1.0}}  # a float16 run whose steps have all overflowed
    for change in (not_yet, all_skipped):
        rewrite(path, counters=json.dumps(COUNTERS | change))
        load_checkpoint(path, model, optimizer)
        assert not optimizer.state


@pytest.mark.parametrize(
    "counters",
    ["{", "{}", "[]", "null", "3", '{"fixed": {}, "state": [], "scaler": {}}', "[" * 100_000],
)
def test_damaged_counters_are_refused_in_one_line(path, counters):
    rewrite(path, counters=counters)
    with pytest.raises(
        ValueError, match="^run.safetensors is not a readable checkpoint: its counters"
    ):
        read_counters(path)


@pytest.mark.parametrize(
    ("made", "shown"), [({}, "1"), ({"format": 3}, "3"), ({"format": "2"}, "'2'")]
)
def test_another_format_is_refused_with_what_to_do(path, made, shown):
    counters = {key: value for key, value in COUNTERS.items() if key != "format"} | made
    rewrite(path, counters=json.dumps(counters))
    line = rf"^run.safetensors has format {shown} and this version of the course reads {FORMAT}: go"
    with pytest.raises(ValueError, match=line):
        load_checkpoint(path, *some_model())


def test_what_is_not_accepted_is_not_taken(path):
    def refuse(counters):
        assert counters["state"] == {"step": 2}
        raise ValueError("not this one")

    model, optimizer = some_model(1)
    before = model.weight.detach().clone()
    with pytest.raises(ValueError, match="not this one"):
        load_checkpoint(path, model, optimizer, refuse)
    assert torch.equal(model.weight, before)
    assert not optimizer.state


def test_every_flipped_bit_is_refused_before_anything_is_copied(path):
    """One bit of each byte of the file; which one, goes round."""
    good = bytearray(path.read_bytes())
    model, optimizer = some_model(1)
    before = model.weight.detach().clone()
    for place in range(len(good)):
        flipped = bytearray(good)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=r"^run.safetensors ") as error:
            load_checkpoint(path, model, optimizer)
        assert "\n" not in str(error.value)
    assert torch.equal(model.weight, before)
    assert not optimizer.state


def test_a_file_of_another_program_is_named(path):
    tensors, metadata = load_file(path), read_header(path).metadata
    save_file(tensors, path)
    with pytest.raises(
        ValueError, match="^run.safetensors is a safetensors file, but no checkpoint"
    ):
        load_checkpoint(path, *some_model())
    save_file(tensors, path, metadata)
    with pytest.raises(
        ValueError, match="^run.safetensors is not a readable checkpoint: .* sha256$"
    ):
        load_checkpoint(path, *some_model())
