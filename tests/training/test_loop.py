"""Training resumes bitwise after any kill, and the same on two processes; each failure has one clear line."""

import errno
import hashlib
import itertools
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from utils import files
from utils.models.budget import matmul_flops_per_token, peak_flops
from utils.models.gpt import GPT, GPTConfig
from utils.runtime import repo_root
from utils.tensors import write_tensors
from utils.training import checkpoints
from utils.training import loop as training
from utils.training.checkpoints import read_counters
from utils.training.config import TrainConfig, lr_factor, smaller_pass
from utils.training.loop import batch, evaluate, train

TINY = GPTConfig(vocab_size=64, context_length=16, n_layer=1, n_head=2, d_model=16)
QUICK = TrainConfig(
    steps=60, batch_size=4, accumulate=2, warmup=5, eval_every=50, checkpoint_every=7
)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("COURSE_QUIET", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def some_tokens(n: int = 4000) -> np.ndarray:
    """Learnable: a noisy walk around the vocabulary."""
    r = np.random.default_rng(0)
    return (np.cumsum(r.choice([1, 2, 5], size=n, p=[0.7, 0.2, 0.1])) % TINY.vocab_size).astype(
        np.uint16
    )


def fresh() -> GPT:
    torch.manual_seed(0)
    return GPT(TINY)


def digest(model: GPT) -> str:
    return hashlib.sha256(
        b"".join(p.detach().numpy().tobytes() for p in model.parameters())
    ).hexdigest()


def run(checkpoint=None, config=QUICK, **more):
    model = fresh()
    state = train(
        model,
        some_tokens(),
        config,
        validation=some_tokens(),
        checkpoint=checkpoint,
        device=CPU,
        **more,
    )
    return model, state


def child(path: Path, config: TrainConfig, answer: Path) -> None:
    """What the kill test kills: train with a checkpoint, and leave the final weights' digest."""
    os.environ["COURSE_QUIET"] = "1"
    torch.set_num_threads(1)
    model, state = run(path, config)
    answer.write_text(f"{digest(model)} {len(state.history)}")


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
    assert sums[0] == pytest.approx(
        sums[1], rel=1e-9
    )  # every step counts once, however the curve is cut


def test_resume_is_bitwise_after_many_kills(tmp_path, monkeypatch):
    """Kill the process twelve times, at random moments, saves included; the weights are those of one run."""
    config, r = replace(QUICK, steps=800, checkpoint_every=3), random.Random(0)
    whole, state = run(config=config)
    # A fork server imports torch once, not thirteen times; torch._dynamo is what an optimizer imports late.
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(repo_root()), str(Path(__file__).parent)])
    )
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["test_training", "torch._dynamo"])
    path, answer, reached = tmp_path / "run.safetensors", tmp_path / "answer", -1
    for _ in range(12):
        process = processes.Process(target=child, args=(path, config, answer))
        process.start()
        before, deadline = path.stat().st_mtime_ns if path.exists() else 0, time.monotonic() + 60
        while (
            not path.exists() or path.stat().st_mtime_ns == before
        ):  # until it has saved something new
            assert process.is_alive(), "the process ended before it could be killed"
            assert time.monotonic() < deadline, "no checkpoint within a minute"
            time.sleep(0.001)
        time.sleep(r.uniform(0, 0.05))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        before, reached = reached, read_counters(path)["state"]["step"]  # whole after every kill
        assert before < reached < config.steps
    process = processes.Process(target=child, args=(path, config, answer))
    process.start()
    process.join(120)
    assert answer.read_text().split() == [digest(whole), str(len(state.history))]


