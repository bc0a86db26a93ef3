"""A checkpoint is refused in one line, before anything is copied, unless all of it fits."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from utils.runtime import generator
from utils.tensors import write_tensors
from utils.training.checkpoints import KEY, load_checkpoint, read_counters, save_checkpoint

COUNTERS = {"fixed": {}, "state": {"step": 2}, "scaler": {}}


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
    with safe_open(path, "pt") as file:
        header = file.metadata()
    held = load_file(path) | (tensors or {})
    held = {name: t for name, t in held.items() if t is not None}
    save_file(held, path, header if counters is None else {KEY: counters})


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


def test_a_device_that_is_full_is_named(tmp_path, full_disk):
    with pytest.raises(OSError, match="could not write run.safetensors") as error:
        write_tensors(tmp_path / "run.safetensors", {"w": torch.zeros(10)}, {})
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run.safetensors").exists()
