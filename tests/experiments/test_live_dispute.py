"""Damage by rounding and tuning along a run: its branches, and the command at toy size."""

from __future__ import annotations

import pytest
import torch

from experiments.trade_offs import live_dispute as ld
from experiments.trade_offs.data import pool
from utils import records
from utils.compression.layers import linear_layers

pytestmark = pytest.mark.usefixtures("one_thread")

TOY = ld.Settings(lengths=(50, 100, 200), seeds=(0,))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Less code to draw from, and fewer things to measure."""
    monkeypatch.setattr(ld, "code", lambda: pool().code)
    monkeypatch.setattr(ld, "HELD_WINDOWS", 8)
    monkeypatch.setattr(ld, "TUNING_STEPS", (1, 2))
    monkeypatch.setattr(ld, "TUNING_RATES", (0.25,))
    monkeypatch.setattr(ld, "RATES", ())
    monkeypatch.setattr(ld, "DECAYS", (0.0,))


def weights(model) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.slow
def test_the_command_writes_a_record_and_continues_it(tmp_path, capsys):
    out = tmp_path / "dispute.json"
    ld.measure(TOY, out, time_budget=0.0)
    assert not records.load(out).provenance["complete"]
    ld.main(["--lengths", "50", "100", "200", "--seeds", "0", "--out", str(out)])
    record = records.load(out)
    assert f"wrote {out}" in capsys.readouterr().out
    assert record.provenance["complete"]
    assert record.provenance["unigram_loss"] > 4

    decay, longer, whole, mean = record.data["runs"]
    cases = [run["case"] for run in record.data["runs"]]
    assert cases == ["decay", "longer", "main", "mean"]
    assert {row["tokens"] // 1024 for row in longer["checkpoints"]} == {200, 400}
    kinds = [(row["kind"], row["tokens"] // 1024) for row in whole["checkpoints"]]
    assert sorted(kinds) == sorted(
        [("untrained", 0), ("long", 200)]
        + [(kind, n) for kind in ("cooled", "averaged", "constant") for n in (50, 100, 200)]
    )
    assert {row["kind"] for row in decay["checkpoints"]} == {"cooled", "constant"}
    assert decay["tuning"] == []
    averages = [row for row in whole["checkpoints"] if row["kind"] == "averaged"]
    assert mean["checkpoints"] == averages
    assert len(mean["tuning"]) == 3
    assert len(whole["tuning"]) == 7
    for row in whole["tuning"]:
        assert [point["step"] for point in row["path"]] == [1, 2]
    for row in whole["checkpoints"][1:]:
        assert abs(row["int4"]) < abs(row["int3"]) + 0.1
    assert str(tmp_path) not in out.read_text()


def test_a_branch_leaves_the_run_as_it_was():
    run = ld.constant_run(60, seed=0)
    alone = ld.constant_run(60, seed=0)
    run.advance(52)
    branch = ld.cooled(run, 57)
    run.advance(5)
    alone.advance(57)
    assert torch.equal(weights(run.model), weights(alone.model))
    assert not torch.equal(weights(branch), weights(run.model))


def test_a_branch_whose_rate_does_not_fall_is_the_run():
    run = ld.constant_run(60, seed=0)
    run.advance(52)
    one_step = ld.cooled(run, 53)  # its first step has the full rate
    run.advance(1)
    assert torch.equal(weights(one_step), weights(run.model))


def test_the_mean_of_weights_and_the_run_that_goes_on():
    run = ld.constant_run(60, seed=0)
    alone = ld.constant_run(60, seed=0)
    mean = ld.averaged(run, 20)
    seen = []
    for _ in range(10):
        alone.advance(2)
        seen.append(weights(alone.model))
    assert torch.equal(weights(run.model), weights(alone.model))
    torch.testing.assert_close(weights(mean), torch.stack(seen).mean(0), rtol=1e-4, atol=1e-6)


def test_a_short_run_is_the_beginning_of_a_long_one():
    short = ld.constant_run(50, seed=0)
    assert torch.equal(short.rates, ld.constant_run(200, seed=0).rates[:50])
    assert float(short.rates[49]) == pytest.approx(ld.RATE)
    assert float(ld.constant_run(60, seed=0, rate=0.25).rates[-1]) == pytest.approx(ld.RATE / 4)


def test_noise_has_the_size_that_it_is_given():
    model = ld.constant_run(50, seed=0).model
    layers = linear_layers(model)
    sizes = {name: torch.tensor(0.5) for name in layers}
    noisy = linear_layers(ld.with_noise(model, sizes, draw=0))
    for name, layer in layers.items():
        change = (noisy[name].weight - layer.weight).detach()
        assert float(ld.rms(change)) == pytest.approx(0.5, rel=0.1)


def test_an_error_is_at_most_half_a_step():
    model = ld.constant_run(50, seed=0).model
    for name, error in ld.rounding_errors(model, 3).items():
        largest = linear_layers(model)[name].weight.detach().abs().amax(1, keepdim=True)
        assert bool((error.abs() <= largest / 3 * 0.501 + 1e-6).all())


def test_bad_settings_are_refused():
    for lengths in ((60,), (100, 300), (1750,)):
        with pytest.raises(ValueError, match="lengths"):
            ld.Settings(lengths=lengths)
    with pytest.raises(ValueError, match="seeds"):
        ld.Settings(seeds=(0, 0))