def test_interrupt_leaves_a_usable_checkpoint(tmp_path):
    path = tmp_path / "run.safetensors"
    whole, _ = run()

    def interrupt():
        while not path.exists():
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt, match="saved"):
        run(path, replace(QUICK, steps=60, checkpoint_every=2))
    assert signal.getsignal(signal.SIGINT) is before
    assert 0 < read_counters(path)["state"]["step"] < 60
    again, _ = run(path)
    assert digest(again) == digest(whole)


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    run(path, replace(QUICK, schedule="wsd"))
    good = path.read_bytes()

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(
        OSError, match=r"could not write run.safetensors \(the previous file is untouched\)"
    ) as error:
        checkpoints.save_checkpoint(path, fresh(), torch.optim.AdamW(fresh().parameters()), {})
    assert "No space left on device" in str(error.value)
    assert "\n" not in str(error.value)
    assert path.read_bytes() == good
    assert [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_device_that_is_full_is_named(tmp_path, full_disk):
    with pytest.raises(OSError, match="could not write run.safetensors") as error:
        write_tensors(tmp_path / "run.safetensors", {"w": torch.zeros(10)}, {})
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run.safetensors").exists()


def test_corrupt_and_foreign_checkpoints_are_refused_in_one_line(tmp_path):
    path = tmp_path / "run.safetensors"
    run(path)
    good = path.read_bytes()

    def refused(line, model=None, config=QUICK):
        with pytest.raises(ValueError, match=line) as error:
            train(model or fresh(), some_tokens(), config, checkpoint=path, device=CPU)
        assert "\n" not in str(error.value)

    refused(
        "made with learning_rate = 0.002, this run asks for 0.01",
        config=replace(QUICK, learning_rate=0.01),
    )
    refused("made with model = ", GPT(replace(TINY, n_layer=2)))
    path.write_bytes(good[:500])
    refused("run.safetensors is not a readable checkpoint")
    save_file({"w": torch.zeros(3)}, path)
    refused("no checkpoint of this course")
    path.write_bytes(good)
    other = some_tokens()
    other[0] += 1  # the same length, another text
    with pytest.raises(ValueError, match="run.safetensors was made with tokens = "):
        train(fresh(), other, QUICK, checkpoint=path, device=CPU)
    with safe_open(path, "pt") as file:
        counters, tensors = json.loads(file.metadata()[checkpoints.KEY]), load_file(path)
    for change, line in [
        ({"scaler": {"scale": 1.0}}, "the loss scale in run.safetensors must be absent"),
        (
            {"state": counters["state"] | {"step": "x"}},
            "does not hold the state of a run: step must be a whole",
        ),
    ]:
        save_file(tensors, path, {checkpoints.KEY: json.dumps(counters | change)})
        refused(line)
    del counters["fixed"]["tokens"]  # as it was before the digest was kept
    save_file(tensors, path, {checkpoints.KEY: json.dumps(counters)})
    run(path)
    path.write_bytes(good)
    with pytest.raises(
        ValueError, match=r"of another model: tok.weight is \(65, 16\) here, the file holds"
    ):
        checkpoints.load_checkpoint(path, GPT(replace(TINY, vocab_size=65)))


def test_out_of_memory_says_what_to_try(monkeypatch):
    for accumulate, advice in (
        (1, "accumulate=2"),
        (4, "a shorter context_length or a smaller model"),
    ):
        config = replace(QUICK, accumulate=accumulate)
        message = (
            "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried"
        )

        def fail(*_args, message=message, **_more):
            raise RuntimeError(message)

        model = fresh()
        monkeypatch.setattr(model, "forward", fail)
        with pytest.raises(MemoryError, match=f"do not fit in memory: try {advice}") as error:
            train(model, some_tokens(), config, device=CPU)
        assert "\n" not in str(error.value)
    # And a real refusal: a batch so large that one byte for each of its tokens would be a tebibyte.
    huge = torch.zeros(1, 1, dtype=torch.long).expand(2**36, 17)
    monkeypatch.setattr(training, "batch", lambda *_args, **_more: huge)
    with pytest.raises(MemoryError, match="try accumulate=2"):
        train(fresh(), some_tokens(), replace(QUICK, accumulate=1), device=CPU)


@pytest.mark.parametrize(
    ("batch_size", "accumulate", "world", "advice"),
    [
        (9, 3, 1, "accumulate=9"),
        (12, 2, 1, "accumulate=3"),
        (12, 1, 2, "accumulate=2"),
        (4, 2, 2, None),
    ],
)
def test_the_advice_is_a_setting_that_is_allowed(batch_size, accumulate, world, advice):
    config = TrainConfig(10, batch_size, accumulate)
    assert smaller_pass(config, world) == advice
    if advice:
        TrainConfig(10, batch_size // world, int(advice.partition("=")[2]))


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


@pytest.mark.parametrize("saved", [True, False])
def test_divergence_is_named_and_the_last_good_checkpoint_stays(tmp_path, monkeypatch, saved):
    path = tmp_path / "run.safetensors" if saved else None
    config, good, update = replace(QUICK, checkpoint_every=20), [], training._Run.update

    def diverge(self):
        loss = update(self)
        if self.state.step == 30:
            good.append(path.read_bytes() if path else b"")
            self.model.tok.weight.data.fill_(torch.nan)
        return loss

    monkeypatch.setattr(training._Run, "update", diverge)
    line = "training diverged by step 40 with learning_rate = 0.002: lower it"
    with pytest.raises(
        FloatingPointError, match=line + ("; run.safetensors keeps" if saved else "$")
    ):
        run(path, config)
    assert not saved or path.read_bytes() == good[0]


def test_a_learning_rate_that_is_far_too_high_is_named():
    with pytest.raises(FloatingPointError, match="learning_rate = 1e[+]30: lower it"):
        run(config=replace(QUICK, learning_rate=1e30))


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


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_every_precision_learns_and_resumes(precision, tmp_path, monkeypatch):
    """Half precision on the CPU stands in for a GPU's; fp16 carries its loss scale in the checkpoint."""
    config, path = replace(QUICK, precision=precision), tmp_path / "run.safetensors"
    whole, state = run(config=config)
    assert state.history[-1]["val_loss"] < np.log(64) - 0.3

    def save_and_stop(*args):
        checkpoints.save_checkpoint(*args)
        raise RuntimeError("stopped here")

    with monkeypatch.context() as patch:
        patch.setattr(training, "save_checkpoint", save_and_stop)
        with pytest.raises(RuntimeError, match="stopped here"):
            run(path, config)
    assert bool(read_counters(path)["scaler"]) == (precision == "fp16")
    again, _ = run(path, config)
    assert digest(again) == digest(whole)


def test_schedules():
    config = TrainConfig(steps=100, warmup=9, schedule="wsd", decay=0.2, final_lr=0.1)
    rate = [lr_factor(s, config, steps=100, decay_start=80) for s in range(101)]
    assert rate[0] == pytest.approx(0.1)
    assert rate[9:81] == [1.0] * 72
    assert rate[90] == pytest.approx(0.55)
    assert rate[100] == pytest.approx(0.1)
    cosine = [
        lr_factor(s, replace(config, schedule="cosine"), steps=100, decay_start=80)
        for s in range(101)
    ]
    assert cosine[9] == pytest.approx(1.0)
    assert cosine[100] == pytest.approx(0.1)
    assert all(a > b for a, b in itertools.pairwise(cosine[9:]))


def test_until_ends_the_run_with_its_decay():
    config = replace(QUICK, steps=10**6, schedule="wsd", decay=0.5, eval_every=0)
    _, state = run(config=config, until=time.time() + 1.0)
    assert state.steps == 2 * state.decay_start == state.step
    assert state.history[-1]["learning_rate"] == 0.0


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
    assert (
        matmul_flops_per_token(config)
        == matmul_flops_per_token(TINY)
        == 6 * weights + 12 * 1 * 16 * 16
    )


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


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            dict(batch_size=5, accumulate=2),
            "batch_size must be a multiple of accumulate = 2, got 5",
        ),
        (dict(steps=0), "steps must be a whole number of at least 1, got 0"),
        (dict(schedule="linear"), "schedule must be one of 'cosine', 'wsd', got 'linear'"),
        (dict(beta1=1), r"beta1 must be a number in \[0, 1\), got 1"),
        (dict(beta2=1.0), r"beta2 must be a number in \[0, 1\), got 1.0"),
        (dict(decay=1), r"decay must be a number in \[0, 1\), got 1"),
        (dict(seed=2**63), "seed must be a whole number in"),
        (dict(compile="no"), "compile must be True or False, got 'no'"),
        (dict(learning_rate=0.0), r"learning_rate must be a number in \(0, inf\), got 0.0"),
    ],
)
def test_bad_settings_are_refused_in_one_line(fields, line):
    with pytest.raises(ValueError, match=line):
        TrainConfig(**{"steps": 10} | fields)


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
    assert (
        f"argument {option}: must be a whole number of at least 1, got '0'"
        in capsys.readouterr().err
    )


