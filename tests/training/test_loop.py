"""utils.training.loop: batches, losses and their curve, and what cannot be trained."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.small import CPU, QUICK, TINY, fresh, run, some_tokens
from utils.models.budget import matmul_flops_per_token, peak_flops
from utils.models.gpt import GPT
from utils.training import loop
from utils.training.loop import batch, evaluate, readout, train
from utils.training.processes import Processes
from utils.training.run import Run


def test_the_loss_falls_and_the_history_says_so():
    _, state = run()
    assert [row["step"] for row in state.history] == [50, 60]
    assert state.history[-1]["val_loss"] < np.log(64) - 0.3
    assert state.step == state.steps == 60
    _, finer = run(config=replace(QUICK, log_every=20, eval_every=30))
    assert [(row["step"], "val_loss" in row) for row in finer.history] == [
        (20, False),
        (30, True),
        (40, False),
        (60, True),
    ]
    sums = [
        sum(row["train_loss"] * n for row, n in zip(h, steps, strict=True))
        for h, steps in ((state.history, (50, 10)), (finer.history, (20, 10, 10, 20)))
    ]
    # Every step counts once, however the curve is cut.
    assert sums[0] == pytest.approx(sums[1], rel=1e-9)


def test_the_readout_tells_losses_throughput_and_utilisation(monkeypatch):
    ready = Run(fresh(), some_tokens(), QUICK, None, Processes(CPU))
    monkeypatch.setattr(ready, "seconds_per_step", lambda: 0.5)
    row = {"step": 1, "train_loss": 4.0, "learning_rate": 1e-3}
    assert readout(ready, row) == {"loss": "4.000", "tok/s": "128"}  # 4 sequences of 16 tokens
    peak = 512 * matmul_flops_per_token(TINY)  # four times what 128 tokens per second need
    monkeypatch.setattr(loop, "peak_flops", lambda _device: peak)
    shown = readout(ready, row | {"val_loss": 3.5})
    assert shown == {"loss": "4.000", "tok/s": "128", "val": "3.500", "MFU": "25%"}


def test_training_works_outside_the_main_thread():
    steps = []
    config = replace(QUICK, steps=2)
    thread = threading.Thread(target=lambda: steps.append(run(config=config)[1].step))
    thread.start()
    thread.join()
    assert steps == [2]


def test_out_of_memory_says_what_to_try(monkeypatch):
    for accumulate, advice in (
        (1, "accumulate=2"),
        (4, "a shorter context_length or a smaller model"),
    ):
        config = replace(QUICK, accumulate=accumulate)

        def fail(*_args, **_more):
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] : can't allocate memory: you tried")

        model = fresh()
        monkeypatch.setattr(model, "forward", fail)
        with pytest.raises(MemoryError, match=f"do not fit in memory: try {advice}") as error:
            train(model, some_tokens(), config, device=CPU)
        assert "\n" not in str(error.value)
    # And a real refusal: a batch so large that one byte for each of its tokens would be a tebibyte.
    huge = torch.zeros(1, 1, dtype=torch.long).expand(2**36, 17)
    monkeypatch.setattr(loop, "batch", lambda *_args, **_more: huge)
    with pytest.raises(MemoryError, match="try accumulate=2"):
        train(fresh(), some_tokens(), replace(QUICK, accumulate=1), device=CPU)


def test_out_of_memory_in_the_evaluation_names_its_own_setting(monkeypatch):
    def fail(*_args):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")

    model = fresh()
    monkeypatch.setattr(model, "forward", fail)
    for size, advice in (
        (16, "batch_size=8 in evaluate"),
        (1, "a shorter context_length or a smaller model"),
    ):
        with pytest.raises(
            MemoryError, match=f"^evaluation: {size} seq.* do not fit in memory: try {advice}$"
        ):
            evaluate(model, some_tokens(), batch_size=size)
        assert model.training


def test_the_order_of_the_data_uses_every_window_once():
    tokens = np.arange(1, 16 * 10 + 2, dtype=np.uint16)  # ten windows
    firsts = [
        int(row[0])
        for s in range(5)
        for row in batch(tokens, s, batch_size=4, context_length=16, seed=3)
    ]
    assert sorted(firsts[:10]) == sorted(firsts[10:]) == list(range(1, 161, 16))
    assert firsts[:10] != firsts[10:]
    again = batch(tokens, 3, batch_size=4, context_length=16, seed=3)
    assert [int(row[0]) for row in again] == firsts[12:16]
    assert again.shape == (4, 17)


def test_accumulation_does_not_change_the_training():
    (one, _), (two, _) = (run(config=replace(QUICK, accumulate=a)) for a in (1, 4))
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_evaluate_is_the_mean_over_windows():
    model, tokens = fresh().eval(), some_tokens(16 * 5 + 1)
    ids = torch.from_numpy(tokens.astype(np.int64))
    with torch.no_grad():
        by_hand = np.mean(
            [
                float(model(ids[None, i : i + 16], ids[None, i + 1 : i + 17]))
                for i in range(0, 80, 16)
            ]
        )
    assert evaluate(model, tokens, batch_size=2) == pytest.approx(by_hand, rel=1e-6)


def test_flops_count_every_multiplying_weight():
    config = replace(TINY, tie_embeddings=False)
    model = GPT(config)
    weights = model.num_parameters() - model.tok.weight.numel()
    expected = 6 * weights + 12 * 1 * 16 * 16
    assert matmul_flops_per_token(config) == matmul_flops_per_token(TINY) == expected


@pytest.mark.parametrize(
    ("gpu", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA L4", 121e12),
        ("Tesla T4", 65e12),
        ("?", None),
    ],
)
def test_the_peak_belongs_to_the_gpu(gpu, peak, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: gpu)
    assert peak_flops(torch.device("cuda")) == peak
    assert peak_flops(CPU) is None


def test_too_little_text_is_refused_in_one_line():
    with pytest.raises(
        ValueError, match=r"tokens must be at least context_length \+ 1 = 17 tokens, got 16"
    ):
        train(fresh(), some_tokens(16), QUICK, device=CPU)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (dict(batch_size=-1), "batch_size must be a whole number of at least 1, got -1"),
        (dict(windows=0), "windows must be a whole number of at least 1, got 0"),
        (dict(precision="x"), "precision must be one of 'auto', 'fp32', 'bf16', 'fp16', got 'x'"),
        (dict(tokens=some_tokens() + 0.5), "tokens must be whole numbers in one dimension"),
    ],
)
def test_evaluate_refuses_what_it_cannot_measure(options, line):
    with pytest.raises(ValueError, match=line):
        evaluate(fresh(), **{"tokens": some_tokens()} | options)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (dict(tokens=some_tokens().astype(float)), "tokens must be whole numbers in one dimension"),
        (dict(tokens=some_tokens() + 1), r"tokens must be in \[0, 63\], got 64"),
        (dict(validation=some_tokens(16)), r"validation must be at least context_length \+ 1 = 17"),
        (dict(until=float("nan")), "until must be a number in .*, got nan"),
        (dict(until=1.0), "schedule must be 'wsd' with until, got 'cosine'"),
        (dict(device="foo"), "device must be one that this machine has, got 'foo'"),
        (dict(device="meta"), "device must be one that this machine has, got 'meta'"),
    ],
)
def test_train_refuses_before_the_first_step(options, line):
    with pytest.raises(ValueError, match=line):
        train(fresh(), **dict(tokens=some_tokens(), config=QUICK, device="cpu") | options)


@pytest.mark.parametrize(
    "options", [dict(step=-1), dict(batch_size=0), dict(seed=-1), dict(context_length=0)]
)
def test_batch_refuses_numbers_out_of_range(options):
    fields = dict(step=0, batch_size=2, seed=0, context_length=4) | options
    with pytest.raises(
        ValueError, match=f"{next(iter(options))} must be a whole number of at least"
    ):
        batch(some_tokens(), **fields)


@pytest.mark.parametrize("option", ["--rounds", "--repeats", "--batch-size"])
def test_the_benchmark_refuses_zero_in_one_line(option, capsys):
    from benchmarks import gpt_training

    with pytest.raises(SystemExit):
        gpt_training.main([option, "0"])
    line = f"argument {option}: must be a whole number of at least 1, got '0'"
    assert line in capsys.readouterr().err