PARALLEL = """
import json, os, sys
sys.path.insert(0, {tests!r})
import test_loop as t
import torch
torch.set_num_threads(1)
model, state = t.run()
if os.environ.get("RANK", "0") == "0":
    print("HISTORY", json.dumps([[row["train_loss"], row["val_loss"]] for row in state.history]), flush=True)
"""


@pytest.mark.parametrize("launcher", ["torchrun", "accelerate"])
def test_two_processes_train_as_one(launcher, tmp_path):
    pytest.importorskip("accelerate")
    script = tmp_path / "script.py"
    script.write_text(PARALLEL.format(tests=str(Path(__file__).parent)))
    launch = {
        "torchrun": ["torch.distributed.run", "--standalone", "--nproc-per-node=2"],
        "accelerate": [
            "accelerate.commands.launch",
            "--cpu",
            "--num_processes=2",
            "--num_machines=1",
        ],
    }[launcher]
    environment = {
        **os.environ,
        "COURSE_QUIET": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(repo_root()),
    }
    out = subprocess.run(
        [sys.executable, "-m", *launch, str(script)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    lines = [line for line in out.stdout.splitlines() if line.startswith("HISTORY")]
    assert len(lines) == 1, out.stderr[-2000:]
    _, state = run()
    alone = [[row["train_loss"], row["val_loss"]] for row in state.history]
    np.testing.assert_allclose(json.loads(lines[0].removeprefix("HISTORY")), alone, rtol=1e-5)
